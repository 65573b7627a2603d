package access_test

import (
	"errors"
	"net/http"
	"testing"
	"time"

	"oriel/relay/internal/access"
	"oriel/relay/internal/audit"
	"oriel/relay/internal/rights"
	"oriel/relay/internal/store"
	"oriel/relay/internal/store/storetest"
)

// demand has the first organization demand this of its people.
func demand(t *testing.T, s *store.Store, a *access.Access, version int64, settings string) {
	t.Helper()
	_, err := s.Policies(store.FirstOrganization).Put(t.Context(), audit.Command.Did("policy.changed", "organization", ""),
		store.Policy{ObjectKind: store.ObjectOrganization, Version: version, Settings: settings})
	if err != nil {
		t.Fatal(err)
	}
	a.Announce(access.Change{Organization: store.FirstOrganization})
}

func from(c *http.Cookie, address string) *http.Request {
	r := request(c)
	r.RemoteAddr = address + ":4711"
	return r
}

// Rule: members of an organization that names networks are signed in from these only: at
// the sign-in, for each request, and in tabs that are there already, at once; from an
// allowed network the same sign-in goes on. A policy that cannot be read lets nobody in.
func TestPeopleAreLetInFromAllowedAddresses(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		a := open(t, s, access.Options{})
		own(t, a)
		office, elsewhere := access.Client{Address: "192.0.2.9"}, access.Client{Address: "198.51.100.9"}
		who, cookie, err := a.SignIn(t.Context(), email, password, elsewhere)
		if err != nil {
			t.Fatal(err)
		}
		demand(t, s, a, 0, `{"allowed_addresses":["192.0.2.0/24"]}`)
		if _, err := a.Identify(from(cookie, "198.51.100.9")); !errors.Is(err, access.ErrAddress) {
			t.Errorf("a request from elsewhere: %v", err)
		}
		if err := a.May(t.Context(), who, rights.Connect, access.Computer("x")); !errors.Is(err, access.ErrSignedOut) {
			t.Errorf("a tab from elsewhere: %v", err)
		}
		if _, err := a.Identify(from(cookie, "192.0.2.7")); err != nil {
			t.Errorf("the same sign-in from an allowed network: %v", err)
		}
		if _, _, err := a.SignIn(t.Context(), email, password, elsewhere); !errors.Is(err, access.ErrAddress) {
			t.Errorf("a sign-in from elsewhere: %v", err)
		}
		if _, _, err := a.SignIn(t.Context(), email, "wrong wrong wrong", elsewhere); !errors.Is(err, access.ErrCredentials) {
			t.Errorf("a wrong password from elsewhere: %v", err)
		}
		if _, _, err := a.SignIn(t.Context(), email, password, office); err != nil {
			t.Errorf("a sign-in from an allowed network: %v", err)
		}
		demand(t, s, a, 1, `{"second_factor":true}`) // a newer relay's
		if _, err := a.Identify(from(cookie, "192.0.2.7")); err == nil {
			t.Error("let in by a policy that is not understood")
		}
	})
}

// Rule: a sign-in ends when it was not used for as long as the organization says, and
// after so long in any case.
func TestSignInsEndAsTheOrganizationSays(t *testing.T) {
	s, c := storetest.Open(t, storetest.SQLite(t)), newClock()
	a := open(t, s, access.Options{Now: c.now})
	_, cookie := own(t, a)
	demand(t, s, a, 0, `{"sign_in_idle_minutes":30,"sign_in_hours":2}`)
	use := func(what string, want error) {
		t.Helper()
		if _, err := a.Identify(request(cookie)); !errors.Is(err, want) {
			t.Errorf("%s: %v", what, err)
		}
	}
	for range 4 {
		c.pass(29 * time.Minute)
		use("used again and again", nil)
	}
	c.pass(5 * time.Minute)
	use("after two hours", access.ErrSignedOut)
	_, cookie, err := a.SignIn(t.Context(), email, password, home)
	if err != nil {
		t.Fatal(err)
	}
	c.pass(31 * time.Minute)
	use("not used for half an hour", access.ErrSignedOut)
}
