package broker_test

import (
	"testing"
	"time"

	orielv1 "oriel/protocol/oriel/v1"
	"oriel/relay/internal/audit"
	"oriel/relay/internal/broker"
	"oriel/relay/internal/relaytest"
	"oriel/relay/internal/store"
)

// lost writes rows of sessions of w's person with w's computer that the relay gave
// up, the last sign of them that long ago.
func (w *world) lost(t *testing.T, n int, ago time.Duration) []string {
	t.Helper()
	at := time.Now().Add(-ago).UnixMilli()
	ids := make([]string, n)
	for i := range ids {
		row := store.Session{ID: store.NewID(), ComputerID: w.computer, OperatorID: w.who.PersonID, SignInID: w.who.SignInID, Scopes: "view control", ScopesNow: "view control",
			StartedAt: at, ConnectedAt: at, SeenAt: at, EndedAt: at, EndReason: store.Lost}
		if err := w.tabs.Store.Sessions(store.FirstOrganization).Add(t.Context(), audit.Relay.Did(audit.SessionOpened, "session", row.ID), row); err != nil {
			t.Fatal(err)
		}
		ids[i] = row.ID
	}
	return ids
}

// Rule: a hostile agent cannot make an operator busy elsewhere: what it says to
// run, after a reconnect or in reports, counts against sessions with itself only;
// until a tab of that person has it again.
func TestHostileAgentMakesNobodyBusyElsewhere(t *testing.T) {
	each(t, relaytest.NodeOptions{Grace: time.Millisecond}, func(t *testing.T, w *world) {
		reported := w.lost(t, broker.MaxSessions/2, time.Minute)
		claimed := w.lost(t, broker.MaxSessions/2, time.Minute)
		old := w.lost(t, 1, 21*time.Minute)
		_ = w.agent.Conn.Close()
		relaytest.Until(t, "offline", func() bool { return w.agents.Hub.Stats().Agents == 0 })
		w.machine.Hello.Sessions = append(claimed, old...)
		w.agent = w.machine.Connect(t, w.agents, "")
		// Its lease was over: it cannot run any more.
		w.agent.EndSession(old[0])
		for _, id := range reported {
			w.agent.Report(id, 1)
		}
		relaytest.Until(t, "all run again", func() bool {
			rows, err := w.tabs.Store.Sessions(store.FirstOrganization).Running(t.Context(), store.Running{OperatorID: w.who.PersonID})
			return err == nil && len(rows) == broker.MaxSessions
		})

		honest := relaytest.NewMachine("honest")
		other := honest.Connect(t, w.agents, w.agents.Token(t, 1))
		attempt := w.tab.Open(other.Welcome.GetComputerId(), relaytest.Controlling, "")
		mine := w.tab.Opened(attempt).GetSessionId()
		o, g := other.Offer()
		other.Answer(o, g)
		w.tab.Answer()
		w.tab.Open(w.computer, relaytest.Controlling, "")
		if p := w.tab.Problem(); p.GetCode() != orielv1.Code_CODE_BUSY {
			t.Error("with the hostile one itself:", p)
		}

		// Nor by what its own tab left behind; what a tab has, counts.
		if row, err := w.tabs.Store.Sessions(store.FirstOrganization).Get(t.Context(), mine); err != nil || row.Unattended {
			t.Errorf("%+v, %v", row, err)
		}
		other.Report(mine, 1)
		w.row(t, mine, "connected", func(e *orielv1.JournalEntry) bool { return e.GetConnectedAt() != 0 })
		w.closeTab(t)
		relaytest.Until(t, "nobody's", func() bool {
			row, err := w.tabs.Store.Sessions(store.FirstOrganization).Get(t.Context(), mine)
			return err == nil && row.Unattended && row.EndedAt == 0
		})
		tab := relaytest.OpenTab(t, w.tabs, w.cookie)
		for _, id := range []string{mine, claimed[0], reported[0]} {
			tab.Attach(id)
			relaytest.Until(t, "somebody's again", func() bool {
				row, err := w.tabs.Store.Sessions(store.FirstOrganization).Get(t.Context(), id)
				return err == nil && !row.Unattended && row.EndedAt == 0
			})
		}
	})
}
