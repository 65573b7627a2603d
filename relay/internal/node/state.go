package node

import (
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"path/filepath"

	"oriel/protocol/private"
	"oriel/relay/internal/config"
	"oriel/relay/internal/store"
)

// CheckState reports whether nobody but root and this user can have written
// what a relay of c finds: the data folder and those in it, the database, the
// folder of blobs. What is not there yet is well. Errors: *private.Error, those
// of the file system.
func CheckState(c *config.Config) error {
	folders := []string{c.Data, filepath.Join(c.Data, "certificates"), filepath.Join(c.Data, "blobs")}
	if u, err := url.Parse(c.Blobs); err == nil && u.Scheme == "file" {
		folders = append(folders, filepath.FromSlash(u.Path))
	}
	for _, folder := range folders {
		if err := private.CheckFolder(folder); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	kind, path, err := store.ParseAddress(c.Database)
	if err != nil || kind != store.SQLite {
		return err
	}
	for _, file := range []string{path, path + "-wal", path + "-shm", path + ".lock"} {
		if err := private.CheckTarget(file); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("database: %w", err)
		}
	}
	return nil
}

// MakeData makes the data folder of c where it is missing, and is CheckState.
func MakeData(c *config.Config) error {
	switch err := private.MakeFolder(c.Data); {
	case errors.Is(err, private.ErrRefused): // says what to do
		return fmt.Errorf("data folder: %w", err)
	case err != nil:
		return fmt.Errorf("data folder: %w; choose another with --data", err)
	}
	return CheckState(c)
}
