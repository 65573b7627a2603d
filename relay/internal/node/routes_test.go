package node_test

import (
	"encoding/json"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"

	orielv1 "oriel/protocol/oriel/v1"
	"oriel/relay/internal/api"
	"oriel/relay/internal/relaytest"
	"oriel/relay/internal/rights"
	"oriel/relay/internal/store"
)

// need is a row of routes.md.
type need struct {
	permission rights.Permission // 0: none
	any        bool              // one of those is enough
	nobody     bool              // answers without a sign-in
	on         string
}

// needs reads routes.md: rows by route or message, and those that are not read yet.
func needs(t *testing.T, heading string) map[string]need {
	t.Helper()
	text, err := os.ReadFile("routes.md")
	must(t, err)
	_, part, found := strings.Cut(string(text), "## "+heading+"\n")
	if !found {
		t.Fatal("routes.md has no", heading)
	}
	part, _, _ = strings.Cut(part, "\n## ")
	all := map[string]need{}
	for line := range strings.Lines(part) {
		cells := strings.Split(strings.Trim(strings.TrimSpace(line), "|"), "|")
		if len(cells) != 3 || strings.HasPrefix(cells[0], "---") || strings.TrimSpace(cells[1]) == "permission" {
			continue
		}
		name, permission := strings.TrimSpace(cells[0]), strings.TrimSpace(cells[1])
		n := need{nobody: permission == "nobody", on: strings.TrimSpace(cells[2])}
		if permission != "-" && !n.nobody {
			words := strings.ReplaceAll(permission, " or ", " ")
			n.any = words != permission
			n.permission, err = rights.Parse(words)
			must(t, err)
		}
		if _, twice := all[name]; twice {
			t.Errorf("routes.md has %s twice", name)
		}
		all[name] = n
	}
	return all
}

// roles from the weakest to the strongest: what a weaker one may remove is there for none after it.
var roles = []string{store.RoleMember, store.RoleViewer, store.RoleOperator, store.RoleAdmin, store.RoleOwner}

// holds reports whether a member with a role has what n needs, on all of the organization.
func (n need) holds(t *testing.T, role string) bool {
	t.Helper()
	r, known := rights.BuiltIn(role)
	if !known {
		t.Fatal("no role", role)
	}
	has := r.Permissions&^rights.RelayOperate | rights.Account | rights.About // none is the relay's first organization
	return n.permission&^has == 0 || n.any && n.permission&has != 0
}

// mayNot reports whether an answer says that who asks may not, or is nobody.
func mayNot(status int, text string) bool {
	var p struct{ Code string }
	_ = json.Unmarshal([]byte(text), &p) // a picture is none
	return status == http.StatusForbidden && p.Code == "forbidden" || status == http.StatusUnauthorized && p.Code == "unauthorized"
}

// finding is what is asked of what names nothing that is there, but counts it; finds reports whether it found it.
var finding = map[string]string{"GET /computer-counts": "?q=workshop"}

func finds(text string) bool { return strings.Contains(text, `"found":{"count":1,`) }

// Rule: every route answers each role, in its own organization and about another's, and nobody, as routes.md says; a
// route that is not there fails.
func TestRoutesNeedWhatTheTableSays(t *testing.T) {
	r := start(t, settings(t))
	r.owner()
	all := needs(t, "Routes")
	mine, theirs := r.furnish(r.organization("mine")), r.furnish(r.organization("theirs"))
	invented := store.NewID()
	for _, route := range r.node.Routes() {
		path, of := strings.CutPrefix(route.Path, api.Prefix)
		if !of {
			continue
		}
		name := route.Method + " " + path
		n, there := all[name]
		delete(all, name)
		if !there {
			t.Errorf("%s is not in routes.md: say what it needs", name)
			continue
		}
		body := any(nil)
		if b := bodies[name]; b != nil {
			body = b
		}
		at := func(id string) string { return mine.names.Replace(strings.ReplaceAll(route.Path, "{id}", id)) }
		own, foreign := mine.thing(t, path), theirs.thing(t, path)
		if status, text := r.browser().answer(route.Method, at(own), body); mayNot(status, text) == n.nobody || route.Public != n.nobody {
			t.Errorf("%s as nobody: %d %.300s", name, status, text)
		}
		for _, role := range roles {
			p, signIn := r.member(mine.o, role)
			if strings.HasPrefix(path, "/sign-ins/") {
				own = signIn
			}
			may := n.nobody || n.on == "visible" || n.holds(t, role)
			if foreign != "" {
				foreignStatus, foreignText := p.answer(route.Method, at(foreign), body)
				noStatus, noText := p.answer(route.Method, at(invented), body)
				if foreignStatus != noStatus || strings.ReplaceAll(foreignText, foreign, invented) != noText {
					t.Errorf("%s as %s: of another's %d %.300s, of what does not exist %d %.300s", name, role, foreignStatus, foreignText, noStatus, noText)
				}
			}
			status, text := p.answer(route.Method, at(own)+finding[name], body)
			if mayNot(status, text) == may || status >= 500 {
				t.Errorf("%s as %s, who holds %s: %v; %d %.300s", name, role, n.permission, may, status, text)
			}
			if shown := mine.in(text) || finds(text); n.on == "visible" && shown != n.holds(t, role) {
				t.Errorf("%s as %s shows what is there: %v", name, role, shown)
			}
		}
	}
	for name := range all {
		t.Errorf("routes.md has %s, which is no route", name)
	}
}

// said are the messages of a tab about a computer and a session, and whether one is answered where it is not refused.
var said = map[string]struct {
	say    func(computer, session string) *orielv1.FromConsole
	silent bool
}{
	"watch": {func(string, string) *orielv1.FromConsole {
		return &orielv1.FromConsole{Body: &orielv1.FromConsole_Watch{Watch: &orielv1.Watch{Topics: []orielv1.Topic{orielv1.Topic_TOPIC_COMPUTERS}}}}
	}, true},
	"open_session": {func(computer, _ string) *orielv1.FromConsole {
		return &orielv1.FromConsole{Body: &orielv1.FromConsole_OpenSession{OpenSession: &orielv1.OpenSession{Attempt: 1, ComputerId: computer,
			Wanted: relaytest.Watching, Sdp: relaytest.SDP((&relaytest.Tab{}).Certificate())}}}
	}, false},
	"candidate": {func(_, session string) *orielv1.FromConsole {
		return &orielv1.FromConsole{Body: &orielv1.FromConsole_Candidate{Candidate: &orielv1.Candidate{Attempt: 1, SessionId: session}}}
	}, true},
	"close_session": {func(_, session string) *orielv1.FromConsole {
		return &orielv1.FromConsole{Body: &orielv1.FromConsole_CloseSession{CloseSession: &orielv1.CloseSession{SessionId: session}}}
	}, false},
	"attach_session": {func(_, session string) *orielv1.FromConsole {
		return &orielv1.FromConsole{Body: &orielv1.FromConsole_AttachSession{AttachSession: &orielv1.AttachSession{SessionId: session}}}
	}, false},
	"renew_ice": {func(string, string) *orielv1.FromConsole {
		return &orielv1.FromConsole{Body: &orielv1.FromConsole_RenewIce{RenewIce: &orielv1.RenewIce{}}}
	}, true},
	"prepare_session": {func(computer, _ string) *orielv1.FromConsole {
		return &orielv1.FromConsole{Body: &orielv1.FromConsole_PrepareSession{PrepareSession: &orielv1.PrepareSession{ComputerId: computer}}}
	}, true},
	"change_scopes": {func(_, session string) *orielv1.FromConsole {
		return &orielv1.FromConsole{Body: &orielv1.FromConsole_ChangeScopes{ChangeScopes: &orielv1.ChangeScopes{SessionId: session, Wanted: relaytest.Watching}}}
	}, false},
}

// Rule: every message of a tab is answered each role, in its own organization and about another's, as routes.md says;
// a message that is not there fails. Sessions are one's own: of anybody else's they are as what does not exist, and one's
// own goes on only with the permission (broker/rights_test.go).
func TestMessagesNeedWhatTheTableSays(t *testing.T) {
	r := start(t, settings(t))
	r.owner()
	all := needs(t, "Messages")
	mine, theirs := r.furnish(r.organization("mine")), r.furnish(r.organization("theirs"))
	for _, b := range []belongings{mine, theirs} {
		b.owner.do("DELETE", "/api/v1/computers/"+b.things["/computers/"]+"/twins", nil, nil, 204)
	}
	fields := (&orielv1.FromConsole{}).ProtoReflect().Descriptor().Oneofs().ByName("body").Fields()
	var names []string
	for i := range fields.Len() {
		names = append(names, string(fields.Get(i).Name()))
	}
	for _, name := range names {
		n, there := all[name]
		delete(all, name)
		m, can := said[name]
		if !there || !can {
			t.Errorf("%s is not in routes.md, or not in this test: say what it needs", name)
			continue
		}
		for _, role := range roles {
			p, _ := r.member(mine.o, role)
			tab := relaytest.OpenTab(t, r.wire, p.cookie)
			number := uint32(0)
			// answers says the message and returns the code of the Problem; what is not answered is followed by an ask that is.
			answers := func(computer, session string) orielv1.Code {
				number += 2
				one := m.say(computer, session)
				one.Id = number
				tab.Say(one)
				tab.Say(&orielv1.FromConsole{Id: number + 1})
				var code orielv1.Code
				tab.Take("an answer", func(got *orielv1.ToConsole) bool {
					if p := got.GetProblem(); p.GetReplyTo() == number {
						code = p.GetCode()
					}
					return got.GetProblem().GetReplyTo() == number+1
				})
				return code
			}
			foreign, none := answers(theirs.things["/computers/"], theirs.things["/sessions/"]), answers(store.NewID(), store.NewID())
			if foreign != none {
				t.Errorf("%s as %s: of another's %s, of what does not exist %s", name, role, foreign, none)
			}
			got := answers(mine.things["/computers/"], mine.things["/sessions/"])
			switch {
			case name == "attach_session" || name == "close_session" || name == "change_scopes":
				// The session is somebody else's; permissions that are asked before it are refused.
				if got != none {
					t.Errorf("%s as %s: of a colleague's session %s, of what does not exist %s", name, role, got, none)
				}
			case m.silent && got != 0:
				t.Errorf("%s as %s: %s", name, role, got)
			case !m.silent && (got == orielv1.Code_CODE_FORBIDDEN) == n.holds(t, role):
				t.Errorf("%s as %s, who holds %s: %v; %s", name, role, n.permission, n.holds(t, role), got)
			}
			if name == "watch" {
				s := tab.Take("computers", func(m *orielv1.ToConsole) bool { return m.GetComputers() != nil }).GetComputers()
				if (len(s.GetComputers()) == 1) != n.holds(t, role) {
					t.Errorf("watch as %s shows %d computers", role, len(s.GetComputers()))
				}
			}
			prepared := mine.agent.Has(func(m *orielv1.ToAgent) bool { return m.GetPrepare() != nil })
			if name == "prepare_session" && !n.holds(t, role) && prepared {
				t.Errorf("%s has the computer prepare", role)
			}
			_ = tab.Conn.Close()
		}
	}
	for name := range all {
		t.Errorf("routes.md has %s, which is no message", name)
	}
	for name := range said {
		if !slices.Contains(names, name) {
			t.Errorf("this test has %s, which is no message", name)
		}
	}
}
