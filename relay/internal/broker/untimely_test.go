package broker_test

import (
	"slices"
	"testing"

	orielv1 "oriel/protocol/oriel/v1"
	"oriel/relay/internal/relaytest"
)

// untimely refuses an offer as an agent does whose idea of the time is wrong.
func untimely(a *relaytest.Agent, o *orielv1.Offer) {
	a.Say(&orielv1.FromAgent{Body: &orielv1.FromAgent_SessionEnded{SessionEnded: &orielv1.SessionEnded{
		SessionId: o.GetSessionId(), Attempt: o.GetAttempt(), Reason: orielv1.EndReason_END_REASON_REFUSED,
		Code: orielv1.Code_CODE_GRANT_EXPIRED, Detail: "the grant has expired"}}})
}

func offered(t *testing.T, a *relaytest.Agent) *orielv1.Offer {
	t.Helper()
	return a.Take("offer", func(m *orielv1.ToAgent) bool { return m.GetOffer() != nil }).GetOffer()
}

// Rule: a grant refused for its time is asked for anew once, with fresh times,
// before a person hears of it; what the tab said meanwhile is said again.
func TestUntimelyGrantIsMadeAnewOnce(t *testing.T) {
	each(t, relaytest.NodeOptions{}, func(t *testing.T, w *world) {
		attempt := w.tab.Open(w.computer, relaytest.Controlling, "")
		opened := w.tab.Opened(attempt)
		first := offered(t, w.agent)
		w.tab.Candidate(attempt, opened.GetSessionId(), "between")
		if c := w.agent.Candidate(); c.GetCandidate() != "between" {
			t.Fatal(c)
		}
		untimely(w.agent, first)
		o, g := w.agent.Offer() // verifies that it is fresh
		if o.GetSessionId() != opened.GetSessionId() || o.GetAttempt() != attempt || o.GetSdp() != first.GetSdp() ||
			string(g.GetNonce()) != string(opened.GetNonce()) {
			t.Fatal("another offer:", o)
		}
		if c := w.agent.Candidate(); c.GetCandidate() != "between" {
			t.Fatal(c)
		}
		w.agent.Answer(o, g)
		w.tab.Answer()
		if w.tab.Has(func(m *orielv1.ToConsole) bool { return m.GetSessionEnded() != nil || m.GetProblem() != nil }) {
			t.Error("a person heard of it")
		}
		// Once it was answered it is an end of that attempt like any other.
		untimely(w.agent, o)
		w.tab.Ended(o.GetSessionId())

		attempt = w.tab.Open(w.computer, relaytest.Watching, "")
		id := w.tab.Opened(attempt).GetSessionId()
		untimely(w.agent, offered(t, w.agent))
		untimely(w.agent, offered(t, w.agent))
		e := w.tab.Ended(id)
		if e.GetCode() != orielv1.Code_CODE_GRANT_EXPIRED || e.GetAttempt() != 0 {
			t.Error("the second time it ended with", e)
		}
		w.row(t, id, "refused", endedBy(orielv1.EndReason_END_REASON_REFUSED))
		if w.agent.Has(func(m *orielv1.ToAgent) bool { return m.GetOffer() != nil }) {
			t.Error("offered for the third time")
		}
	})
}

// Rule: a grant that is signed anew gives only what the session has by then: what was
// given back, or taken away, meanwhile does not come back with it.
func TestUntimelyGrantDoesNotGiveBackWhatWasTakenAway(t *testing.T) {
	each(t, relaytest.NodeOptions{}, func(t *testing.T, w *world) {
		w.able(t, today...)
		id, _ := w.session(t, relaytest.Controlling)
		attempt := w.tab.Open(w.computer, relaytest.Controlling, id)
		w.tab.Opened(attempt)
		first := offered(t, w.agent)
		w.tab.Say(change(id, 1, relaytest.Watching...))
		s := w.supplemented(t, nil)
		relaytest.Until(t, "the row says so", func() bool {
			e, err := w.tabs.Journal.Find(t.Context(), w.who.Of(id))
			return err == nil && slices.Equal(e.Now, relaytest.Watching)
		})
		untimely(w.agent, first)
		o, g := w.agent.Offer()
		if !slices.Equal(g.GetScopes(), relaytest.Watching) || g.GetMode() != orielv1.Mode_MODE_VIEW || g.GetIssuedAt() <= s.GetIssuedAt() {
			t.Fatalf("signed anew: %v after %v", g, s)
		}
		w.agent.Answer(o, g)
		w.tab.Answer()
		e, err := w.tabs.Journal.Find(t.Context(), w.who.Of(id))
		if err != nil || !slices.Equal(e.Now, relaytest.Watching) {
			t.Errorf("the row says %v (%v)", e.Now, err)
		}
	})
}

// Rule: a grant that is signed while a change of scopes is under way gives nothing that
// the change takes away, first or anew, and is newer than the change's supplement.
func TestGrantsSignedDuringAChange(t *testing.T) {
	n := relaytest.StartNode(t, relaytest.NodeOptions{})
	w := start(t, n, n)
	w.able(t, today...)
	id, _ := w.session(t, relaytest.Controlling)
	attempt := w.tab.Open(w.computer, relaytest.Controlling, id)
	w.tab.Opened(attempt)
	first := offered(t, w.agent)
	w.tab.Say(change(id, 1, relaytest.Watching...))
	ask := w.agent.Take("supplement", func(m *orielv1.ToAgent) bool { return m.GetSupplement() != nil })
	untimely(w.agent, first)
	if _, g := w.agent.Offer(); !slices.Equal(g.GetScopes(), relaytest.Watching) {
		t.Errorf("signed anew: %v", g)
	}
	more := w.tab.Open(w.computer, relaytest.Controlling, id)
	if p := w.tab.Problem(); p.GetAttempt() != more || p.GetCode() != orielv1.Code_CODE_FORBIDDEN {
		t.Errorf("asked for once more: %v", p)
	}
	w.agent.Say(&orielv1.FromAgent{ReplyTo: ask.GetId()})
}
