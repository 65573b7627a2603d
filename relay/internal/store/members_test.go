package store_test

import (
	"errors"
	"reflect"
	"slices"
	"sync"
	"testing"

	"oriel/relay/internal/store"
	"oriel/relay/internal/store/storetest"
)

// Rule: an organization keeps an active owner, whatever is done to its last one, also
// when two owners are changed at once.
func TestTheLastOwnerStays(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		ctx, o := t.Context(), store.OrganizationID("o")
		b := fill(t, s, o)
		ways := map[string]func(person string) error{
			"role":   func(p string) error { return s.Members(o).SetRole(ctx, entry("x"), p, store.RoleAdmin) },
			"state":  func(p string) error { _, err := s.Members(o).SetState(ctx, entry("x"), p, store.Inactive); return err },
			"remove": func(p string) error { _, err := s.Members(o).Remove(ctx, entry("x"), p); return err },
			"person": func(p string) error { _, err := s.People().SetState(ctx, entry("x"), p, store.Inactive); return err },
			"delete": func(p string) error { _, err := s.People().Delete(ctx, entry("x"), p); return err },
		}
		for name, way := range ways {
			if err := way(b.owner); !errors.Is(err, store.ErrLastOwner) {
				t.Errorf("%s of the last owner: %v", name, err)
			}
		}
		for range 20 {
			for _, p := range []string{b.owner, b.person} {
				must(t, s.Members(o).SetRole(ctx, entry("x"), p, store.RoleOwner))
			}
			var wg sync.WaitGroup
			errs, begin := make([]error, 2), make(chan struct{})
			for i, p := range []string{b.owner, b.person} {
				wg.Go(func() {
					<-begin
					errs[i] = ways["role"](p)
				})
			}
			close(begin)
			wg.Wait()
			if (errs[0] == nil) == (errs[1] == nil) || !errors.Is(errors.Join(errs...), store.ErrLastOwner) {
				t.Fatalf("of two owners at once: %v", errs)
			}
		}
	})
}

// Rule: a group is never within itself nor too deep, what is moved keeps what is in it,
// and only an empty one is removed.
func TestGroupsAreATree(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		ctx, o := t.Context(), store.OrganizationID("o")
		b := fill(t, s, o)
		for _, into := range []string{b.group, b.inner} {
			if err := s.Groups(o).Move(ctx, entry("x"), b.group, into); !errors.Is(err, store.ErrGroupTree) {
				t.Errorf("into %s: %v", into, err)
			}
		}
		must(t, s.Groups(o).Move(ctx, entry("x"), b.group, b.empty))
		if place, err := s.Computers(o).Place(ctx, b.computer); err != nil || !slices.Equal(place, []string{b.inner, b.group, b.empty}) {
			t.Fatal(place, err)
		}
		for _, id := range []string{b.empty, b.inner} {
			if err := s.Groups(o).Remove(ctx, entry("x"), id); !errors.Is(err, store.ErrInUse) {
				t.Errorf("%s was removed: %v", id, err)
			}
		}
		parent := b.inner
		for i := range store.MaxGroupDepth {
			g := store.Group{ID: store.NewID(), ParentID: parent, Name: "deep"}
			err := s.Groups(o).Add(ctx, entry("x"), g)
			if deep := i+4 > store.MaxGroupDepth; deep != errors.Is(err, store.ErrGroupTree) || !deep && err != nil {
				t.Fatalf("at %d: %v", i+4, err)
			}
			parent = g.ID
			if err != nil {
				break
			}
		}
	})
}

// Rule: who sees a group sees what is in the groups within it, and nothing else, in the
// list and in the journal.
func TestGroupsAreVisible(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		ctx, o := t.Context(), store.OrganizationID("o")
		b := fill(t, s, o)
		for name, c := range map[string]struct {
			v    store.Visibility
			want bool
		}{
			"its group":     {store.Visibility{Groups: []string{b.inner}}, true},
			"one around it": {store.Visibility{Groups: []string{"?", b.group}}, true},
			"another":       {store.Visibility{Groups: []string{b.empty}}, false},
			"another or it": {store.Visibility{Groups: []string{b.empty}, Computers: []string{b.computer}}, true},
		} {
			all, err := s.Computers(o).List(ctx, c.v)
			rows, err2 := s.Sessions(o).Page(ctx, c.v, store.SessionFilter{}, 9)
			one, err3 := s.Computers(o).Get(ctx, b.computer)
			if err := errors.Join(err, err2, err3); err != nil {
				t.Fatal(err)
			}
			if len(all) == 1 != c.want || len(rows) == 1 != c.want || c.v.Includes(one.ID, one.GroupPath) != c.want {
				t.Errorf("%s: %v, %v", name, all, rows)
			}
		}
	})
}

// Rule: one statement tells all that an authority rests on, and of who is inactive it
// tells of no grant.
func TestAuthority(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		ctx, o := t.Context(), store.OrganizationID("o")
		b := fill(t, s, o)
		if _, err := s.Approvals(o).Decide(ctx, entry("x"), b.approval, b.person, store.Approved, 2, 90); !errors.Is(err, store.ErrConflict) {
			t.Fatal("the asker decided:", err)
		}
		if _, err := s.Approvals(o).Decide(ctx, entry("x"), b.approval, b.owner, store.Approved, 2, 90); err != nil {
			t.Fatal(err)
		}
		must(t, s.Grants(o).Add(ctx, entry("x"), store.Grant{ID: "own", SubjectKind: store.SubjectPerson, SubjectID: b.person, Role: store.RoleViewer,
			ObjectKind: store.ObjectComputer, ObjectID: b.computer}))
		for name, read := range map[string]func() (store.Authority, error){
			"sign-in": func() (store.Authority, error) { return s.SignIns().Authority(ctx, []byte("sign-in of o"), 5) },
			"key":     func() (store.Authority, error) { return s.People().ByKey(ctx, []byte(b.key), 5) },
		} {
			a, err := read()
			if err != nil || a.Person.ID != b.person || a.SignIn.Organization != o || a.Role != b.role || a.Permissions != "see" ||
				!slices.Equal(a.Teams, []string{b.team}) || len(a.Grants) != 2 || !a.Active() {
				t.Fatalf("%s: %+v, %v", name, a, err)
			}
			own, team := a.Grants[0], a.Grants[1]
			if own.ID != "own" || !slices.Equal(own.Groups, []string{b.inner, b.group}) || own.Permissions != "" ||
				team.ID != b.grant || !slices.Equal(team.Groups, []string{b.group}) || team.Permissions != "see" ||
				!reflect.DeepEqual(team.Approved, []store.Standing{{ComputerID: b.computer, Groups: []string{b.inner, b.group}, UntilAt: 90}}) {
				t.Errorf("%s: %+v", name, a.Grants)
			}
		}
		if _, err := s.Members(o).SetState(ctx, entry("x"), b.person, store.Inactive); err != nil {
			t.Fatal(err)
		}
		if a, err := s.People().ByKey(ctx, []byte(b.key), 5); err != nil || a.Active() || len(a.Grants) != 0 {
			t.Fatalf("inactive: %+v, %v", a, err)
		}
		if _, err := s.SignIns().Authority(ctx, []byte("sign-in of o"), 5); !errors.Is(err, store.ErrNotFound) {
			t.Fatal("an inactive member is signed in:", err)
		}
	})
}
