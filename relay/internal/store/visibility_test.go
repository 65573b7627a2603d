package store_test

import (
	"slices"
	"testing"

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
