package people_test

import (
	"errors"
	"slices"
	"testing"
	"time"

	"oriel/relay/internal/access"
	"oriel/relay/internal/page"
	"oriel/relay/internal/people"
	"oriel/relay/internal/relaytest"
	"oriel/relay/internal/store"
)

// Rule: who manages people is told of each member what they may on a computer and what gives
// it, by name (of the organization's own roles, too: who manages people there alone may not
// list those), and what is in the way of the rest; page by page.
func TestWhoReachesAComputer(t *testing.T) {
	o := open(t)
	ctx := t.Context()
	desk := relaytest.NewMachine("desk").Connect(t, o.Node, o.Token(t, 1)).Welcome.GetComputerId()
	on := access.Computer(desk)
	custom := must[people.Role](t)(o.CreateRole(ctx, o.owner, "Night guard", []string{"connect"}))
	bob, _ := o.Node.Member(t, custom.ID)
	eve, _ := o.Node.Member(t, store.RoleMember)
	team := must[people.Team](t)(o.CreateTeam(ctx, o.owner, "night shift"))
	if err := o.JoinTeam(ctx, o.owner, team.ID, bob.PersonID); err != nil {
		t.Fatal(err)
	}
	later := time.Now().Add(time.Hour)
	object := people.Ref{Kind: "computer", ID: desk}
	now := must[people.Grant](t)(o.CreateGrant(ctx, o.owner, people.NewGrant{Subject: people.Ref{Kind: "team", ID: team.ID}, Object: object, Role: custom.ID}))
	soon := must[people.Grant](t)(o.CreateGrant(ctx, o.owner, people.NewGrant{Subject: people.Ref{Kind: "person", ID: eve.PersonID}, Object: object, Role: store.RoleViewer, From: &later}))

	all := map[string]people.Reach{}
	r := page.Request{Limit: 1, Sort: "name"}
	for pages := 1; ; pages++ {
		p := must[page.Page[people.Reach]](t)(o.Reaches(ctx, o.owner, on, r))
		for _, one := range p.Items {
			all[one.Person.ID] = one
		}
		if r.Cursor = p.Next; p.Next == "" {
			if pages != 3 || len(all) != 3 {
				t.Errorf("%d pages of %v", pages, all)
			}
			break
		}
	}
	boss := all[o.owner.PersonID]
	if len(boss.By) != 1 || boss.By[0].Role != store.RoleOwner || boss.By[0].Grant != "" || !slices.Contains(boss.Allowed, "control") {
		t.Errorf("the owner: %+v", boss)
	}
	by := slices.IndexFunc(all[bob.PersonID].By, func(b people.Because) bool { return b.Grant == now.ID })
	if by < 0 || !slices.Contains(all[bob.PersonID].Allowed, "connect") {
		t.Fatalf("one of the team: %+v", all[bob.PersonID])
	}
	if b := all[bob.PersonID].By[by]; b.Role != custom.ID || b.RoleName != "Night guard" || b.Team == nil || b.Team.Name != "night shift" || b.On == nil || b.On.Name != "desk" {
		t.Errorf("by the team: %+v", b)
	}
	if b := all[bob.PersonID].By; !slices.ContainsFunc(b, func(b people.Because) bool { return b.Grant == "" && b.RoleName == "Night guard" }) {
		t.Errorf("by the role as a member: %+v", b)
	}
	if now.RoleName != "Night guard" || soon.RoleName != "" {
		t.Errorf("the grants' roles are called %q and %q", now.RoleName, soon.RoleName)
	}
	not := slices.IndexFunc(all[eve.PersonID].Missing, func(w people.WhyNot) bool { return w.Grant == soon.ID })
	if not < 0 || slices.Contains(all[eve.PersonID].Allowed, "connect") {
		t.Fatalf("one whose grant has not begun: %+v", all[eve.PersonID])
	}
	if w := all[eve.PersonID].Missing[not]; w.Reason != "not_begun" || w.Team != nil || w.From == nil || w.From.UnixMilli() != later.UnixMilli() {
		t.Errorf("what has not begun: %+v", w)
	}
	one := must[people.Reach](t)(o.Reach(ctx, o.owner, bob.PersonID, on))
	if !slices.Equal(one.Allowed, all[bob.PersonID].Allowed) || one.Person.Name != bob.Name {
		t.Errorf("of one it is %+v, of all %+v", one, all[bob.PersonID])
	}
	if _, err := o.Reach(ctx, o.owner, "nobody", on); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("of nobody: %v", err)
	}
}

// Rule: who manages people is told of all computers that one member sees, by their names and
// page by page, with what they may there and what gives it; these are the computers on whose
// own list the member may see something, and no others.
func TestWhatAMemberReaches(t *testing.T) {
	o := open(t)
	ctx := t.Context()
	site := must[people.Group](t)(o.CreateGroup(ctx, o.owner, "", "site"))
	floor := must[people.Group](t)(o.CreateGroup(ctx, o.owner, site.ID, "floor"))
	ids := map[string]string{}
	for _, name := range []string{"attic", "Barn", "cellar", "den"} {
		ids[name] = relaytest.NewMachine(name).Connect(t, o.Node, o.Token(t, 1)).Welcome.GetComputerId()
	}
	for _, name := range []string{"attic", "Barn"} {
		if err := o.MoveComputer(ctx, o.owner, ids[name], floor.ID); err != nil {
			t.Fatal(err)
		}
	}
	later := store.Grant{Role: store.RoleViewer, ObjectKind: store.ObjectComputer, ObjectID: ids["den"], FromAt: time.Now().Add(time.Hour).UnixMilli()}
	bob, _ := o.Node.Member(t, store.RoleMember, store.Grant{Role: store.RoleViewer, ObjectKind: store.ObjectGroup, ObjectID: site.ID},
		store.Grant{Role: store.RoleOperator, ObjectKind: store.ObjectComputer, ObjectID: ids["cellar"], Approval: true}, later)
	eve, _ := o.Node.Member(t, store.RoleMember)
	reached := func(person string) (names []string, all map[string]people.Reach) {
		all = map[string]people.Reach{}
		r := page.Request{Limit: 1, Sort: "name"}
		for {
			p := must[page.Page[people.Reach]](t)(o.ReachedComputers(ctx, o.owner, person, r))
			for _, one := range p.Items {
				names, all[one.Object.ID] = append(names, one.Object.Name), one
			}
			if r.Cursor = p.Next; p.Next == "" {
				return names, all
			}
		}
	}
	for person, want := range map[string][]string{o.owner.PersonID: {"attic", "Barn", "cellar", "den"}, bob.PersonID: {"attic", "Barn", "cellar"}, eve.PersonID: nil} {
		names, all := reached(person)
		if !slices.Equal(names, want) {
			t.Errorf("reached are %q, want %q", names, want)
		}
		for name, id := range ids {
			there := must[people.Reach](t)(o.Reach(ctx, o.owner, person, access.Computer(id)))
			here, is := all[id]
			if is != slices.Contains(there.Allowed, "see") || is && (!slices.Equal(here.Allowed, there.Allowed) || len(here.By) != len(there.By) || here.Person != there.Person) {
				t.Errorf("on %s: %v %+v, by itself %+v", name, is, here, there)
			}
		}
	}
	_, all := reached(bob.PersonID)
	if b := all[ids["attic"]].By; !slices.ContainsFunc(b, func(b people.Because) bool { return b.Role == store.RoleViewer && b.On != nil && b.On.Name == "site" }) {
		t.Errorf("by the group: %+v", b)
	}
	if m := all[ids["cellar"]].Missing; !slices.ContainsFunc(m, func(w people.WhyNot) bool { return w.Reason == "needs_approval" }) {
		t.Errorf("what needs approval: %+v", m)
	}
	p := must[page.Page[people.Reach]](t)(o.ReachedComputers(ctx, o.owner, bob.PersonID, page.Request{Sort: "name", Words: "BAR"}))
	if len(p.Items) != 1 || p.Items[0].Object.ID != ids["Barn"] {
		t.Errorf("looked for: %+v", p)
	}
	if _, err := o.ReachedComputers(ctx, o.owner, "nobody", page.Request{Sort: "name"}); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("of nobody: %v", err)
	}
}
