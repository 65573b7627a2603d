package api_test

import (
	"context"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"

	"oriel/protocol/trust"
	"oriel/relay/internal/api"
	"oriel/relay/internal/audit"
	"oriel/relay/internal/fleet"
	"oriel/relay/internal/people"
	"oriel/relay/internal/relaytest"
	"oriel/relay/internal/replay"
	"oriel/relay/internal/store"
	"oriel/relay/internal/store/storetest"
)

// creation is how an operation that creates is asked. Before returns the path and
// the body, with what is needed in the database.
type creation struct {
	before func(t *testing.T, n *relaytest.Node) (path, body string)
	status int
	action audit.Action
	// who asks; nil: the owner.
	who func(t *testing.T, n *relaytest.Node) *http.Cookie
}

// enrolled has the computer c1 be there.
func enrolled(t *testing.T, n *relaytest.Node) {
	t.Helper()
	token, err := trust.ParseToken(n.Token(t, 1))
	if err != nil {
		t.Fatal(err)
	}
	c := store.Computer{ID: "c1", MachineKey: []byte("machine"), HostName: "pc", AddedAt: 1}
	if err := n.Store.Agents().Enroll(t.Context(), audit.Relay.Did(audit.ComputerEnrolled, "computer", c.ID), &c, token.Public()); err != nil {
		t.Fatal(err)
	}
}

// colleague is somebody in the organization.
func colleague(t *testing.T, n *relaytest.Node) string {
	t.Helper()
	who, _ := n.Member(t, store.RoleViewer)
	return who.PersonID
}

// robot is a service account.
func robot(t *testing.T, n *relaytest.Node) string {
	t.Helper()
	p := store.Person{ID: store.NewID(), Kind: store.ServiceKind, Name: "robot", State: store.Active}
	err := n.Store.Members(store.FirstOrganization).AddPerson(t.Context(), audit.Command.Did(audit.ServiceMade, "person", p.ID), store.Member{Role: store.RoleMember, State: store.Active}, p)
	if err != nil {
		t.Fatal(err)
	}
	return p.ID
}

var creations = map[string]creation{
	"createEnrollmentToken": {func(*testing.T, *relaytest.Node) (string, string) {
		return "/api/v1/enrollment-tokens", `{"note":"for the office","uses":3}`
	}, 201, audit.TokenMade, nil},
	"createServiceAccount": {func(*testing.T, *relaytest.Node) (string, string) {
		return "/api/v1/people", `{"name":"robot","role":"viewer"}`
	}, 201, audit.ServiceMade, nil},
	"addIdentifier": {func(t *testing.T, n *relaytest.Node) (string, string) {
		return "/api/v1/people/" + colleague(t, n) + "/identifiers", `{"kind":"number","text":"4711"}`
	}, 201, audit.IdentifierAdded, nil},
	"inviteMember": {func(*testing.T, *relaytest.Node) (string, string) {
		return "/api/v1/member-invitations", `{"email":"ada@example.com","role":"viewer"}`
	}, 201, audit.MemberInvited, nil},
	"createRole": {func(*testing.T, *relaytest.Node) (string, string) {
		return "/api/v1/roles", `{"name":"helper","permissions":["connect"]}`
	}, 201, audit.RoleMade, nil},
	"createTeam": {func(*testing.T, *relaytest.Node) (string, string) {
		return "/api/v1/teams", `{"name":"first level"}`
	}, 201, audit.TeamMade, nil},
	"createGroup": {func(*testing.T, *relaytest.Node) (string, string) {
		return "/api/v1/groups", `{"name":"Munich"}`
	}, 201, audit.GroupMade, nil},
	"createField": {func(*testing.T, *relaytest.Node) (string, string) {
		return "/api/v1/computer-fields", `{"name":"Inventory number"}`
	}, 201, audit.FieldMade, nil},
	"createView": {func(*testing.T, *relaytest.Node) (string, string) {
		return "/api/v1/me/views", `{"name":"Offline","query":"status=offline"}`
	}, 201, "", nil}, // which nobody else sees
	"createGrant": {func(t *testing.T, n *relaytest.Node) (string, string) {
		return "/api/v1/grants", `{"subject":{"kind":"person","id":"` + colleague(t, n) + `"},"role":"operator","object":{"kind":"organization"}}`
	}, 201, audit.GrantMade, nil},
	"askApproval": {func(t *testing.T, n *relaytest.Node) (string, string) {
		enrolled(t, n)
		return "/api/v1/approvals", `{"computer":"c1","reason":"the printer"}`
	}, 201, audit.ApprovalAsked, func(t *testing.T, n *relaytest.Node) *http.Cookie {
		_, cookie := n.Member(t, store.RoleMember, store.Grant{Role: store.RoleOperator, ObjectKind: store.ObjectComputer, ObjectID: "c1", Approval: true})
		return cookie
	}},
	"createOwnAPIKey": {func(*testing.T, *relaytest.Node) (string, string) {
		return "/api/v1/me/api-keys", `{"name":"mine","permissions":["see"]}`
	}, 201, audit.KeyMade, nil},
	"createAPIKey": {func(t *testing.T, n *relaytest.Node) (string, string) {
		return "/api/v1/api-keys", `{"person":"` + robot(t, n) + `","name":"report","permissions":["journal"]}`
	}, 201, audit.KeyMade, nil},
	"createOrganization": {func(*testing.T, *relaytest.Node) (string, string) {
		return "/api/v1/organizations", `{"name":"Acme","code":"acme"}`
	}, 201, audit.OrganizationMade, nil},
	"splitComputer": {func(t *testing.T, n *relaytest.Node) (string, string) {
		enrolled(t, n)
		twins := store.Twins{ComputerID: "c1", First: store.Machine{Instance: "aa"}, Second: store.Machine{Instance: "bb"}}
		if err := n.Store.Computers(store.FirstOrganization).SaveTwins(t.Context(), twins); err != nil {
			t.Fatal(err)
		}
		return "/api/v1/computers/c1/split", `{"mark":"i:bb"}`
	}, 200, audit.ComputerSplit, nil},
	"takeBackComputer": {func(t *testing.T, n *relaytest.Node) (string, string) {
		w := store.WaitingComputer{ComputerID: "c2", MachineKey: []byte("waiting"), HostName: "lost", Since: 1, SeenAt: 1}
		if _, err := n.Store.Waiting(store.FirstOrganization).Save(t.Context(), w); err != nil {
			t.Fatal(err)
		}
		return "/api/v1/waiting-computers/c2/take-back", ""
	}, 200, audit.ComputerTakenBack, nil},
}

// createNothing are the other operations that POST, and why they take no key.
var createNothing = map[string]string{
	"signIn":           "nobody is signed in yet, and the answer is a cookie",
	"signOut":          "twice is as good as once",
	"createOwner":      "nobody is signed in yet, and its token is good for once",
	"recoverOwner":     "nobody is signed in yet, and its token is good for once",
	"changePassword":   "makes nothing new, and asks for the password that it changes",
	"refreshInventory": "makes nothing new",
	"endSession":       "twice is as good as once",

	"switchOrganization":  "makes nothing new",
	"readInvitation":      "makes nothing new",
	"askSignUp":           "nobody is signed in yet, and the answer is the same each time",
	"askEmailAddress":     "the answer is the same each time",
	"confirmEmailAddress": "its token is good for once",
	"readSignUp":          "makes nothing new",
	"createAccount":       "nobody is signed in yet, and its token is good for once",
	"join":                "nobody is signed in yet, and its token is good for once",
	"joinOrganization":    "its token is good for once",
	"approve":             "an approval is answered once",
	"refuseApproval":      "an approval is answered once",
}

// Rule: every operation that creates takes an Idempotency-Key and says whether its
// answer is an earlier one; of another POST it is said here why not.
func TestCreationsTakeAKey(t *testing.T) {
	text, err := api.New(api.Options{Version: "1"}).YAML()
	if err != nil {
		t.Fatal(err)
	}
	var d struct {
		Paths map[string]map[string]struct {
			OperationID string `yaml:"operationId"`
			Parameters  []struct{ Name, In string }
			Responses   map[string]struct{ Headers map[string]any }
		}
	}
	if err := yaml.Unmarshal(text, &d); err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for path, methods := range d.Paths {
		for method, op := range methods {
			takes := false
			for _, p := range op.Parameters {
				takes = takes || p.Name == "Idempotency-Key" && p.In == "header"
			}
			says := false
			for _, r := range op.Responses {
				says = says || r.Headers["Idempotency-Replayed"] != nil
			}
			_, creates := creations[op.OperationID]
			seen[op.OperationID] = true
			if takes != creates || says != creates {
				t.Errorf("%s %s: in the table of creations %v, takes a key %v, says that it is replayed %v", method, path, creates, takes, says)
			}
			if method == "post" && creates == (createNothing[op.OperationID] != "") {
				t.Errorf("%s %s (%s) is in one of two tables: it creates and takes a key, or it is said why not", method, path, op.OperationID)
			}
		}
	}
	for _, name := range append(slices.Collect(maps.Keys(creations)), slices.Collect(maps.Keys(createNothing))...) {
		if !seen[name] {
			t.Errorf("%s is not there any more", name)
		}
	}
}

// keyed is an API over a node's rooms, and the owner's browser at it.
func keyed(t *testing.T, n *relaytest.Node, fleet api.Fleet, cookie *http.Cookie) *client {
	rest := api.New(api.Options{Access: n.Access, People: people.New(people.Options{Store: n.Store, Access: n.Access}), Fleet: fleet, Relay: relay{},
		Answers: replay.New(replay.Options{Store: n.Store, Secret: []byte("the relay's own")})})
	return &client{t: t, h: rest.Handler(), cookie: cookie.Name + "=" + cookie.Value}
}

func eachNode(t *testing.T, fn func(t *testing.T, n *relaytest.Node)) {
	storetest.EachAddress(t, func(t *testing.T, address string) {
		fn(t, relaytest.StartNode(t, relaytest.NodeOptions{Database: address}))
	})
}

// entries of the audit that say so.
func entries(t *testing.T, n *relaytest.Node, action audit.Action) (count int) {
	all, err := n.Store.Audit(store.FirstOrganization).After(t.Context(), 0, 1000)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range all {
		if e.Action == string(action) {
			count++
		}
	}
	return count
}

// Rule: a creation that is asked again with its key is answered the same and done
// once, with one entry of the audit; with another body, or of another route, it is refused.
func TestCreationsAreDoneOnce(t *testing.T) {
	for name, one := range creations {
		t.Run(name, func(t *testing.T) {
			eachNode(t, func(t *testing.T, n *relaytest.Node) {
				_, cookie := n.Owner(t)
				path, body := one.before(t, n)
				if one.who != nil {
					cookie = one.who(t, n)
				}
				c, other := keyed(t, n, n.Fleet, cookie), keyed(t, n, n.Fleet, cookie)
				c.key, other.key = `"8e03978e-40d5-43e8-bc93-6894a57f9324"`, `"8e03978e-40d5-43e8-bc93-6894a57f9324"`
				before := entries(t, n, one.action)
				first := c.do("POST", path, body)
				if first.StatusCode != one.status || first.Header.Get("Idempotency-Replayed") != "" {
					t.Fatalf("%s %v %s", first.Status, first.Header, first.body)
				}
				for _, c := range []*client{c, other} {
					again := c.do("POST", path, body)
					if again.StatusCode != one.status || again.body != first.body || again.Header.Get("Idempotency-Replayed") != "true" ||
						again.Header.Get("Content-Type") != first.Header.Get("Content-Type") {
						t.Fatalf("%s %v %s\nafter %s", again.Status, again.Header, again.body, first.body)
					}
				}
				if n := entries(t, n, one.action) - before; n != 1 && one.action != "" {
					t.Errorf("%d entries of the audit", n)
				}
				if one.who == nil { // who may make tokens
					c.problem(c.do("POST", "/api/v1/enrollment-tokens", `{"note":"another"}`), 422, "idempotency_key_reused")
				}
				if route := strings.NewReplacer("/c1/", "/c3/", "/c2/", "/c3/").Replace(path); route != path {
					c.problem(c.do("POST", route, body), 422, "idempotency_key_reused")
				}
			})
		})
	}
}

// Rule: without a key every request creates; what failed is not kept, and its key may
// be used again.
func TestKeysThatKeepNothing(t *testing.T) {
	eachNode(t, func(t *testing.T, n *relaytest.Node) {
		_, cookie := n.Owner(t)
		c := keyed(t, n, n.Fleet, cookie)
		path, body := creations["createEnrollmentToken"].before(t, n)
		one, two := c.do("POST", path, body), c.do("POST", path, body)
		if one.StatusCode != 201 || two.StatusCode != 201 || one.body == two.body || two.Header.Get("Idempotency-Replayed") != "" {
			t.Fatalf("%s %s, %s %s", one.Status, one.body, two.Status, two.body)
		}
		c.key = "failed"
		c.problem(c.do("POST", "/api/v1/computers/none/split", `{"mark":"x"}`), 404, "not_found")
		c.problem(c.do("POST", "/api/v1/waiting-computers/none/take-back", ""), 404, "not_found")
		c.problem(c.do("POST", path, `{"uses":0}`), 422, "invalid")
		if made := c.do("POST", path, body); made.StatusCode != 201 || made.Header.Get("Idempotency-Replayed") != "" {
			t.Fatalf("%s %v", made.Status, made.Header)
		}
		for _, key := range []string{strings.Repeat("k", 129), "a\tb", "schlüssel", "a\x7f"} {
			c.key = key
			p := c.problem(c.do("POST", path, body), 422, "invalid")
			if len(p.Errors) != 1 || p.Errors[0].Parameter != "Idempotency-Key" {
				t.Errorf("%q: %+v", key, p)
			}
		}
	})
}

// slow is a fleet that makes a token when it is told to.
type slow struct {
	api.Fleet
	started, finish chan struct{}
}

func (s slow) CreateToken(ctx context.Context, o store.OrganizationID, by audit.Actor, note string, uses int, lifetime time.Duration) (string, fleet.Token, error) {
	close(s.started)
	<-s.finish
	return s.Fleet.CreateToken(ctx, o, by, note, uses, lifetime)
}

// Rule: of two at once with one key one creates, and the other is told that it runs.
func TestTwoCreationsAtOnce(t *testing.T) {
	eachNode(t, func(t *testing.T, n *relaytest.Node) {
		_, cookie := n.Owner(t)
		wait := slow{n.Fleet, make(chan struct{}), make(chan struct{})}
		c, other := keyed(t, n, wait, cookie), keyed(t, n, n.Fleet, cookie)
		c.key, other.key = "k", "k"
		path, body := creations["createEnrollmentToken"].before(t, n)
		first := make(chan answer, 1)
		go func() { first <- c.do("POST", path, body) }()
		<-wait.started
		busy := other.do("POST", path, body)
		close(wait.finish)
		made := <-first
		other.problem(busy, 409, "idempotency_key_in_use")
		if busy.Header.Get("Retry-After") != "1" || made.StatusCode != 201 {
			t.Fatalf("%v; %s %s", busy.Header, made.Status, made.body)
		}
		if again := other.do("POST", path, body); again.body != made.body || again.StatusCode != 201 {
			t.Fatalf("%s %s", again.Status, again.body)
		}
		if n := entries(t, n, audit.TokenMade); n != 1 {
			t.Errorf("%d entries of the audit", n)
		}
	})
}
