package identity

import (
	"bytes"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"oriel/protocol/private"
)

// writeFile replaces path by b: whole or not at all, 0600, on the disk when it
// returns.
func writeFile(path string, b []byte) (err error) {
	f, err := os.CreateTemp(filepath.Dir(path), ".new-*") // 0600
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			f.Close()
			os.Remove(f.Name())
		}
	}()
	if _, err = f.Write(b); err != nil {
		return err
	}
	if err = f.Sync(); err != nil {
		return err
	}
	if err = f.Close(); err != nil {
		return err
	}
	if err = os.Rename(f.Name(), path); err != nil {
		return err
	}
	return syncDir(filepath.Dir(path))
}

// CheckWrites writes a file in the directory as an agent does, reads it back and
// removes it. Errors: ErrDiskFull, those of the file system.
func CheckWrites(dir string) error {
	wrote := make([]byte, 4096)
	_, _ = rand.Read(wrote) // never fails
	path := filepath.Join(dir, ".check")
	err := writeFile(path, wrote)
	if err == nil {
		var read []byte
		if read, err = os.ReadFile(path); err == nil && !bytes.Equal(read, wrote) {
			err = fmt.Errorf("%s lost what was written to it", path)
		}
		err = errors.Join(err, os.Remove(path))
	}
	if diskFull(err) {
		err = fmt.Errorf("%w: %w", ErrDiskFull, err)
	}
	return err
}

// WriteFile writes a file of the data directory as the rest there is written.
func WriteFile(path string, b []byte) error { return writeFile(path, b) }

// ReadFile reads a file of the data directory with the checks of the rest there
// (private.ReadFile), at most MaxState bytes.
func ReadFile(path string) ([]byte, error) { return private.ReadFile(path, MaxState) }
