package store_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/uptrace/bun"

	"oriel/relay/internal/page"
	"oriel/relay/internal/store"
	"oriel/relay/internal/store/storetest"
)

// Rule: what a filter would find with another value of one thing is counted without that thing, and with all else of
// the filter; so is what pages of that filter find.
func TestTallyHeedsTheRestOfAFilter(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		_, groups := fleet(t, s, 60)
		of := s.Computers(store.FirstOrganization)
		f := store.ComputerFilter{Statuses: []string{store.StatusOnline, store.StatusOffline, store.StatusBlocked}, OS: []string{"linux", ""}, Groups: []string{groups[0], ""}, Versions: []string{"1.10"}}
		tagged, err := of.Tally(t.Context(), store.Everything, store.ComputerFilter{Tags: []string{"büro"}, OS: []string{"linux", "windows"}}, "", "")
		must(t, err)
		for _, n := range tagged.Tags {
			rows := pages(t, s, store.Everything, store.ComputerView{ComputerFilter: store.ComputerFilter{Tags: []string{n.Value}, OS: []string{"linux", "windows"}}, Sort: "name"}, 100)
			if len(rows) != int(n.Count) {
				t.Errorf("tag %q is counted %d times, found %d times", n.Value, n.Count, len(rows))
			}
		}
		if len(tagged.Tags) != 3 || tagged.Tags[0].Count < tagged.Tags[2].Count {
			t.Errorf("tags %v", tagged.Tags)
		}
		tally, err := of.Tally(t.Context(), store.Everything, f, "", "")
		must(t, err)
		for name, part := range map[string]struct {
			counts []store.ComputerCount
			with   func(*store.ComputerFilter, string)
			value  func(store.ListedComputer) string
		}{
			"statuses": {tally.Statuses, func(f *store.ComputerFilter, v string) { f.Statuses = []string{v} }, func(c store.ListedComputer) string { return c.Status }},
			"groups":   {tally.Groups, func(f *store.ComputerFilter, v string) { f.Groups = []string{v} }, func(c store.ListedComputer) string { return c.GroupID }},
			"systems":  {tally.OS, func(f *store.ComputerFilter, v string) { f.OS = []string{v} }, func(c store.ListedComputer) string { return c.OS }},
			"versions": {tally.Versions, func(f *store.ComputerFilter, v string) { f.Versions = []string{v} }, func(c store.ListedComputer) string { return c.AgentVersion }},
		} {
			if len(part.counts) < 2 {
				t.Errorf("%s: only %v", name, part.counts)
			}
			for _, n := range part.counts {
				other := f
				part.with(&other, n.Value)
				want := int64(0)
				for _, row := range pages(t, s, store.Everything, store.ComputerView{ComputerFilter: other, Sort: "name"}, 100) {
					if part.value(row) == n.Value { // and not within it
						want++
					}
				}
				if n.Count != want {
					t.Errorf("%s: %q is counted %d times, found %d times", name, n.Value, n.Count, want)
				}
			}
		}
		all, err := of.Statuses(t.Context(), store.Everything)
		must(t, err)
		whole, err := of.Tally(t.Context(), store.Everything, store.ComputerFilter{}, "", "")
		must(t, err)
		for _, n := range whole.Statuses {
			if all[n.Value] != n.Count {
				t.Errorf("%s: %d and %d", n.Value, all[n.Value], n.Count)
			}
		}
	})
}

// Rule: what an organization notes in fields is of its own computers, is found by its words, and goes with the field.
func TestFields(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		all, _ := fleet(t, s, 3)
		of, fields := s.Computers(store.FirstOrganization), s.Fields(store.FirstOrganization)
		must(t, fields.Add(t.Context(), entry("x"), store.Field{ID: "f", Name: "Inventory number", CreatedAt: 1}))
		note := func(values map[string]string) error {
			return of.Describe(t.Context(), entry("x"), all[0], store.Description{Values: values})
		}
		must(t, note(map[string]string{"f": "INV-0815"}))
		found := func() int {
			return len(pages(t, s, store.Everything, store.ComputerView{ComputerFilter: store.ComputerFilter{Words: "inv-08"}, Sort: "name"}, 100))
		}
		if values, err := of.Values(t.Context(), all...); err != nil || len(values) != 1 || values[all[0]]["f"] != "INV-0815" || found() != 1 {
			t.Fatalf("%v, %v; %d found", values, err, found())
		}
		if err := note(map[string]string{"none": "x"}); err == nil || !strings.Contains(err.Error(), "no such field") {
			t.Error(err)
		}
		must(t, note(map[string]string{"f": ""}))
		if values, err := of.Values(t.Context()); err != nil || len(values) != 0 || found() != 0 {
			t.Fatalf("%v, %v; %d found", values, err, found())
		}
		must(t, note(map[string]string{"f": "INV-0816"}))
		had, err := fields.Remove(t.Context(), entry("x"), "f")
		if err != nil || !slices.Equal(had, all[:1]) || found() != 0 {
			t.Errorf("%v, %v; %d found", had, err, found())
		}
		must(t, store.Indexed(t.Context(), s))
		for i := range store.MaxFields {
			must(t, fields.Add(t.Context(), entry("x"), store.Field{ID: fmt.Sprint(i), Name: "x"}))
		}
		if err := fields.Add(t.Context(), entry("x"), store.Field{ID: "more", Name: "x"}); err == nil {
			t.Error("there are more fields than there may be")
		}
	})
}

// Rule: tags are added and taken away without touching the others, each once, and no more than there may be.
func TestTags(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		all, _ := fleet(t, s, 1)
		of := s.Computers(store.FirstOrganization)
		for _, step := range []struct {
			d    store.Description
			want string
		}{
			{store.Description{Tags: []string{"desk", "berlin", "desk"}}, "desk\nberlin"},
			{store.Description{Tag: []string{"till", "desk"}, Untag: []string{"berlin", "none"}}, "desk\ntill"},
			{store.Description{}, "desk\ntill"},
			{store.Description{Tags: []string{}}, ""},
		} {
			must(t, of.Describe(t.Context(), entry("x"), all[0], step.d))
			if c, err := of.Get(t.Context(), all[0]); err != nil || c.Tags != step.want {
				t.Errorf("%+v: %q, %v", step.d, c.Tags, err)
			}
		}
		var many []string
		for i := range store.MaxTags + 1 {
			many = append(many, fmt.Sprint(i))
		}
		if err := of.Describe(t.Context(), entry("x"), all[0], store.Description{Tags: many}); err == nil {
			t.Error("there are more tags than there may be")
		}
	})
}

// Rule: views are their person's alone, go with the member, and are no more than there may be.
func TestViews(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		ada := ada(t, s)
		views := s.Views(store.FirstOrganization)
		must(t, views.Add(t.Context(), store.View{ID: "v", PersonID: ada, Name: "Offline", Query: "status=offline", CreatedAt: 1}))
		name := "Away"
		if _, err := views.Save(t.Context(), "somebody else", "v", &name, nil); err != store.ErrNotFound {
			t.Error("somebody else's view:", err)
		}
		if err := views.Remove(t.Context(), "somebody else", "v"); err != store.ErrNotFound {
			t.Error("somebody else's view:", err)
		}
		if v, err := views.Save(t.Context(), ada, "v", &name, nil); err != nil || v.Name != "Away" || v.Query != "status=offline" {
			t.Errorf("%+v, %v", v, err)
		}
		for i := range store.MaxViews - 1 {
			must(t, views.Add(t.Context(), store.View{ID: fmt.Sprint(i), PersonID: ada, Name: "x"}))
		}
		if err := views.Add(t.Context(), store.View{ID: "more", PersonID: ada, Name: "x"}); err == nil {
			t.Error("there are more views than there may be")
		}
		if all, err := views.Of(t.Context(), ada); err != nil || len(all) != store.MaxViews {
			t.Error(len(all), err)
		}
		_, err := s.Members(store.FirstOrganization).Remove(t.Context(), entry("x"), ada)
		must(t, err)
		if all, err := views.Of(t.Context(), ada); err != nil || len(all) != 0 {
			t.Error("of who left there are still", len(all), err)
		}
	})
}

// Rule: whatever the sort and the grouping, and whatever changes while a list is read page by page, no computer is shown
// twice that does not move in the order, and none is missed that was there all the time and stays where it is.
func TestEverySortWhileComputersChange(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		const n = 24
		all, groups := fleet(t, s, n)
		of := s.Computers(store.FirstOrganization)
		tok := token(t, s, "more", 10_000, 1<<40)
		random := rand.New(rand.NewPCG(7, 8))
		still := all[:n/2] // which nobody touches
		serial := 0
		for _, sort := range []string{"name", "status", "last_seen", "added_at", "address", "version", "os", "group"} {
			for _, group := range []string{"", "status", "group", "os", "version"} {
				for _, sort := range []string{sort, "-" + sort} {
					seen := map[string]int{}
					r := page.Request{Limit: 5}
					for {
						p, err := of.Page(t.Context(), store.Everything, store.ComputerView{Sort: sort, Group: group}, r)
						must(t, err)
						for _, row := range p.Items {
							seen[row.ID]++
						}
						if p.Next == "" {
							break
						}
						r.Cursor = p.Next
						one := all[n/2+random.IntN(n/2)]
						serial++
						switch random.IntN(5) {
						case 0:
							must(t, of.Rename(t.Context(), entry("x"), one, fmt.Sprint("new ", serial)))
						case 1:
							must(t, of.SetGroup(t.Context(), entry("x"), one, groups[random.IntN(3)]))
						case 2:
							must(t, of.Block(t.Context(), entry("x"), one, random.IntN(2) == 0))
						case 3:
							must(t, s.Nodes().Connect(t.Context(), one, "node/1", "c", int64(serial)))
						case 4:
							c := computer(fmt.Sprint("more", serial), "")
							must(t, s.Agents().Enroll(t.Context(), entry("x"), c, tok.TokenKey))
							must(t, of.Remove(t.Context(), entry("x"), c.ID))
						}
					}
					for _, id := range still {
						if seen[id] != 1 {
							t.Errorf("%s by %q: %s was shown %d times", sort, group, id, seen[id])
						}
					}
				}
			}
		}
	})
}

// Rule: by name, address, system, version and time of adding a page is read from an index in its order, and the rows
// behind it are not looked at.
func TestPagesAreReadFromIndexes(t *testing.T) {
	sqlite := storetest.Open(t, storetest.SQLite(t))
	for sort, index := range map[string]string{"name": "computer_index_name", "-name": "computer_index_name", "added_at": "computer_index_added", "-added_at": "computer_index_added",
		"address": "computer_index_address", "os": "computer_index_os", "version": "computer_index_agent"} {
		for name, f := range map[string]store.ComputerFilter{"all": {}, "online": {Statuses: []string{store.StatusOnline}}, "of a system": {OS: []string{"linux"}}} {
			query, err := store.PageQuery(sqlite, store.ComputerView{ComputerFilter: f, Sort: sort})
			must(t, err)
			var plan []struct {
				ID, Parent, Notused int64
				Detail              string
			}
			must(t, sqlite.Everybody().NewRaw("EXPLAIN QUERY PLAN "+query).Scan(t.Context(), &plan))
			text := fmt.Sprint(plan)
			if !strings.Contains(text, "USING INDEX "+index) && !strings.Contains(text, "USING COVERING INDEX "+index) || strings.Contains(text, "ORDER BY") {
				t.Errorf("%s by %s: %s", name, sort, strings.ReplaceAll(text, "} {", "}\n{"))
			}
		}
	}
	postgres := storetest.Open(t, storetest.PostgreSQL(t))
	must(t, store.AddComputers(t.Context(), postgres, 2000))
	postgres.Run(t, "ANALYZE")
	query, err := store.PageQuery(postgres, store.ComputerView{Sort: "name"})
	must(t, err)
	var plan []string
	must(t, postgres.Everybody().RunInTx(t.Context(), nil, func(ctx context.Context, tx bun.Tx) error {
		return tx.NewRaw("EXPLAIN "+query).Scan(ctx, &plan)
	}))
	if text := strings.Join(plan, "\n"); !strings.Contains(text, "computer_index_name") || strings.Contains(text, "Sort") {
		t.Error(text)
	}
}
