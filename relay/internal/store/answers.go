package store

import (
	"context"
	"errors"

	"github.com/uptrace/bun"
)

// MaxAnswers of one person are kept; the oldest go.
const MaxAnswers = 1000

// IdempotencyKey is a creation that a person asked for with a key, and its answer.
type IdempotencyKey struct {
	bun.BaseModel `bun:"table:idempotency_keys"`

	Organization OrganizationID `bun:",pk"`
	PersonID     string         `bun:",pk"`
	Name         []byte         `bun:",pk"` // hash of the client's key
	Request      []byte         // hash of what was asked
	Run          string         // told from others with the same key
	StartedAt    int64
	Done         bool
	Answer       []byte // sealed; empty until it is done
}

// Begin keeps k unless there is one of its name, which it returns then. What began
// until old is forgotten before, and so is this key if its run began until lost and
// is not done: its node died.
func (s Answers) Begin(ctx context.Context, k IdempotencyKey, lost, old int64) (there IdempotencyKey, began bool, err error) {
	k.Organization, k.Answer = s.organization, []byte{}
	err = s.tx(ctx, func(ctx context.Context, tx bun.Tx) error {
		_, err := s.remove(tx, (*IdempotencyKey)(nil)).Where("person_id = ?", k.PersonID).
			Where("(started_at <= ? OR NOT done AND name = ? AND started_at <= ?)", old, k.Name, lost).Exec(ctx)
		if err != nil {
			return err
		}
		r, err := tx.NewInsert().Model(&k).On("CONFLICT (organization, person_id, name) DO NOTHING").Exec(ctx)
		if err != nil {
			return err
		}
		n, err := r.RowsAffected()
		if err != nil {
			return err
		}
		if began = n > 0; !began {
			err := s.rows(tx, &there).Where("person_id = ? AND name = ?", k.PersonID, k.Name).Scan(ctx)
			if errors.Is(mapped(err), ErrNotFound) {
				there = k // it has just failed: to this one it was still running
				return nil
			}
			return err
		}
		kept := s.rows(tx, (*IdempotencyKey)(nil)).Column("name").Where("person_id = ?", k.PersonID).
			Order("started_at DESC", "name").Offset(MaxAnswers).Limit(MaxAnswers)
		_, err = s.remove(tx, (*IdempotencyKey)(nil)).Where("person_id = ? AND name IN (?)", k.PersonID, kept).Exec(ctx)
		return err
	})
	return there, began, err
}

// Keep notes what k's run answered. Errors: ErrNotFound when k is another run's by now.
func (s Answers) Keep(ctx context.Context, k IdempotencyKey, answer []byte) error {
	return s.tx(ctx, func(ctx context.Context, tx bun.Tx) error {
		return changed(s.update(tx, (*IdempotencyKey)(nil)).Set("done = ?", true).Set("answer = ?", answer).
			Where("person_id = ? AND name = ? AND run = ?", k.PersonID, k.Name, k.Run).Exec(ctx))
	})
}

// Drop forgets k, if it is its run's.
func (s Answers) Drop(ctx context.Context, k IdempotencyKey) error {
	return s.tx(ctx, func(ctx context.Context, tx bun.Tx) error {
		_, err := s.remove(tx, (*IdempotencyKey)(nil)).
			Where("person_id = ? AND name = ? AND run = ?", k.PersonID, k.Name, k.Run).Exec(ctx)
		return err
	})
}

// Sweep forgets what began until old.
func (s Answers) Sweep(ctx context.Context, old int64) error {
	return s.tx(ctx, func(ctx context.Context, tx bun.Tx) error {
		_, err := s.remove(tx, (*IdempotencyKey)(nil)).Where("started_at <= ?", old).Exec(ctx)
		return err
	})
}
