package store

import (
	"context"

	"github.com/uptrace/bun"

	"oriel/relay/internal/page"
)

// APIKey is one of a person or a service account, for one organization.
type APIKey struct {
	bun.BaseModel `bun:"table:api_keys,alias:k"`

	Organization OrganizationID `bun:",pk"`
	ID           string         `bun:",pk"`
	PersonID     string
	Name         string
	TokenHash    []byte // SHA-256
	Permissions  string // words with spaces between
	CreatedAt    int64
	ExpiresAt    int64 // 0: never
	UsedAt       int64 // not exact; 0: never

	PersonName string `bun:",scanonly"`
}

var keyList = list[APIKey]{id: "k.id", text: "k.name || ' ' || p.name",
	idOf: func(k APIKey) string { return k.ID },
	keys: map[string]listKey[APIKey]{
		"name":       {column: "k.name", text: func(k APIKey) string { return k.Name }},
		"created_at": {column: "k.created_at", number: func(k APIKey) int64 { return k.CreatedAt }},
		"used_at":    {column: "k.used_at", number: func(k APIKey) int64 { return k.UsedAt }},
	}}

func (s Keys) keys(db bun.IDB, into any) *bun.SelectQuery {
	return s.rows(db, into).ColumnExpr("k.*").ColumnExpr("p.name AS person_name").Join("JOIN people AS p ON p.id = k.person_id")
}

// List is a page of a person's or, without one, of all; by name, created_at or used_at.
func (s Keys) List(ctx context.Context, person string, r page.Request) (page.Page[APIKey], error) {
	var all []APIKey
	q := s.keys(s.db, &all)
	if person != "" {
		q = q.Where("k.person_id = ?", person)
	}
	return keyList.page(ctx, q, &all, r)
}

// Get is one. Errors: ErrNotFound.
func (s Keys) Get(ctx context.Context, id string) (APIKey, error) {
	var k APIKey
	return k, mapped(s.keys(s.db, &k).Where("k.id = ?", id).Scan(ctx))
}

// Add makes one for a member. Errors: ErrNotFound when there is no such member, ErrLimit,
// fault.Field.
func (s Keys) Add(ctx context.Context, by Entry, k APIKey) error {
	if err := bounded(text{"id", k.ID, MaxID}, text{"name", k.Name, MaxNameText}, text{"permissions", k.Permissions, MaxPermissions}); err != nil {
		return err
	}
	k.Organization = s.organization
	return s.inTurn(ctx, by, func(ctx context.Context, tx bun.Tx, _ *Entry) error {
		if _, err := Members(s).find(ctx, tx, k.PersonID); err != nil {
			return err
		}
		if _, err := tx.NewInsert().Model(&k).Exec(ctx); err != nil {
			return err
		}
		n, err := s.rows(tx, (*APIKey)(nil)).Where("person_id = ?", k.PersonID).Count(ctx)
		return limit(n, MaxKeysOfPerson, err)
	})
}

// Revoke makes one of a person's or, without one, anybody's worthless. Errors:
// ErrNotFound.
func (s Keys) Revoke(ctx context.Context, by Entry, person, id string) error {
	return s.inTurn(ctx, by, func(ctx context.Context, tx bun.Tx, _ *Entry) error {
		q := s.remove(tx, (*APIKey)(nil)).Where("id = ?", id)
		if person != "" {
			q = q.Where("person_id = ?", person)
		}
		return changed(q.Exec(ctx))
	})
}

// Touch notes that one was used. Errors: ErrNotFound.
func (s Keys) Touch(ctx context.Context, id string, now int64) error {
	return s.tx(ctx, func(ctx context.Context, tx bun.Tx) error {
		return changed(s.update(tx, (*APIKey)(nil)).Set("used_at = ?", now).Where("id = ?", id).Exec(ctx))
	})
}
