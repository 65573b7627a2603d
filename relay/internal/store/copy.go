package store

import (
	"context"
	"errors"
)

var errNotSQLite = errors.New("this is not SQLite")

// CopyTo writes the database as it is at this moment into a new file, beside
// others that go on writing. It is for SQLite.
func (s *Store) CopyTo(ctx context.Context, path string) error {
	if s.kind != SQLite {
		return errNotSQLite
	}
	_, err := s.db.ExecContext(ctx, "VACUUM INTO ?", path)
	return mapped(err)
}

// CheckPages has SQLite read the whole file and say whether it is sound.
func (s *Store) CheckPages(ctx context.Context) error {
	if s.kind != SQLite {
		return errNotSQLite
	}
	var said string
	if err := s.db.NewRaw("PRAGMA quick_check(1)").Scan(ctx, &said); err != nil {
		return mapped(err)
	}
	if said != "ok" {
		return errors.New("it is damaged: " + said)
	}
	return nil
}
