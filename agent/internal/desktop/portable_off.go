//go:build !((linux && x11) || (darwin && mac) || (windows && win))

package desktop

import "fmt"

// openPortable: robotgo without its tag for the system is cgo, and an X server
// that dies then kills the process.
func openPortable(Options) (Desktop, error) {
	return nil, fmt.Errorf("%w: this build has no portable backend; build with -tags x11 on Linux, mac on macOS, win on Windows", ErrNoDisplay)
}
