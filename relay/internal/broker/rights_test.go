package broker_test

import (
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	orielv1 "oriel/protocol/oriel/v1"
	"oriel/relay/internal/audit"
	"oriel/relay/internal/relaytest"
	"oriel/relay/internal/store"
)

// forget removes a sign-in as somebody at the database would: nobody is told.
func (w *world) forget(t *testing.T, cookie *http.Cookie) {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/", nil)
	r.AddCookie(cookie)
	who, err := w.tabs.Access.Identify(r)
	if err == nil {
		err = w.tabs.Store.SignIns().End(t.Context(), audit.Command.Did(audit.SignInEnded, "sign_in", ""), who.PersonID, who.SignInID)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func (w *world) closeTab(t *testing.T) {
	t.Helper()
	_ = w.tab.Conn.Close()
	relaytest.Until(t, "tab gone", func() bool { return w.tabs.Hub.Stats().Tabs == 0 })
}

// Rule: a session ends when the sign-in that carries it, the person, the computer or the right goes away, also when no tab is open.
func TestSessionEndsWithWhatItRestsOn(t *testing.T) {
	var later atomic.Int64 // the clock is ahead by that much
	o := relaytest.NodeOptions{Ask: 20 * time.Millisecond, Now: func() time.Time { return time.Now().Add(time.Duration(later.Load())) }}
	for _, tc := range []struct {
		name   string
		reason orielv1.EndReason
		goes   func(t *testing.T, w *world, id string)
	}{
		{"sign-in removed", orielv1.EndReason_END_REASON_OPERATOR, func(t *testing.T, w *world, _ string) { w.forget(t, w.cookie) }},
		{"sign-in too old", orielv1.EndReason_END_REASON_OPERATOR, func(t *testing.T, _ *world, _ string) {
			t.Cleanup(func() { later.Store(0) })
			later.Store(int64(8 * 24 * time.Hour))
		}},
		{"computer blocked", orielv1.EndReason_END_REASON_ENDED, func(t *testing.T, w *world, _ string) {
			if err := w.tabs.Fleet.Block(t.Context(), audit.Command, relaytest.Own(w.computer), true); err != nil {
				t.Fatal(err)
			}
		}},
		{"removed while the relay took it for lost", orielv1.EndReason_END_REASON_OPERATOR, func(t *testing.T, w *world, id string) {
			if _, _, err := w.tabs.Journal.End(t.Context(), relaytest.Own(id), orielv1.EndReason_END_REASON_LOST, 0, ""); err != nil {
				t.Fatal(err)
			}
			w.forget(t, w.cookie)
			w.agent.Report(id, 2000)
		}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			each(t, o, func(t *testing.T, w *world) {
				id, _ := w.session(t, relaytest.Controlling)
				w.closeTab(t)
				tc.goes(t, w, id)
				w.row(t, id, "ended", endedBy(tc.reason))
				// Rule: an end because the computer was blocked is told from one on somebody's word.
				blocked := tc.name == "computer blocked"
				w.row(t, id, "with its code", func(e *orielv1.JournalEntry) bool {
					return (e.GetEndCode() == orielv1.Code_CODE_NOT_FOUND) == blocked
				})
				if tc.name != "computer blocked" { // else its connection is closed as well
					w.agent.EndSession(id)
				}
			})
		})
	}
	t.Run("right", func(t *testing.T) {
		each(t, o, func(t *testing.T, w *world) {
			row := store.Session{ID: store.NewID(), ComputerID: w.computer, OperatorID: "without the right", SignInID: w.who.SignInID,
				Scopes: "view control", ScopesNow: "view control", StartedAt: time.Now().UnixMilli(), ConnectedAt: time.Now().UnixMilli(), SeenAt: time.Now().UnixMilli()}
			if err := w.tabs.Store.Sessions(store.FirstOrganization).Add(t.Context(), audit.Relay.Did(audit.SessionOpened, "session", row.ID), row); err != nil {
				t.Fatal(err)
			}
			w.agent.EndSession(row.ID)
			if e := w.row(t, row.ID, "ended", endedBy(orielv1.EndReason_END_REASON_ENDED)); e.GetEndCode() != orielv1.Code_CODE_FORBIDDEN {
				t.Errorf("that nobody ended it is not said: %v", e)
			}
		})
	})
}

// Rule: every attempt is bound to its own sign-in, also when somebody else's sign-in resumed the session, which the audit says.
func TestAttemptsAreBoundToTheirSignIn(t *testing.T) {
	each(t, relaytest.NodeOptions{Ask: 20 * time.Millisecond}, func(t *testing.T, w *world) {
		resumed, _ := w.session(t, relaytest.Controlling)
		asked, _ := w.session(t, relaytest.Controlling)
		attached, _ := w.session(t, relaytest.Controlling)
		_, other := w.tabs.Owner(t)
		tab := relaytest.OpenTab(t, w.agents, other)
		attempt := tab.Open(w.computer, relaytest.Controlling, resumed)
		tab.Opened(attempt)
		o, g := w.agent.Offer()
		w.agent.Answer(o, g)
		tab.Answer()
		// Asked for, but not answered: the connection is still the first sign-in's.
		tab.Opened(tab.Open(w.computer, relaytest.Controlling, asked))
		w.agent.Offer()
		tab.Attach(attached) // found again, over the same connection

		w.forget(t, w.cookie)
		for _, id := range []string{asked, attached} {
			w.agent.EndSession(id)
			w.row(t, id, "ended", endedBy(orielv1.EndReason_END_REASON_OPERATOR))
		}
		if e, err := w.tabs.Journal.Get(t.Context(), relaytest.Own(resumed)); err != nil || e.GetEndedAt() != 0 {
			t.Fatal("what another sign-in carries now ended with the first:", e, err)
		}
		if all := w.audited(t, audit.SessionCarried, resumed); len(all) != 1 || all[0].SignInID == w.who.SignInID || all[0].Details["sign_in_before"] != w.who.SignInID {
			t.Errorf("the audit says %+v of the session's new sign-in", all)
		}
		w.forget(t, other)
		w.agent.EndSession(resumed)
		w.row(t, resumed, "ended", endedBy(orielv1.EndReason_END_REASON_OPERATOR))
	})
}

// renewed waits for the answer to a report, and verifies it as an agent does.
func (w *world) renewed(t *testing.T, a *relaytest.Agent, id string) *orielv1.Renewal {
	t.Helper()
	var r *orielv1.Renewal
	a.Take("renewal", func(m *orielv1.ToAgent) bool {
		if m.GetRenewal() == nil {
			return false
		}
		var err error
		if r, err = w.machine.Verifier.VerifyRenewal(m.GetRenewal()); err != nil {
			t.Fatal("the relay's renewal:", err)
		}
		return r.GetSessionId() == id
	})
	return r
}

// Rule: the relay renews each running session, and none whose right went away:
// also when it restarts, and when the agent comes back after that, at once.
func TestReportsAreAnsweredWithRenewals(t *testing.T) {
	// Access is asked by nothing but reports.
	each(t, relaytest.NodeOptions{Ask: time.Hour, Recheck: time.Hour, Lease: 7 * time.Minute}, func(t *testing.T, w *world) {
		attempt := w.tab.Open(w.computer, relaytest.Controlling, "")
		allowed := w.tab.Opened(attempt).GetSessionId()
		o, g := w.agent.Offer()
		if g.GetLeaseSeconds() != 420 {
			t.Error("the grant lends for", g.GetLeaseSeconds())
		}
		w.agent.Answer(o, g)
		w.tab.Answer()
		asked := time.Now().UnixMilli()
		w.agent.Report(allowed, 1000)
		if r := w.renewed(t, w.agent, allowed); r.GetIssuedAt() < asked || r.GetComputerId() != w.computer {
			t.Error("renewed by", r)
		}
		w.agent.Say(&orielv1.FromAgent{Body: &orielv1.FromAgent_SessionReport{SessionReport: &orielv1.SessionReport{SessionId: store.NewID()}}})
		w.agent.Take("the end of what is nobody's", func(m *orielv1.ToAgent) bool { return m.GetEndSession() != nil })

		// Away, and back: nothing is known of the agent but what it says.
		_, cookie := w.tabs.Owner(t)
		tab := relaytest.OpenTab(t, w.tabs, cookie)
		attempt = tab.Open(w.computer, relaytest.Controlling, "")
		gone := tab.Opened(attempt).GetSessionId()
		o, g = w.agent.Offer()
		w.agent.Answer(o, g)
		tab.Answer()
		w.agent.Report(gone, 1000)
		w.renewed(t, w.agent, gone)
		_ = w.agent.Conn.Close()
		relaytest.Until(t, "offline", func() bool { return w.agents.Hub.Stats().Agents == 0 })
		for _, id := range []string{allowed, gone} { // the relay was away for long
			if _, _, err := w.tabs.Journal.End(t.Context(), relaytest.Own(id), orielv1.EndReason_END_REASON_LOST, 0, ""); err != nil {
				t.Fatal(err)
			}
		}
		w.forget(t, cookie)
		w.machine.Hello.Sessions = []string{allowed, gone}
		w.agent = w.machine.Connect(t, w.agents, "")
		w.agent.Report(allowed, 2000)
		w.agent.Report(gone, 2000)
		w.renewed(t, w.agent, allowed)
		w.agent.EndSession(gone)
		w.row(t, gone, "ended", endedBy(orielv1.EndReason_END_REASON_OPERATOR))
		if w.agent.Has(func(m *orielv1.ToAgent) bool { return m.GetRenewal() != nil }) {
			t.Error("what may not go on was renewed")
		}
	})
}
