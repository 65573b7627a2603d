package store

import (
	"context"
	"slices"
	"strings"

	"github.com/uptrace/bun"

	"oriel/relay/internal/fault"
	"oriel/relay/internal/page"
)

// ErrGroupTree: a group lies beside or in others, not in itself.
var ErrGroupTree = fault.New(fault.GroupTree, "a group cannot be within itself, nor deeper than eight groups; choose another place for it")

// Group is a named set of computers, in a tree.
type Group struct {
	bun.BaseModel `bun:"table:groups,alias:g"`

	Organization OrganizationID `bun:",pk"`
	ID           string         `bun:",pk"`
	ParentID     string         // empty: at the top
	Name         string
	Path         string // '/' and the ids from the top to its own, each with a '/' behind it
	CreatedAt    int64
	SortKey      []byte // by its name, as people sort

	Computers int64 `bun:",scanonly"` // visible ones that are in it, and not in one of its own groups
}

// upwards are the ids of a path's groups, the innermost first.
func upwards(path string) []string {
	all := strings.FieldsFunc(path, func(r rune) bool { return r == '/' })
	slices.Reverse(all)
	return all
}

func (g Group) sortKey() []byte { return distinct(g.Name, g.ID) }

// Upwards are the group's own id and those of the groups around it.
func (g Group) Upwards() []string { return upwards(g.Path) }

var groupList = list[Group]{id: "g.id", text: "g.name",
	idOf: func(g Group) string { return g.ID },
	keys: map[string]listKey[Group]{
		"name":       {column: "g.name", text: func(g Group) string { return g.Name }},
		"path":       {column: "g.path", text: func(g Group) string { return g.Path }},
		"created_at": {column: "g.created_at", number: func(g Group) int64 { return g.CreatedAt }},
	}}

func (s Groups) groups(db bun.IDB, into any, v Visibility) *bun.SelectQuery {
	inIt := v.computers(s.rows(db, (*Computer)(nil)).ColumnExpr("count(*)").Where("c.group_id = g.id"), s.owned)
	return s.rows(db, into).ColumnExpr("g.*").ColumnExpr("(?) AS computers", inIt)
}

// List is a page of those that are visible, and of the groups around what is visible, by
// name, path or created_at. By path a group comes before those within it.
func (s Groups) List(ctx context.Context, v Visibility, r page.Request) (page.Page[Group], error) {
	var all []Group
	q, err := v.groups(ctx, s.groups(s.db, &all, v), s.owned)
	if err != nil {
		return page.Page[Group]{}, mapped(err)
	}
	return groupList.page(ctx, q, &all, r)
}

// Get is one. Errors: ErrNotFound.
func (s Groups) Get(ctx context.Context, id string) (Group, error) {
	var g Group
	return g, mapped(s.groups(s.db, &g, Everything).Where("g.id = ?", id).Scan(ctx))
}

// pathOf is that of a group; of "", the top.
func (s Groups) pathOf(ctx context.Context, tx bun.Tx, id string) (path string, err error) {
	if id == "" {
		return "/", nil
	}
	err = s.rows(tx, (*Group)(nil)).Column("path").Where("id = ?", id).Scan(ctx, &path)
	return path, err
}

// Add makes one. Errors: ErrNotFound when there is no such parent, ErrGroupTree when it
// would be too deep, ErrConflict, ErrLimit, fault.Field.
func (s Groups) Add(ctx context.Context, by Entry, g Group) error {
	if err := bounded(text{"id", g.ID, MaxID}, text{"name", g.Name, MaxNameText}); err != nil {
		return err
	}
	if g.ID == "" || strings.Contains(g.ID, "/") {
		return fault.Field("id", "this is no id of a group")
	}
	g.Organization = s.organization
	return s.inTurn(ctx, by, func(ctx context.Context, tx bun.Tx, _ *Entry) error {
		parent, err := s.pathOf(ctx, tx, g.ParentID)
		if err != nil {
			return err
		}
		g.Path, g.SortKey = parent+g.ID+"/", g.sortKey()
		if len(g.Upwards()) > MaxGroupDepth {
			return ErrGroupTree
		}
		if _, err := tx.NewInsert().Model(&g).Exec(ctx); err != nil {
			return err
		}
		n, err := s.rows(tx, (*Group)(nil)).Count(ctx)
		return limit(n, MaxGroups, err)
	})
}

// Rename gives one another name. Errors: ErrNotFound, fault.Field.
func (s Groups) Rename(ctx context.Context, by Entry, id, name string) error {
	if err := bounded(text{"name", name, MaxNameText}); err != nil {
		return err
	}
	return s.inTurn(ctx, by, func(ctx context.Context, tx bun.Tx, _ *Entry) error {
		return changed(s.update(tx, (*Group)(nil)).Set("name = ?", name).Set("sort_key = ?", Group{ID: id, Name: name}.sortKey()).Where("id = ?", id).Exec(ctx))
	})
}

// Move puts a group, with all that is in it, into another one; parent "" is the top.
// Errors: ErrNotFound, also when there is no such parent; ErrGroupTree.
func (s Groups) Move(ctx context.Context, by Entry, id, parent string) error {
	return s.inTurn(ctx, by, func(ctx context.Context, tx bun.Tx, _ *Entry) error {
		from, err := s.pathOf(ctx, tx, id)
		if err != nil || id == "" {
			return conflictIf(id == "", err)
		}
		around, err := s.pathOf(ctx, tx, parent)
		if err != nil {
			return err
		}
		if strings.HasPrefix(around, from) {
			return ErrGroupTree
		}
		to := around + id + "/"
		const within = "substr(path, 1, length(?)) = ?"
		var paths []string
		if err := s.rows(tx, (*Group)(nil)).Column("path").Where(within, from, from).Scan(ctx, &paths); err != nil {
			return err
		}
		for _, path := range paths {
			if len(upwards(to+strings.TrimPrefix(path, from))) > MaxGroupDepth {
				return ErrGroupTree
			}
		}
		if _, err := s.update(tx, (*Group)(nil)).Set("path = ? || substr(path, length(?) + 1)", to, from).Where(within, from, from).Exec(ctx); err != nil {
			return err
		}
		_, err = s.update(tx, (*Group)(nil)).Set("parent_id = ?", parent).Where("id = ?", id).Exec(ctx)
		return err
	})
}

// Remove forgets an empty one, with the grants on it and its policy. Errors: ErrNotFound,
// ErrInUse when there are groups or computers in it.
func (s Groups) Remove(ctx context.Context, by Entry, id string) error {
	return s.inTurn(ctx, by, func(ctx context.Context, tx bun.Tx, _ *Entry) error {
		if used, err := s.rows(tx, (*Group)(nil)).Where("parent_id = ?", id).Exists(ctx); err != nil || used {
			return inUse(used, err)
		}
		if used, err := s.rows(tx, (*Computer)(nil)).Where("group_id = ?", id).Exists(ctx); err != nil || used {
			return inUse(used, err)
		}
		if err := s.forgetObject(ctx, tx, ObjectGroup, id); err != nil {
			return err
		}
		return changed(s.remove(tx, (*Group)(nil)).Where("id = ?", id).Exec(ctx))
	})
}

// SetGroup puts a computer into a group; "" is none. Errors: ErrNotFound, also when there
// is no such group.
func (s Computers) SetGroup(ctx context.Context, by Entry, computer, group string) error {
	return s.inTurn(ctx, by, func(ctx context.Context, tx bun.Tx, _ *Entry) error {
		if group != "" {
			if err := s.needs(ctx, tx, (*Group)(nil), group); err != nil {
				return err
			}
		}
		return changed(s.update(tx, (*Computer)(nil)).Set("group_id = ?", group).Where("id = ?", computer).Exec(ctx))
	})
}

// In are the ids of the computers that are in a group itself.
func (s Computers) In(ctx context.Context, group string) ([]string, error) {
	var ids []string
	return ids, mapped(s.rows(s.db, (*Computer)(nil)).Column("id").Where("group_id = ?", group).Order("id").Scan(ctx, &ids))
}

// Place is the ids of the groups that a computer is in, the innermost first. Errors:
// ErrNotFound.
func (s Computers) Place(ctx context.Context, computer string) ([]string, error) {
	path, err := s.place(ctx, s.db, computer)
	return upwards(path), mapped(err)
}

func (s owned) place(ctx context.Context, db bun.IDB, computer string) (path string, err error) {
	err = s.rows(db, (*Computer)(nil)).ColumnExpr("COALESCE(g.path, '')").
		Join(`LEFT JOIN "groups" AS g ON g.organization = c.organization AND g.id = c.group_id`).
		Where("c.id = ?", computer).Scan(ctx, &path)
	return path, err
}
