package node_test

import (
	"cmp"
	"net/http"
	"slices"
	"strings"
	"testing"

	orielv1 "oriel/protocol/oriel/v1"
	"oriel/relay/internal/api"
	"oriel/relay/internal/audit"
	"oriel/relay/internal/relaytest"
	"oriel/relay/internal/rights"
	"oriel/relay/internal/server"
	"oriel/relay/internal/store"
)

// place is what a grant is on, and which objects of routes.md lie in it.
type place struct {
	name, kind, id string
	in             []string
}

// granting is an organization in which members have nothing but what grants of custom roles
// give. The computer of its things lies in their group, and that in another one.
type granting struct {
	belongings
	r      *relay
	places []place
	roles  map[rights.Permission]string // ids
}

// grantingOf furnishes an organization. object is of the grant among its things.
func (r *relay) grantingOf(code string) *granting {
	g := &granting{belongings: r.furnish(r.organization(code)), r: r, roles: map[rights.Permission]string{}}
	var around, beside struct{ ID string }
	g.owner.do("POST", "/api/v1/groups", object{"name": "Works"}, &around, 201)
	g.owner.do("POST", "/api/v1/groups", object{"name": "Elsewhere"}, &beside, 201)
	computer, group := g.things["/computers/"], g.things["/groups/"]
	g.owner.do("PATCH", "/api/v1/groups/"+group, object{"parent_id": around.ID}, nil, 200)
	g.owner.do("PUT", "/api/v1/computers/"+computer+"/group", object{"group_id": group}, nil, 204)
	other := r.enroll(g.owner, "other").Welcome.GetComputerId()
	g.owner.do("PUT", "/api/v1/computers/"+other+"/group", object{"group_id": beside.ID}, nil, 204)
	g.places = []place{
		{"another group", store.ObjectGroup, beside.ID, nil},
		{"another computer", store.ObjectComputer, other, nil},
		{"the computer", store.ObjectComputer, computer, []string{"computer", "object", "visible"}},
		{"its group", store.ObjectGroup, group, []string{"computer", "object", "visible", "group"}},
		{"the group around that", store.ObjectGroup, around.ID, []string{"computer", "object", "visible", "group"}},
		{"the organization", store.ObjectOrganization, "", []string{"computer", "object", "visible", "group", "organization"}},
	}
	return g
}

// member is somebody new with a custom role of these permissions on a place.
func (g *granting) member(t *testing.T, may rights.Permission, on place) *person {
	t.Helper()
	role := g.roles[may]
	if role == "" {
		role = store.NewID()
		must(t, g.r.wire.Store.Roles(g.o).Add(t.Context(), audit.Command.Did(audit.RoleMade, "role", role),
			store.Role{ID: role, Name: role, Permissions: may.String(), CreatedAt: 1}))
		g.roles[may] = role
	}
	p := g.r.browser()
	_, p.cookie = g.r.wire.MemberOf(t, g.o, store.RoleMember, store.Grant{Role: role, ObjectKind: on.kind, ObjectID: on.id, CreatedAt: 1})
	return p
}

// granted is a new grant on the computer.
func (g *granting) granted() string {
	var made struct{ ID string }
	g.owner.do("POST", "/api/v1/grants", object{"subject": object{"kind": "person", "id": g.names.Replace("{person}")}, "role": "viewer",
		"object": object{"kind": "computer", "id": g.things["/computers/"]}}, &made, 201)
	return made.ID
}

// question is whether somebody with a grant may do what a row of routes.md is about.
type question struct {
	who  string
	may  rights.Permission // of the custom role
	on   place
	want bool
}

// questions about n: with just the permission and with all but that, on each place; those that are refused come first,
// as what the others may remove is there for none after them.
func (g *granting) questions(n need) (all []question) {
	const rest = rights.Everything &^ (rights.Account | rights.About | rights.RelayOperate)
	needed := n.permission &^ (rights.Account | rights.About)
	if n.any {
		return g.questionsOfAny(needed, rest)
	}
	for _, on := range g.places {
		if needed&^rest == 0 && needed != 0 {
			all = append(all, question{"just that on " + on.name, needed, on, slices.Contains(on.in, n.on)})
		}
		if without := rest &^ needed; without.Implied()&needed != needed || needed == 0 {
			all = append(all, question{"all but that on " + on.name, without, on, needed == 0})
		}
	}
	slices.SortStableFunc(all, func(a, b question) int { return cmp.Compare(boolean(a.want), boolean(b.want)) })
	return all
}

// questionsOfAny are those about a list that each of the needed permissions shows something
// in: with one of them, and with all that are and imply none of them.
func (g *granting) questionsOfAny(needed, rest rights.Permission) (all []question) {
	var without rights.Permission
	for one := range rest.Each() {
		if one.Implied()&needed == 0 {
			without |= one
		}
	}
	for _, on := range g.places {
		for one := range needed.Each() {
			all = append(all, question{"just " + one.String() + " on " + on.name, one, on, slices.Contains(on.in, "visible")})
		}
		all = append(all, question{"none of them on " + on.name, without, on, false})
	}
	return all
}

func boolean(b bool) int {
	if b {
		return 1
	}
	return 0
}

// late is how late a route is asked: what removes comes after what is about it.
func late(r server.Route) int {
	switch {
	case r.Method != http.MethodDelete:
		return 0
	case strings.HasSuffix(r.Path, "/computers/{id}"):
		return 2
	}
	return 1
}

// Rule: a custom role that is granted on a computer, on its group, on a group around that or on the organization gives just
// what it holds, there and not elsewhere: every route answers as routes.md says.
func TestRoutesFollowGrants(t *testing.T) {
	r := start(t, settings(t))
	r.owner()
	all := needs(t, "Routes")
	g, theirs := r.grantingOf("mine"), r.furnish(r.organization("theirs"))
	invented := store.NewID()
	of := func(name string) any {
		switch name {
		case "POST /groups":
			return object{"name": "Within", "parent_id": g.things["/groups/"]}
		case "PUT /computers/{id}/group":
			return object{"group_id": g.things["/groups/"]}
		case "POST /approvals":
			return object{"computer": g.things["/computers/"]}
		case "POST /grants":
			return object{"subject": object{"kind": "person", "id": g.things["/people/"]}, "role": "member", "object": object{"kind": "computer", "id": g.things["/computers/"]}}
		}
		if b := bodies[name]; b != nil {
			return b
		}
		return nil
	}
	routes := r.node.Routes()
	slices.SortStableFunc(routes, func(a, b server.Route) int { return cmp.Compare(late(a), late(b)) })
	asked := 0
	for _, route := range routes {
		path, ours := strings.CutPrefix(route.Path, api.Prefix)
		name := route.Method + " " + path
		n, there := all[name]
		if !ours || !there || n.nobody {
			continue // TestRoutesNeedWhatTheTableSays
		}
		at := func(id string) string { return g.names.Replace(strings.ReplaceAll(route.Path, "{id}", id)) }
		own, foreign := g.thing(t, path), theirs.thing(t, path)
		for _, q := range g.questions(n) {
			p := g.member(t, q.may, q.on)
			if asked++; name == "DELETE /grants/{id}" { // one that is gone is on nothing
				own = g.granted()
			}
			if foreign != "" {
				foreignStatus, foreignText := p.answer(route.Method, at(foreign), of(name))
				noStatus, noText := p.answer(route.Method, at(invented), of(name))
				if foreignStatus != noStatus || strings.ReplaceAll(foreignText, foreign, invented) != noText {
					t.Errorf("%s, %s: of another's %d %.300s, of what does not exist %d %.300s", name, q.who, foreignStatus, foreignText, noStatus, noText)
				}
			}
			status, text := p.answer(route.Method, at(own)+finding[name], of(name))
			if n.on == "visible" {
				listed := cmp.Or(g.things[path+"/"], g.things["/computers/"])
				if shown := strings.Contains(text, listed) || finds(text); shown != q.want || status != http.StatusOK {
					t.Errorf("%s, %s, shows what is there: %v; %d", name, q.who, shown, status)
				}
				continue
			}
			if mayNot(status, text) == q.want || status >= 500 {
				t.Errorf("%s (%s on %s), %s: may %v; %d %.300s", name, n.permission, n.on, q.who, q.want, status, text)
			}
		}
	}
	t.Logf("%d questions", asked)
}

// Rule: every message of a tab that needs a permission is answered by what grants of custom roles give, there and not elsewhere.
func TestMessagesFollowGrants(t *testing.T) {
	r := start(t, settings(t))
	r.owner()
	g := r.grantingOf("mine")
	computer := g.things["/computers/"]
	g.owner.do("DELETE", "/api/v1/computers/"+computer+"/twins", nil, nil, 204)
	for name, n := range needs(t, "Messages") {
		if n.permission == 0 || name == "attach_session" || name == "change_scopes" {
			continue // about one's own session, which TestMessagesNeedWhatTheTableSays and the broker's tests have
		}
		for _, q := range g.questions(n) {
			tab := relaytest.OpenTab(t, r.wire, g.member(t, q.may, q.on).cookie)
			one := said[name].say(computer, "")
			one.Id = 1
			before := g.agent.Has(prepared)
			tab.Say(one)
			tab.Say(&orielv1.FromConsole{Id: 2})
			var code orielv1.Code
			var seen []string
			tab.Take("an answer", func(got *orielv1.ToConsole) bool {
				if got.GetProblem().GetReplyTo() == 1 {
					code = got.GetProblem().GetCode()
				}
				return got.GetProblem().GetReplyTo() == 2
			})
			switch name {
			case "open_session":
				if (code == orielv1.Code_CODE_FORBIDDEN) == q.want {
					t.Errorf("%s, %s: may %v; %s", name, q.who, q.want, code)
				}
			case "watch":
				for _, c := range tab.Take("computers", func(m *orielv1.ToConsole) bool { return m.GetComputers() != nil }).GetComputers().GetComputers() {
					seen = append(seen, c.GetId())
				}
				if slices.Contains(seen, computer) != q.want {
					t.Errorf("%s, %s, shows %q", name, q.who, seen)
				}
			case "prepare_session":
				if !q.want && !before && g.agent.Has(prepared) {
					t.Errorf("%s, %s, has the computer prepare", name, q.who)
				}
			default:
				t.Errorf("%s is not in this test: say what shows that it was done", name)
			}
			_ = tab.Conn.Close()
		}
	}
}

func prepared(m *orielv1.ToAgent) bool { return m.GetPrepare() != nil }
