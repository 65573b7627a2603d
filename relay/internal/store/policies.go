package store

import (
	"cmp"
	"context"
	"errors"
	"slices"

	"github.com/uptrace/bun"

	"oriel/relay/internal/page"
)

// Policy is what holds on an object, and on what is within it.
type Policy struct {
	bun.BaseModel `bun:"table:policies,alias:po"`

	Organization OrganizationID `bun:",pk"`
	ObjectKind   string         `bun:",pk"`
	ObjectID     string         `bun:",pk"` // empty: the organization
	Version      int64          // 1 is the first
	Settings     string         // JSON
	ChangedAt    int64
}

var policyList = list[Policy]{id: "po.object_kind || '/' || po.object_id", text: "po.object_kind || ' ' || po.object_id",
	idOf: func(p Policy) string { return p.ObjectKind + "/" + p.ObjectID },
	keys: map[string]listKey[Policy]{
		"changed_at": {column: "po.changed_at", number: func(p Policy) int64 { return p.ChangedAt }},
	}}

// List is a page of all of the organization's, by changed_at.
func (s Policies) List(ctx context.Context, r page.Request) (page.Page[Policy], error) {
	var all []Policy
	return policyList.page(ctx, s.rows(s.db, &all), &all, r)
}

// Get is the one on an object. Errors: ErrNotFound.
func (s Policies) Get(ctx context.Context, kind, id string) (Policy, error) {
	var p Policy
	return p, mapped(s.rows(s.db, &p).Where("object_kind = ? AND object_id = ?", kind, id).Scan(ctx))
}

// Put replaces the one on an object, or makes it where p.Version is 0. It returns it with
// its new version. Errors: ErrConflict when it is another version by now, ErrNotFound when
// there is no such object, ErrLimit, fault.Field.
func (s Policies) Put(ctx context.Context, by Entry, p Policy) (Policy, error) {
	if err := bounded(text{"settings", p.Settings, MaxSettings}); err != nil {
		return p, err
	}
	p.Organization = s.organization
	err := s.inTurn(ctx, by, func(ctx context.Context, tx bun.Tx, _ *Entry) error {
		if err := s.hasObject(ctx, tx, p.ObjectKind, p.ObjectID); err != nil {
			return err
		}
		if p.Version++; p.Version == 1 {
			if _, err := tx.NewInsert().Model(&p).Exec(ctx); err != nil {
				return err
			}
			n, err := s.rows(tx, (*Policy)(nil)).Count(ctx)
			return limit(n, MaxPolicies, err)
		}
		err := changed(s.update(tx, (*Policy)(nil)).Set("version = ?", p.Version).Set("settings = ?", p.Settings).Set("changed_at = ?", p.ChangedAt).
			Where("object_kind = ? AND object_id = ? AND version = ?", p.ObjectKind, p.ObjectID, p.Version-1).Exec(ctx))
		if errors.Is(err, ErrNotFound) {
			return ErrConflict
		}
		return err
	})
	if err != nil {
		return Policy{}, err
	}
	return p, nil
}

// Remove takes the one on an object away, if it is of that version; 0: of any. Errors: ErrConflict
// when it is another by now, ErrNotFound.
func (s Policies) Remove(ctx context.Context, by Entry, kind, id string, version int64) error {
	return s.inTurn(ctx, by, func(ctx context.Context, tx bun.Tx, by *Entry) error {
		var p Policy
		if err := s.rows(tx, &p).Where("object_kind = ? AND object_id = ?", kind, id).Scan(ctx); err != nil {
			return err
		}
		if version != 0 && p.Version != version {
			return ErrConflict
		}
		*by = by.With("settings_before", p.Settings)
		return changed(s.remove(tx, (*Policy)(nil)).Where("object_kind = ? AND object_id = ?", kind, id).Exec(ctx))
	})
}

// OnTheWay are those that hold for a computer: the organization's, then its groups' from
// the outermost, then its own. Errors: ErrNotFound.
func (s Policies) OnTheWay(ctx context.Context, computer string) ([]Policy, error) {
	path, err := s.place(ctx, s.db, computer)
	if err != nil {
		return nil, mapped(err)
	}
	var all []Policy
	groups := upwards(path)
	if err := onTheWay(s.rows(s.db, &all), "po", computer, groups).Scan(ctx); err != nil {
		return nil, mapped(err)
	}
	depth := func(p Policy) int {
		switch p.ObjectKind {
		case ObjectOrganization:
			return -len(groups) - 1
		case ObjectGroup:
			return -slices.Index(groups, p.ObjectID) - 1
		}
		return 0
	}
	slices.SortFunc(all, func(a, b Policy) int { return cmp.Compare(depth(a), depth(b)) })
	return all, nil
}
