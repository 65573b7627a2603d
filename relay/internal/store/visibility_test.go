package store_test

import (
	"fmt"
	"slices"
	"testing"

	"oriel/relay/internal/page"
	"oriel/relay/internal/store"
	"oriel/relay/internal/store/storetest"
)

// Rule: a list has the visible rows and no others, whichever ids are asked for.
func TestVisibility(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		tok := token(t, s, "x", 2, 1<<40)
		a, b := computer("a", ""), computer("b", "")
		for _, c := range []*store.Computer{a, b} {
			must(t, s.Agents().Enroll(t.Context(), entry("x"), c, tok.TokenKey))
		}
		for name, tc := range map[string]struct {
			v         store.Visibility
			ids, want []string
		}{
			"everything":             {store.Everything, nil, []string{a.ID, b.ID}},
			"one of everything":      {store.Everything, []string{b.ID}, []string{b.ID}},
			"nothing":                {store.Visibility{}, nil, nil},
			"one of nothing":         {store.Visibility{}, []string{a.ID}, nil},
			"some":                   {store.Visibility{Computers: []string{a.ID, "?"}}, nil, []string{a.ID}},
			"an invisible one":       {store.Visibility{Computers: []string{a.ID}}, []string{b.ID}, nil},
			"an invisible one, too":  {store.Visibility{Computers: []string{a.ID}}, []string{a.ID, b.ID}, []string{a.ID}},
			"what looks like a list": {store.Visibility{Computers: []string{a.ID + "', '" + b.ID}}, nil, nil},
		} {
			rows, err := s.Computers(store.FirstOrganization).List(t.Context(), tc.v, tc.ids...)
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, row := range rows {
				got = append(got, row.ID)
			}
			if !slices.Equal(got, tc.want) {
				t.Errorf("%s: %q, want %q", name, got, tc.want)
			}
			if tc.v.None() != (len(tc.v.Computers) == 0 && !tc.v.All) || tc.v.Includes(b.ID, "") != tc.v.All {
				t.Errorf("%s: None %v, Includes %v", name, tc.v.None(), tc.v.Includes(b.ID, ""))
			}
		}
	})
}

// Rule: the journal has the sessions with visible computers and no others, whichever ids are asked for; those of a
// computer that is gone are only for who sees all.
func TestVisibilityOfSessions(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		tok := token(t, s, "x", 3, 1<<40)
		sessions := s.Sessions(store.FirstOrganization)
		a, b, gone := computer("a", ""), computer("b", ""), computer("gone", "")
		for _, c := range []*store.Computer{a, b, gone} {
			must(t, s.Agents().Enroll(t.Context(), entry("x"), c, tok.TokenKey))
			must(t, sessions.Add(t.Context(), entry("x"), store.Session{ID: "with " + c.ID, ComputerID: c.ID, StartedAt: 1}))
		}
		must(t, s.Computers(store.FirstOrganization).Remove(t.Context(), entry("x"), gone.ID))
		for name, tc := range map[string]struct {
			v    store.Visibility
			want []string
		}{
			"everything":  {store.Everything, []string{a.ID, b.ID, gone.ID}},
			"nothing":     {store.Visibility{}, nil},
			"one":         {store.Visibility{Computers: []string{b.ID}}, []string{b.ID}},
			"one is gone": {store.Visibility{Computers: []string{a.ID, gone.ID}}, []string{a.ID}},
		} {
			page, err := sessions.Page(t.Context(), tc.v, store.SessionFilter{}, 9)
			must(t, err)
			list, err := sessions.List(t.Context(), tc.v, "with "+a.ID, "with "+b.ID, "with "+gone.ID, "?")
			must(t, err)
			for _, rows := range [][]store.Session{page, list} {
				var got []string
				for _, row := range rows {
					got = append(got, row.ComputerID)
				}
				slices.Sort(got)
				want := slices.Sorted(slices.Values(tc.want))
				if !slices.Equal(got, want) {
					t.Errorf("%s: sessions with %q, want %q", name, got, want)
				}
			}
		}
	})
}

// Rule: a list has the groups in which something is visible, and those around them, without
// which there is no tree; of each it counts the visible computers and no others.
func TestVisibilityOfGroups(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		tok := token(t, s, "x", 3, 1<<40)
		first := store.FirstOrganization
		for _, g := range []store.Group{{ID: "site"}, {ID: "floor", ParentID: "site"}, {ID: "room", ParentID: "floor"}, {ID: "yard"}} {
			g.Name = g.ID
			must(t, s.Groups(first).Add(t.Context(), entry("x"), g))
		}
		in := map[string]string{} // a computer, by its group
		for _, group := range []string{"room", "floor", "yard"} {
			c := computer(group, "")
			must(t, s.Agents().Enroll(t.Context(), entry("x"), c, tok.TokenKey))
			must(t, s.Computers(first).SetGroup(t.Context(), entry("x"), c.ID, group))
			in[group] = c.ID
		}
		for name, tc := range map[string]struct {
			v    store.Visibility
			want string
		}{
			"everything":           {store.Everything, "[floor 1 room 1 site 0 yard 1]"},
			"nothing":              {store.Visibility{}, "[]"},
			"a group":              {store.Visibility{Groups: []string{"floor"}}, "[floor 1 room 1 site 0]"},
			"a computer":           {store.Visibility{Computers: []string{in["room"]}}, "[floor 0 room 1 site 0]"},
			"both":                 {store.Visibility{Groups: []string{"room"}}.Or(store.Visibility{Computers: []string{in["yard"]}}), "[floor 0 room 1 site 0 yard 1]"},
			"what is not there":    {store.Visibility{Groups: []string{"?"}, Computers: []string{"?"}}, "[]"},
			"with everything else": {store.Visibility{Groups: []string{"room"}}.Or(store.Everything), "[floor 1 room 1 site 0 yard 1]"},
		} {
			p, err := s.Groups(first).List(t.Context(), tc.v, page.Request{Sort: "name"})
			must(t, err)
			var got []string
			for _, g := range p.Items {
				got = append(got, fmt.Sprint(g.ID, " ", g.Computers))
			}
			if fmt.Sprint(got) != tc.want {
				t.Errorf("%s: %v, want %s", name, got, tc.want)
			}
		}
	})
}
