package node_test

import (
	"net/url"
	"testing"

	"oriel/relay/internal/node"
	"oriel/relay/internal/relaytest"
)

// Rule: a sign-in that is ended from elsewhere, by the list, by a new password
// or by recovery, closes its tabs, and is good for nothing more.
func TestSignInsEndFromElsewhere(t *testing.T) {
	r := start(t, settings(t))
	here := r.owner()
	type listed struct {
		SignIns []struct {
			ID, Address, Browser string
			Current              bool
		} `json:"items"`
	}
	elsewhere := func(password string) (*person, *relaytest.Tab) {
		t.Helper()
		p := r.browser()
		p.do("POST", "/api/v1/sign-in", object{"login": "olivia@example.com", "password": password}, nil, 200)
		return p, relaytest.OpenTab(t, r.wire, p.cookie)
	}
	closes := func(what string, p *person, tab *relaytest.Tab) {
		t.Helper()
		until(t, what, func() bool { return tab.Conn.Err() != nil })
		p.do("GET", "/api/v1/me", nil, nil, 401)
	}
	const first, second, third = "correct horse battery", "a second long password", "a third long password"

	lost, tab := elsewhere(first)
	var all listed
	here.do("GET", "/api/v1/sign-ins", nil, &all, 200)
	other := ""
	for _, one := range all.SignIns {
		if !one.Current {
			other = one.ID
		}
	}
	if len(all.SignIns) != 2 || other == "" || all.SignIns[0].Address != "127.0.0.1" {
		t.Fatalf("%+v", all)
	}
	here.do("DELETE", "/api/v1/sign-ins/"+other, nil, nil, 204)
	closes("the tab of a sign-in that was ended", lost, tab)
	here.do("DELETE", "/api/v1/sign-ins/"+other, nil, nil, 404)

	lost, tab = elsewhere(first)
	here.do("POST", "/api/v1/password", object{"current": "not the password", "password": second}, nil, 422)
	device := here.device
	here.do("POST", "/api/v1/password", object{"current": first, "password": second}, nil, 204)
	if here.device == device {
		t.Error("the browser that changed the password is not known any more")
	}
	closes("the tab of another sign-in when the password changes", lost, tab)
	here.do("GET", "/api/v1/me", nil, nil, 200)

	lost, tab = elsewhere(second)
	text, err := node.RecoveryLink(t.Context(), r.node.Access, &url.URL{Scheme: "http", Host: "relay"})
	if err != nil {
		t.Fatal(err)
	}
	link, err := url.Parse(text)
	if err != nil || link.Path != "/recover" || link.Fragment == "" {
		t.Fatalf("%q, %v", text, err)
	}
	anew := r.browser()
	anew.do("POST", "/api/v1/recover", object{"token": "invented", "password": third}, nil, 403)
	anew.do("POST", "/api/v1/recover", object{"token": link.Fragment, "password": third}, nil, 200)
	closes("the tab of a sign-in of before the recovery", lost, tab)
	here.do("GET", "/api/v1/me", nil, nil, 401)
	anew.do("GET", "/api/v1/me", nil, nil, 200)
	anew.do("POST", "/api/v1/recover", object{"token": link.Fragment, "password": third}, nil, 403)
	elsewhere(third)
}
