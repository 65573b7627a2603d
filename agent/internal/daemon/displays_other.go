//go:build !linux

package daemon

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
)

// FindDisplays finds none: helpers cannot be put into a session on this system.
func FindDisplays() []Display { return nil }

// into lets only the demo desktop run, which needs no session.
func into(_ *exec.Cmd, target Display) error {
	if target.Name == "demo" {
		return nil
	}
	return fmt.Errorf("start a helper in a desktop's session: %w", errors.ErrUnsupported)
}

// SelfCommand starts this very program.
func SelfCommand(args ...string) ([]string, error) {
	exe, err := os.Executable()
	return append([]string{exe}, args...), err
}
