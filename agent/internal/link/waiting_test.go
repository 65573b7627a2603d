package link

import (
	"errors"
	"strings"
	"testing"

	"oriel/agent/internal/identity"
	"oriel/agent/internal/link/linktest"
	orielv1 "oriel/protocol/oriel/v1"
)

// Rule: an agent that its relay has lost keeps its identity, shows the relay's own
// word for it, tries again quietly, and goes on when it is taken back.
func TestAgentWaitsToBeTakenBack(t *testing.T) {
	relay := linktest.Start(t)
	id := newIdentity(t, identity.Given{Relays: []string{relay.URL()}, Token: relay.Token()})
	a := run(t, id)
	first := relay.Agent(1)
	relay.Until("enrolled", func() bool { return id.State().Enrolled() })
	state, key := id.State(), id.Key()
	relay.Forget()
	first.Close(1012)
	relay.Until("it tried twice", func() bool { return relay.Lost() >= 2 })
	if got := id.State(); got.ComputerID != state.ComputerID || !got.RelayKey.Equal(state.RelayKey) || !id.Key().Equal(key) {
		t.Fatalf("it gave up its identity: %+v", got)
	}
	if n := strings.Count(a.log.String(), "has lost what it knew of this computer"); n != 1 {
		t.Fatalf("said %d times:\n%s", n, a.log)
	}
	relay.TakeBack(key)
	if second := relay.Agent(2); !second.Key.Equal(key) {
		t.Fatal("another key")
	}
}

// Rule: an agent keeps whose computer it is, by its relay's word, and shows that to the relay
// that has lost it; of a relay that names no organization it keeps and shows the word that it
// has, and gets the other one from the next that does.
func TestAgentShowsWhoseItIs(t *testing.T) {
	relay := linktest.Start(t)
	id := newIdentity(t, identity.Given{Relays: []string{relay.URL()}, Token: relay.Token()})
	run(t, id)
	shows := func(agents int, want string) {
		t.Helper()
		last := relay.Agent(agents)
		relay.Until("it keeps the word", func() bool { return id.State().Organization == want && len(id.State().Membership) > 0 })
		lost := relay.Lost()
		relay.Forget()
		last.Close(1012)
		relay.Until("it waits", func() bool { return relay.Lost() > lost })
		all := relay.Former()
		if got := all[len(all)-1]; got.Computer != relay.Computer || got.Organization != want {
			t.Errorf("it shows %+v, want %q", got, want)
		}
	}
	shows(1, "")
	relay.Stop()
	relay.Organization = "acme"
	relay.Restart()
	relay.TakeBack(id.Key())
	shows(2, "acme")
}

// Rule: an agent whose organization has as many computers as it may says so with the
// relay's sentence, once, keeps its key and its token, does not end, and is enrolled
// with them when there is a place.
func TestAgentWithoutAPlace(t *testing.T) {
	const says = "this organization has all the computers that its quota allows (3)"
	relay := linktest.Start(t)
	relay.RefuseHello(func(*orielv1.Hello) *orielv1.Refused {
		return &orielv1.Refused{Code: orielv1.Code_CODE_QUOTA, Detail: says}
	})
	id := newIdentity(t, identity.Given{Relays: []string{relay.URL()}, Token: relay.Token()})
	key, token := id.Key(), id.State().Token
	a := run(t, id)
	relay.Until("it says so", func() bool { return strings.Contains(a.log.String(), says) })
	if log := a.log.String(); strings.Count(log, says) != 1 || !strings.Contains(log, "not used up") || !strings.Contains(log, "again_in") {
		t.Errorf("it says:\n%s", log)
	}
	if err := a.Try(t.Context()); err == nil || errors.Is(err, ErrRefused) || !strings.Contains(err.Error(), says) {
		t.Errorf("an installation is told: %v", err)
	}
	if got := id.State(); got.Enrolled() || got.Token != token || !id.Key().Equal(key) {
		t.Fatalf("it gave something up: %+v", got)
	}
	relay.RefuseHello(nil)
	if err := a.Try(t.Context()); err != nil || !id.State().Enrolled() {
		t.Fatalf("with a place it is not enrolled: %v", err)
	}
}
