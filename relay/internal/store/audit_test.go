package store_test

import (
	"context"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"

	"oriel/relay/internal/store"
	"oriel/relay/internal/store/storetest"
)

// Of the relay's own handles, the methods that take an entry: each prepares what it
// changes and returns the change. Those of an organization's handles are in reaches.
var relaysChanges = map[string]func(ctx context.Context, t *testing.T, s *store.Store, of belongings) (change func() error){
	"People.PutRecoveryToken": func(ctx context.Context, t *testing.T, s *store.Store, _ belongings) func() error {
		ann(ctx, t, s)
		return func() error { return s.People().PutRecoveryToken(ctx, entry("x"), []byte("recovery"), 1, 9) }
	},
	"People.PutOwnerToken": func(ctx context.Context, _ *testing.T, s *store.Store, _ belongings) func() error {
		return func() error { return s.People().PutOwnerToken(ctx, entry("x"), []byte("owner"), 1, 9) }
	},
	"People.Recover": func(ctx context.Context, t *testing.T, s *store.Store, _ belongings) func() error {
		ann(ctx, t, s)
		must(t, s.People().PutRecoveryToken(ctx, entry("x"), []byte("recovery"), 1, 9))
		return func() error {
			_, _, err := s.People().Recover(ctx, entry("x"), []byte("recovery"), 2, "another")
			return err
		}
	},
	"People.CreateOwner": func(ctx context.Context, t *testing.T, s *store.Store, _ belongings) func() error {
		must(t, s.People().PutOwnerToken(ctx, entry("x"), []byte("owner"), 1, 9))
		return func() error {
			return s.People().CreateOwner(ctx, entry("x"), []byte("owner"), 2, store.Person{ID: "p"}, email(1), "")
		}
	},
	"People.SaveKnownKey": func(ctx context.Context, t *testing.T, s *store.Store, of belongings) func() error {
		ann(ctx, t, s)
		return func() error {
			return s.People().SaveKnownKey(ctx, entry("x"), store.KnownKey{PersonID: "ann", ComputerID: of.computer, MachineKey: []byte("k")}, nil, 9)
		}
	},
	"People.SetPassword": func(ctx context.Context, t *testing.T, s *store.Store, _ belongings) func() error {
		ann(ctx, t, s)
		return func() error {
			_, err := s.People().SetPassword(ctx, entry("x"), "ann", "another", "")
			return err
		}
	},
	"SignIns.Add": func(ctx context.Context, t *testing.T, s *store.Store, _ belongings) func() error {
		ann(ctx, t, s)
		return func() error {
			return s.SignIns().Add(ctx, entry("x"), store.SignIn{TokenHash: []byte("two"), ID: "in two", PersonID: "ann", Organization: store.FirstOrganization}, "hash")
		}
	},
	"SignIns.Remove": func(ctx context.Context, t *testing.T, s *store.Store, _ belongings) func() error {
		ann(ctx, t, s)
		return func() error {
			_, err := s.SignIns().Remove(ctx, entry("x"), []byte("one"))
			return err
		}
	},
	"SignIns.End": func(ctx context.Context, t *testing.T, s *store.Store, _ belongings) func() error {
		ann(ctx, t, s)
		return func() error { return s.SignIns().End(ctx, entry("x"), "ann", "in one") }
	},
	"SignIns.Switch": func(ctx context.Context, t *testing.T, s *store.Store, of belongings) func() error {
		ann(ctx, t, s)
		must(t, s.Members(store.OrganizationID(of.name)).Add(ctx, entry("x"), store.Member{PersonID: "ann", Role: store.RoleViewer, State: store.Active}))
		return func() error {
			return s.SignIns().Switch(ctx, entry("x"), "ann", "in one", store.OrganizationID(of.name))
		}
	},
	"People.Rename": func(ctx context.Context, _ *testing.T, s *store.Store, of belongings) func() error {
		return func() error { return s.People().Rename(ctx, entry("x"), of.person, "another") }
	},
	"People.SetState": func(ctx context.Context, _ *testing.T, s *store.Store, of belongings) func() error {
		return func() error {
			_, err := s.People().SetState(ctx, entry("x"), of.person, store.Inactive)
			return err
		}
	},
	"People.Delete": func(ctx context.Context, _ *testing.T, s *store.Store, of belongings) func() error {
		return func() error {
			_, err := s.People().Delete(ctx, entry("x"), of.person)
			return err
		}
	},
	"People.AddIdentifier": func(ctx context.Context, _ *testing.T, s *store.Store, of belongings) func() error {
		return func() error {
			id := email(2)
			id.PersonID = of.person
			return s.People().AddIdentifier(ctx, entry("x"), id)
		}
	},
	"People.RemoveIdentifier": func(ctx context.Context, t *testing.T, s *store.Store, of belongings) func() error {
		other := email(2)
		other.PersonID = of.person
		must(t, s.People().AddIdentifier(ctx, entry("x"), other))
		return func() error { return s.People().RemoveIdentifier(ctx, entry("x"), numberOf(of)) }
	},
	"Organizations.Create": func(ctx context.Context, _ *testing.T, s *store.Store, of belongings) func() error {
		return func() error {
			return s.Organizations().Create(ctx, entry("x"), store.Organization{ID: "another", Code: "another"}, store.Person{ID: of.person})
		}
	},
	"Organizations.Rename": func(ctx context.Context, _ *testing.T, s *store.Store, of belongings) func() error {
		return func() error {
			return s.Organizations().Rename(ctx, entry("x"), store.OrganizationID(of.name), "another", "another-code")
		}
	},
	"Organizations.SetSettings": func(ctx context.Context, _ *testing.T, s *store.Store, of belongings) func() error {
		return func() error {
			return s.Organizations().SetSettings(ctx, entry("x"), store.OrganizationID(of.name), "{}", "{ }")
		}
	},
	"Relay.SetSettings": func(ctx context.Context, _ *testing.T, s *store.Store, _ belongings) func() error {
		return func() error { return s.Relay().SetSettings(ctx, entry("x"), new(bool), []string{"example.com"}) }
	},
	"Confirmations.Wait": func(ctx context.Context, _ *testing.T, s *store.Store, of belongings) func() error {
		return func() error { return s.Confirmations().Wait(ctx, entry("x"), waitingOf(of.person)) }
	},
	"Confirmations.TakeBack": func(ctx context.Context, t *testing.T, s *store.Store, of belongings) func() error {
		must(t, s.Confirmations().Wait(ctx, entry("x"), waitingOf(of.person)))
		return func() error { return s.Confirmations().TakeBack(ctx, entry("x"), of.person, "waits") }
	},
	"Confirmations.Confirm": func(ctx context.Context, t *testing.T, s *store.Store, of belongings) func() error {
		must(t, s.Confirmations().Wait(ctx, entry("x"), waitingOf(of.person)))
		return func() error { return s.Confirmations().Confirm(ctx, entry("x"), of.person, []byte("link"), 2) }
	},
	"Confirmations.SignUp": func(ctx context.Context, t *testing.T, s *store.Store, _ belongings) func() error {
		must(t, s.Confirmations().Wait(ctx, entry("x"), waitingOf("")))
		return func() error {
			return s.Confirmations().SignUp(ctx, entry("x"), []byte("link"), 2, store.Person{ID: "new"}, store.Organization{ID: "new", Code: "new"})
		}
	},
	"Secrets.Add": func(ctx context.Context, _ *testing.T, s *store.Store, _ belongings) func() error {
		return func() error { return s.Secrets().Add(ctx, entry("x"), "key", []byte("value"), 1) }
	},
	"Secrets.Rotate": func(ctx context.Context, t *testing.T, s *store.Store, _ belongings) func() error {
		must(t, s.Secrets().Add(ctx, entry("x"), "key", []byte("old"), 1))
		return func() error {
			return s.Secrets().Rotate(ctx, entry("x"), "key", []byte("old"), []byte("new"), store.KeyRotation{NewKey: []byte("new"), OldKey: []byte("old"),
				At: 2, SuccessionSignature: []byte("s"), OldSignature: []byte("o")})
		}
	},
	"Agents.Enroll": func(ctx context.Context, _ *testing.T, s *store.Store, _ belongings) func() error {
		return func() error {
			return s.Agents().Enroll(ctx, entry("x"), &store.Computer{ID: "new", MachineKey: []byte("new"), AddedAt: 1}, []byte("token of Agents.Enroll"))
		}
	},
}

// waitingOf is an address that waits for its owner; of nobody: of who signs up.
func waitingOf(person string) store.Confirmation {
	return store.Confirmation{ID: "waits", TokenHash: []byte("link"), PersonID: person, Email: "New@example.com", EmailKey: "new@example.com", Called: "New", CreatedAt: 1, ExpiresAt: 9}
}

// numberOf is the number by which an organization knows its person.
func numberOf(of belongings) store.Identifier {
	return store.Identifier{PersonID: of.person, Kind: store.Number, Organization: store.OrganizationID(of.name), Key: of.person}
}

// ann is the owner, who is signed in once.
func ann(ctx context.Context, t *testing.T, s *store.Store) {
	must(t, s.People().PutOwnerToken(ctx, entry("x"), []byte("owner"), 1, 9))
	must(t, s.People().CreateOwner(ctx, entry("x"), []byte("owner"), 2, store.Person{ID: "ann", PasswordHash: "hash"}, email(1), ""))
	must(t, s.SignIns().Add(ctx, entry("x"), store.SignIn{TokenHash: []byte("one"), ID: "in one", PersonID: "ann", Organization: store.FirstOrganization}, "hash"))
}

// Rule: where the entry of a change cannot be written, nothing changes and nobody is
// told; where the change cannot, there is no entry. Every method of the store that
// takes an entry is held to it, on both databases.
func TestNoChangeWithoutItsEntry(t *testing.T) {
	storetest.Each(t, noChangeWithoutItsEntry)
}

func noChangeWithoutItsEntry(t *testing.T, s *store.Store) {
	missing := maps.Clone(relaysChanges)
	handles := reflect.TypeFor[*store.Store]()
	for i := range handles.NumMethod() {
		h := handles.Method(i)
		if h.Type.NumOut() != 1 || h.Type.Out(0).Kind() != reflect.Struct {
			continue
		}
		for k := range h.Type.Out(0).NumMethod() {
			m := h.Type.Out(0).Method(k)
			method := h.Name + "." + m.Name
			if !slices.Contains(slices.Collect(m.Type.Ins()), reflect.TypeFor[store.Entry]()) {
				continue
			}
			if relaysChanges[method] == nil && reaches[method] == nil {
				t.Errorf("%s is in no table: write a call of it", method)
				continue
			}
			delete(missing, method)
			t.Run(method, func(t *testing.T) { holdTogether(t, s, method) })
		}
	}
	for method := range missing {
		t.Errorf("%s is in this test's table, and takes no entry", method)
	}
}

func holdTogether(t *testing.T, s *store.Store, method string) {
	prepare := relaysChanges[method]
	// A relay has one first owner, and what other methods left would be read again and again.
	s.Empty(t)
	o := store.OrganizationID(method)
	things := fill(t, s, o)
	change := func() error {
		_, err := reaches[method](t.Context(), s, o, things)
		return err
	}
	if prepare != nil {
		change = prepare(t.Context(), t, s, things)
	}
	told := 0
	s.OnEntry(func(store.OrganizationID) { told++ })
	of := func(audit bool) (tables []string) {
		return slices.DeleteFunc(s.Tables(t), func(name string) bool { return strings.HasPrefix(name, "audit") != audit })
	}
	onlyAnEntry := method == "Audit.Record"
	before := s.Everything(t)
	for what, broken := range map[string][]string{"entry": {"audit"}, "change": of(false)} {
		if what == "change" && onlyAnEntry {
			continue
		}
		mend := s.Break(t, broken...)
		err := change()
		mend()
		if err == nil || !strings.Contains(err.Error(), "broken") {
			t.Errorf("without the %s: %v", what, err)
		}
		if after := s.Everything(t); !maps.Equal(before, after) {
			t.Errorf("without the %s there is something of it:\n%v\n%v", what, before, after)
		}
	}
	if told != 0 {
		t.Errorf("nothing is there, and %d entries were announced", told)
	}
	if err := change(); err != nil {
		t.Fatal("when all is well:", err)
	}
	after := s.Everything(t)
	changed := slices.ContainsFunc(of(false), func(table string) bool { return before[table] != after[table] })
	if changed == onlyAnEntry || strings.Count(after["audit"], "\n") != strings.Count(before["audit"], "\n")+1 || told != 1 {
		t.Errorf("of a change (%v) %d were announced: %s", changed, told, after["audit"])
	}
}
