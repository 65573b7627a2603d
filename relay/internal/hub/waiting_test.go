package hub_test

import (
	"errors"
	"path/filepath"
	"slices"
	"testing"

	orielv1 "oriel/protocol/oriel/v1"
	"oriel/relay/internal/audit"
	"oriel/relay/internal/fleet"
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

// Rule: an agent that shows by the relay's own word whose it is waits with that organization
// and with no other. One that has the first version of that word only, and one whose
// organization is lost as well, wait with the first organization; what names another one
// than the relay signed is no word.
func TestComputerWaitsWithItsOrganization(t *testing.T) {
	n := relaytest.StartNode(t, relaytest.NodeOptions{})
	make := func(id store.OrganizationID) {
		t.Helper()
		p := store.Person{ID: "owner-of-" + string(id), Kind: store.PersonKind, Name: "Olga", State: store.Active}
		its := store.Identifier{Kind: store.Email, Key: p.ID + "@example.com", Text: p.ID + "@example.com", VerifiedAt: 1}
		if err := n.Store.Organizations().Create(t.Context(), audit.Command.Did(audit.OrganizationMade, "organization", string(id)), store.Organization{ID: id, Name: string(id), Code: string(id)}, p, its); err != nil {
			t.Fatal(err)
		}
	}
	make("acme")
	file := filepath.Join(t.TempDir(), "older.db")
	if err := n.Store.CopyTo(t.Context(), file); err != nil {
		t.Fatal(err)
	}
	make("late")
	kept, old, lost, other := relaytest.NewMachine("kept"), relaytest.NewMachine("old"), relaytest.NewMachine("lost"), relaytest.NewMachine("other")
	for m, o := range map[*relaytest.Machine]store.OrganizationID{kept: "acme", old: "acme", lost: "late", other: "acme"} {
		m.Connect(t, n, n.TokenOf(t, o, 1))
	}
	n.Stop()
	n = relaytest.StartNode(t, relaytest.NodeOptions{Database: file})
	waits := func(what string, m *relaytest.Machine, with store.OrganizationID) {
		t.Helper()
		refused(t, m, n, "")
		for _, o := range []store.OrganizationID{store.FirstOrganization, "acme"} {
			all, err := n.Fleet.Waiting(t.Context(), o)
			there := slices.ContainsFunc(all, func(w fleet.WaitingComputer) bool { return w.ComputerID == m.Welcomed.Computer })
			if err != nil || there != (o == with) {
				t.Errorf("%s: waits with %s: %v, %v", what, o, there, err)
			}
		}
	}
	kept.Member, old.Member, lost.Member, other.Member = kept.WelcomedIn, old.Welcomed, lost.WelcomedIn, other.WelcomedIn
	waits("its organization is there", kept, "acme")
	waits("it names none", old, store.FirstOrganization)
	waits("its organization is lost", lost, store.FirstOrganization)
	other.Member.Organization = string(store.FirstOrganization)
	var r *relaytest.Refusal
	if _, _, err := other.Dial(t.Context(), n, ""); !errors.As(err, &r) || r.Status != 401 {
		t.Errorf("another organization than the relay signed: %v", err)
	}
	old.Member = old.WelcomedIn
	waits("it names one by now", old, "acme")
	if err := n.Fleet.TakeBack(t.Context(), audit.Command, store.OrganizationID("acme").Ref(kept.Welcomed.Computer)); err != nil {
		t.Fatal(err)
	}
	if c, err := n.Store.Computers("acme").Get(t.Context(), kept.Connect(t, n, "").Welcome.GetComputerId()); err != nil || c.ID != kept.Welcomed.Computer {
		t.Errorf("taken back: %+v, %v", c, err)
	}
}
