package store

import (
	"bytes"
	"context"
	"errors"

	"github.com/uptrace/bun"
)

// KeyRotation is a change of the relay's signing key, signed by the succession
// key and by the old one. Nothing in it is secret.
type KeyRotation struct {
	bun.BaseModel `bun:"table:key_rotations"`

	NewKey              []byte `bun:",pk"`
	OldKey              []byte
	At                  int64
	SuccessionSignature []byte
	OldSignature        []byte
}

// ErrNodesRun says that a relay on this database would go on with the old key.
var ErrNodesRun = errors.New("another relay runs on this database, or was killed a moment ago; stop every node, wait a quarter of a minute, and try again")

// Rotations are the newest limit ones, newest first.
func (s Secrets) Rotations(ctx context.Context, limit int) ([]KeyRotation, error) {
	var all []KeyRotation
	return all, mapped(s.db.NewSelect().Model(&all).Order("at DESC").Limit(int64(limit)).Scan(ctx))
}

// Get is a secret that is there already. Errors: ErrNotFound.
func (s Secrets) Get(ctx context.Context, name string) ([]byte, error) {
	got := secret{}
	if err := mapped(s.db.NewSelect().Model(&got).Where("name = ?", name).Scan(ctx)); err != nil {
		return nil, err
	}
	return opened(s.seal, got)
}

// Since is when the secret of that name was made; it need not be opened. Errors:
// ErrNotFound.
func (s Secrets) Since(ctx context.Context, name string) (at int64, err error) {
	err = s.db.NewSelect().Model((*secret)(nil)).Column("created_at").Where("name = ?", name).Scan(ctx, &at)
	return at, mapped(err)
}

// Add keeps a secret that is not there yet. Errors: ErrConflict.
func (s Secrets) Add(ctx context.Context, by Entry, name string, value []byte, now int64) error {
	row := s.sealed(name, value)
	row.CreatedAt = now
	return s.change(ctx, FirstOrganization, by, func(ctx context.Context, tx bun.Tx, _ *Entry) error {
		_, err := tx.NewInsert().Model(&row).Exec(ctx)
		return err
	})
}

// Rotate puts next in the place of a secret that is old, keeps how that is proved,
// and revokes the enrollment tokens that name the old key; all or nothing. Errors:
// ErrConflict when the secret is another one by now, ErrNodesRun while a node of
// the database is alive. On SQLite there is one node, whose lock the caller has.
func (s Secrets) Rotate(ctx context.Context, by Entry, name string, old, next []byte, r KeyRotation) error {
	row := s.sealed(name, next)
	return s.change(ctx, FirstOrganization, by, func(ctx context.Context, tx bun.Tx, by *Entry) error {
		if s.kind == PostgreSQL {
			n, err := tx.NewSelect().Model((*node)(nil)).Where("alive_until > " + s.clock()).Count(ctx)
			if err != nil {
				return err
			}
			if n > 0 {
				return ErrNodesRun
			}
		}
		got := secret{}
		if err := mapped(tx.NewSelect().Model(&got).Where("name = ?", name).Scan(ctx)); err != nil {
			return err
		}
		if value, err := opened(s.seal, got); err != nil {
			return err
		} else if !bytes.Equal(value, old) {
			return ErrConflict
		}
		if _, err := tx.NewUpdate().Model((*secret)(nil)).Set("value = ?", row.Value).Set("sealed_by = ?", row.SealedBy).
			Set("created_at = ?", r.At).Where("name = ?", name).Exec(ctx); err != nil {
			return err
		}
		all := s.wholeRelay("the tokens of all organizations name the relay's key").db.on(tx)
		if _, err := tx.NewUpdate().Conn(all).Model((*EnrollmentToken)(nil)).Set("revoked_at = ?", r.At).
			Where("revoked_at = 0 AND uses_left > 0").Exec(ctx); err != nil {
			return err
		}
		_, err := tx.NewInsert().Model(&r).Exec(ctx)
		return err
	})
}

// sealed is the row of a secret, but for the time.
func (s *database) sealed(name string, value []byte) secret {
	if s.seal == nil {
		return secret{Name: name, Value: value}
	}
	return secret{Name: name, Value: s.seal.Seal(name, value), SealedBy: s.seal.ID()}
}
