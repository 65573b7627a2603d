package broker_test

import (
	"testing"

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
