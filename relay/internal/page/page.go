// Package page is how every list of the API is cut, sorted and searched, so that
// all of them are asked in the same words.
//
// The order of a list is by a key and then by id, which no two rows share. A
// cursor is a place in that order, not a count: rows that come and go meanwhile
// move nobody's page. It is opaque to whoever holds it, and good for the sort that
// it was made with.
package page

import (
	"bytes"
	"cmp"
	"encoding/base64"
	"encoding/json"
	"slices"
	"strings"

	"oriel/relay/internal/fault"
)

// Bounds of a page.
const (
	Default   = 50
	Max       = 100
	maxCursor = 4096 // bytes of its JSON; the longest key is a name of 256 characters
)

// ErrCursor: a cursor is of another sort, or none of ours.
var ErrCursor = fault.New(fault.Cursor, "this page does not exist; start again from the first")

// Request is what is asked of a list.
type Request struct {
	Limit  int    // 0: Default
	Cursor string // Next of the page before; empty: the first
	Sort   string // the name of a key; "-" before it: from the greatest
	Words  string // each has to be in the row's text, whatever its case
}

// Place is the last row of a page.
type Place struct {
	Sort string `json:"s"`
	Key  string `json:"k"`
	ID   string `json:"i"`
}

// Cursor names the place.
func (p Place) Cursor() string {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false) // which would make a key six times as long
	if err := e.Encode(p); err != nil {
		return "" // three texts cannot fail
	}
	return base64.RawURLEncoding.EncodeToString(b.Bytes())
}

// Place is where r goes on; the zero one at the beginning. Errors: ErrCursor.
func (r Request) Place() (Place, error) {
	if r.Cursor == "" {
		return Place{}, nil
	}
	var p Place
	b, err := base64.RawURLEncoding.DecodeString(r.Cursor)
	if err != nil || len(b) > maxCursor || json.Unmarshal(b, &p) != nil || p.ID == "" || p.Sort != r.Sort {
		return Place{}, ErrCursor
	}
	return p, nil
}

// Size is the bounded limit.
func (r Request) Size() int {
	if r.Limit <= 0 {
		return Default
	}
	return min(r.Limit, Max)
}

// Page is one answer.
type Page[T any] struct {
	Items []T    `json:"items" nullable:"false"`
	Next  string `json:"next" doc:"Cursor of the next page; empty: this is the last."`
}

// List is how rows of a kind are sorted and searched that are at hand as a whole.
type List[T any] struct {
	ID   func(T) string
	Keys map[string]func(T) string // by the name of the sort
	Text func(T) []string          // in which words are looked for
}

// Page of all. Errors: ErrCursor.
func (l List[T]) Page(all []T, r Request) (Page[T], error) {
	at, err := r.Place()
	name, backwards := strings.CutPrefix(r.Sort, "-")
	key := l.Keys[name]
	if err == nil && key == nil {
		err = fault.Parameter("sort", "this list cannot be sorted in this way")
	}
	if err != nil {
		return Page[T]{}, err
	}
	order := func(keyA, idA, keyB, idB string) int {
		c := cmp.Or(cmp.Compare(keyA, keyB), cmp.Compare(idA, idB))
		if backwards {
			return -c
		}
		return c
	}
	words := strings.Fields(strings.ToLower(r.Words))
	found := []T{}
	for _, row := range all {
		text := strings.ToLower(strings.Join(l.Text(row), "\n"))
		missing := func(word string) bool { return !strings.Contains(text, word) }
		if !slices.ContainsFunc(words, missing) && (at.ID == "" || order(key(row), l.ID(row), at.Key, at.ID) > 0) {
			found = append(found, row)
		}
	}
	slices.SortFunc(found, func(a, b T) int { return order(key(a), l.ID(a), key(b), l.ID(b)) })
	if len(found) <= r.Size() {
		return Page[T]{Items: found}, nil
	}
	found = found[:r.Size()]
	last := found[len(found)-1]
	return Page[T]{found, Place{r.Sort, key(last), l.ID(last)}.Cursor()}, nil
}
