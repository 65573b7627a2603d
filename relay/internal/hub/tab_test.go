package hub_test

import (
	"context"
	"net/http"
	"slices"
	"testing"
	"time"

	orielv1 "oriel/protocol/oriel/v1"
	"oriel/protocol/wire"
	"oriel/relay/internal/audit"
	"oriel/relay/internal/fleet"
	"oriel/relay/internal/relaytest"
	"oriel/relay/internal/store"
	"oriel/relay/internal/store/storetest"
)

func TestTabNeedsASignIn(t *testing.T) {
	n := relaytest.StartNode(t, relaytest.NodeOptions{})
	_, cookie := n.Owner(t)
	for name, c := range map[string]*http.Cookie{"none": nil, "made up": {Name: cookie.Name, Value: "x"}} {
		if _, resp, err := relaytest.DialTab(t.Context(), n, c); err == nil || resp == nil || resp.StatusCode != 401 {
			t.Errorf("%s: %v, %v", name, resp, err)
		}
	}
}

func computers(m *orielv1.ToConsole) bool { return m.GetComputers() != nil }
func entries(m *orielv1.ToConsole) bool   { return m.GetJournal() != nil }

func TestSnapshotThenDeltas(t *testing.T) {
	each(t, relaytest.NodeOptions{}, func(t *testing.T, n *relaytest.Node) {
		who, cookie := n.Owner(t)
		first := relaytest.NewMachine("first").Connect(t, n, n.Token(t, 1))
		relaytest.Until(t, "online", func() bool { return n.Fleet.Ask(t.Context(), first.Welcome.GetComputerId(), nil, false) == nil })
		tab, quiet := relaytest.OpenTab(t, n, cookie), relaytest.OpenTab(t, n, cookie)
		if tab.Welcome.GetPersonId() != who.PersonID || tab.Welcome.GetRelayVersion() != "test" || tab.Welcome.GetNow() == 0 {
			t.Fatal(tab.Welcome)
		}
		tab.Watch(true, true)
		all := tab.Take("computers", computers).GetComputers().GetComputers()
		if len(all) != 1 || all[0].GetName() != "first" || !slices.Contains(all[0].GetPermissions(), "control") {
			t.Fatal(all)
		}
		if e := tab.Take("journal", entries).GetJournal().GetEntries(); len(e) != 0 {
			t.Fatal(e)
		}
		second := relaytest.NewMachine("second").Connect(t, n, n.Token(t, 1))
		id := second.Welcome.GetComputerId()
		tab.Computer(id, orielv1.Computer_STATUS_ONLINE)
		if err := n.Fleet.Rename(t.Context(), audit.Command, relaytest.Own(id), "named"); err != nil {
			t.Fatal(err)
		}
		tab.Take("the new name", func(m *orielv1.ToConsole) bool { return m.GetComputer().GetName() == "named" })
		_ = second.Conn.Close()
		tab.Computer(id, orielv1.Computer_STATUS_OFFLINE)
		if err := n.Fleet.Remove(t.Context(), audit.Command, relaytest.Own(id)); err != nil {
			t.Fatal(err)
		}
		tab.Take("removal", func(m *orielv1.ToConsole) bool { return m.GetComputerRemoved().GetId() == id })
		if quiet.Has(func(*orielv1.ToConsole) bool { return true }) {
			t.Fatal("a tab that watches nothing was told something")
		}
		// What is watched is replaced, not added to.
		tab.Watch(false, false)
		tab.Watch(true, false)
		tab.Take("computers", computers)
	})
}

func TestChangesOnOtherNodesAndDeadNodes(t *testing.T) {
	nats, db := relaytest.StartNATS(t), storetest.PostgreSQL(t)
	n1 := relaytest.StartNode(t, relaytest.NodeOptions{Name: "n1", Database: db, NATS: nats, Lifetime: 2 * time.Second})
	n2 := relaytest.StartNode(t, relaytest.NodeOptions{Name: "n2", Database: db, NATS: nats, Lifetime: 2 * time.Second})
	_, cookie := n1.Owner(t)
	tab := relaytest.OpenTab(t, n1, cookie)
	tab.Watch(true, false)
	tab.Take("computers", computers)
	m := relaytest.NewMachine("pc")
	id := m.Connect(t, n2, n2.Token(t, 1)).Welcome.GetComputerId()
	tab.Computer(id, orielv1.Computer_STATUS_ONLINE)
	n2.Kill()
	tab.Computer(id, orielv1.Computer_STATUS_OFFLINE)
	m.Connect(t, n1, "")
	tab.Computer(id, orielv1.Computer_STATUS_ONLINE)
}

func TestRestartClearsOwnPresence(t *testing.T) {
	each(t, relaytest.NodeOptions{}, func(t *testing.T, n *relaytest.Node) {
		ctx := t.Context()
		a := relaytest.NewMachine("pc").Connect(t, n, n.Token(t, 1))
		id := a.Welcome.GetComputerId()
		_ = a.Conn.Close()
		relaytest.Until(t, "offline", func() bool {
			c, err := n.Fleet.Get(ctx, relaytest.Own(id))
			return err == nil && c.GetStatus() == orielv1.Computer_STATUS_OFFLINE
		})
		earlier := store.NodeRun("node") // which was killed a moment ago
		if err := n.Store.Nodes().Heartbeat(ctx, earlier, time.Hour); err != nil {
			t.Fatal(err)
		}
		if err := n.Store.Nodes().Connect(ctx, id, earlier, "its connection", 1); err != nil {
			t.Fatal(err)
		}
		// As others see it; a node believes its memory of itself.
		if c, err := n.Store.Computers(store.FirstOrganization).Get(ctx, id); err != nil || !c.Online {
			t.Fatal("the test's own fault:", c, err)
		}
		again := fleet.New(fleet.Options{Store: n.Store, Bus: n.Bus, RelayKey: n.Access.PublicKey(), Node: "node"})
		stopping, stop := context.WithCancel(ctx)
		done := make(chan error, 1)
		go func() { done <- again.Run(stopping) }()
		relaytest.Until(t, "offline", func() bool {
			c, err := n.Store.Computers(store.FirstOrganization).Get(ctx, id)
			return err == nil && !c.Online
		})
		stop()
		if err := <-done; err != nil {
			t.Fatal(err)
		}
	})
}

func TestNodeThatWasBuriedAlive(t *testing.T) {
	each(t, relaytest.NodeOptions{Lifetime: time.Second}, func(t *testing.T, n *relaytest.Node) {
		_, cookie := n.Owner(t)
		id := relaytest.NewMachine("pc").Connect(t, n, n.Token(t, 1)).Welcome.GetComputerId()
		tab := relaytest.OpenTab(t, n, cookie)
		tab.Watch(true, false)
		tab.Take("computers", computers)
		if gone, err := n.Store.Nodes().Clear(t.Context(), store.NodeRun("node")); err != nil || len(gone) != 1 {
			t.Fatal(gone, err)
		}
		tab.Computer(id, orielv1.Computer_STATUS_ONLINE)
	})
}

func TestDeadTabIsDropped(t *testing.T) {
	n := relaytest.StartNode(t, relaytest.NodeOptions{Wire: wire.Options{PingEvery: 20 * time.Millisecond}})
	_, cookie := n.Owner(t)
	conn, _, err := relaytest.DialTab(t.Context(), n, cookie)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	relaytest.Until(t, "the tab is there", func() bool { return n.Hub.Stats().Tabs == 1 })
	// Nothing is read, so no ping is answered.
	relaytest.Until(t, "the tab is dropped", func() bool { return n.Hub.Stats().Tabs == 0 })
}

func TestTabsEndWithTheirSignIn(t *testing.T) {
	nats, db := relaytest.StartNATS(t), storetest.PostgreSQL(t)
	n1 := relaytest.StartNode(t, relaytest.NodeOptions{Name: "n1", Database: db, NATS: nats})
	n2 := relaytest.StartNode(t, relaytest.NodeOptions{Name: "n2", Database: db, NATS: nats, Recheck: 50 * time.Millisecond})
	_, cookie := n1.Owner(t)
	who, other := n1.Owner(t)
	here, there, stays := relaytest.OpenTab(t, n1, cookie), relaytest.OpenTab(t, n2, cookie), relaytest.OpenTab(t, n1, other)
	asked, _ := http.NewRequest("POST", n1.URL, nil)
	asked.AddCookie(cookie)
	if _, err := n1.Access.SignOut(asked); err != nil {
		t.Fatal(err)
	}
	because := func(tab *relaytest.Tab, want orielv1.SignOutReason) {
		t.Helper()
		got := tab.Take("signed out", func(m *orielv1.ToConsole) bool { return m.GetSignedOut() != nil }).GetSignedOut().GetReason()
		if got != want {
			t.Errorf("signed out because of %s, want %s", got, want)
		}
	}
	for _, tab := range []*relaytest.Tab{here, there} {
		because(tab, orielv1.SignOutReason_SIGN_OUT_REASON_SIGNED_OUT)
		relaytest.Until(t, "closed", func() bool { return tab.Conn.Err() != nil })
		if closeCode(tab.Conn.Err()) != wire.CloseSignedOut {
			t.Fatal(tab.Conn.Err())
		}
	}
	if stays.Conn.Err() != nil {
		t.Fatal("another sign-in's tab ended:", stays.Conn.Err())
	}
	// Nobody says anything: the nodes look by themselves.
	lone := relaytest.OpenTab(t, n2, other)
	if err := n1.Store.SignIns().End(t.Context(), audit.Command.Did(audit.SignInEnded, "sign_in", ""), who.PersonID, who.SignInID); err != nil {
		t.Fatal(err)
	}
	because(lone, orielv1.SignOutReason_SIGN_OUT_REASON_ELSEWHERE)
	because(stays, orielv1.SignOutReason_SIGN_OUT_REASON_ELSEWHERE)
}

func TestTabsAPersonMayHave(t *testing.T) {
	n := relaytest.StartNode(t, relaytest.NodeOptions{})
	_, cookie := n.Owner(t)
	for range 64 {
		relaytest.OpenTab(t, n, cookie)
	}
	if _, resp, err := relaytest.DialTab(t.Context(), n, cookie); err == nil || resp == nil || resp.StatusCode != 429 {
		t.Fatal(resp, err)
	}
}
