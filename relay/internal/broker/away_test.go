package broker_test

import (
	"testing"

	orielv1 "oriel/protocol/oriel/v1"
	"oriel/relay/internal/relaytest"
	"oriel/relay/internal/store"
	"oriel/relay/internal/store/storetest"
)

// Rule: who opens a session while the nodes cannot reach each other is not told
// that a computer is offline which the list shows online, and the session comes
// by itself.
func TestOpenWhileTheBusIsAway(t *testing.T) {
	database, nats := storetest.PostgreSQL(t), relaytest.NewNATS(t)
	here := relaytest.StartNode(t, relaytest.NodeOptions{Name: "here", Database: database, NATS: nats.URL})
	there := relaytest.StartNode(t, relaytest.NodeOptions{Name: "there", Database: database, NATS: nats.URL})
	_, cookie := here.Owner(t)
	agent := relaytest.NewMachine("workshop").Connect(t, there, here.Token(t, 1))
	tab := relaytest.OpenTab(t, here, cookie)
	waiting := func(attempt uint32, unreachable bool) {
		t.Helper()
		m := tab.Take("word that it waits", func(m *orielv1.ToConsole) bool {
			return m.GetSessionWaiting() != nil && m.GetSessionWaiting().GetAttempt() == attempt
		}).GetSessionWaiting()
		if m.GetUnreachable() != unreachable {
			t.Errorf("told %v", m)
		}
	}
	nats.Stop()
	attempt := tab.Open(agent.Welcome.GetComputerId(), relaytest.Watching, "")
	waiting(attempt, true)
	nats.Start()
	tab.Opened(attempt)
	agent.Offer()

	_ = agent.Conn.Close()
	relaytest.Until(t, "the computer is offline", func() bool {
		c, err := here.Store.Computers(store.FirstOrganization).Get(t.Context(), agent.Welcome.GetComputerId())
		return err == nil && !c.Online
	})
	waiting(tab.Open(agent.Welcome.GetComputerId(), relaytest.Watching, ""), false)
}
