package storetest

import (
	"context"
	"database/sql"
	"errors"
	"os"
	"path/filepath"
	"sync"

	"oriel/relay/internal/store"
)

// migrated is the content of a file that SQLite's migrations made and nothing else.
var migrated = sync.OnceValues(func() (content []byte, err error) {
	dir, err := os.MkdirTemp("", "oriel-sqlite-")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	made, copied := filepath.Join(dir, "made.db"), filepath.Join(dir, "copied.db")
	if err := migrate("sqlite:" + made); err != nil {
		return nil, err
	}
	db, err := sql.Open("sqlite", made) // the store's own driver
	if err != nil {
		return nil, err
	}
	// What is in the write-ahead log goes along.
	_, err = db.Exec("VACUUM INTO ?", copied)
	if err := errors.Join(err, db.Close()); err != nil {
		return nil, err
	}
	return os.ReadFile(copied)
})

// templateName is of the database on the shared server that the others are copies of.
const templateName = "migrated"

func (s *Server) makeTemplate() error {
	address, err := s.CreateDatabase(context.Background(), templateName)
	if err != nil {
		return err
	}
	return migrate(address)
}

func migrate(address string) error {
	s, err := store.Open(context.Background(), address, store.Options{Connections: 2})
	if err != nil {
		return err
	}
	return s.Close()
}
