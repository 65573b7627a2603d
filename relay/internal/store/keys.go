package store

import (
	"bytes"
	"context"
	"errors"

	"github.com/uptrace/bun"
)

// KnownKey is a computer's key as a person's account remembers it.
type KnownKey struct {
	bun.BaseModel `bun:"table:known_keys"`

	PersonID   string `bun:",pk"`
	ComputerID string `bun:",pk"`
	MachineKey []byte
	Since      int64
}

// KnownKeys are all of a person's, by computer.
func (s People) KnownKeys(ctx context.Context, person string) ([]KnownKey, error) {
	var all []KnownKey
	return all, mapped(s.db.NewSelect().Model(&all).Where("person_id = ?", person).Order("computer_id").Scan(ctx))
}

// SaveKnownKey remembers k; in the place of another key only where that is
// replaces. At most most are kept for a person. Errors: ErrConflict.
func (s People) SaveKnownKey(ctx context.Context, by Entry, k KnownKey, replaces []byte, most int64) error {
	return s.change(ctx, by.of(), by, func(ctx context.Context, tx bun.Tx, _ *Entry) error {
		var old KnownKey
		err := mapped(tx.NewSelect().Model(&old).Where("person_id = ? AND computer_id = ?", k.PersonID, k.ComputerID).Scan(ctx))
		switch {
		case errors.Is(err, ErrNotFound):
			n, err := tx.NewSelect().Model((*KnownKey)(nil)).Where("person_id = ?", k.PersonID).Count(ctx)
			if err != nil || n >= most {
				return conflictIf(n >= most, err)
			}
			_, err = tx.NewInsert().Model(&k).Exec(ctx)
			return err
		case err != nil:
			return err
		case bytes.Equal(old.MachineKey, k.MachineKey):
			return errUnchanged
		case !bytes.Equal(old.MachineKey, replaces):
			return ErrConflict
		}
		return changed(tx.NewUpdate().Model(&k).WherePK().Where("machine_key = ?", replaces).Exec(ctx))
	})
}
