package store

import (
	"context"

	"github.com/uptrace/bun"

	"oriel/relay/internal/fault"
	"oriel/relay/internal/page"
)

// ErrInUse: what others rest on is not removed.
var ErrInUse = fault.New(fault.InUse, "this is still in use; remove or change what uses it first")

// Role is one of an organization's own.
type Role struct {
	bun.BaseModel `bun:"table:roles,alias:r"`

	Organization OrganizationID `bun:",pk"`
	ID           string         `bun:",pk"`
	Name         string
	Permissions  string // words with spaces between
	CreatedAt    int64
}

func (r Role) bounded() error {
	return bounded(text{"id", r.ID, MaxID}, text{"name", r.Name, MaxNameText}, text{"permissions", r.Permissions, MaxPermissions})
}

var roleList = list[Role]{id: "r.id", text: "r.name",
	idOf: func(r Role) string { return r.ID },
	keys: map[string]listKey[Role]{
		"name":       {column: "r.name", text: func(r Role) string { return r.Name }},
		"created_at": {column: "r.created_at", number: func(r Role) int64 { return r.CreatedAt }},
	}}

// List is a page of the organization's own, by name or created_at.
func (s Roles) List(ctx context.Context, r page.Request) (page.Page[Role], error) {
	var all []Role
	return roleList.page(ctx, s.rows(s.db, &all), &all, r)
}

// Get is one of the organization's own. Errors: ErrNotFound.
func (s Roles) Get(ctx context.Context, id string) (Role, error) {
	var r Role
	return r, mapped(s.rows(s.db, &r).Where("id = ?", id).Scan(ctx))
}

// Add makes one. Errors: ErrConflict, ErrLimit, fault.Field.
func (s Roles) Add(ctx context.Context, by Entry, r Role) error {
	if err := r.bounded(); err != nil {
		return err
	}
	for _, one := range builtIn {
		if r.ID == one {
			return ErrConflict
		}
	}
	r.Organization = s.organization
	return s.inTurn(ctx, by, func(ctx context.Context, tx bun.Tx, _ *Entry) error {
		if _, err := tx.NewInsert().Model(&r).Exec(ctx); err != nil {
			return err
		}
		n, err := s.rows(tx, (*Role)(nil)).Count(ctx)
		return limit(n, MaxRoles, err)
	})
}

// Save changes the name and permissions of one. Errors: ErrNotFound, fault.Field.
func (s Roles) Save(ctx context.Context, by Entry, r Role) error {
	if err := r.bounded(); err != nil {
		return err
	}
	return s.inTurn(ctx, by, func(ctx context.Context, tx bun.Tx, _ *Entry) error {
		return changed(s.update(tx, (*Role)(nil)).Set("name = ?", r.Name).Set("permissions = ?", r.Permissions).Where("id = ?", r.ID).Exec(ctx))
	})
}

// Remove forgets one that nobody has. Errors: ErrNotFound, ErrInUse.
func (s Roles) Remove(ctx context.Context, by Entry, id string) error {
	return s.inTurn(ctx, by, func(ctx context.Context, tx bun.Tx, _ *Entry) error {
		for _, model := range []any{(*Member)(nil), (*MemberInvitation)(nil), (*Grant)(nil)} {
			if used, err := s.rows(tx, model).Where("role = ?", id).Exists(ctx); err != nil || used {
				return inUse(used, err)
			}
		}
		return changed(s.remove(tx, (*Role)(nil)).Where("id = ?", id).Exec(ctx))
	})
}

func inUse(used bool, err error) error {
	if err == nil && used {
		return ErrInUse
	}
	return err
}
