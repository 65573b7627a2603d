//go:build !unix

package node

import (
	"errors"
	"fmt"
	"os"
)

// errLocked says that another process has the file.
var errLocked = errors.New("another relay runs")

// lock takes the file for this process by holding it open: Windows removes no
// file that is open.
func lock(path string) (unlock func() error, err error) {
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, errLocked
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("lock %s: %w", path, err)
	}
	return f.Close, nil
}
