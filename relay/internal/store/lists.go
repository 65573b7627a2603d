package store

import (
	"context"
	"strconv"
	"strings"

	"github.com/uptrace/bun"

	"oriel/relay/internal/fault"
	"oriel/relay/internal/page"
)

// list is how rows of a kind are sorted and searched in the database.
type list[T any] struct {
	id   string // column
	text string // expression in which words are looked for
	keys map[string]listKey[T]
	idOf func(T) string
}

// listKey is one that a list is sorted by.
type listKey[T any] struct {
	column string
	text   func(T) string // nil: it is a number
	number func(T) int64
}

// page is the one of q that r asks for. Errors: page.ErrCursor, fault.Field.
func (l list[T]) page(ctx context.Context, q *bun.SelectQuery, rows *[]T, r page.Request) (page.Page[T], error) {
	name, backwards := strings.CutPrefix(r.Sort, "-")
	key, known := l.keys[name]
	if !known {
		return page.Page[T]{}, fault.Field("sort", "this list cannot be sorted in this way")
	}
	at, err := r.Place()
	if err != nil {
		return page.Page[T]{}, err
	}
	order, than := " ASC", ">"
	if backwards {
		order, than = " DESC", "<"
	}
	column, place, after := key.column, "?", any(at.Key)
	if key.text != nil {
		// The database makes the same of both, whatever its letters.
		column, place = "LOWER("+column+")", "LOWER(?)"
	} else if at.ID != "" {
		if after, err = strconv.ParseInt(at.Key, 10, 64); err != nil {
			return page.Page[T]{}, page.ErrCursor
		}
	}
	q = q.OrderExpr(column + order + ", " + l.id + order).Limit(int64(r.Size()) + 1)
	if at.ID != "" {
		q = q.Where("("+column+", "+l.id+") "+than+" ("+place+", ?)", after, at.ID)
	}
	for _, word := range strings.Fields(r.Words) {
		q = q.Where("LOWER("+l.text+`) LIKE ? ESCAPE '\'`, like(word))
	}
	if err := q.Scan(ctx); err != nil {
		return page.Page[T]{}, mapped(err)
	}
	all := *rows
	if all == nil {
		all = []T{}
	}
	if len(all) <= r.Size() {
		return page.Page[T]{Items: all}, nil
	}
	all = all[:r.Size()]
	last := all[len(all)-1]
	k := ""
	if key.text != nil {
		k = key.text(last)
	} else {
		k = strconv.FormatInt(key.number(last), 10)
	}
	return page.Page[T]{Items: all, Next: page.Place{Sort: r.Sort, Key: k, ID: l.idOf(last)}.Cursor()}, nil
}
