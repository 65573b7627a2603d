package store

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/uptrace/bun"
)

type secret struct {
	bun.BaseModel `bun:"table:secrets"`

	Name      string `bun:",pk"`
	Value     []byte
	CreatedAt int64
	SealedBy  string // id of the sealing key; empty: the value is plain
}

// SealingKey closes and opens secrets; package seal has one.
type SealingKey interface {
	ID() string
	Seal(name string, value []byte) []byte
	Open(name string, sealed []byte) ([]byte, error)
}

// ErrOtherKey says that the secrets are sealed with another key than the one
// given, or with one where none is.
var ErrOtherKey = errors.New("the relay's keys in the database are sealed with another key")

// ErrUnsealed says that a secret lies in plain beside sealed ones, or after all
// were sealed. No relay writes that.
var ErrUnsealed = errors.New("a key of the relay's in the database is not sealed, and others are")

// SealedBy is the id of the key that secrets are sealed with; empty: none is.
func (s Secrets) SealedBy(ctx context.Context) (id string, err error) {
	err = s.db.NewSelect().Model((*secret)(nil)).Column("sealed_by").
		Where("sealed_by <> ''").Order("name").Limit(1).Scan(ctx, &id)
	if err = mapped(err); errors.Is(err, ErrNotFound) {
		return "", nil
	}
	return id, err
}

// UseSealingKey checks that k opens every secret, or seals them all where all are
// plain. It is called before Obtain and Get, once. Errors: ErrOtherKey, ErrUnsealed.
func (s Secrets) UseSealingKey(ctx context.Context, k SealingKey) error {
	plain := 0
	err := s.tx(ctx, func(ctx context.Context, tx bun.Tx) error {
		var all []secret
		if err := tx.NewSelect().Model(&all).Order("name").Scan(ctx); err != nil {
			return err
		}
		sealed := slices.ContainsFunc(all, func(one secret) bool { return one.SealedBy != "" })
		for _, one := range all {
			if sealed {
				if _, err := opened(k, one); err != nil {
					return err
				}
				continue
			}
			plain++
			_, err := tx.NewUpdate().Model((*secret)(nil)).Set("value = ?", k.Seal(one.Name, one.Value)).Set("sealed_by = ?", k.ID()).
				Where("name = ?", one.Name).Exec(ctx)
			if err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	s.seal = k
	if plain > 0 && s.kind == SQLite {
		// What was plain is zeroed in the file (secure_delete), but lies in the log.
		if _, err := s.db.ExecContext(ctx, "PRAGMA wal_checkpoint(TRUNCATE)"); err != nil {
			return fmt.Errorf("empty the database's log: %w", err)
		}
	}
	return nil
}

// opened is the value of a secret. With a key none is taken in plain: who can
// write to the database could put one of their own there.
func opened(k SealingKey, one secret) ([]byte, error) {
	if one.SealedBy == "" && k != nil {
		return nil, fmt.Errorf("%w: %q", ErrUnsealed, one.Name)
	}
	if one.SealedBy == "" {
		return one.Value, nil
	}
	if k == nil || k.ID() != one.SealedBy {
		return nil, fmt.Errorf("%w (%s)", ErrOtherKey, one.SealedBy)
	}
	return k.Open(one.Name, one.Value)
}

// Obtain is a key of the relay's own that all its nodes share. The first to
// ask stores what fresh makes, sealed if there is a sealing key; everybody
// gets that.
func (s Secrets) Obtain(ctx context.Context, name string, now int64, fresh func() ([]byte, error)) ([]byte, error) {
	got := secret{}
	find := func(ctx context.Context, db bun.IDB) error {
		return mapped(db.NewSelect().Model(&got).Where("name = ?", name).Scan(ctx))
	}
	if err := find(ctx, s.db); err == nil {
		return opened(s.seal, got)
	} else if !errors.Is(err, ErrNotFound) {
		return nil, err
	}
	value, err := fresh()
	if err != nil {
		return nil, err
	}
	row := s.sealed(name, value)
	row.CreatedAt = now
	err = s.tx(ctx, func(ctx context.Context, tx bun.Tx) error {
		_, err := tx.NewInsert().Model(&row).On("CONFLICT (name) DO NOTHING").Exec(ctx)
		if err != nil {
			return err
		}
		return find(ctx, tx)
	})
	if err != nil {
		return nil, err
	}
	return opened(s.seal, got)
}
