//go:build !linux

package desktop

// openNative: systems without a file of their own have the portable backend.
func openNative(o Options) (Desktop, error) { return openPortable(o) }
