package node_test

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"image"
	"image/jpeg"
	"io"
	"net/http"
	"strings"
	"testing"

	orielv1 "oriel/protocol/oriel/v1"
	"oriel/relay/internal/api"
	"oriel/relay/internal/audit"
	"oriel/relay/internal/relaytest"
	"oriel/relay/internal/store"
)

// organization makes one more, with an owner who never signs in.
func (r *relay) organization(code string) store.OrganizationID {
	r.t.Helper()
	o := store.OrganizationID(store.NewID())
	owner := store.Person{ID: store.NewID(), Name: "Owner of " + code, CreatedAt: 1}
	err := r.wire.Store.Organizations().Create(r.t.Context(), audit.Command.Did("test.made", "organization", string(o)),
		store.Organization{ID: o, Name: code, Code: code, CreatedAt: 1}, owner,
		store.Identifier{Kind: store.Email, Key: code + "@example.com", Text: code + "@example.com", CreatedAt: 1})
	must(r.t, err)
	return o
}

// member makes somebody with a role in an organization, signed in at a browser of their own.
func (r *relay) member(o store.OrganizationID, role string) (p *person, signIn string) {
	r.t.Helper()
	p = r.browser()
	who, cookie := r.wire.MemberOf(r.t, o, role)
	p.cookie = cookie
	return p, who.SignInID
}

// answer asks and returns status and body, whatever they are.
func (p *person) answer(method, path string, body any) (status int, text string) {
	p.t.Helper()
	var in io.Reader
	if body != nil {
		b, err := json.Marshal(body)
		must(p.t, err)
		in = bytes.NewReader(b)
	}
	r, err := http.NewRequestWithContext(p.t.Context(), method, p.url+path, in)
	must(p.t, err)
	if body != nil {
		r.Header.Set("Content-Type", "application/json")
	}
	if p.cookie != nil {
		r.AddCookie(p.cookie)
	}
	res, err := p.client.Do(r)
	must(p.t, err)
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	must(p.t, err)
	return res.StatusCode, string(b)
}

// bodies are what each route takes that takes one, as it would be done.
var bodies = map[string]object{
	"PUT /policies/{object}/{id}":  {"version": 0, "settings": object{"session_minutes": 60}},
	"POST /sign-in":                {"login": "nobody@example.com", "password": "a wrong password"},
	"POST /owner":                  {"token": "none", "name": "N", "email": "n@example.com", "password": "a long password"},
	"POST /recover":                {"token": "none", "password": "a long password"},
	"POST /password":               {"current": "a wrong password", "password": "a long password"},
	"PATCH /computers/{id}":        {"name": "taken over"},
	"POST /computers/{id}/split":   {"mark": "i:02"},
	"PUT /computers/{id}/group":    {"group_id": ""},
	"PATCH /computers":             {"ids": []string{"00000000-0000-7000-8000-00000000000a"}, "tag": []string{"desk"}},
	"POST /computer-fields":        {"name": "Inventory number"},
	"PATCH /computer-fields/{id}":  {"name": "taken over"},
	"POST /me/views":               {"name": "Offline", "query": "status=offline"},
	"PATCH /me/views/{id}":         {"name": "taken over"},
	"PUT /me/keys/{id}":            {"key": bytes.Repeat([]byte{1}, 32)},
	"POST /enrollment-tokens":      {"note": "desk"},
	"POST /computers/{id}/refresh": nil,

	"POST /member-invitations":         {"email": "ada@example.org", "role": "viewer"},
	"POST /join/invitation":            {"token": "none"},
	"POST /join":                       {"token": "none", "name": "N", "password": "a long password"},
	"POST /me/organizations":           {"token": "none"},
	"POST /me/email-addresses":         {"email": "nobody@example.com"},
	"POST /me/email-addresses/confirm": {"token": "none"},
	"POST /sign-up":                    {"email": "nobody@example.com", "organization": "Nobody's"},
	"POST /sign-up/link":               {"token": "none"},
	"POST /sign-up/account":            {"token": "none", "name": "N", "password": "a long password"},
	"PATCH /relay/settings":            {"staff_domains": []string{"example.net"}},
	"POST /people":                     {"name": "robot", "role": "viewer"},
	"PATCH /people/{id}":               {"state": "inactive"},
	"POST /people/{id}/identifiers":    {"kind": "number", "text": "4711"},
	"POST /roles":                      {"name": "helper", "permissions": []string{"see"}},
	"PATCH /roles/{id}":                {"name": "taken over"},
	"POST /teams":                      {"name": "second level"},
	"PATCH /teams/{id}":                {"name": "taken over"},
	"POST /groups":                     {"name": "Berlin"},
	"PATCH /groups/{id}":               {"name": "taken over"},
	"POST /grants":                     {"subject": object{"kind": "person", "id": "00000000-0000-7000-8000-00000000000a"}, "role": "viewer", "object": object{"kind": "organization"}},
	"POST /approvals":                  {"computer": "00000000-0000-7000-8000-00000000000a"},
	"POST /approvals/{id}/approve":     {},
	"POST /me/api-keys":                {"name": "mine", "permissions": []string{"see"}},
	"POST /api-keys":                   {"person": "00000000-0000-7000-8000-00000000000a", "name": "report", "permissions": []string{"see"}},
	"POST /me/organization":            {"id": "00000000-0000-7000-8000-00000000000a"},
	"PATCH /organization":              {"name": "taken over"},
	"POST /organizations":              {"name": "Acme", "code": "acme"},
	"PUT /organizations/{id}/quotas":   {"computers": 1},
}

// unfit are routes whose bodies name something that is not there, and those for who operates the relay.
var unfit = map[string]bool{"POST /me/organizations": true, "POST /grants": true, "POST /approvals": true, "POST /api-keys": true, "POST /me/organization": true,
	"POST /me/email-addresses": true, "POST /me/email-addresses/confirm": true, // there is no mail
	"GET /organizations": true, "POST /organizations": true, "GET /relay/settings": true, "PATCH /relay/settings": true,
	"GET /organizations/{id}/quotas": true, "PUT /organizations/{id}/quotas": true}

// belongings are one thing of each kind that an organization has, by how the addresses of
// routes begin that are about one.
type belongings struct {
	o      store.OrganizationID
	owner  *person
	tab    *relaytest.Tab
	agent  *relaytest.Agent
	things map[string]string
	names  *strings.Replacer // of what else addresses name
}

// code is a text that no other organization has.
func code(o store.OrganizationID) string { return strings.ReplaceAll(string(o), "-", "") }

// furnish makes an organization's things.
func (r *relay) furnish(o store.OrganizationID) belongings {
	r.t.Helper()
	ctx, s := r.t.Context(), r.wire.Store
	b := belongings{o: o}
	var signIn string
	b.owner, signIn = r.member(o, store.RoleOwner)
	b.agent = r.enroll(b.owner, "workshop")
	computer := b.agent.Welcome.GetComputerId()
	var picture bytes.Buffer
	must(r.t, jpeg.Encode(&picture, image.NewGray(image.Rect(0, 0, 8, 8)), nil))
	b.agent.Say(&orielv1.FromAgent{Body: &orielv1.FromAgent_Inventory{Inventory: &orielv1.Inventory{General: &orielv1.General{Os: "linux"}}}})
	b.agent.Say(&orielv1.FromAgent{Body: &orielv1.FromAgent_Preview{Preview: &orielv1.Preview{Type: "image/jpeg", Data: picture.Bytes()}}})
	for _, what := range []string{"inventory", "preview"} {
		until(r.t, what, func() bool {
			status, _ := b.owner.answer("GET", "/api/v1/computers/"+computer+"/"+what, nil)
			return status == http.StatusOK
		})
	}
	b.tab = relaytest.OpenTab(r.t, r.wire, b.owner.cookie)
	session := b.tab.Opened(b.tab.Open(computer, relaytest.Watching, "")).GetSessionId()
	offer, grant := b.agent.Offer()
	if grant.GetOrganization().GetId() != string(o) {
		r.t.Errorf("the grant is of organization %q, want %q", grant.GetOrganization().GetId(), o)
	}
	b.agent.Answer(offer, grant)
	b.tab.Answer()
	must(r.t, s.Computers(o).SaveTwins(ctx, store.Twins{ComputerID: computer, SeenAt: 1, First: store.Machine{Instance: "01"}, Second: store.Machine{Instance: "02"}}))
	waits := store.NewID()
	_, err := s.Waiting(o).Save(ctx, store.WaitingComputer{ComputerID: waits, MachineKey: []byte(rand.Text()[:16] + rand.Text()[:16]), HostName: "old", Since: 1, SeenAt: 1})
	must(r.t, err)
	var token struct{ ID string }
	b.owner.do("POST", "/api/v1/enrollment-tokens", object{}, &token, 201)
	ask := func(method, path string, body any) string {
		var made struct{ ID string }
		b.owner.do(method, "/api/v1"+path, body, &made, 201)
		return made.ID
	}
	mate, _ := r.member(o, store.RoleMember)
	var me struct{ ID string }
	mate.do("GET", "/api/v1/me", nil, &me, 200)
	mateID := me.ID
	group, role, team := ask("POST", "/groups", object{"name": "Munich"}), ask("POST", "/roles", object{"name": "helper", "permissions": []string{"connect"}}),
		ask("POST", "/teams", object{"name": "first level"})
	given := ask("POST", "/grants", object{"subject": object{"kind": "person", "id": mateID}, "role": "operator", "object": object{"kind": "computer", "id": computer}, "approval": true})
	var approval struct{ ID string }
	mate.do("POST", "/api/v1/approvals", object{"computer": computer}, &approval, 201)
	b.owner.do("GET", "/api/v1/me", nil, &me, 200)
	address := store.Confirmation{ID: store.NewID(), TokenHash: []byte(code(o)), PersonID: me.ID, Email: "new@example.org", EmailKey: "new@example.org", CreatedAt: 1, ExpiresAt: 1 << 50}
	must(r.t, s.Confirmations().Wait(ctx, audit.Command.Did(audit.EmailAsked, "email_address", address.ID), address))
	robot := ask("POST", "/people", object{"name": "robot", "role": "viewer"})
	key, ownKey := ask("POST", "/api-keys", object{"person": robot, "name": "report", "permissions": []string{"see"}}),
		ask("POST", "/me/api-keys", object{"name": "mine", "permissions": []string{"see"}})
	b.names = strings.NewReplacer("{person}", mateID, "{kind}", "number", "{key}", "4711", "{object}", "group")
	b.things = map[string]string{"/groups/": group, "/policies/": group, "/roles/": role, "/teams/": team, "/grants/": given, "/approvals/": approval.ID,
		"/people/": robot, "/api-keys/": key, "/me/api-keys/": ownKey, "/me/organizations/": string(o), "/organizations/": string(o),
		"/member-invitations/": ask("POST", "/member-invitations", object{"email": code(o) + "@example.org", "role": "viewer"}),
		"/computer-fields/":    ask("POST", "/computer-fields", object{"name": "Inventory number"}),
		"/me/views/":           ask("POST", "/me/views", object{"name": "Offline", "query": "status=offline"}),
		"/computers/":          computer, "/me/keys/": computer, "/waiting-computers/": waits,
		"/me/email-addresses/": address.ID,
		"/enrollment-tokens/":  token.ID, "/sessions/": session, "/sign-ins/": signIn}
	return b
}

// thing is the id for a route that is about one, and "" for another.
func (b belongings) thing(t testing.TB, path string) string {
	t.Helper()
	if !strings.Contains(path, "{id}") {
		return ""
	}
	for prefix, id := range b.things {
		if strings.HasPrefix(path, prefix) {
			return id
		}
	}
	t.Fatalf("%s is about a thing of which this test has none: make one in furnish", path)
	return ""
}

// has reports whether a text names anything of b.
func (b belongings) in(text string) bool {
	for _, id := range b.things {
		if strings.Contains(text, id) {
			return true
		}
	}
	return strings.Contains(text, string(b.o))
}

// state is all that the organization's own owner is shown, and how much was done.
func (b belongings) state(t *testing.T, r *relay) string {
	t.Helper()
	var all strings.Builder
	for _, path := range []string{"/computers", "/waiting-computers", "/enrollment-tokens", "/sessions", "/sign-ins"} {
		status, text := b.owner.answer("GET", api.Prefix+path, nil)
		if status != http.StatusOK {
			t.Fatal(path, status, text)
		}
		var shown struct{ Items []map[string]any }
		must(t, json.Unmarshal([]byte(text), &shown))
		for _, item := range shown.Items {
			delete(item, "last_seen") // moves by itself
			delete(item, "seen_at")
			line, err := json.Marshal(item)
			must(t, err)
			all.Write(append(line, '\n'))
		}
	}
	entries, err := r.wire.Store.Audit(b.o).After(t.Context(), 0, 1000)
	must(t, err)
	for _, e := range entries {
		all.WriteString(e.Action + " " + e.ObjectID + "\n")
	}
	return all.String()
}

// Rule: what is another organization's is as what does not exist: each route and each message of a tab answers with
// the same status and the same body, shows nothing of it and changes nothing. The same statement, by the handle of the
// asker's organization, finds neither, so that their times are the same within noise.
func TestOrganizationsDoNotReachEachOther(t *testing.T) {
	r := start(t, settings(t))
	r.owner() // of the relay, who is in none of the two
	mine, theirs := r.furnish(r.organization("mine")), r.furnish(r.organization("theirs"))
	invented := store.NewID()
	same := func(what, foreign, none string) {
		t.Helper()
		for _, id := range theirs.things {
			foreign = strings.ReplaceAll(foreign, id, invented)
		}
		if foreign != none {
			t.Errorf("%s: of what is another's %s, of what does not exist %s", what, foreign, none)
		}
	}
	before := theirs.state(t, r)

	asked := 0
	for _, route := range r.node.Routes() {
		path, of := strings.CutPrefix(route.Path, api.Prefix)
		if !of || route.Public || path == "/sign-out" || path == "/password" {
			continue // about nothing but oneself
		}
		asked++
		name := route.Method + " " + path
		body := any(nil)
		if b := bodies[name]; b != nil {
			body = b
		}
		id := theirs.thing(t, path)
		at := func(id string) string { return theirs.names.Replace(strings.ReplaceAll(route.Path, "{id}", id)) }
		status, text := mine.owner.answer(route.Method, at(id), body)
		if id == "" {
			if theirs.in(text) || status >= 400 && !unfit[name] {
				t.Errorf("%s shows what is another's: %d %s", name, status, text)
			}
			continue
		}
		noStatus, noText := mine.owner.answer(route.Method, at(invented), body)
		if status != noStatus || path != "/me/keys/{id}" && status != http.StatusNotFound && !unfit[name] {
			t.Errorf("%s: status %d of what is another's, %d of what does not exist", name, status, noStatus)
		}
		same(name, text, noText)
	}
	if asked < 20 {
		t.Errorf("only %d routes were asked", asked)
	}

	number := uint32(100)
	problem := func(m *orielv1.FromConsole) string {
		number++
		m.Id = number
		mine.tab.Say(m)
		p := mine.tab.Take("a problem", func(m *orielv1.ToConsole) bool { return m.GetProblem().GetReplyTo() == number }).GetProblem()
		return p.GetCode().String() + " " + p.GetDetail()
	}
	computer, session := theirs.things["/computers/"], theirs.things["/sessions/"]
	open := func(computer, session string) *orielv1.FromConsole {
		return &orielv1.FromConsole{Body: &orielv1.FromConsole_OpenSession{OpenSession: &orielv1.OpenSession{Attempt: number + 1000, ComputerId: computer,
			SessionId: session, Wanted: relaytest.Watching, Sdp: relaytest.SDP(mine.tab.Certificate())}}}
	}
	attach := func(id string) *orielv1.FromConsole {
		return &orielv1.FromConsole{Body: &orielv1.FromConsole_AttachSession{AttachSession: &orielv1.AttachSession{SessionId: id}}}
	}
	end := func(id string) *orielv1.FromConsole {
		return &orielv1.FromConsole{Body: &orielv1.FromConsole_CloseSession{CloseSession: &orielv1.CloseSession{SessionId: id}}}
	}
	change := func(id string) *orielv1.FromConsole {
		return &orielv1.FromConsole{Body: &orielv1.FromConsole_ChangeScopes{ChangeScopes: &orielv1.ChangeScopes{SessionId: id, Wanted: relaytest.Controlling}}}
	}
	if after := theirs.state(t, r); after != before {
		t.Errorf("asked by its routes, theirs has changed from\n%s\nto\n%s", before, after)
	}
	must(t, r.wire.Store.Computers(mine.o).DropTwins(t.Context(), audit.Command.Did(audit.ComputerSettled, "computer", "x"), mine.things["/computers/"]))
	must(t, r.wire.Store.Computers(theirs.o).DropTwins(t.Context(), audit.Command.Did(audit.ComputerSettled, "computer", "x"), computer))
	before = theirs.state(t, r)
	same("opening a session", problem(open(computer, "")), problem(open(invented, "")))
	same("going on with a session", problem(open(mine.things["/computers/"], session)), problem(open(mine.things["/computers/"], invented)))
	same("finding a session again", problem(attach(session)), problem(attach(invented)))
	same("ending a session", problem(end(session)), problem(end(invented)))
	same("other scopes", problem(change(session)), problem(change(invented)))
	mine.tab.Say(&orielv1.FromConsole{Body: &orielv1.FromConsole_PrepareSession{PrepareSession: &orielv1.PrepareSession{ComputerId: computer}}})
	mine.tab.Candidate(1, session, "candidate:of another")
	same("after what is not answered", problem(attach(session)), problem(attach(invented)))
	// What their agent might have been told it has been told by now: its own tab's word follows.
	theirs.tab.Candidate(1, session, "candidate:own")
	if c := theirs.agent.Candidate(); c.GetCandidate() != "candidate:own" {
		t.Errorf("their agent was told %q", c.GetCandidate())
	}
	if theirs.agent.Has(func(m *orielv1.ToAgent) bool {
		return m.GetPrepare() != nil || m.GetOffer() != nil || m.GetEndSession() != nil || m.GetSupplement() != nil
	}) {
		t.Error("their agent was told something")
	}
	if after := theirs.state(t, r); after != before {
		t.Errorf("theirs has changed from\n%s\nto\n%s", before, after)
	}
}

// Rule: a tab hears what changes in its person's organization, and nothing of another.
func TestEventsDoNotCrossOrganizations(t *testing.T) {
	r := start(t, settings(t))
	all := []belongings{r.furnish(r.organization("one")), r.furnish(r.organization("other"))}
	tabs := make([]*relaytest.Tab, len(all))
	for i, b := range all {
		tabs[i] = relaytest.OpenTab(t, r.wire, b.owner.cookie)
		tabs[i].Watch(true, true)
		tabs[i].Take("computers", func(m *orielv1.ToConsole) bool { return len(m.GetComputers().GetComputers()) == 1 })
		tabs[i].Take("journal", func(m *orielv1.ToConsole) bool { return len(m.GetJournal().GetEntries()) == 1 })
	}
	for i, b := range all {
		other := all[1-i]
		computer, session := b.things["/computers/"], b.things["/sessions/"]
		b.owner.do("PATCH", "/api/v1/computers/"+computer, object{"name": "renamed"}, nil, 200)
		b.agent.Report(session, 7)
		tabs[i].Take("the name", func(m *orielv1.ToConsole) bool { return m.GetComputer().GetName() == "renamed" })
		tabs[i].Take("the report", func(m *orielv1.ToConsole) bool { return m.GetJournalEntry().GetBytes() == 7 })
		b.owner.do("POST", "/api/v1/sessions/"+session+"/end", nil, nil, 204)
		tabs[i].Take("the end", func(m *orielv1.ToConsole) bool { return m.GetJournalEntry().GetEndedAt() != 0 })
		b.owner.do("DELETE", "/api/v1/computers/"+computer, nil, nil, 204)
		tabs[i].Take("the removal", func(m *orielv1.ToConsole) bool { return m.GetComputerRemoved().GetId() == computer })
		if tabs[i].Has(func(m *orielv1.ToConsole) bool { return other.in(m.String()) }) {
			t.Errorf("a tab of %s heard of %s", b.o, other.o)
		}
	}
	// What the first one's tab might have been told of the second it has been told by now.
	all[0].owner.do("DELETE", "/api/v1/waiting-computers/"+all[0].things["/waiting-computers/"], nil, nil, 204)
	tabs[0].Take("the one that waits no more", func(m *orielv1.ToConsole) bool {
		return m.GetComputerRemoved().GetId() == all[0].things["/waiting-computers/"]
	})
	if tabs[0].Has(func(m *orielv1.ToConsole) bool { return all[1].in(m.String()) }) {
		t.Error("the first one's tab heard of the second organization")
	}
}
