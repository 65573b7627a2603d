package link

import (
	"strings"
	"testing"

	"oriel/agent/internal/identity"
	"oriel/agent/internal/link/linktest"
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
