//go:build unix

package node

import (
	"errors"
	"fmt"
	"os"
	"syscall"
)

// errLocked says that another process has the file.
var errLocked = errors.New("another relay runs")

// lock takes the file for this process; the system lets go of it when the
// process ends, however it does.
func lock(path string) (unlock func() error, err error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		_ = f.Close()
		if errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, errLocked
		}
		return nil, fmt.Errorf("lock %s: %w", path, err)
	}
	return f.Close, nil
}
