package store

import (
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

// sessions keeps the rows whose computer is visible. Those of one that is gone are for
// who sees all.
func (v Visibility) sessions(q *bun.SelectQuery, of owned) *bun.SelectQuery {
	if v.All {
		return q
	}
	return q.Where("computer_id IN (?)", v.computers(of.rows(of.db, (*Computer)(nil)).Column("id"), of))
}

// None reports whether nothing is visible.
func (v Visibility) None() bool { return !v.All && len(v.Groups) == 0 && len(v.Computers) == 0 }

// Includes reports whether a computer whose group has that path (Computer.GroupPath) is
// visible, if there is one of that id.
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
