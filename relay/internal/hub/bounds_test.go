package hub_test

import (
	"testing"

	orielv1 "oriel/protocol/oriel/v1"
	"oriel/relay/internal/hub"
	"oriel/relay/internal/relaytest"
	"oriel/relay/internal/share"
)

// Rule: of WebSockets, tabs that said nothing make place for who comes;
// computers and tabs that work stay.
func TestSilentTabsMakePlace(t *testing.T) {
	n := relaytest.StartNode(t, relaytest.NodeOptions{Bounds: hub.Bounds{Sockets: share.Bound{All: 8, Address: 4}}})
	_, cookie := n.Owner(t)
	held := func() int { return n.Hub.Places()["sockets"].Stats().Held }
	working := relaytest.OpenTab(t, n, cookie)
	working.Watch(true, false)
	working.Take("the list", func(m *orielv1.ToConsole) bool { return m.GetComputers() != nil })
	one := relaytest.NewMachine("one").Connect(t, n, n.Token(t, 1))
	var silent []*relaytest.Tab
	for range 4 {
		silent = append(silent, relaytest.OpenTab(t, n, cookie))
	}
	two := relaytest.NewMachine("two").Connect(t, n, n.Token(t, 1))
	for i, tab := range silent[:3] {
		relaytest.Until(t, "a silent tab goes", func() bool { return tab.Conn.Err() != nil })
		if closeCode(tab.Conn.Err()) != 1013 {
			t.Errorf("silent tab %d ends with %v", i, tab.Conn.Err())
		}
	}
	if held() != 4 || silent[3].Conn.Err() != nil || working.Conn.Err() != nil || one.Conn.Err() != nil || two.Conn.Err() != nil {
		t.Errorf("%d places, the youngest silent tab %v, the tab that works %v, computers %v and %v", held(), silent[3].Conn.Err(), working.Conn.Err(), one.Conn.Err(), two.Conn.Err())
	}
	silent[3].Watch(true, false)
	silent[3].Take("the list", func(m *orielv1.ToConsole) bool { return m.GetComputers() != nil })
	if conn, _, err := relaytest.NewMachine("three").Dial(t.Context(), n, n.Token(t, 1)); err == nil {
		relaytest.Until(t, "the fifth of four goes", func() bool { return conn.Receive(&orielv1.ToAgent{}) != nil })
		_ = conn.Close()
	}
	if working.Conn.Err() != nil || one.Conn.Err() != nil || silent[3].Conn.Err() != nil {
		t.Error("one that works made place")
	}
}
