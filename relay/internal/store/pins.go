package store

import (
	"context"

	"github.com/uptrace/bun"
)

// pin says that a person wants a computer first in the list.
type pin struct {
	bun.BaseModel `bun:"table:pins"`

	Organization OrganizationID
	PersonID     string `bun:",pk"`
	ComputerID   string `bun:",pk"`
	CreatedAt    int64
}

// Pin puts a computer first for a person. Errors: ErrNotFound when there is no such
// computer, ErrLimit.
func (s Computers) Pin(ctx context.Context, person, computer string, now int64) error {
	return s.tx(ctx, func(ctx context.Context, tx bun.Tx) error {
		if err := s.needs(ctx, tx, (*Computer)(nil), computer); err != nil {
			return err
		}
		_, err := tx.NewInsert().Model(&pin{Organization: s.organization, PersonID: person, ComputerID: computer, CreatedAt: now}).On("CONFLICT DO NOTHING").Exec(ctx)
		if err != nil {
			return err
		}
		n, err := s.rows(tx, (*pin)(nil)).Where("person_id = ?", person).Count(ctx)
		return limit(n, MaxPins, err)
	})
}

// Unpin is the end of that, if it was so. Errors: ErrNotFound when there is no such
// computer.
func (s Computers) Unpin(ctx context.Context, person, computer string) error {
	return s.tx(ctx, func(ctx context.Context, tx bun.Tx) error {
		if err := s.needs(ctx, tx, (*Computer)(nil), computer); err != nil {
			return err
		}
		_, err := s.remove(tx, (*pin)(nil)).Where("person_id = ? AND computer_id = ?", person, computer).Exec(ctx)
		return err
	})
}

// Pinned is which of these computers a person wants first.
func (s Computers) Pinned(ctx context.Context, person string, computers ...string) ([]string, error) {
	var ids []string
	return ids, mapped(s.rows(s.db, (*pin)(nil)).Column("computer_id").Where("person_id = ? AND computer_id IN (?)", person, bun.List(computers)).Scan(ctx, &ids))
}
