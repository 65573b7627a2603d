package broker_test

import (
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	orielv1 "oriel/protocol/oriel/v1"
	"oriel/relay/internal/relaytest"
	"oriel/relay/internal/store"
)

// forget removes a sign-in as somebody at the database would: nobody is told.
func (w *world) forget(t *testing.T, cookie *http.Cookie) {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/", nil)
	r.AddCookie(cookie)
	if _, err := w.tabs.Access.SignOut(r); err != nil {
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
			if err := w.tabs.Fleet.Block(t.Context(), w.computer, true); err != nil {
				t.Fatal(err)
			}
		}},
		{"removed while the relay took it for lost", orielv1.EndReason_END_REASON_OPERATOR, func(t *testing.T, w *world, id string) {
			if _, _, err := w.tabs.Journal.End(t.Context(), id, orielv1.EndReason_END_REASON_LOST, 0, ""); err != nil {
				t.Fatal(err)
			}
			w.forget(t, w.cookie)
			w.agent.Report(id, 2000)
		}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			each(t, o, func(t *testing.T, w *world) {
				id, _ := w.session(t, orielv1.Mode_MODE_CONTROL)
				w.closeTab(t)
				tc.goes(t, w, id)
				w.row(t, id, "ended", endedBy(tc.reason))
				if tc.name != "computer blocked" { // else its connection is closed as well
					w.agent.EndSession(id)
				}
			})
		})
	}
	t.Run("right", func(t *testing.T) {
		each(t, o, func(t *testing.T, w *world) {
			row := store.Session{ID: store.NewID(), ComputerID: w.computer, OperatorID: "without the right", SignInID: w.who.SignInID,
				Mode: "control", StartedAt: 1, ConnectedAt: 1, SeenAt: time.Now().UnixMilli()}
			if err := w.tabs.Store.AddSession(t.Context(), row); err != nil {
				t.Fatal(err)
			}
			w.agent.EndSession(row.ID)
			w.row(t, row.ID, "ended", endedBy(orielv1.EndReason_END_REASON_ENDED))
		})
	})
}

// Rule: every attempt is bound to its own sign-in, also when somebody else's sign-in resumed the session.
func TestAttemptsAreBoundToTheirSignIn(t *testing.T) {
	each(t, relaytest.NodeOptions{Ask: 20 * time.Millisecond}, func(t *testing.T, w *world) {
		resumed, _ := w.session(t, orielv1.Mode_MODE_CONTROL)
		asked, _ := w.session(t, orielv1.Mode_MODE_CONTROL)
		attached, _ := w.session(t, orielv1.Mode_MODE_CONTROL)
		_, other := w.tabs.Owner(t)
		tab := relaytest.OpenTab(t, w.agents, other)
		attempt := tab.Open(w.computer, orielv1.Mode_MODE_CONTROL, resumed)
		tab.Opened(attempt)
		o, g := w.agent.Offer()
		w.agent.Answer(o, g)
		tab.Answer()
		// Asked for, but not answered: the connection is still the first sign-in's.
		tab.Opened(tab.Open(w.computer, orielv1.Mode_MODE_CONTROL, asked))
		w.agent.Offer()
		tab.Attach(attached) // found again, over the same connection

		w.forget(t, w.cookie)
		for _, id := range []string{asked, attached} {
			w.agent.EndSession(id)
			w.row(t, id, "ended", endedBy(orielv1.EndReason_END_REASON_OPERATOR))
		}
		if e, err := w.tabs.Journal.Get(t.Context(), resumed); err != nil || e.GetEndedAt() != 0 {
			t.Fatal("what another sign-in carries now ended with the first:", e, err)
		}
		w.forget(t, other)
		w.agent.EndSession(resumed)
		w.row(t, resumed, "ended", endedBy(orielv1.EndReason_END_REASON_OPERATOR))
	})
}
