package store_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"oriel/relay/internal/fault"
	"oriel/relay/internal/store"
	"oriel/relay/internal/store/storetest"
)

// counting are the methods that make one more of what is counted, and of what. The test
// below finds them by itself; this list is for people.
var counting = map[string]store.Quota{
	"Agents.Enroll":            store.QuotaComputers,
	"Waiting.TakeBack":         store.QuotaComputers,
	"Members.Add":              store.QuotaPeople,
	"Members.AddPerson":        store.QuotaPeople,
	"MemberInvitations.TakeUp": store.QuotaPeople,
	"MemberInvitations.SignUp": store.QuotaPeople,
	"Sessions.Add":             store.QuotaSessions,
	"MemberInvitations.Create": store.QuotaInvitations,
	"Computers.SaveInventory":  store.QuotaStorage,
	"Computers.HoldPreview":    store.QuotaStorage,
}

// use is how much an organization has, by kind.
func use(t *testing.T, s *store.Store, o store.OrganizationID) map[store.Quota]int64 {
	t.Helper()
	rows, err := s.Quotas(o).Use(t.Context(), 1)
	if err != nil {
		t.Fatal(err)
	}
	all := map[store.Quota]int64{}
	for _, row := range rows {
		all[row.Kind] = row.Used
	}
	return all
}

// more is the kind of which there is more after than before; empty: none.
func more(before, after map[store.Quota]int64) (kind store.Quota) {
	for one := range after {
		if after[one] > before[one] {
			kind = one
		}
	}
	return kind
}

// calls are the methods of the tables that hold all of the store's: each prepares what
// it changes of an organization that is filled, and returns the change.
func calls(t *testing.T, s *store.Store) map[string]func(o store.OrganizationID, of belongings) (change func() error) {
	all := map[string]func(o store.OrganizationID, of belongings) func() error{}
	for method, fn := range reaches {
		all[method] = func(o store.OrganizationID, of belongings) func() error {
			return func() error {
				_, err := fn(t.Context(), s, o, of)
				return err
			}
		}
	}
	for method, prepare := range relaysChanges {
		all[method] = func(o store.OrganizationID, of belongings) func() error {
			s.Empty(t) // a relay has one first owner
			s.Run(t, "DELETE FROM organizations WHERE id = ?", o)
			return prepare(t.Context(), t, s, fill(t, s, o))
		}
	}
	// What the tables call for what is there already.
	all["MemberInvitations.Create"] = func(o store.OrganizationID, of belongings) func() error {
		id := "new " + of.invitation
		return func() error {
			return s.MemberInvitations(o).Create(t.Context(), entry("x"), store.MemberInvitation{ID: id, Email: id, EmailKey: id, Role: of.role, TokenHash: []byte(id), ExpiresAt: 9})
		}
	}
	all["Computers.SaveInventory"] = func(o store.OrganizationID, of belongings) func() error {
		return func() error {
			return s.Computers(o).SaveInventory(t.Context(), of.computer, 2, []byte("longer "+of.name))
		}
	}
	all["Agents.Enroll"] = func(_ store.OrganizationID, of belongings) func() error {
		id := "new " + of.name
		return func() error {
			return s.Agents().Enroll(t.Context(), entry("x"), &store.Computer{ID: id, MachineKey: []byte(id), AddedAt: 1}, []byte("token of "+of.name))
		}
	}
	return all
}

// Rule: whichever method of the store makes more of what has a quota keeps to it: where
// the quota is used up, it changes nothing, and says what the quota is. The methods are
// those of the tables that hold all handles, so that none is forgotten; it is seen by
// what it does whether it counts.
func TestCreationsKeepToQuotas(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		found, writes := map[string]store.Quota{}, writingMethods(t)
		for method, call := range calls(t, s) {
			if _, known := counting[method]; !writes[method] || s.Shared() && !known { // one database is enough to find them
				continue
			}
			t.Run(method, func(t *testing.T) {
				first, second := store.OrganizationID("first "+method), store.OrganizationID("second "+method)
				change := call(first, fill(t, s, first))
				before := use(t, s, first)
				if err := change(); err != nil {
					t.Fatal(err)
				}
				kind := more(before, use(t, s, first))
				if kind == "" {
					return
				}
				found[method] = kind
				change = call(second, fill(t, s, second))
				before = use(t, s, second)
				must(t, s.Quotas(second).Set(t.Context(), entry("x"), before))
				was, _ := s.Owned(t, second)
				err := change()
				figure := fmt.Sprint(before[kind])
				if kind == store.QuotaStorage {
					figure = store.Bytes(before[kind])
				}
				if !errors.Is(err, store.ErrQuota) || fault.Of(err).Code() != fault.Quota || !strings.Contains(fault.Of(err).Error(), "("+figure) {
					t.Errorf("with a quota of %s %s that is used up: %v", figure, kind, err)
				}
				if now, _ := s.Owned(t, second); !maps.Equal(was, now) {
					t.Error("it changed something")
				}
				before[kind] += 100
				must(t, s.Quotas(second).Set(t.Context(), entry("x"), before))
				if err := change(); err != nil {
					t.Errorf("with a higher quota: %v", err)
				}
			})
		}
		if !maps.Equal(found, counting) {
			t.Errorf("these count: %v\nwant %v: write the new one into the list, and into the doors' (package node)", found, counting)
		}
	})
}

// creators make the nth of a kind in an organization, by each way there is.
var creators = map[string]func(ctx context.Context, s *store.Store, o store.OrganizationID, of belongings, n int) error{
	"Agents.Enroll": func(ctx context.Context, s *store.Store, _ store.OrganizationID, _ belongings, n int) error {
		id := fmt.Sprintf("computer %d", n)
		return s.Agents().Enroll(ctx, entry("x"), &store.Computer{ID: id, MachineKey: []byte(id), AddedAt: 1}, fmt.Appendf(nil, "token %d", n)) // of one token they would follow one another anyhow
	},
	"Members.AddPerson": func(ctx context.Context, s *store.Store, o store.OrganizationID, _ belongings, n int) error {
		return s.Members(o).AddPerson(ctx, entry("x"), store.Member{Role: store.RoleMember, State: store.Active}, store.Person{ID: fmt.Sprintf("person %d", n)})
	},
	"Sessions.Add": func(ctx context.Context, s *store.Store, o store.OrganizationID, of belongings, n int) error {
		return s.Sessions(o).Add(ctx, entry("x"), store.Session{ID: fmt.Sprintf("session %d", n), ComputerID: of.computer})
	},
	"MemberInvitations.Create": func(ctx context.Context, s *store.Store, o store.OrganizationID, of belongings, n int) error {
		id := fmt.Sprintf("invitation %d", n)
		return s.MemberInvitations(o).Create(ctx, entry("x"), store.MemberInvitation{ID: id, Email: id, EmailKey: id, Role: of.role, TokenHash: []byte(id), ExpiresAt: 9})
	},
	"Computers.SaveInventory": func(ctx context.Context, s *store.Store, o store.OrganizationID, _ belongings, n int) error {
		return s.Computers(o).SaveInventory(ctx, fmt.Sprintf("stored %d", n), 1, []byte("x"))
	},
	"Computers.HoldPreview": func(ctx context.Context, s *store.Store, o store.OrganizationID, _ belongings, n int) error {
		return s.Computers(o).HoldPreview(ctx, fmt.Sprintf("stored %d", n), 1)
	},
}

// crowd is how many create at once.
const crowd = 12

// ready is an organization, on two nodes where the database has room for two, in which
// crowd can create.
func ready(t *testing.T, address string) (nodes []*store.Store, o store.OrganizationID, of belongings) {
	nodes = []*store.Store{storetest.Open(t, address)}
	if nodes[0].Shared() {
		nodes = append(nodes, storetest.Open(t, address))
	}
	s, o := nodes[0], store.OrganizationID("crowded")
	of = fill(t, s, o)
	must(t, s.Quotas(o).Set(t.Context(), entry("x"), nil))
	for n := range crowd {
		id, token := fmt.Sprintf("stored %d", n), fmt.Sprintf("token %d", n)
		must(t, s.Tokens(o).Add(t.Context(), entry("x"), store.EnrollmentToken{ID: token, TokenKey: []byte(token), ExpiresAt: 9, UsesLeft: 2}))
		must(t, s.Agents().Enroll(t.Context(), entry("x"), &store.Computer{ID: id, MachineKey: []byte(id), AddedAt: 1}, []byte(token)))
	}
	return nodes, o, of
}

// Rule: of many who create at once, on several nodes, as many succeed as the quota has
// places, and not one more.
func TestQuotaHoldsForManyAtOnce(t *testing.T) {
	for method, create := range creators {
		t.Run(method, func(t *testing.T) {
			storetest.EachAddress(t, func(t *testing.T, address string) {
				nodes, o, of := ready(t, address)
				kind, s := counting[method], nodes[0]
				before := use(t, s, o)
				const places = 3
				must(t, s.Quotas(o).Set(t.Context(), entry("x"), map[store.Quota]int64{kind: before[kind] + places}))
				var made atomic.Int64
				var wg sync.WaitGroup
				for n := range crowd {
					wg.Go(func() {
						switch err := create(t.Context(), nodes[n%len(nodes)], o, of, n); {
						case err == nil:
							made.Add(1)
						case !errors.Is(err, store.ErrQuota):
							t.Error(err)
						}
					})
				}
				wg.Wait()
				if now := use(t, s, o); made.Load() != places || now[kind] != before[kind]+places {
					t.Errorf("%d of %d were made, and of %d %s there are %d", made.Load(), places, before[kind], kind, now[kind])
				}
			})
		})
	}
}

// Rule: a quota that is set while many create counts those who were before it: after it
// nobody gets in who is too many.
func TestQuotaIsSetWhileManyCreate(t *testing.T) {
	for method, create := range creators {
		t.Run(method, func(t *testing.T) {
			storetest.EachAddress(t, func(t *testing.T, address string) {
				nodes, o, of := ready(t, address)
				kind, s := counting[method], nodes[0]
				most := use(t, s, o)[kind] + 2
				var there int64 // when the quota was set
				var wg sync.WaitGroup
				for n := range crowd {
					wg.Go(func() {
						if err := create(t.Context(), nodes[n%len(nodes)], o, of, n); err != nil && !errors.Is(err, store.ErrQuota) {
							t.Error(err)
						}
					})
				}
				wg.Go(func() {
					if err := s.Quotas(o).Set(t.Context(), entry("x"), map[store.Quota]int64{kind: most}); err != nil {
						t.Error(err)
					}
					there = use(t, s, o)[kind]
				})
				wg.Wait()
				if now := use(t, s, o)[kind]; now > max(most, there) {
					t.Errorf("with a quota of %d, and %d when it was set, there are %d", most, there, now)
				}
			})
		})
	}
}

// Rule: what is over a quota that was lowered stays, and changes as ever; a place is free
// again once there are fewer than it allows. 0 allows none; no quota, any number.
func TestLoweredQuota(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		ctx, o := t.Context(), store.OrganizationID("lowered")
		of := fill(t, s, o)
		enroll := func(id string) error {
			return s.Agents().Enroll(ctx, entry("x"), &store.Computer{ID: id, MachineKey: []byte(id), AddedAt: 1}, []byte("token of "+of.name))
		}
		must(t, enroll("second"))
		must(t, s.Computers(o).SaveInventory(ctx, "second", 1, []byte("ten bytes.")))
		set := func(most map[store.Quota]int64) { must(t, s.Quotas(o).Set(ctx, entry("x"), most)) }
		set(map[store.Quota]int64{store.QuotaComputers: 1, store.QuotaStorage: 1})
		if all, err := s.Computers(o).List(ctx, store.Everything); err != nil || len(all) != 2 {
			t.Fatalf("%d computers stay, %v", len(all), err)
		}
		must(t, s.Computers(o).Save(ctx, store.Computer{ID: "second", LastSeen: 5}, store.ColumnsOfSeen))
		must(t, s.Computers(o).SaveInventory(ctx, "second", 2, []byte("nine byte")))
		if err := s.Computers(o).SaveInventory(ctx, "second", 3, []byte("ten bytes.")); !errors.Is(err, store.ErrQuota) {
			t.Error(err)
		}
		must(t, s.Computers(o).Remove(ctx, entry("x"), "second"))
		if err := enroll("third"); !errors.Is(err, store.ErrQuota) {
			t.Errorf("one of one is there: %v", err)
		}
		must(t, s.Computers(o).Remove(ctx, entry("x"), of.computer))
		must(t, enroll("third"))
		set(map[store.Quota]int64{store.QuotaComputers: 0})
		if err := enroll("fourth"); !errors.Is(err, store.ErrQuota) {
			t.Errorf("with a quota of none: %v", err)
		}
		set(nil)
		must(t, enroll("fourth"))
		rows, err := s.Quotas(o).Use(ctx, 1)
		must(t, err)
		for _, row := range rows {
			if row.Most != nil {
				t.Errorf("%s has a quota of %d", row.Kind, *row.Most)
			}
		}
	})
}

// Rule: a change of quotas is in the audit of the organization, without the address and
// the sign-in of who is of another, and in that other's with them; what is no change is
// in none.
func TestQuotasAreAudited(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		ctx, o := t.Context(), store.OrganizationID("audited")
		s.AddOrganization(t, o)
		by := entry("olivia")
		by.Organization, by.Address, by.SignInID = store.FirstOrganization, "192.0.2.1", "sign-in"
		for range 2 { // the second changes nothing
			must(t, s.Quotas(o).Set(ctx, by, map[store.Quota]int64{store.QuotaComputers: 5}))
		}
		must(t, s.Quotas(o).Set(ctx, by, map[store.Quota]int64{store.QuotaComputers: 7, store.QuotaPeople: 2}))
		want := []store.Details{{"computers": "unlimited → 5"}, {"computers": "5 → 7", "people": "unlimited → 2"}}
		for organization, from := range map[store.OrganizationID]string{o: "", store.FirstOrganization: "192.0.2.1 sign-in"} {
			all, err := s.Audit(organization).After(ctx, 0, 9)
			must(t, err)
			var said []store.Details
			for _, e := range all {
				said = append(said, e.Details)
				if e.ActorName != "olivia" || strings.TrimSpace(e.Address+" "+e.SignInID) != from {
					t.Errorf("in %s: %+v", organization, e)
				}
			}
			if !reflect.DeepEqual(said, want) {
				t.Errorf("in %s: %v", organization, said)
			}
		}
	})
}

// Rule: a quota is a whole number that is not negative, of a kind that there is, of an
// organization that there is.
func TestQuotasThatCannotBe(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		for field, most := range map[string]map[store.Quota]int64{
			"people":  {store.QuotaPeople: -1},
			"storage": {store.QuotaStorage: store.MaxQuota + 1},
			"cats":    {"cats": 1},
		} {
			if err := s.Quotas(store.FirstOrganization).Set(t.Context(), entry("x"), most); fault.Of(err).Field() != field {
				t.Errorf("%v: %v", most, err)
			}
		}
		if err := s.Quotas("none").Set(t.Context(), entry("x"), nil); !errors.Is(err, store.ErrNotFound) {
			t.Error(err)
		}
		if _, err := s.Quotas("none").Use(t.Context(), 1); !errors.Is(err, store.ErrNotFound) {
			t.Error(err)
		}
		for n, want := range map[int64]string{0: "0 bytes", 999: "999 bytes", 1000: "1 kB", 1_500_000: "1.5 MB", 5_000_000_000: "5 GB"} {
			if got := store.Bytes(n); got != want {
				t.Errorf("%d is %q, want %q", n, got, want)
			}
		}
		rows, err := s.Quotas(store.FirstOrganization).Use(t.Context(), 1)
		must(t, err)
		var kinds []store.Quota
		for _, row := range rows {
			kinds = append(kinds, row.Kind)
		}
		if !slices.Equal(kinds, store.AllQuotas) {
			t.Errorf("%q, want %q", kinds, store.AllQuotas)
		}
	})
}
