package store

import (
	"context"
	"regexp"
	"slices"

	"github.com/uptrace/bun"

	"oriel/relay/internal/fault"
	"oriel/relay/internal/page"
)

// OrganizationID names an organization. What one owns is reached by a handle that
// takes it, and each query of such a handle is filtered by it.
type OrganizationID string

// FirstOrganization is made by the migration, and owns what was there before.
const FirstOrganization OrganizationID = "00000000-0000-7000-8000-000000000001"

// Organization owns everything but people and the relay itself.
type Organization struct {
	bun.BaseModel `bun:"table:organizations,alias:o"`

	ID        OrganizationID `bun:",pk"`
	Name      string         // empty: the first one's, until it gets one
	Code      string         // as people type it; unique
	Settings  string         // JSON
	CreatedAt int64
}

// owned is a handle's part that knows whose rows it may touch.
type owned struct {
	*database
	organization OrganizationID
}

func (e *engine) owned(o OrganizationID) owned { return owned{e.within(o), o} }

// ours is the condition that every query of an organization's rows has.
const ours = "?TableAlias.organization = ?"

// rows selects those of the organization.
func (s owned) rows(db bun.IDB, model any) *bun.SelectQuery {
	return db.NewSelect().Model(model).Where(ours, s.organization)
}

// update changes those of the organization.
func (s owned) update(tx bun.Tx, model any) *bun.UpdateQuery {
	return tx.NewUpdate().Model(model).Where(ours, s.organization)
}

// remove deletes those of the organization.
func (s owned) remove(tx bun.Tx, model any) *bun.DeleteQuery {
	return tx.NewDelete().Model(model).Where(ours, s.organization)
}

// inTurn is change of what the rules of an organization as a whole are about, such as
// that it keeps an owner: two of them follow one another. Errors: ErrNotFound where
// there is no such organization.
func (s owned) inTurn(ctx context.Context, by Entry, fn func(ctx context.Context, tx bun.Tx, by *Entry) error) error {
	return s.change(ctx, s.organization, by, func(ctx context.Context, tx bun.Tx, by *Entry) error {
		if err := s.hold(ctx, tx, s.organization); err != nil {
			return err
		}
		return fn(ctx, tx, by)
	})
}

// hold has others who change the same organizations wait until tx ends.
func (s *database) hold(ctx context.Context, tx bun.Tx, all ...OrganizationID) error {
	var there []OrganizationID
	q := tx.NewSelect().Model((*Organization)(nil)).Column("id").Where("id IN (?)", bun.List(all)).Order("id") // in one order, so that two do not wait for each other
	if s.kind == PostgreSQL {                                                                                  // SQLite has one writer at a time
		q = q.For("UPDATE")
	}
	if err := q.Scan(ctx, &there); err != nil {
		return err
	}
	for _, o := range all {
		if !slices.Contains(there, o) {
			return ErrNotFound
		}
	}
	return nil
}

// contains reports whether the organization has a row of that id.
func (s owned) contains(ctx context.Context, tx bun.Tx, model any, id string) (bool, error) {
	return s.rows(tx, model).Where("?TableAlias.id = ?", id).Exists(ctx)
}

// needs says ErrNotFound where the organization has no row of that id.
func (s owned) needs(ctx context.Context, tx bun.Tx, model any, id string) error {
	yes, err := s.contains(ctx, tx, model, id)
	if err == nil && !yes {
		return ErrNotFound
	}
	return err
}

var codes = regexp.MustCompile(`^[a-z0-9-]{2,32}$`)

func (o Organization) bounded() error {
	if !codes.MatchString(o.Code) {
		return fault.Field("code", "a code has 2 to 32 letters from a to z, digits and hyphens")
	}
	return bounded(text{"id", string(o.ID), MaxID}, text{"name", o.Name, MaxNameText}, text{"settings", o.Settings, MaxSettings})
}

var organizationList = list[Organization]{id: "o.id", text: "o.name || ' ' || o.code",
	idOf: func(o Organization) string { return string(o.ID) },
	keys: map[string]listKey[Organization]{
		"name":       {column: "o.name", text: func(o Organization) string { return o.Name }},
		"code":       {column: "o.code", text: func(o Organization) string { return o.Code }},
		"created_at": {column: "o.created_at", number: func(o Organization) int64 { return o.CreatedAt }},
	}}

// List is a page of all, by name, code or created_at.
func (s Organizations) List(ctx context.Context, r page.Request) (page.Page[Organization], error) {
	var all []Organization
	return organizationList.page(ctx, s.db.NewSelect().Model(&all), &all, r)
}

// Get is the one with that id. Errors: ErrNotFound.
func (s Organizations) Get(ctx context.Context, id OrganizationID) (Organization, error) {
	var o Organization
	return o, mapped(s.db.NewSelect().Model(&o).Where("id = ?", id).Scan(ctx))
}

// ByCode is the one with that code. Errors: ErrNotFound.
func (s Organizations) ByCode(ctx context.Context, code string) (Organization, error) {
	var o Organization
	return o, mapped(s.db.NewSelect().Model(&o).Where("code = ?", code).Scan(ctx))
}

// Create adds an organization and its first owner, both or neither. The owner is a
// person who is there or, with identifiers, a new one. The entry is of the organization
// that it names, or else of the first. Errors: ErrConflict when the code or an
// identifier is taken, ErrNotFound when there is no such person, ErrLimit, fault.Field.
func (s Organizations) Create(ctx context.Context, by Entry, o Organization, owner Person, identifiers ...Identifier) error {
	whole := s.wholeRelay("the audit of one organization records that there is another")
	return whole.change(ctx, by.of(), by, func(ctx context.Context, tx bun.Tx, _ *Entry) error {
		return s.create(ctx, tx, o, owner, identifiers...)
	})
}

func (s Organizations) create(ctx context.Context, tx bun.Tx, o Organization, owner Person, identifiers ...Identifier) error {
	if err := o.bounded(); err != nil {
		return err
	}
	if o.Settings == "" {
		o.Settings = "{}"
	}
	if _, err := tx.NewInsert().Model(&o).Exec(ctx); err != nil {
		return err
	}
	if len(identifiers) > 0 {
		if err := s.addPerson(ctx, tx, owner, identifiers...); err != nil {
			return err
		}
	}
	return Members{owned{s.database, o.ID}}.add(ctx, tx, Member{PersonID: owner.ID, Role: RoleOwner, State: Active, CreatedAt: o.CreatedAt})
}

// Rename gives an organization another name and code. Errors: ErrNotFound, ErrConflict
// when the code is another's, fault.Field.
func (s Organizations) Rename(ctx context.Context, by Entry, id OrganizationID, name, code string) error {
	if err := (Organization{ID: id, Name: name, Code: code}).bounded(); err != nil {
		return err
	}
	return s.change(ctx, id, by, func(ctx context.Context, tx bun.Tx, _ *Entry) error {
		return changed(tx.NewUpdate().Model((*Organization)(nil)).Set("name = ?", name).Set("code = ?", code).Where("id = ?", id).Exec(ctx))
	})
}

// SetSettings replaces those of an organization. Errors: ErrNotFound, ErrConflict when
// they are not the ones that were read, fault.Field.
func (s Organizations) SetSettings(ctx context.Context, by Entry, id OrganizationID, read, settings string) error {
	if err := bounded(text{"settings", settings, MaxSettings}); err != nil {
		return err
	}
	its := owned{s.database, id}
	return its.inTurn(ctx, by, func(ctx context.Context, tx bun.Tx, _ *Entry) error {
		r, err := tx.NewUpdate().Model((*Organization)(nil)).Set("settings = ?", settings).Where("id = ? AND settings = ?", id, read).Exec(ctx)
		if err != nil {
			return err
		}
		n, err := r.RowsAffected()
		return conflictIf(n == 0, err)
	})
}
