package broker_test

import (
	"testing"

	orielv1 "oriel/protocol/oriel/v1"
	"oriel/relay/internal/journal"
	"oriel/relay/internal/relaytest"
	"oriel/relay/internal/store"
)

// A session that is about to be asked for is announced to its computer, and to no other.
func TestPrepare(t *testing.T) {
	each(t, relaytest.NodeOptions{}, func(t *testing.T, w *world) {
		prepare := func(computer string) {
			w.tab.Say(&orielv1.FromConsole{Body: &orielv1.FromConsole_PrepareSession{PrepareSession: &orielv1.PrepareSession{ComputerId: computer}}})
		}
		prepare("agent.*")
		prepare(store.NewID())
		prepare(w.computer)
		announced := func(m *orielv1.ToAgent) bool { return m.GetPrepare() != nil }
		w.agent.Take("the announcement", announced)
		if w.agent.Has(announced) {
			t.Error("another computer's came here")
		}
		// It is no promise, and nothing that is written down.
		running, err := w.agents.Journal.Running(t.Context(), store.FirstOrganization, journal.Selection{ComputerID: w.computer})
		if err != nil || len(running) != 0 {
			t.Error(running, err)
		}
		w.session(t, relaytest.Watching)
	})
}
