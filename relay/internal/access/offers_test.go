package access_test

import (
	"slices"
	"testing"
	"time"

	"oriel/relay/internal/access"
	"oriel/relay/internal/rights"
	"oriel/relay/internal/store"
	"oriel/relay/internal/store/storetest"
)

// Rule: what is offered on a computer is what may be done on it, permission by permission: by
// the role as a member, and by a grant on one object, there and not elsewhere.
func TestOffersAreWhatOneMay(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		ctx, a := t.Context(), open(t, s, access.Options{})
		m := newMembers(t, s, a, time.Now)
		role := store.Role{ID: "keeper", Name: "Keeper", Permissions: (rights.See | rights.GroupsManage | rights.PeopleManage).String()}
		m.must(s.Roles(first).Add(ctx, by, role))
		g := m.grant("g1", store.SubjectPerson, "bob", store.ObjectGroup, "offices")
		g.Role = role.ID
		m.must(s.Grants(first).Add(ctx, by, g))
		bob, _ := m.signIn(first, "bob")
		all, err := s.Computers(first).List(ctx, store.Everything)
		m.must(err)
		for _, who := range []access.Identity{m.ada, bob} {
			offers, err := a.Offers(ctx, who)
			m.must(err)
			for _, c := range all {
				said := offers.On(c.ID, c.GroupPath)
				for one := range rights.OnComputer.Each() {
					may := a.May(ctx, who, one, access.Computer(c.ID)) == nil
					if slices.Contains(said, one.String()) != may {
						t.Errorf("%s may %s on %s: %v, and is offered %v", who.Name, one, c.ID, may, said)
					}
				}
			}
			if offers.OnGroups() != (who.PersonID == "bob") {
				t.Errorf("%s: groups matter: %v", who.Name, offers.OnGroups())
			}
		}
		his, _ := a.Offers(ctx, bob)
		hers, _ := a.Offers(ctx, m.ada)
		if len(his.On("apart", "")) != 0 || his.Key() == hers.Key() {
			t.Error("what was given on a group is offered elsewhere, or the keys are the same")
		}
	})
}
