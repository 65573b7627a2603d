package store

import (
	"context"
	"maps"
	"slices"
	"strings"

	"github.com/uptrace/bun"
)

// Visibility is of which computers somebody may know: of all, or of those in groups and
// those that are named. Its zero value is none.
type Visibility struct {
	All       bool
	Groups    []string // ids; with what is in the groups within them
	Computers []string
}

// Everything is for those who are no person.
var Everything = Visibility{All: true}

// computers keeps the rows of computers c that are visible.
func (v Visibility) computers(q *bun.SelectQuery, of owned) *bun.SelectQuery {
	switch {
	case v.All:
		return q
	case v.None():
		return q.Where("1 = 0")
	case len(v.Groups) == 0:
		return q.Where("c.id IN (?)", bun.List(v.Computers))
	}
	return q.WhereGroup(" AND ", func(q *bun.SelectQuery) *bun.SelectQuery {
		if len(v.Computers) > 0 {
			q = q.WhereOr("c.id IN (?)", bun.List(v.Computers))
		}
		return q.WhereOr("c.group_id IN (?)", bun.SafeQuery(within, of.organization, bun.List(v.Groups), of.organization))
	})
}

// within are the ids of groups and of all those in them.
const within = `WITH RECURSIVE seen AS (SELECT top.id FROM "groups" AS top WHERE top.organization = ? AND top.id IN (?)
	UNION SELECT sub.id FROM "groups" AS sub JOIN seen ON sub.parent_id = seen.id WHERE sub.organization = ?) SELECT id FROM seen`

// groups keeps the rows of groups g that are visible, or have something in them that is.
func (v Visibility) groups(ctx context.Context, q *bun.SelectQuery, of owned) (*bun.SelectQuery, error) {
	switch {
	case v.All:
		return q, nil
	case v.None():
		return q.Where("1 = 0"), nil
	}
	var paths []string
	inner := of.rows(of.db, (*Group)(nil)).Column("path").WhereGroup(" AND ", func(q *bun.SelectQuery) *bun.SelectQuery {
		if len(v.Groups) > 0 {
			q = q.WhereOr("g.id IN (?)", bun.List(v.Groups))
		}
		if len(v.Computers) > 0 {
			q = q.WhereOr("g.id IN (?)", of.rows(of.db, (*Computer)(nil)).Column("group_id").Where("c.id IN (?)", bun.List(v.Computers)))
		}
		return q
	})
	if err := inner.Scan(ctx, &paths); err != nil {
		return nil, err
	}
	around := map[string]bool{"": true} // which is no group: a list is never empty
	for _, path := range paths {
		for _, id := range upwards(path) {
			around[id] = true
		}
	}
	return q.WhereGroup(" AND ", func(q *bun.SelectQuery) *bun.SelectQuery {
		if len(v.Groups) > 0 {
			q = q.WhereOr("g.id IN (?)", bun.SafeQuery(within, of.organization, bun.List(v.Groups), of.organization))
		}
		return q.WhereOr("g.id IN (?)", bun.List(slices.Sorted(maps.Keys(around))))
	}), nil
}

// sessions keeps the rows whose computer is visible. Those of one that is gone are for
// who sees all.
func (v Visibility) sessions(q *bun.SelectQuery, of owned) *bun.SelectQuery {
	if v.All {
		return q
	}
	return q.Where("computer_id IN (?)", v.computers(of.rows(of.db, (*Computer)(nil)).Column("id"), of))
}

// Or is what is visible by v or by another one.
func (v Visibility) Or(other Visibility) Visibility {
	if v.All || other.All {
		return Everything
	}
	union := func(a, b []string) []string { return slices.Compact(slices.Sorted(slices.Values(slices.Concat(a, b)))) }
	return Visibility{Groups: union(v.Groups, other.Groups), Computers: union(v.Computers, other.Computers)}
}

// None reports whether nothing is visible.
func (v Visibility) None() bool { return !v.All && len(v.Groups) == 0 && len(v.Computers) == 0 }

// Includes reports whether a computer whose group has that path (Computer.GroupPath) is
// visible, if there is one of that id; without an id, whether all in the group are.
func (v Visibility) Includes(computer, groupPath string) bool {
	return v.All || slices.Contains(v.Computers, computer) ||
		slices.ContainsFunc(upwards(groupPath), func(id string) bool { return slices.Contains(v.Groups, id) })
}

// Key is the same for those who see the same.
func (v Visibility) Key() string {
	if v.All {
		return "all"
	}
	join := func(ids []string) string { return strings.Join(slices.Sorted(slices.Values(ids)), ",") }
	return join(v.Groups) + ";" + join(v.Computers)
}
