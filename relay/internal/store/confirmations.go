package store

import (
	"context"

	"github.com/uptrace/bun"
)

// MaxConfirmations is how many e-mail addresses of a person may wait.
const MaxConfirmations = 5

// Confirmation is an e-mail address that waits until its owner follows a link: of who
// signs up, or one more of a person's. Until then it is nobody's identifier, and
// any number of people may wait for the same one.
type Confirmation struct {
	bun.BaseModel `bun:"table:confirmations"`

	ID        string `bun:",pk"`
	TokenHash []byte
	PersonID  string `bun:",nullzero"` // empty: of who signs up
	Email     string // as it was written
	EmailKey  string
	Called    string // what the organization of who signs up is to be called
	CreatedAt int64
	ExpiresAt int64
}

// Wait adds one, and forgets those that have expired by its CreatedAt. A person's takes
// the place of an earlier one of the same address. Errors: ErrLimit, fault.Field.
func (s Confirmations) Wait(ctx context.Context, by Entry, c Confirmation) error {
	if err := bounded(text{"id", c.ID, MaxID}, text{"email", c.Email, MaxIdentifier}, text{"email", c.EmailKey, MaxIdentifier},
		text{"organization", c.Called, MaxNameText}); err != nil {
		return err
	}
	return s.change(ctx, by.of(), by, func(ctx context.Context, tx bun.Tx, _ *Entry) error {
		q := tx.NewDelete().Model((*Confirmation)(nil)).Where("expires_at <= ?", c.CreatedAt)
		if c.PersonID != "" {
			q = q.WhereOr("person_id = ? AND email_key = ?", c.PersonID, c.EmailKey)
		}
		if _, err := q.Exec(ctx); err != nil {
			return err
		}
		if _, err := tx.NewInsert().Model(&c).Exec(ctx); err != nil || c.PersonID == "" {
			return err
		}
		n, err := tx.NewSelect().Model((*Confirmation)(nil)).Where("person_id = ?", c.PersonID).Count(ctx)
		return limit(n, MaxConfirmations, err)
	})
}

// Find is the one with a token of that hash that is good now. Errors: ErrNotFound.
func (s Confirmations) Find(ctx context.Context, hash []byte, now int64) (Confirmation, error) {
	return findConfirmation(ctx, s.db, hash, now)
}

func findConfirmation(ctx context.Context, db bun.IDB, hash []byte, now int64) (Confirmation, error) {
	var c Confirmation
	return c, mapped(db.NewSelect().Model(&c).Where("token_hash = ? AND expires_at > ?", hash, now).Scan(ctx))
}

// Of are those of a person that are good now, the oldest first.
func (s Confirmations) Of(ctx context.Context, person string, now int64) ([]Confirmation, error) {
	var all []Confirmation
	return all, mapped(s.db.NewSelect().Model(&all).Where("person_id = ? AND expires_at > ?", person, now).Order("created_at", "id").Scan(ctx))
}

// TakeBack forgets one of a person's. Errors: ErrNotFound.
func (s Confirmations) TakeBack(ctx context.Context, by Entry, person, id string) error {
	return s.change(ctx, by.of(), by, func(ctx context.Context, tx bun.Tx, _ *Entry) error {
		return changed(tx.NewDelete().Model((*Confirmation)(nil)).Where("id = ? AND person_id = ?", id, person).Exec(ctx))
	})
}

// Confirm uses up one of a person's, whose address is theirs from then on. Errors:
// ErrNotFound for a wrong, used or expired token and for another person's, ErrConflict
// when somebody has the address, ErrLimit.
func (s Confirmations) Confirm(ctx context.Context, by Entry, person string, hash []byte, now int64) error {
	return s.change(ctx, by.of(), by, func(ctx context.Context, tx bun.Tx, _ *Entry) error {
		c, err := s.use(ctx, tx, hash, now, person)
		if err != nil {
			return err
		}
		return s.addIdentifier(ctx, tx, c.verified(person, now))
	})
}

// Expire forgets those that are no good any more.
func (s Confirmations) Expire(ctx context.Context, now int64) error {
	return s.tx(ctx, func(ctx context.Context, tx bun.Tx) error {
		_, err := tx.NewDelete().Model((*Confirmation)(nil)).Where("expires_at <= ?", now).Exec(ctx)
		return err
	})
}

// SignUp uses up the confirmation of who signs up: it makes a person with that address,
// and an organization that they own. Errors: ErrNotFound for a wrong, used or expired
// token, ErrConflict when somebody has the address or the code, fault.Field.
func (s Confirmations) SignUp(ctx context.Context, by Entry, hash []byte, now int64, p Person, o Organization) error {
	whole := s.wholeRelay("the first organization's audit records that there is another")
	return whole.change(ctx, by.of(), by, func(ctx context.Context, tx bun.Tx, _ *Entry) error {
		c, err := s.use(ctx, tx, hash, now, "")
		if err != nil {
			return err
		}
		return Organizations(s).create(ctx, tx, o, p, c.verified(p.ID, now))
	})
}

// use removes the confirmation of that token, and what else waits for the address of who
// signs up. Errors: ErrNotFound when it is not of that person; empty: who signs up.
func (s Confirmations) use(ctx context.Context, tx bun.Tx, hash []byte, now int64, person string) (Confirmation, error) {
	c, err := findConfirmation(ctx, tx, hash, now)
	if err == nil && c.PersonID != person {
		err = ErrNotFound
	}
	if err == nil { // of two at once one finds it still there
		err = changed(tx.NewDelete().Model((*Confirmation)(nil)).Where("id = ?", c.ID).Exec(ctx))
	}
	if err == nil {
		_, err = tx.NewDelete().Model((*Confirmation)(nil)).Where("email_key = ? AND person_id IS NULL", c.EmailKey).Exec(ctx)
	}
	return c, err
}

// verified is the identifier that comes of c.
func (c Confirmation) verified(person string, now int64) Identifier {
	return Identifier{PersonID: person, Kind: Email, Key: c.EmailKey, Text: c.Email, VerifiedAt: now, CreatedAt: now}
}
