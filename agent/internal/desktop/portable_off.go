//go:build !purego || !((linux && x11) || darwin || windows)

package desktop

import "fmt"

// openPortable: robotgo without purego is cgo, and an X server that dies then
// kills the process.
func openPortable(Options) (Desktop, error) {
	return nil, fmt.Errorf("%w: this build has no portable backend; build with -tags purego,x11", ErrNoDisplay)
}
