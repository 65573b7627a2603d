// Package backup writes what a relay keeps into one file, while it runs, and
// brings it back: the database as it was at one moment, with the relay's own
// keys sealed in it, and the blobs. Not in it, because whoever has a back-up
// must not be the relay, is the sealing key (package seal); nor what belongs to
// one machine: settings, certificates, the node's name. Write and Restore refuse
// a file, or a folder above it, that another user may change (package private).
//
// The file is a gzipped tar with relay.db first and blobs/KEY after it. Blobs
// are read after the database: one that came in between is in the file though
// no row speaks of it, one that went is missing; both are harmless to previews.
//
// This is for SQLite. PostgreSQL has its own tools (pg_dump).
package backup

import (
	"archive/tar"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"oriel/protocol/private"
	"oriel/relay/internal/blob"
	"oriel/relay/internal/config"
	"oriel/relay/internal/store"
)

const (
	databaseEntry = "relay.db"
	blobPrefix    = "blobs/"
)

// ErrPostgreSQL says that a database is not ours to copy.
var ErrPostgreSQL = errors.New("the database is PostgreSQL: save it with `PGOPTIONS='-c oriel.organization=*' pg_dump --enable-row-security`, or with pg_dump as a superuser, bring it back with pg_restore, and copy the folder or bucket of blobs")

// Write saves the relay of c in the file at path, which is there whole or not
// at all, and replaces an older one.
func Write(ctx context.Context, c *config.Config, path string) (err error) {
	kind, file, err := store.ParseAddress(c.Database)
	if err != nil {
		return err
	}
	if kind != store.SQLite {
		return ErrPostgreSQL
	}
	if _, err := os.Stat(file); err != nil {
		return fmt.Errorf("there is nothing to save: %w; name the relay's folder with --data", err)
	}
	if err := private.CheckTarget(path); err != nil {
		return err
	}
	// Beside the file: there must be room for it there anyway.
	work, err := os.MkdirTemp(filepath.Dir(path), ".oriel-backup-*") // 0700
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(work)) }()
	copied := filepath.Join(work, databaseEntry)
	if err := copyDatabase(ctx, c.Database, copied); err != nil {
		return fmt.Errorf("copy the database: %w", err)
	}
	archive := filepath.Join(work, "archive")
	out, err := os.OpenFile(archive, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	if err := errors.Join(pack(ctx, c, copied, out), out.Sync(), out.Close()); err != nil {
		return err
	}
	return os.Rename(archive, path)
}

func copyDatabase(ctx context.Context, address, to string) error {
	s, err := store.Open(ctx, address, store.Options{NoMigrate: true})
	if err != nil {
		return err
	}
	defer s.Close()
	if n, err := s.Pending(ctx); err != nil {
		return err
	} else if n != 0 {
		return errors.New("it is of an older relay, whose keys are not sealed; start this version once")
	}
	return s.CopyTo(ctx, to)
}

func pack(ctx context.Context, c *config.Config, database string, w io.Writer) error {
	zip := gzip.NewWriter(w)
	out := tar.NewWriter(zip)
	f, err := os.Open(database)
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if err := out.WriteHeader(&tar.Header{Name: databaseEntry, Mode: 0o600, Size: info.Size(), ModTime: info.ModTime()}); err != nil {
		return err
	}
	if _, err := io.Copy(out, f); err != nil {
		return err
	}
	blobs, err := blob.Open(ctx, c.Blobs, filepath.Join(c.Data, "blobs"))
	if err != nil {
		return err
	}
	defer blobs.Close()
	err = blobs.Each(ctx, func(key string, data []byte) error {
		err := out.WriteHeader(&tar.Header{Name: blobPrefix + key, Mode: 0o600, Size: int64(len(data)), ModTime: info.ModTime()})
		if err == nil {
			_, err = out.Write(data)
		}
		return err
	})
	return errors.Join(err, out.Close(), zip.Close())
}

// Restore brings a file of Write back to where c says. No relay may run there
// (node.Hold), and the database must not be there yet; it comes last, so that
// what failed half-way can be done again.
func Restore(ctx context.Context, c *config.Config, path string) error {
	kind, file, err := store.ParseAddress(c.Database)
	if err != nil {
		return err
	}
	if kind != store.SQLite {
		return ErrPostgreSQL
	}
	for _, name := range []string{file, file + "-wal"} {
		if _, err := os.Lstat(name); !errors.Is(err, os.ErrNotExist) {
			return fmt.Errorf("%s is there already; move it away first, or choose another folder with --data", name)
		}
	}
	// Who wrote it is the relay's owner from now on.
	if err := private.CheckTarget(path); err != nil {
		return err
	}
	in, err := os.Open(path)
	if err != nil {
		return err
	}
	defer in.Close()
	zip, err := gzip.NewReader(in)
	if err != nil {
		return fmt.Errorf("%s is no back-up of a relay: %w", path, err)
	}
	work, err := os.MkdirTemp(filepath.Dir(file), ".oriel-restore-*")
	if err != nil {
		return err
	}
	defer os.RemoveAll(work)
	copied := filepath.Join(work, databaseEntry)
	if err := unpack(ctx, c, tar.NewReader(zip), copied); err != nil {
		return fmt.Errorf("read %s: %w", path, err)
	}
	// The checksum comes after the archive's end.
	if _, err := io.Copy(io.Discard, zip); err != nil {
		return fmt.Errorf("%s is damaged or cut off: %w", path, err)
	}
	if err := check(ctx, copied); err != nil {
		return fmt.Errorf("the database in %s: %w", path, err)
	}
	return os.Rename(copied, file)
}

func unpack(ctx context.Context, c *config.Config, in *tar.Reader, database string) error {
	blobs, err := blob.Open(ctx, c.Blobs, filepath.Join(c.Data, "blobs"))
	if err != nil {
		return err
	}
	defer blobs.Close()
	found := false
	for {
		h, err := in.Next()
		if errors.Is(err, io.EOF) && found {
			return nil
		}
		if errors.Is(err, io.EOF) {
			return errors.New("there is no database in it")
		}
		if err != nil {
			return err
		}
		key, isBlob := strings.CutPrefix(h.Name, blobPrefix)
		switch {
		case h.Name == databaseEntry && !found:
			found = true
			err = writeFile(database, in)
		case isBlob && h.Size <= blob.MaxSize:
			var data []byte
			if data, err = io.ReadAll(in); err == nil {
				err = blobs.Put(ctx, key, data) // which checks the key
			}
		default:
			err = fmt.Errorf("%.64q does not belong into a back-up of a relay", h.Name)
		}
		if err != nil {
			return err
		}
	}
}

func writeFile(path string, r io.Reader) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(f, r)
	return errors.Join(err, f.Sync(), f.Close())
}

// check opens the database as a relay will, and leaves it in one file.
func check(ctx context.Context, path string) error {
	s, err := store.Open(ctx, "sqlite:"+path, store.Options{NoMigrate: true})
	if err != nil {
		return err
	}
	n, err := s.Pending(ctx)
	if err == nil && n < 0 {
		err = errors.New("it is empty")
	}
	if err == nil {
		err = s.CheckPages(ctx)
	}
	return errors.Join(err, s.Close())
}
