package broker_test

import (
	"context"
	"slices"
	"testing"

	orielv1 "oriel/protocol/oriel/v1"
	"oriel/relay/internal/broker"
	"oriel/relay/internal/relaytest"
)

// Rule: TURN credentials are of the session and die with it, those of a tab
// with its sign-in; on every node.
func TestCreditsEndWithWhatTheyAreFor(t *testing.T) {
	each(t, relaytest.NodeOptions{}, func(t *testing.T, w *world) {
		ended, _ := w.session(t, relaytest.Watching)
		lost, _ := w.session(t, relaytest.Watching)
		running, _ := w.session(t, relaytest.Watching)
		session := func(id string) broker.Credit { return broker.Credit{ID: w.computer, Scope: broker.SessionScope + id} }
		later := "/99999999999-X" // of a ticket that is good for ever
		tab := broker.Credit{ID: w.who.PersonID, Scope: broker.TicketScope + w.who.SignInID + later}
		strange := broker.Credit{ID: w.computer, Scope: "of another version/1"}
		nobody := broker.Credit{ID: w.who.PersonID, Scope: broker.TicketScope + "none" + later}
		other := broker.Credit{ID: "somebody", Scope: tab.Scope}
		all := []broker.Credit{session(ended), session(lost), session(running), session("none"), tab, strange, nobody, other}
		over := func(want ...broker.Credit) {
			t.Helper()
			for _, n := range []*relaytest.Node{w.tabs, w.agents} {
				if got, err := n.Broker.Over(t.Context(), all); err != nil || !slices.Equal(got, want) {
					t.Fatalf("over are %v (%v), want %v", got, err, want)
				}
			}
		}
		over(session("none"), nobody, other)
		for id, reason := range map[string]orielv1.EndReason{ended: orielv1.EndReason_END_REASON_ENDED, lost: orielv1.EndReason_END_REASON_LOST} {
			if _, _, err := w.tabs.Journal.End(t.Context(), relaytest.Own(id), reason, 0, ""); err != nil {
				t.Fatal(err)
			}
		}
		over(session(ended), session("none"), nobody, other)
		w.forget(t, w.cookie)
		over(session(ended), session("none"), tab, nobody, other)

		away, cancel := context.WithCancel(t.Context())
		cancel()
		if got, err := w.tabs.Broker.Over(away, all); err == nil || len(got) != 0 {
			t.Errorf("nobody could say, and %v are over (%v)", got, err)
		}
	})
}
