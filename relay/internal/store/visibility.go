package store

import (
	"slices"
	"strings"

	"github.com/uptrace/bun"
)

// Visibility is of which computers somebody may know: of all, or of those that are
// named. Its zero value is none.
type Visibility struct {
	All       bool
	Computers []string
}

// Everything is for those who are no person.
var Everything = Visibility{All: true}

// where keeps the rows whose computer, in that column, is visible.
func (v Visibility) where(q *bun.SelectQuery, column string) *bun.SelectQuery {
	switch {
	case v.All:
		return q
	case len(v.Computers) == 0:
		return q.Where("1 = 0")
	}
	return q.Where("? IN (?)", bun.Ident(column), bun.List(v.Computers))
}

// None reports whether nothing is visible.
func (v Visibility) None() bool { return !v.All && len(v.Computers) == 0 }

// Includes reports whether a computer is visible, if there is one of that id.
func (v Visibility) Includes(computer string) bool {
	return v.All || slices.Contains(v.Computers, computer)
}

// Key is the same for those who see the same.
func (v Visibility) Key() string {
	if v.All {
		return "all"
	}
	return strings.Join(slices.Sorted(slices.Values(v.Computers)), ",")
}
