package broker_test

import (
	"testing"

	orielv1 "oriel/protocol/oriel/v1"
	"oriel/relay/internal/relaytest"
)

// Rule: an agent whose connection breaks without a goodbye is told to the tabs of
// its sessions at once, on every node, and to nobody else; one that says goodbye is not.
func TestTabsHearOfALostAgent(t *testing.T) {
	each(t, relaytest.NodeOptions{}, func(t *testing.T, w *world) {
		id, _ := w.session(t, relaytest.Watching)
		watcher := relaytest.OpenTab(t, w.tabs, w.cookie)
		watcher.Watch(true, false)
		watcher.Take("snapshot", func(m *orielv1.ToConsole) bool { return m.GetComputers() != nil })
		lost := func(m *orielv1.ToConsole) bool { return m.GetAgentLost() != nil }

		_ = w.agent.Conn.Close()
		watcher.Computer(w.computer, orielv1.Computer_STATUS_OFFLINE)
		if w.tab.Has(lost) {
			t.Error("a goodbye was told as a loss")
		}
		via, cut := w.agents.Via(t)
		w.machine.Hello.Sessions = []string{id}
		w.agent = w.machine.Connect(t, via, "")
		watcher.Computer(w.computer, orielv1.Computer_STATUS_IN_SESSION)
		cut()
		if got := w.tab.Take("word of the loss", lost).GetAgentLost().GetSessionId(); got != id {
			t.Errorf("told of %q, want %q", got, id)
		}
		if e := w.row(t, id, "there", func(e *orielv1.JournalEntry) bool { return true }); e.GetEndedAt() != 0 {
			t.Errorf("the session ended by it: %v", e)
		}
		watcher.Computer(w.computer, orielv1.Computer_STATUS_OFFLINE)
		if watcher.Has(lost) {
			t.Error("told to a tab that has no session with it")
		}
	})
}
