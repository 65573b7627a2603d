package store_test

import (
	"slices"
	"testing"
	"time"

	"oriel/relay/internal/page"
	"oriel/relay/internal/store"
	"oriel/relay/internal/store/storetest"
)

// BenchmarkComputers asks for pages of 100 of 10,000 computers, half of them online, as a person who pinned five: p95-ms is
// what the issue wants to be at most 50. "any" are all sorts, groupings and filters in turn, five pages of each.
func BenchmarkComputers(b *testing.B) {
	filters := map[string]store.ComputerFilter{
		"all": {}, "a word": {Words: "pc-77"}, "a short word": {Words: "77"}, "a common word": {Words: "debian"}, "two words": {Words: "windows 10.0.1"},
		"of a group": {Groups: []string{"g3"}}, "in session": {Statuses: []string{store.StatusInSession}}, "tagged": {Tags: []string{"desk"}},
		"online of linux": {OS: []string{"linux"}, Statuses: []string{store.StatusOnline}},
	}
	var views []store.ComputerView
	for _, sort := range []string{"name", "status", "last_seen", "added_at", "address", "version", "os", "group"} {
		for _, sort := range []string{sort, "-" + sort} {
			for _, group := range []string{"", "status", "group", "os", "version"} {
				for _, f := range filters {
					views = append(views, store.ComputerView{ComputerFilter: f, Sort: sort, Group: group})
				}
			}
		}
	}
	for _, kind := range []string{"sqlite", "postgres"} {
		address := storetest.SQLite(b)
		if kind == "postgres" {
			address = storetest.PostgreSQL(b)
		}
		s := storetest.Open(b, address)
		must(b, store.AddComputers(b.Context(), s, 10_000))
		if kind == "postgres" {
			s.Run(b, "ANALYZE") // as it does by itself
		}
		person := "ada"
		must(b, s.Members(store.FirstOrganization).AddPerson(b.Context(), entry("x"), store.Member{Role: store.RoleViewer, State: store.Active},
			store.Person{ID: person, Kind: store.PersonKind, Name: "Ada", State: store.Active}))
		of := s.Computers(store.FirstOrganization)
		some, err := of.Page(b.Context(), store.Everything, store.ComputerView{Sort: "added_at"}, page.Request{Limit: 5})
		must(b, err)
		for _, c := range some.Items {
			must(b, of.Pin(b.Context(), person, c.ID, 1))
		}
		measure := func(name string, ask func(i int)) {
			b.Run(kind+"/"+name, func(b *testing.B) {
				var took []time.Duration
				for i := 0; b.Loop(); i++ {
					began := time.Now()
					ask(i)
					took = append(took, time.Since(began))
				}
				slices.Sort(took)
				b.ReportMetric(float64(took[len(took)*95/100].Microseconds())/1000, "p95-ms")
				b.ReportMetric(float64(took[len(took)-1].Microseconds())/1000, "max-ms")
			})
		}
		paging := func(views ...store.ComputerView) func(int) {
			r := page.Request{Limit: 100}
			at, pages := 0, 0
			return func(int) {
				view := views[at]
				view.Person = person
				p, err := of.Page(b.Context(), store.Everything, view, r)
				must(b, err)
				if r.Cursor, pages = p.Next, pages+1; r.Cursor == "" || len(views) > 1 && pages == 5 {
					r.Cursor, at, pages = "", (at+1)%len(views), 0
				}
			}
		}
		measure("any", paging(views...))
		for _, sort := range []string{"name", "status", "-last_seen", "os", "group"} {
			measure("by "+sort, paging(store.ComputerView{Sort: sort}))
		}
		measure("by name in statuses", paging(store.ComputerView{Sort: "name", Group: "status"}))
		for name, f := range filters {
			measure("by name, "+name, paging(store.ComputerView{Sort: "name", ComputerFilter: f}))
			measure("counts, "+name, func(int) {
				_, err := of.Tally(b.Context(), store.Everything, f, person, "")
				must(b, err)
			})
		}
		measure("counts of statuses", func(int) {
			_, err := of.Statuses(b.Context(), store.Everything)
			must(b, err)
		})
	}
}
