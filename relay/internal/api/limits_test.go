package api_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"oriel/relay/internal/access"
	"oriel/relay/internal/api"
	"oriel/relay/internal/audit"
	"oriel/relay/internal/people"
	"oriel/relay/internal/relaytest"
	"oriel/relay/internal/rights"
	"oriel/relay/internal/store"
	"oriel/relay/internal/store/storetest"
)

// limited is an API with limits, a clock set by hand, and the owner's browser at it.
func limited(t *testing.T, l api.Limits) (*client, *time.Time) {
	t.Helper()
	s := storetest.Open(t, storetest.SQLite(t))
	a, err := access.New(t.Context(), s, access.Options{Hash: access.HashCost{MemoryKiB: 64, Passes: 1}})
	if err != nil {
		t.Fatal(err)
	}
	now := time.UnixMilli(0)
	l.Now = func() time.Time { return now }
	c := &client{t: t, h: api.New(api.Options{Access: a, People: people.New(people.Options{Store: s, Access: a}), Relay: relay{}, Limits: l}).Handler()}
	token, err := a.NewOwnerToken(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if made := c.do("POST", "/api/v1/owner", `{"token":"`+token+`","name":"Ada","email":"ada@example.com","password":"correct horse"}`); made.StatusCode != 200 {
		t.Fatal(made.body)
	}
	return c, &now
}

// Rule: a sign-in makes so many requests in a minute, whatever it asks for; each answer
// says what is left, and the one too many when to go on. Another sign-in is not held up.
func TestRequestsOfASignInAreLimited(t *testing.T) {
	c, now := limited(t, api.Limits{SignIn: 3})
	for left, path := range []string{"/api/v1/no-such-thing", "/api/v1/me", "/api/v1/sign-ins?limit=none"} {
		a := c.do("GET", path, "")
		want := fmt.Sprintf(`"sign-in";r=%d;`, 2-left)
		if got := a.Header.Get("RateLimit"); a.StatusCode == 429 || !strings.Contains(got, want) {
			t.Fatalf("%s: %s %q, want %s", path, a.Status, got, want)
		}
	}
	for _, path := range []string{"/api/v1/me", "/api/v1/no-such-thing"} {
		a := c.do("GET", path, "")
		c.problem(a, 429, "too_many_requests")
		if a.Header.Get("Retry-After") != "20" || a.Header.Get("RateLimit-Policy") != `"address";q=60000;w=60, "sign-in";q=3;w=60` {
			t.Fatal(a.Header)
		}
	}
	other := &client{t: t, h: c.h}
	if in := other.do("POST", "/api/v1/sign-in", `{"login":"ada@example.com","password":"correct horse"}`); in.StatusCode != 200 {
		t.Fatal(in.Status, in.body)
	}
	if me := other.do("GET", "/api/v1/me", ""); me.StatusCode != 200 {
		t.Fatal(me.Status, me.body)
	}
	*now = now.Add(20 * time.Second)
	if me := c.do("GET", "/api/v1/me", ""); me.StatusCode != 200 {
		t.Fatal("after the wait:", me.Status)
	}
}

// Rule: of a person's keys each has a limit of its own, and none shares that of a sign-in.
func TestRequestsOfAKeyAreLimited(t *testing.T) {
	n := relaytest.StartNode(t, relaytest.NodeOptions{})
	who, cookie := n.Owner(t)
	h := api.New(api.Options{Access: n.Access, Relay: relay{}, Limits: api.Limits{SignIn: 2}}).Handler()
	var keys []string
	for _, id := range []string{"k1", "k2"} {
		text, hash := access.NewKey()
		if err := n.Store.Keys(store.FirstOrganization).Add(t.Context(), who.Actor().Did(audit.TokenMade, "key", id), store.APIKey{ID: id, PersonID: who.PersonID,
			Name: id, TokenHash: hash, Permissions: rights.API.String(), ExpiresAt: time.Now().Add(time.Hour).UnixMilli()}); err != nil {
			t.Fatal(err)
		}
		keys = append(keys, "Bearer "+text)
	}
	for i, ask := range []struct {
		header, value string
		status        int
	}{
		{"Authorization", keys[0], 200}, {"Authorization", keys[0], 200}, {"Authorization", keys[0], 429},
		{"Authorization", keys[1], 200}, {"Cookie", cookie.Name + "=" + cookie.Value, 200},
	} {
		r := httptest.NewRequest("GET", "http://127.0.0.1/api/v1/relay", nil)
		r.Header.Set(ask.header, ask.value)
		w := httptest.NewRecorder()
		if h.ServeHTTP(w, r); w.Code != ask.status {
			t.Errorf("%d: %d %s, want %d", i, w.Code, w.Body, ask.status)
		}
	}
}

// Rule: an address makes so many requests in a minute before it is asked who it is, also
// for what anybody may ask; IPv6 by its networks.
func TestRequestsOfAnAddressAreLimited(t *testing.T) {
	c, _ := limited(t, api.Limits{Address: 2})
	ask := func(from, path string) *http.Response {
		r := httptest.NewRequest("GET", "http://127.0.0.1"+path, nil)
		r.RemoteAddr = from
		w := httptest.NewRecorder()
		c.h.ServeHTTP(w, r)
		return w.Result()
	}
	for i, path := range []string{"/api/v1/me", "/api/v1/openapi.yaml", "/api/v1/openapi.yaml", "/api/v1/nothing", "/api/v1/me"} {
		if res := ask("198.51.100.7:1", path); (res.StatusCode == 429) != (i >= 2) || res.Header.Get("RateLimit") == "" {
			t.Fatal(i, path, res.Status, res.Header)
		}
	}
	let := 0
	for i := range 20 {
		if ask(fmt.Sprintf("[2001:db8::%x]:1", i+1), "/api/v1/openapi.yaml").StatusCode == 200 {
			let++
		}
	}
	if let != 2 {
		t.Errorf("one /64 made %d requests", let)
	}
}

// Rule: the limits never hit an honest page. The busiest is the list of a fleet: of a
// thousand computers each has a new picture every minute, here in three windows of one
// sign-in that are loaded anew each minute, beside all that a page asks at its start.
func TestLimitsLetABusyConsoleBe(t *testing.T) {
	c, now := limited(t, api.Limits{})
	for minute := range 5 {
		for range 3 {
			for _, path := range []string{"/me", "/relay", "/sign-ins", "/me/keys"} {
				if a := c.do("GET", "/api/v1"+path, ""); a.StatusCode != 200 {
					t.Fatal(path, a.Status)
				}
			}
			for computer := range 1000 { // none is there, which counts the same
				if a := c.do("GET", fmt.Sprintf("/api/v1/computers/no%%20id%d/preview?at=%d", computer, minute), ""); a.StatusCode != 422 {
					t.Fatalf("minute %d, picture %d: %s", minute, computer, a.Status)
				}
			}
		}
		*now = now.Add(time.Minute)
	}
}

// Rule: the description is served as it lies in protocol/, to anybody, and is not sent
// again to who has it.
func TestDescriptionIsServed(t *testing.T) {
	n := relaytest.StartNode(t, relaytest.NodeOptions{})
	c := &client{t: t, h: api.New(api.Options{Version: "1.2.3", Access: n.Access}).Handler()}
	want, err := os.ReadFile("../../../protocol/openapi.yaml")
	if err != nil {
		t.Fatal(err)
	}
	got := c.do("GET", "/api/v1/openapi.yaml", "")
	if got.StatusCode != 200 || got.body != string(want) || got.Header.Get("Content-Type") != "application/yaml" {
		t.Fatal(got.Status, got.Header)
	}
	if j := c.do("GET", "/api/v1/openapi.json", ""); j.StatusCode != 200 || !strings.HasPrefix(j.body, `{"`) || strings.Contains(j.body, "1.2.3") {
		t.Fatal(j.Status, j.Header)
	}
	r := httptest.NewRequest("GET", "http://127.0.0.1/api/v1/openapi.yaml", nil)
	r.Header.Set("If-None-Match", got.Header.Get("ETag"))
	w := httptest.NewRecorder()
	if c.h.ServeHTTP(w, r); w.Code != 304 {
		t.Fatal(w.Code)
	}
}
