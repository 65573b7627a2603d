package broker_test

import (
	"strings"
	"testing"
	"time"

	orielv1 "oriel/protocol/oriel/v1"
	"oriel/relay/internal/audit"
	"oriel/relay/internal/policy"
	"oriel/relay/internal/relaytest"
	"oriel/relay/internal/store"
)

// Rule: what a policy does not let a session do the operator is told before the computer
// is asked: when it is opened, and when more is asked for; what is left is granted, for no
// longer than the policy says.
func TestSessionsKeepToPolicies(t *testing.T) {
	each(t, relaytest.NodeOptions{}, func(t *testing.T, w *world) {
		w.able(t, today...)
		hour, five := 60, 5
		on := policy.Origin{Kind: store.ObjectComputer, ID: w.computer}
		_, err := w.tabs.Policies.Save(t.Context(), audit.Command, store.FirstOrganization, on, 0,
			policy.Settings{Scopes: []string{"view"}, SessionMinutes: &hour, LeaseMinutes: &five})
		if err != nil {
			t.Fatal(err)
		}
		refused := func() {
			t.Helper()
			if p := w.tab.Problem(); p.GetCode() != orielv1.Code_CODE_FORBIDDEN || !strings.Contains(p.GetDetail(), "policy") {
				t.Errorf("told %v", p)
			}
		}
		w.tab.Open(w.computer, relaytest.Controlling, "")
		refused()
		attempt := w.tab.Open(w.computer, relaytest.Watching, "")
		id := w.tab.Opened(attempt).GetSessionId()
		offer, g := w.agent.Offer()
		if lasts := time.UnixMilli(g.GetEndsAt()).Sub(time.UnixMilli(g.GetIssuedAt())); lasts < 59*time.Minute || lasts > time.Hour || g.GetLeaseSeconds() != 300 {
			t.Errorf("granted for %v, %d s", lasts, g.GetLeaseSeconds())
		}
		w.agent.Answer(offer, g)
		w.tab.Answer()
		w.tab.Say(change(id, 1, relaytest.Controlling...))
		refused()
		if err := w.tabs.Policies.Remove(t.Context(), audit.Command, store.FirstOrganization, on, 1); err != nil {
			t.Fatal(err)
		}
		w.tab.Say(change(id, 2, relaytest.Controlling...))
		w.supplemented(t, nil)
	})
}
