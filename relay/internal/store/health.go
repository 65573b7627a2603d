package store

import (
	"context"
	"errors"
	"fmt"
	"syscall"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/uptrace/bun"
	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

type health struct {
	bun.BaseModel `bun:"table:health"`

	Node  string `bun:",pk"`
	Value string
}

// CheckWrites does what every change does: it writes a row of this node, to
// the disk, and reads it back. Reading alone works with a full disk, too.
func (s *Store) CheckWrites(ctx context.Context, node string) error {
	row := health{Node: node, Value: NewID()}
	err := s.tx(ctx, func(ctx context.Context, tx bun.Tx) error {
		_, err := tx.NewInsert().Model(&row).On("CONFLICT (node) DO UPDATE").Set("value = EXCLUDED.value").Exec(ctx)
		return err
	})
	if err != nil {
		return fmt.Errorf("write to the database: %w", err)
	}
	var back string
	err = s.db.NewSelect().Model((*health)(nil)).Column("value").Where("node = ?", node).Scan(ctx, &back)
	if err != nil {
		return fmt.Errorf("read from the database: %w", err)
	}
	// Of two checks at once either may be the last.
	if back < row.Value {
		return errors.New("the database lost what was written to it")
	}
	return nil
}

// DiskFull reports whether err says that a disk has no room.
func DiskFull(err error) bool {
	var pg *pgconn.PgError
	var lite *sqlite.Error
	switch {
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		return true
	case errors.As(err, &pg):
		return pg.Code == "53100"
	case errors.As(err, &lite):
		// The second is of the write-ahead log's index, which needs room even to read.
		return lite.Code()&0xff == sqlite3.SQLITE_FULL || lite.Code() == sqlite3.SQLITE_IOERR_SHMSIZE
	}
	return false
}
