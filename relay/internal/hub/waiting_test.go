package hub_test

import (
	"errors"
	"path/filepath"
	"testing"

	orielv1 "oriel/protocol/oriel/v1"
	"oriel/relay/internal/audit"
	"oriel/relay/internal/relaytest"
	"oriel/relay/internal/store"
)

// older is a relay whose database is from before the computers of fn came.
func older(t *testing.T, fn func(n *relaytest.Node)) *relaytest.Node {
	n := relaytest.StartNode(t, relaytest.NodeOptions{})
	file := filepath.Join(t.TempDir(), "older.db")
	if err := n.Store.CopyTo(t.Context(), file); err != nil {
		t.Fatal(err)
	}
	fn(n)
	n.Stop()
	return relaytest.StartNode(t, relaytest.NodeOptions{Database: file})
}

// Rule: an agent newer than the restored database waits in a list, and is taken back
// with its identity and history by one click.
func TestComputerNewerThanTheDatabaseIsTakenBack(t *testing.T) {
	m := relaytest.NewMachine("pc")
	var id string
	n := older(t, func(n *relaytest.Node) { id = m.Connect(t, n, n.Token(t, 1)).Welcome.GetComputerId() })
	_, cookie := n.Owner(t)
	tab := relaytest.OpenTab(t, n, cookie)
	tab.Watch(true, false)
	m.Member = m.Welcomed
	for range 2 {
		if r := refused(t, m, n, ""); r.GetCode() != orielv1.Code_CODE_NOT_FOUND || r.GetFinal() {
			t.Fatal(r)
		}
	}
	// What a page that shows the list hears, so that it looks who waits.
	tab.Take("word of it", func(m *orielv1.ToConsole) bool { return m.GetComputerRemoved().GetId() == id })
	all, err := n.Fleet.Waiting(t.Context(), store.FirstOrganization)
	if err != nil || len(all) != 1 || all[0].ComputerID != id || all[0].HostName != "pc" {
		t.Fatal(all, err)
	}
	if err := n.Fleet.TakeBack(t.Context(), audit.Command, relaytest.Own(id)); err != nil {
		t.Fatal(err)
	}
	back := m.Connect(t, n, "")
	if back.Welcome.GetComputerId() != id || back.Welcome.GetEnrolled() {
		t.Fatal(back.Welcome)
	}
	if c, err := n.Store.Computers(store.FirstOrganization).Get(t.Context(), id); err != nil || string(c.MachineKey) != string(m.Public()) {
		t.Fatal("another key:", err)
	}
	if all, err := n.Fleet.Waiting(t.Context(), store.FirstOrganization); err != nil || len(all) != 0 {
		t.Fatal("it waits still:", all, err)
	}
	if err := n.Fleet.TakeBack(t.Context(), audit.Command, relaytest.Own(id)); !errors.Is(err, store.ErrNotFound) {
		t.Fatal(err)
	}
}

// Rule: a token does it by itself, with the same identity.
func TestTokenTakesBack(t *testing.T) {
	m := relaytest.NewMachine("pc")
	var id string
	n := older(t, func(n *relaytest.Node) { id = m.Connect(t, n, n.Token(t, 1)).Welcome.GetComputerId() })
	m.Member = m.Welcomed
	refused(t, m, n, "")
	if back := m.Connect(t, n, n.Token(t, 1)); back.Welcome.GetComputerId() != id || !back.Welcome.GetEnrolled() {
		t.Fatal(back.Welcome)
	}
	if all, err := n.Fleet.Waiting(t.Context(), store.FirstOrganization); err != nil || len(all) != 0 {
		t.Fatal("it waits still:", all, err)
	}
}

// Rule: the list takes nobody in whom this relay did not enroll, by its own signature;
// nor whom people removed or said to forget. All of these are turned away at the door.
func TestOnlyFormerComputersWait(t *testing.T) {
	m, other, removed := relaytest.NewMachine("pc"), relaytest.NewMachine("other"), relaytest.NewMachine("removed")
	n := older(t, func(n *relaytest.Node) { m.Connect(t, n, n.Token(t, 1)) })
	id := removed.Connect(t, n, n.Token(t, 1)).Welcome.GetComputerId()
	if err := n.Fleet.Remove(t.Context(), audit.Command, relaytest.Own(id)); err != nil {
		t.Fatal(err)
	}
	door := func(what string, m *relaytest.Machine) {
		t.Helper()
		var r *relaytest.Refusal
		if _, _, err := m.Dial(t.Context(), n, ""); !errors.As(err, &r) || r.Status != 401 {
			t.Errorf("%s: %v", what, err)
		}
	}
	door("nothing shown", m)
	other.Member = m.Welcomed
	door("another key's word", other)
	m.Member = m.Welcomed
	m.Member.Computer = "somebody-else"
	door("another id", m)
	removed.Member = removed.Welcomed
	door("removed", removed)
	m.Member = m.Welcomed
	refused(t, m, n, "")
	if err := n.Fleet.ForgetWaiting(t.Context(), audit.Command, relaytest.Own(m.Welcomed.Computer)); err != nil {
		t.Fatal(err)
	}
	door("forgotten", m)
	if all, err := n.Fleet.Waiting(t.Context(), store.FirstOrganization); err != nil || len(all) != 0 {
		t.Fatal(all, err)
	}
	m.Connect(t, n, n.Token(t, 1)) // a token is a person's word
}
