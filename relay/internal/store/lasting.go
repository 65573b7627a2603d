package store

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"

	"modernc.org/sqlite"
)

// lasting opens connections to the SQLite file of that name that leave its
// write-ahead log and the log's index where they are when the last one closes.
// A database in WAL mode cannot even be read without them, so that a relay
// whose disk is full could not start again.
type lasting string

// Connect is for database/sql.
func (name lasting) Connect(context.Context) (driver.Conn, error) {
	c, err := name.Driver().Open(string(name))
	if err != nil {
		return nil, err
	}
	if _, err := c.(sqlite.FileControl).FileControlPersistWAL("main", 1); err != nil {
		return nil, errors.Join(fmt.Errorf("keep the write-ahead log: %w", err), c.Close())
	}
	return c, nil
}

// Driver is for database/sql.
func (lasting) Driver() driver.Driver { return registered }

// registered is the driver that knows the functions of chain.go; one that is made
// here would not.
var registered = func() driver.Driver {
	db, err := sql.Open("sqlite", "")
	if err != nil {
		panic(err) // the import above registers it
	}
	defer db.Close()
	return db.Driver()
}()
