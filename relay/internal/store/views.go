package store

import (
	"context"

	"github.com/uptrace/bun"
)

// View is a way to look at the list of computers that a person keeps.
type View struct {
	bun.BaseModel `bun:"table:views"`

	Organization OrganizationID `bun:",pk"`
	ID           string         `bun:",pk"`
	PersonID     string
	Name         string
	Query        string // of the page's address
	CreatedAt    int64
}

func (v View) bounded() error {
	return bounded(text{"name", v.Name, MaxNameText}, text{"query", v.Query, MaxQuery})
}

// Of are a person's, oldest first.
func (s Views) Of(ctx context.Context, person string) ([]View, error) {
	all := []View{}
	return all, mapped(s.rows(s.db, &all).Where("person_id = ?", person).Order("created_at", "id").Scan(ctx))
}

// Add keeps one for a member. Errors: ErrNotFound when there is no such member,
// ErrConflict, ErrLimit, fault.Field.
func (s Views) Add(ctx context.Context, v View) error {
	if err := v.bounded(); err != nil {
		return err
	}
	v.Organization = s.organization
	return s.tx(ctx, func(ctx context.Context, tx bun.Tx) error {
		if _, err := Members(s).find(ctx, tx, v.PersonID); err != nil {
			return err
		}
		if _, err := tx.NewInsert().Model(&v).Exec(ctx); err != nil {
			return err
		}
		n, err := s.rows(tx, (*View)(nil)).Where("person_id = ?", v.PersonID).Count(ctx)
		return limit(n, MaxViews, err)
	})
}

// Save changes the name and the query of a person's; nil: as it is. It returns what it is
// then. Errors: ErrNotFound, fault.Field.
func (s Views) Save(ctx context.Context, person, id string, name, query *string) (v View, err error) {
	err = s.tx(ctx, func(ctx context.Context, tx bun.Tx) error {
		if err := s.rows(tx, &v).Where("person_id = ? AND id = ?", person, id).Scan(ctx); err != nil {
			return err
		}
		if name != nil {
			v.Name = *name
		}
		if query != nil {
			v.Query = *query
		}
		if err := v.bounded(); err != nil {
			return err
		}
		return changed(s.update(tx, &v).Column("name", "query").Where("id = ?", id).Exec(ctx))
	})
	return v, mapped(err)
}

// Remove forgets one of a person's. Errors: ErrNotFound.
func (s Views) Remove(ctx context.Context, person, id string) error {
	return s.tx(ctx, func(ctx context.Context, tx bun.Tx) error {
		return changed(s.remove(tx, (*View)(nil)).Where("person_id = ? AND id = ?", person, id).Exec(ctx))
	})
}
