package page

import (
	"errors"
	"fmt"
	"strings"
	"testing"
)

type row struct{ id, name string }

var rows = List[row]{
	ID:   func(r row) string { return r.id },
	Keys: map[string]func(row) string{"name": func(r row) string { return r.name }},
	Text: func(r row) []string { return []string{r.name} },
}

// Rule: paging shows each row once, in order, also where rows come and go meanwhile
// and where many have the same key.
func TestPages(t *testing.T) {
	for _, sort := range []string{"name", "-name"} {
		var all []row
		for i := range 23 {
			all = append(all, row{fmt.Sprintf("%03d", (i*7)%23), strings.Repeat("x", i%3)})
		}
		seen := map[string]int{}
		var order []row
		r := Request{Limit: 5, Sort: sort}
		for {
			p, err := rows.Page(all, r)
			if err != nil || len(p.Items) > 5 {
				t.Fatal(p, err)
			}
			for _, one := range p.Items {
				seen[one.id]++
				order = append(order, one)
			}
			if p.Next == "" {
				break
			}
			r.Cursor = p.Next
			gone := order[len(order)-1] // the row that the cursor names goes, and one comes at the other end
			for i := range all {
				if all[i] == gone {
					all = append(all[:i], all[i+1:]...)
					break
				}
			}
		}
		if len(seen) != 23 {
			t.Fatalf("%s: %d rows", sort, len(seen))
		}
		for i := range order[1:] {
			a, b := order[i], order[i+1]
			if sort == "-name" {
				a, b = b, a
			}
			if a.name > b.name || a.name == b.name && a.id >= b.id || seen[a.id] != 1 {
				t.Fatalf("%s: %v before %v", sort, order[i], order[i+1])
			}
		}
	}
}

func TestWords(t *testing.T) {
	all := []row{{"1", "Front desk"}, {"2", "Back office"}, {"3", "front office"}}
	for words, want := range map[string]string{"": "123", "OFFICE": "23", "office front": "3", "nobody": ""} {
		p, err := rows.Page(all, Request{Sort: "name", Words: words})
		got := map[string]bool{}
		for _, one := range p.Items {
			got[one.id] = true
		}
		if err != nil || p.Items == nil || len(got) != len(want) {
			t.Errorf("%q: %v %v", words, p, err)
		}
		for _, id := range want {
			if !got[string(id)] {
				t.Errorf("%q: %v", words, p)
			}
		}
	}
}

// Rule: a cursor is good for its own sort only, and nothing made up is one.
func TestForeignCursors(t *testing.T) {
	place := Place{"name", "x", "1"}
	if at, err := (Request{Sort: "name", Cursor: place.Cursor()}).Place(); err != nil || at != place {
		t.Fatal(at, err)
	}
	for _, r := range []Request{
		{Sort: "-name", Cursor: place.Cursor()}, {Sort: "name", Cursor: "nonsense"}, {Sort: "name", Cursor: "e30"},
		{Sort: "name", Cursor: Place{"name", strings.Repeat("x", maxCursor), "1"}.Cursor()},
	} {
		if _, err := rows.Page(nil, r); !errors.Is(err, ErrCursor) {
			t.Errorf("%+v: %v", r, err)
		}
	}
	if p, err := rows.Page(nil, Request{Sort: "other"}); err == nil {
		t.Error(p)
	}
}

func FuzzPlace(f *testing.F) {
	f.Add(Place{"name", "x", "1"}.Cursor(), "name")
	f.Fuzz(func(t *testing.T, cursor, sort string) {
		p, err := Request{Cursor: cursor, Sort: sort}.Place()
		if err == nil && cursor != "" && (p.ID == "" || p.Sort != sort) {
			t.Fatalf("%q: %+v", cursor, p)
		}
	})
}

// Rule: a page ends at any name that a computer may have, and the next begins there.
func TestCursorsOfLongNames(t *testing.T) {
	for _, key := range []string{strings.Repeat("<", 256), strings.Repeat("𝔸", 256), strings.Repeat("\u2028", 256)} {
		p := Place{Sort: "name", Key: key, ID: "01a22ca3-9b23-7a5b-8f08-150d4a7c38b6"}
		c := p.Cursor()
		got, err := Request{Cursor: c, Sort: "name"}.Place()
		if err != nil || got != p || len(c) > 6144 {
			t.Errorf("%d characters of cursor: %v", len(c), err)
		}
	}
}
