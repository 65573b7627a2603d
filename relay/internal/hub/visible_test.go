package hub_test

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	orielv1 "oriel/protocol/oriel/v1"
	"oriel/relay/internal/access"
	"oriel/relay/internal/audit"
	"oriel/relay/internal/relaytest"
	"oriel/relay/internal/rights"
)

// Rule: a tab is shown only what its person may see; what they may see no more is gone for it, what they may see
// again comes back, and of a computer that it may not know of it hears nothing, not even the end.
func TestATabIsShownWhatIsVisible(t *testing.T) {
	n := relaytest.StartNode(t, relaytest.NodeOptions{Recheck: 20 * time.Millisecond})
	var sees atomic.Pointer[access.Visibility]
	all := access.Visibility{All: true}
	sees.Store(&all)
	n.Hub.SetVisible(func(context.Context, access.Identity, rights.Permission) (access.Visibility, error) {
		return *sees.Load(), nil
	})
	_, cookie := n.Owner(t)
	token := n.Token(t, 3)
	enroll := func(name string) string {
		return relaytest.NewMachine(name).Connect(t, n, token).Welcome.GetComputerId()
	}
	mine, others := enroll("mine"), enroll("others")
	tab := relaytest.OpenTab(t, n, cookie)
	tab.Watch(true, false)
	snapshot := func(what string, want int) {
		t.Helper()
		tab.Take(what, func(m *orielv1.ToConsole) bool {
			return m.GetComputers() != nil && len(m.GetComputers().GetComputers()) == want
		})
	}
	gone := func(id string) func(*orielv1.ToConsole) bool {
		return func(m *orielv1.ToConsole) bool { return m.GetComputerRemoved().GetId() == id }
	}
	snapshot("all", 2)

	sees.Store(&access.Visibility{Computers: []string{mine}})
	tab.Take("the other one is gone", gone(others))
	snapshot("what is left", 1)
	rename := func(id, name string) {
		t.Helper()
		if err := n.Fleet.Rename(t.Context(), audit.Command, relaytest.Own(id), name); err != nil {
			t.Fatal(err)
		}
	}
	rename(others, "secret")
	if err := n.Fleet.Remove(t.Context(), audit.Command, relaytest.Own(others)); err != nil {
		t.Fatal(err)
	}
	rename(mine, "renamed")
	tab.Take("one's own", func(m *orielv1.ToConsole) bool { return m.GetComputer().GetName() == "renamed" })
	if tab.Has(func(m *orielv1.ToConsole) bool { return m.GetComputer().GetName() == "secret" || gone(others)(m) }) {
		t.Error("told of a computer that it may not know of")
	}

	sees.Store(&access.Visibility{})
	tab.Take("the last one is gone", gone(mine))
	snapshot("nothing", 0)
	sees.Store(&all)
	snapshot("all again", 1)
	if err := n.Fleet.Remove(t.Context(), audit.Command, relaytest.Own(mine)); err != nil {
		t.Fatal(err)
	}
	tab.Take("removed", gone(mine))
}
