package node_test

import (
	"bytes"
	"cmp"
	"net/url"
	"strings"
	"testing"

	orielv1 "oriel/protocol/oriel/v1"
	"oriel/relay/internal/api"
	"oriel/relay/internal/audit"
	"oriel/relay/internal/node"
	"oriel/relay/internal/relaytest"
	"oriel/relay/internal/store"
	"oriel/relay/internal/store/storetest"
)

// change is a call of a route that changes something, and the entry that it leaves.
type change struct {
	// prepare makes what the call is about: its id in the address and what is sent.
	prepare func(w *changing) (id string, body any)
	status  int
	action  audit.Action
	object  string // kind of the entry's; the call's id is the entry's, where there is one
}

// changing is a relay to change something of.
type changing struct {
	*testing.T
	*relay
	owner *person
	as    string // id of who changes; empty: the owner

	colleague *person // once there is one (mate)
	mateID    string
}

const password = "correct horse battery"

// changes are all routes that change something.
var changes = map[string]change{
	"POST /sign-in": {func(w *changing) (string, any) {
		return "", object{"login": "olivia@example.com", "password": password}
	}, 200, audit.SignedIn, "sign_in"},
	"POST /sign-out": {nil, 204, audit.SignInEnded, "sign_in"},
	"POST /owner": {func(w *changing) (string, any) {
		w.relay = start(w.T, settings(w.T)) // that has none
		w.owner = w.browser()
		link, err := w.node.OwnerLink(w.Context())
		return "", object{"token": fragment(w.T, link, err), "name": "Olivia Owner", "email": "olivia@example.com", "password": password}
	}, 200, audit.OwnerMade, "person"},
	"PUT /me/keys/{id}": {func(w *changing) (string, any) {
		return "computer", object{"key": bytes.Repeat([]byte{1}, 32)}
	}, 204, audit.KeyRemembered, "computer"},
	"DELETE /sign-ins/{id}": {func(w *changing) (string, any) {
		w.browser().do("POST", "/api/v1/sign-in", object{"login": "olivia@example.com", "password": password}, nil, 200)
		in, err := w.wire.Store.SignIns().Of(w.Context(), w.person())
		if err != nil || len(in) != 2 {
			w.Fatal(in, err)
		}
		return in[0].ID, nil
	}, 204, audit.SignInEnded, "sign_in"},
	"POST /password": {func(*changing) (string, any) {
		return "", object{"current": password, "password": "another " + password}
	}, 204, audit.PasswordChanged, "person"},
	"POST /recover": {func(w *changing) (string, any) {
		link, err := node.RecoveryLink(w.Context(), w.node.Access, &url.URL{Scheme: "http", Host: "relay"})
		return "", object{"token": fragment(w.T, link, err), "password": "another " + password}
	}, 200, audit.PasswordRecovered, "person"},
	"PATCH /computers/{id}":  {func(w *changing) (string, any) { return w.computer(), object{"name": "Front desk"} }, 200, audit.ComputerRenamed, "computer"},
	"DELETE /computers/{id}": {func(w *changing) (string, any) { return w.computer(), nil }, 204, audit.ComputerRemoved, "computer"},
	"PATCH /computers": {func(w *changing) (string, any) {
		return "", object{"ids": []string{w.computer()}, "tag": []string{"desk"}}
	}, 200, audit.ComputerDescribed, "computer"},
	"POST /computer-fields":        {func(*changing) (string, any) { return "", named }, 201, audit.FieldMade, "field"},
	"PATCH /computer-fields/{id}":  {func(w *changing) (string, any) { return w.make("/computer-fields", named), object{"name": "other"} }, 204, audit.FieldRenamed, "field"},
	"DELETE /computer-fields/{id}": {func(w *changing) (string, any) { return w.make("/computer-fields", named), nil }, 204, audit.FieldRemoved, "field"},
	"POST /computers/{id}/split": {func(w *changing) (string, any) {
		return w.twins(), object{"mark": "i:02"}
	}, 200, audit.ComputerSplit, "computer"},
	"DELETE /computers/{id}/twins": {func(w *changing) (string, any) { return w.twins(), nil }, 204, audit.ComputerSettled, "computer"},
	"POST /waiting-computers/{id}/take-back": {func(w *changing) (string, any) {
		return w.waiting(), nil
	}, 200, audit.ComputerTakenBack, "computer"},
	"DELETE /waiting-computers/{id}": {func(w *changing) (string, any) { return w.waiting(), nil }, 204, audit.ComputerForgotten, "computer"},
	"POST /enrollment-tokens":        {func(*changing) (string, any) { return "", object{"note": "desk"} }, 201, audit.TokenMade, "token"},
	"DELETE /enrollment-tokens/{id}": {func(w *changing) (string, any) {
		var made struct{ ID string }
		w.owner.do("POST", "/api/v1/enrollment-tokens", object{}, &made, 201)
		return made.ID, nil
	}, 204, audit.TokenRevoked, "token"},
	"POST /sessions/{id}/end": {func(w *changing) (string, any) {
		tab := relaytest.OpenTab(w.T, w.wire, w.owner.cookie)
		return tab.Opened(tab.Open(w.computer(), []orielv1.Scope{orielv1.Scope_SCOPE_VIEW}, "")).GetSessionId(), nil
	}, 204, audit.SessionEnded, "session"},
}

// changesNothing are the others that are no GET, and why.
var changesNothing = map[string]string{
	"POST /join/invitation":        "it is only read",
	"POST /sign-up/link":           "it is only read",
	"POST /computers/{id}/refresh": "the agent tells what it would have told later",
	"PUT /computers/{id}/pin":      "how one's own list looks, which nobody else sees",
	"DELETE /computers/{id}/pin":   "as PUT",
	"POST /me/views":               "as PUT /computers/{id}/pin",
	"PATCH /me/views/{id}":         "as POST",
	"DELETE /me/views/{id}":        "as POST",
}

func fragment(t *testing.T, link string, err error) string {
	t.Helper()
	_, secret, _ := strings.Cut(link, "#")
	if err != nil || secret == "" {
		t.Fatal(link, err)
	}
	return secret
}

// person is the owner's id.
func (w *changing) person() string {
	w.Helper()
	p, err := w.wire.Store.People().ByIdentifier(w.Context(), store.Email, "", "olivia@example.com")
	if err != nil {
		w.Fatal(err)
	}
	return p.ID
}

// computer is one that is online.
func (w *changing) computer() string {
	return w.enroll(w.owner, "workshop").Welcome.GetComputerId()
}

// twins is a computer whose key two machines have.
func (w *changing) twins() string {
	id := w.computer()
	err := w.wire.Store.Computers(store.FirstOrganization).SaveTwins(w.Context(),
		store.Twins{ComputerID: id, SeenAt: 1, First: store.Machine{Instance: "01"}, Second: store.Machine{Instance: "02"}})
	if err != nil {
		w.Fatal(err)
	}
	return id
}

// waiting is a computer that waits to be taken back.
func (w *changing) waiting() string {
	id := store.NewID()
	_, err := w.wire.Store.Waiting(store.FirstOrganization).Save(w.Context(),
		store.WaitingComputer{ComputerID: id, MachineKey: bytes.Repeat([]byte{1}, 32), HostName: "old", Since: 1, SeenAt: 1})
	if err != nil {
		w.Fatal(err)
	}
	return id
}

// entries are all of the audit so far.
func (w *changing) entries() []store.Entry {
	w.Helper()
	all, err := w.wire.Store.Audit(store.FirstOrganization).After(w.Context(), 0, 1000)
	if err != nil {
		w.Fatal(err)
	}
	return all
}

// Rule: each route that changes something leaves an entry in the audit, with who did it
// to what. A new route is in one of the two lists, or this test fails.
func TestEachChangeIsAudited(t *testing.T) {
	missing := map[string]bool{}
	for name := range changes {
		missing[name] = true
	}
	for name := range changesNothing {
		missing[name] = true
	}
	for _, route := range start(t, settings(t)).node.Routes() {
		path, of := strings.CutPrefix(route.Path, api.Prefix)
		if !of || route.Method == "GET" {
			continue
		}
		name := route.Method + " " + path
		delete(missing, name)
		c, there := changes[name]
		if why := changesNothing[name]; there == (why != "") {
			t.Errorf("%s is in both lists or in none: write which entry it leaves, or why it changes nothing", name)
			continue
		}
		if !there {
			continue
		}
		t.Run(name, func(t *testing.T) {
			w := &changing{T: t, relay: start(t, settings(t, "--database", storetest.SQLite(t)))}
			w.owner = w.relay.owner()
			id, body := "", any(nil)
			if c.prepare != nil {
				id, body = c.prepare(w)
			}
			before := len(w.entries())
			at := strings.NewReplacer("{id}", id, "{person}", w.mateID, "{kind}", "number", "{key}", "4711", "{object}", "group").Replace(route.Path)
			w.owner.do(route.Method, at, body, nil, c.status)
			me, after := cmp.Or(w.as, w.person()), w.entries()[before:]
			for _, e := range after {
				if e.Action == string(c.action) && e.Outcome == store.Done && e.ObjectKind == c.object &&
					(e.ObjectID == id || id == "" && e.ObjectID != "") && e.ActorKind == "person" && (e.ActorID == me || me == anybody) && e.Address == "127.0.0.1" {
					return
				}
			}
			t.Errorf("no entry %s by person %s at %s %s, but %+v", c.action, me, c.object, id, after)
		})
	}
	for name := range missing {
		t.Errorf("%s is in a list and no route", name)
	}
}
