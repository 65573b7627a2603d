package store_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"oriel/relay/internal/page"
	"oriel/relay/internal/store"
	"oriel/relay/internal/store/storetest"
)

// BenchmarkRowSecurity is what the relay does most on PostgreSQL, in one database of
// forty organizations: with row-level security, with the setting but as a superuser, and
// with neither: the median of each.
func BenchmarkRowSecurity(b *testing.B) {
	address, ctx := storetest.PostgreSQL(b), b.Context()
	secured, superuser, neither := storetest.Open(b, address), storetest.Open(b, storetest.AsSuperuser(address)), storetest.Open(b, storetest.AsSuperuser(address))
	neither.WithoutScopes(b)
	things := map[int]belongings{}
	const organizations, computers, entries = 40, 50, 500
	o := func(n int) store.OrganizationID { return store.OrganizationID(fmt.Sprint("organization ", n)) }
	for n := range organizations {
		things[n] = fill(b, secured, o(n))
		for k := range computers {
			must(b, secured.Tokens(o(n)).Add(ctx, entry("x"), store.EnrollmentToken{ID: fmt.Sprint(n, " ", k), TokenKey: fmt.Append(nil, n, " ", k), ExpiresAt: 1 << 50, UsesLeft: 1}))
			must(b, secured.Agents().Enroll(ctx, entry("x"), &store.Computer{ID: fmt.Sprint("of ", n, " ", k), MachineKey: fmt.Append(nil, n, " ", k)}, fmt.Append(nil, n, " ", k)))
		}
		secured.Run(b, "INSERT INTO audit (organization, sequence, at, actor_kind, actor_id, actor_name, sign_in_id, address, action, object_kind, object_id, outcome, details, hash) "+
			"SELECT ?, 1000 + k, 1, 'person', '', '', '', '', 'x', '', '', 'done', '{}', '' FROM generate_series(1, ?) AS k", o(n), entries)
	}
	secured.Run(b, "ANALYZE")
	serial := 0
	for _, c := range []struct {
		name string
		fn   func(s *store.Store, n int) error
	}{
		{"authority", func(s *store.Store, n int) error {
			_, err := s.SignIns().Authority(ctx, []byte("sign-in of "+o(n)), 5)
			return err
		}},
		{"opening", func(s *store.Store, n int) error {
			_, err := s.Computers(o(n)).Opening(ctx, things[n].computer, things[n].person)
			return err
		}},
		{"session", func(s *store.Store, n int) error {
			serial++
			return s.Sessions(o(n)).Add(ctx, entry("x"), store.Session{ID: fmt.Sprint("session ", serial), ComputerID: things[n].computer})
		}},
		{"rename", func(s *store.Store, n int) error {
			return s.Computers(o(n)).Rename(ctx, entry("x"), things[n].computer, "x")
		}},
		{"computers", func(s *store.Store, n int) error {
			_, err := s.Computers(o(n)).List(ctx, store.Everything)
			return err
		}},
		{"members", func(s *store.Store, n int) error {
			_, err := s.Members(o(n)).List(ctx, page.Request{Sort: "name"})
			return err
		}},
		{"audit", func(s *store.Store, n int) error {
			_, err := s.Audit(o(n)).Page(ctx, store.AuditFilter{}, 100)
			return err
		}},
	} {
		b.Run(c.name, func(b *testing.B) {
			stores := []*store.Store{secured, superuser, neither}
			took := make([][]time.Duration, len(stores))
			for i := 0; b.Loop(); i++ {
				for k, s := range stores { // in turn, so that each has the same of what else runs here
					start := time.Now()
					if err := c.fn(s, i%organizations); err != nil {
						b.Fatal(err)
					}
					took[k] = append(took[k], time.Since(start))
				}
			}
			for k, name := range []string{"secured-µs", "superuser-µs", "neither-µs"} {
				slices.Sort(took[k])
				b.ReportMetric(float64(took[k][len(took[k])/2].Microseconds()), name)
			}
		})
	}
}
