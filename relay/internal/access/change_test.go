package access_test

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"testing"

	"oriel/relay/internal/access"
	"oriel/relay/internal/audit"
	"oriel/relay/internal/bus"
	"oriel/relay/internal/relaytest"
	"oriel/relay/internal/rights"
	"oriel/relay/internal/store"
	"oriel/relay/internal/store/storetest"
)

// Rule: what a sign-in may is remembered, for five seconds at most; what sessions rest on is read anew each time.
func TestAuthoritiesAreRememberedForAWhile(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		ctx, c := t.Context(), newClock()
		a := open(t, s, access.Options{Now: c.now})
		who, cookie := own(t, a)
		ask := func() []error {
			_, err := a.Identify(request(cookie))
			return []error{err, a.Require(ctx, who, rights.Connect, access.Computer("x"))}
		}
		ask()
		// As somebody at the database would, or a node that cannot be heard.
		if err := s.SignIns().End(ctx, audit.Command.Did(audit.SignInEnded, "sign_in", ""), who.PersonID, who.SignInID); err != nil {
			t.Fatal(err)
		}
		c.pass(access.Believed - 1e6)
		for _, err := range ask() {
			if err != nil {
				t.Error("not remembered:", err)
			}
		}
		c.pass(1e6)
		for _, err := range ask() {
			if !errors.Is(err, access.ErrSignedOut) {
				t.Error("believed for too long:", err)
			}
		}
		who, cookie, err := a.SignIn(ctx, email, password, home)
		if err != nil {
			t.Fatal(err)
		}
		ask()
		if err := s.SignIns().End(ctx, audit.Command.Did(audit.SignInEnded, "sign_in", ""), who.PersonID, who.SignInID); err != nil {
			t.Fatal(err)
		}
		if err := a.Recheck(ctx, who); err != nil {
			t.Fatal(err)
		}
		for _, err := range ask() {
			if !errors.Is(err, access.ErrSignedOut) {
				t.Error("believed after it was read anew:", err)
			}
		}
	})
}

// pair is two nodes of one relay that hear each other. Their clock stands, so that nothing
// that they remember gets old.
type pair struct {
	nodes [2]*access.Access
	store *store.Store
	buses [2]*bus.Bus
	nats  *relaytest.NATS
	clock *clock
}

func newPair(t *testing.T) *pair {
	t.Helper()
	address, p := storetest.PostgreSQL(t), &pair{nats: relaytest.NewNATS(t), clock: newClock()}
	p.store = storetest.Open(t, address)
	for i := range p.nodes {
		b, err := bus.Open(t.Context(), bus.Options{URL: p.nats.URL})
		if err != nil {
			t.Fatal(err)
		}
		p.buses[i] = b
		p.nodes[i] = open(t, storetest.Open(t, address), access.Options{Now: p.clock.now, Bus: b, Limits: quick})
		ctx, stop := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		wg.Go(func() {
			if err := p.nodes[i].Run(ctx); err != nil {
				t.Error(err)
			}
		})
		t.Cleanup(func() { stop(); wg.Wait(); b.Close() })
	}
	// Whoever listens does so before the first change.
	for i := range p.nodes {
		heard := make(chan access.Change, 1024)
		p.nodes[i].OnChange(func(c access.Change) {
			select {
			case heard <- c:
			default:
			}
		})
		relaytest.Until(t, "the nodes hear each other", func() bool {
			p.nodes[1-i].Announce(access.Change{SignInID: "nobody's"})
			return len(heard) > 0
		})
	}
	return p
}

// Rule: a change is right at once on every node, and after the bus was away as soon as it is back.
func TestChangesAreRightAtOnceOnEveryNode(t *testing.T) {
	p := newPair(t)
	here, there, nats, buses := p.nodes[0], p.nodes[1], p.nats, p.buses
	who, cookie := own(t, here)
	signIn := func() (access.Identity, *http.Cookie) {
		t.Helper()
		who, cookie, err := here.SignIn(t.Context(), email, password, home)
		if err == nil {
			_, err = there.Identify(request(cookie)) // which the other one remembers
		}
		if err != nil {
			t.Fatal(err)
		}
		return who, cookie
	}
	gone := func(what string, who access.Identity, cookie *http.Cookie) {
		t.Helper()
		_, err := here.Identify(request(cookie))
		if !errors.Is(err, access.ErrSignedOut) {
			t.Errorf("%s: where it was made: %v", what, err)
		}
		relaytest.Until(t, what+": on the other node", func() bool {
			_, err := there.Identify(request(cookie))
			return errors.Is(err, access.ErrSignedOut) && errors.Is(there.May(t.Context(), who, rights.See, access.Organization), access.ErrSignedOut)
		})
	}
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	out, outCookie := signIn()
	_, err := here.SignOut(request(outCookie))
	must(err)
	gone("signed out", out, outCookie)
	ended, endedCookie := signIn()
	must(here.EndSignIn(t.Context(), who, ended.SignInID))
	gone("ended elsewhere", ended, endedCookie)
	if _, err := there.Identify(request(cookie)); err != nil {
		t.Error("the sign-in of another browser:", err)
	}
	old, oldCookie := signIn()
	must(here.ChangePassword(t.Context(), who, password, "correct horse again"))
	gone("password changed", old, oldCookie)
	must(here.ChangePassword(t.Context(), who, "correct horse again", password))

	unheard, unheardCookie := signIn()
	nats.Stop()
	relaytest.Until(t, "the bus is away", func() bool { return buses[0].Healthy() != nil && buses[1].Healthy() != nil })
	must(here.EndSignIn(t.Context(), who, unheard.SignInID))
	if _, err := there.Identify(request(unheardCookie)); err != nil {
		t.Error("heard without a bus:", err)
	}
	nats.Start()
	gone("announced while the bus was away", unheard, unheardCookie)
}
