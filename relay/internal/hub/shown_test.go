package hub_test

import (
	"bytes"
	"image"
	"image/jpeg"
	"testing"

	"google.golang.org/protobuf/proto"

	orielv1 "oriel/protocol/oriel/v1"
	"oriel/relay/internal/audit"
	"oriel/relay/internal/fleet"
	"oriel/relay/internal/page"
	"oriel/relay/internal/relaytest"
	"oriel/relay/internal/store"
	"oriel/relay/internal/store/storetest"
)

// shows has a tab be told of these computers.
func shows(tab *relaytest.Tab, ids ...string) {
	tab.Say(&orielv1.FromConsole{Body: &orielv1.FromConsole_Watch{Watch: &orielv1.Watch{Topics: []orielv1.Topic{orielv1.Topic_TOPIC_SHOWN}, ComputerIds: ids}}})
}

// tally waits for one with as many computers of a status.
func tally(tab *relaytest.Tab, what string, status orielv1.Computer_Status, count uint32) *orielv1.ComputerTally {
	return tab.Take(what, func(m *orielv1.ToConsole) bool {
		for _, n := range m.GetComputerTally().GetCounts() {
			if n.GetStatus() == status {
				return n.GetCount() == count
			}
		}
		return m.GetComputerTally() != nil && count == 0
	}).GetComputerTally()
}

// Rule: what a page of a long list costs does not grow with the list: of 10,000 computers a tab is sent those that its page
// shows and how many there are of each status, in less than 100 kB, then changes of those, and of the others how many changed.
func TestATabIsToldWhatItsPageShows(t *testing.T) {
	address := storetest.SQLite(t)
	storetest.Exec(t, address, `INSERT INTO computers (id, organization, machine_key, machine_id, fingerprint, same_machine_as, split_from, name, group_id, host_name, os, os_name, arch,
			user_name, addresses, address, agent_version, capabilities, display, display_detail, blocked, added_at, added_with, last_seen, preview_at, preview_type, preview_tag, preview_size)
		WITH RECURSIVE n (i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < 9999)
		SELECT printf('c%05d', i), '`+string(store.FirstOrganization)+`', CAST(printf('%032d', i) AS BLOB), '', '', '', '', '', '', printf('reception-pc-%05d', i), 'linux', 'Debian GNU/Linux 13 (trixie)', 'amd64',
			'ada', printf('192.168.%d.%d', i / 250, i % 250) || char(10) || 'fd00:db8::17', printf('198.51.%d.%d', i / 250, i % 250), '1.4.0', '', 'ready', '', 0, i, '', 1, 1, 'image/jpeg', 'x', 0 FROM n`)
	n := relaytest.StartNode(t, relaytest.NodeOptions{Database: address})
	_, cookie := n.Owner(t)
	found, err := n.Fleet.Page(t.Context(), store.FirstOrganization, store.Everything, nil, fleet.View{Sort: "name"}, page.Request{Limit: 100})
	if err != nil || len(found.Items) != 100 {
		t.Fatal(len(found.Items), err)
	}
	var ids []string
	for _, c := range found.Items {
		ids = append(ids, c.GetId())
	}
	tab := relaytest.OpenTab(t, n, cookie)
	shows(tab, ids...)
	snapshot := tab.Take("snapshot", func(m *orielv1.ToConsole) bool { return m.GetComputers() != nil })
	if got, size := len(snapshot.GetComputers().GetComputers()), proto.Size(snapshot); got != 100 || size > 100_000 {
		t.Errorf("%d computers in %d bytes", got, size)
	}
	if c := tally(tab, "all", orielv1.Computer_STATUS_OFFLINE, 10_000); c.GetChanged() != 0 || len(c.GetCounts()) != 1 {
		t.Error(c)
	}
	rename := func(id, name string) {
		t.Helper()
		if err := n.Fleet.Rename(t.Context(), audit.Command, relaytest.Own(id), name); err != nil {
			t.Fatal(err)
		}
	}
	var picture bytes.Buffer
	if err := jpeg.Encode(&picture, image.NewGray(image.Rect(0, 0, 8, 8)), nil); err != nil {
		t.Fatal(err)
	}
	for _, id := range []string{"c09998", ids[1]} {
		if err := n.Fleet.SavePreview(t.Context(), relaytest.Own(id), &orielv1.Preview{Type: "image/jpeg", Data: picture.Bytes()}); err != nil {
			t.Fatal(err)
		}
	}
	rename(ids[0], "shown")
	rename("c09999", "not shown")
	tab.Take("the one that is shown", func(m *orielv1.ToConsole) bool { return m.GetComputer().GetName() == "shown" })
	tab.Take("its picture", func(m *orielv1.ToConsole) bool {
		return m.GetComputer().GetId() == ids[1] && m.GetComputer().GetPreviewAt() > 1
	})
	if c := tally(tab, "the other one", orielv1.Computer_STATUS_OFFLINE, 10_000); c.GetChanged() != 1 {
		t.Errorf("%d others changed, want 1: a preview is none", c.GetChanged())
	}
	if err := n.Fleet.Remove(t.Context(), audit.Command, relaytest.Own(ids[0])); err != nil {
		t.Fatal(err)
	}
	tab.Take("one is gone", func(m *orielv1.ToConsole) bool { return m.GetComputerRemoved().GetId() == ids[0] })
	tally(tab, "one less", orielv1.Computer_STATUS_OFFLINE, 9_999)
	if tab.Has(func(m *orielv1.ToConsole) bool { return m.GetComputer().GetName() == "not shown" }) {
		t.Error("told of a computer that the page does not show")
	}
	// The page shows others, among them a new one, whose status comes by itself.
	machine := relaytest.NewMachine("new")
	a := machine.Connect(t, n, n.Token(t, 1))
	id := a.Welcome.GetComputerId()
	tally(tab, "one more", orielv1.Computer_STATUS_ONLINE, 1)
	shows(tab, "c05000", id, "none")
	tab.Take("the other page", func(m *orielv1.ToConsole) bool { return len(m.GetComputers().GetComputers()) == 2 })
	rename(ids[1], "shown no more")
	_ = a.Conn.Close()
	tab.Computer(id, orielv1.Computer_STATUS_OFFLINE)
	tally(tab, "offline", orielv1.Computer_STATUS_ONLINE, 0)
	if tab.Has(func(m *orielv1.ToConsole) bool { return m.GetComputer().GetName() == "shown no more" }) {
		t.Error("told of a computer that the page showed before")
	}
}

// Rule: naming a computer shows nothing of one that the person may not see: neither it nor its changes nor its end, and
// the tally is of visible ones.
func TestATabIsToldOfVisibleComputersOnly(t *testing.T) {
	n := relaytest.StartNode(t, relaytest.NodeOptions{})
	token := n.Token(t, 3)
	connect := func(name string) *relaytest.Agent { return relaytest.NewMachine(name).Connect(t, n, token) }
	mine, others, another := connect("mine").Welcome.GetComputerId(), connect("others").Welcome.GetComputerId(), connect("another").Welcome.GetComputerId()
	_, cookie := n.Member(t, store.RoleMember, store.Grant{Role: store.RoleViewer, ObjectKind: store.ObjectComputer, ObjectID: mine})
	tab := relaytest.OpenTab(t, n, cookie)
	shows(tab, mine, others)
	tab.Take("one's own", func(m *orielv1.ToConsole) bool {
		return len(m.GetComputers().GetComputers()) == 1 && m.GetComputers().GetComputers()[0].GetId() == mine
	})
	tally(tab, "one's own", orielv1.Computer_STATUS_ONLINE, 1)
	rename := func(id, name string) {
		t.Helper()
		if err := n.Fleet.Rename(t.Context(), audit.Command, relaytest.Own(id), name); err != nil {
			t.Fatal(err)
		}
	}
	rename(others, "secret")
	rename(another, "secret")
	if err := n.Fleet.Remove(t.Context(), audit.Command, relaytest.Own(others)); err != nil {
		t.Fatal(err)
	}
	rename(mine, "renamed")
	tab.Take("one's own", func(m *orielv1.ToConsole) bool { return m.GetComputer().GetName() == "renamed" })
	if c := tally(tab, "one's own", orielv1.Computer_STATUS_ONLINE, 1); c.GetChanged() != 0 {
		t.Errorf("told that %d others changed", c.GetChanged())
	}
	if tab.Has(func(m *orielv1.ToConsole) bool {
		return m.GetComputer().GetName() == "secret" || m.GetComputerRemoved() != nil
	}) {
		t.Error("told of a computer that it may not know of")
	}
}
