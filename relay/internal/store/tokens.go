package store

import (
	"context"

	"github.com/uptrace/bun"
)

// EnrollmentToken lets new computers in, so many times and so long.
type EnrollmentToken struct {
	bun.BaseModel `bun:"table:enrollment_tokens"`

	ID           string `bun:",pk"`
	Organization OrganizationID
	TokenKey     []byte // trust.Token.Public: no secret
	Note         string
	CreatedBy    string // person's id
	CreatedAt    int64
	ExpiresAt    int64
	UsesLeft     int64
	Used         int64
	RevokedAt    int64 // 0: not
	// Not empty: made by the relay itself, for the second of two machines that had
	// this computer's identity.
	SplitFrom string
}

// Add saves a new token. With SplitFrom those of the same computer go that
// expired unused.
func (s Tokens) Add(ctx context.Context, by Entry, t EnrollmentToken) error {
	return s.change(ctx, s.organization, by, func(ctx context.Context, tx bun.Tx, _ *Entry) error {
		if t.SplitFrom != "" {
			if _, err := s.unusedSplit(tx, t.SplitFrom).Where("expires_at <= ?", t.CreatedAt).Exec(ctx); err != nil {
				return err
			}
		}
		t.Organization = s.organization
		_, err := tx.NewInsert().Model(&t).Exec(ctx)
		return err
	})
}

// List are all that people made, newest first.
func (s Tokens) List(ctx context.Context) ([]EnrollmentToken, error) {
	var all []EnrollmentToken
	return all, mapped(s.rows(s.db, &all).Where("split_from = ''").Order("id DESC").Scan(ctx))
}

// TokenUsable says whether a computer could enroll now with the token of that
// key. Errors: ErrNotFound when not.
func (s Agents) TokenUsable(ctx context.Context, key []byte, now int64) error {
	n, err := usable(s.db.NewSelect().Model((*EnrollmentToken)(nil)), key, now).Count(ctx)
	if err == nil && n == 0 {
		return ErrNotFound
	}
	return mapped(err)
}

// Revoke makes a token useless from now on. Errors: ErrNotFound when it
// is unknown or revoked already.
func (s Tokens) Revoke(ctx context.Context, by Entry, id string, now int64) error {
	return s.change(ctx, s.organization, by, func(ctx context.Context, tx bun.Tx, _ *Entry) error {
		return changed(s.update(tx, (*EnrollmentToken)(nil)).Set("revoked_at = ?", now).
			Where("id = ? AND revoked_at = 0", id).Exec(ctx))
	})
}

func usable[Q interface{ Where(string, ...any) Q }](q Q, key []byte, now int64) Q {
	return q.Where("token_key = ? AND uses_left > 0 AND revoked_at = 0 AND expires_at > ?", key, now)
}

// unusedSplit removes the tokens of a computer's second machine that nobody used.
func (s owned) unusedSplit(tx bun.Tx, computer string) *bun.DeleteQuery {
	return s.remove(tx, (*EnrollmentToken)(nil)).Where("split_from = ? AND used = 0", computer)
}

// useToken counts one use, in one statement so that the last use is given once.
func useToken(ctx context.Context, tx bun.Tx, key []byte, now int64) (EnrollmentToken, error) {
	var used []EnrollmentToken
	q := usable(tx.NewUpdate().Model((*EnrollmentToken)(nil)), key, now).
		Set("uses_left = uses_left - 1").Set("used = used + 1").Returning("id, organization, split_from")
	if err := q.Scan(ctx, &used); err != nil {
		return EnrollmentToken{}, err
	}
	if len(used) == 0 {
		return EnrollmentToken{}, ErrNotFound
	}
	return used[0], nil
}
