//go:build !unix

package seal

import (
	"errors"
	"io/fs"
)

// private leaves it to the data folder who may read the file.
func private(info fs.FileInfo) error {
	if !info.Mode().IsRegular() {
		return errors.New("it is no ordinary file")
	}
	return nil
}

// syncFolder does nothing: Windows keeps no folder open to sync it.
func syncFolder(string) error { return nil }
