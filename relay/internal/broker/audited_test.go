package broker_test

import (
	"testing"

	orielv1 "oriel/protocol/oriel/v1"
	"oriel/relay/internal/audit"
	"oriel/relay/internal/relaytest"
	"oriel/relay/internal/store"
)

// audited are the entries of that action about a session.
func (w *world) audited(t *testing.T, what audit.Action, session string) (found []store.Entry) {
	t.Helper()
	all, err := w.tabs.Store.Audit(store.FirstOrganization).After(t.Context(), 0, 1000)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range all {
		if e.Action == string(what) && e.ObjectKind == "session" && e.ObjectID == session {
			found = append(found, e)
		}
	}
	return found
}

// Rule: before the computer hears of a session it is in the audit who opened it.
func TestOpeningIsAudited(t *testing.T) {
	each(t, relaytest.NodeOptions{}, func(t *testing.T, w *world) {
		w.tab.Open(w.computer, relaytest.Watching, "")
		o, _ := w.agent.Offer()
		all := w.audited(t, audit.SessionOpened, o.GetSessionId())
		if len(all) != 1 || all[0].ActorKind != "person" || all[0].ActorID != w.who.PersonID || all[0].SignInID != w.who.SignInID ||
			all[0].Address == "" || all[0].Details["computer"] != w.computer || all[0].Details["scopes"] != "view" {
			t.Errorf("%+v", all)
		}
	})
}

// Rule: an end that the computer tells, of the customer's or its own, is in the audit
// once, with why, however often it is told.
func TestEndByTheComputerIsAudited(t *testing.T) {
	each(t, relaytest.NodeOptions{}, func(t *testing.T, w *world) {
		id, _ := w.session(t, relaytest.Watching)
		for range 2 {
			w.agent.Say(&orielv1.FromAgent{Body: &orielv1.FromAgent_SessionEnded{SessionEnded: &orielv1.SessionEnded{
				SessionId: id, Reason: orielv1.EndReason_END_REASON_CUSTOMER}}})
			w.agent.Take("its receipt", func(m *orielv1.ToAgent) bool { return m.GetSessionEndedAck().GetSessionId() == id })
		}
		all := w.audited(t, audit.SessionEnded, id)
		if len(all) != 1 || all[0].ActorKind != "agent" || all[0].ActorID != w.computer || all[0].ActorName != "pc" || all[0].Details["reason"] != "customer" {
			t.Errorf("%+v", all)
		}
	})
}
