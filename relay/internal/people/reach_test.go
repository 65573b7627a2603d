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
// it, by name, and what is in the way of the rest; page by page.
func TestWhoReachesAComputer(t *testing.T) {
	o := open(t)
	ctx := t.Context()
	desk := relaytest.NewMachine("desk").Connect(t, o.Node, o.Token(t, 1)).Welcome.GetComputerId()
	on := access.Computer(desk)
	bob, _ := o.Node.Member(t, store.RoleMember)
	eve, _ := o.Node.Member(t, store.RoleMember)
	team := must[people.Team](t)(o.CreateTeam(ctx, o.owner, "night shift"))
	if err := o.JoinTeam(ctx, o.owner, team.ID, bob.PersonID); err != nil {
		t.Fatal(err)
	}
	later := time.Now().Add(time.Hour)
	object := people.Ref{Kind: "computer", ID: desk}
	now := must[people.Grant](t)(o.CreateGrant(ctx, o.owner, people.NewGrant{Subject: people.Ref{Kind: "team", ID: team.ID}, Object: object, Role: store.RoleViewer}))
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
	if b := all[bob.PersonID].By[by]; b.Role != store.RoleViewer || b.Team == nil || b.Team.Name != "night shift" || b.On == nil || b.On.Name != "desk" {
		t.Errorf("by the team: %+v", b)
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
