package hub_test

import (
	"context"
	"errors"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	orielv1 "oriel/protocol/oriel/v1"
	"oriel/relay/internal/access"
	"oriel/relay/internal/audit"
	"oriel/relay/internal/journal"
	"oriel/relay/internal/relaytest"
	"oriel/relay/internal/rights"
	"oriel/relay/internal/store"
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

// Rule: a page with the journal open is shown the sessions with computers on which its person may read it. When that
// changes, or a computer goes, its next snapshot is another audience's, so that what the page had is gone; of others'
// sessions it hears nothing.
func TestATabReadsOfVisibleSessions(t *testing.T) {
	n := relaytest.StartNode(t, relaytest.NodeOptions{Recheck: 20 * time.Millisecond})
	var reads atomic.Pointer[access.Visibility]
	all := access.Visibility{All: true}
	reads.Store(&all)
	n.Hub.SetVisible(func(_ context.Context, _ access.Identity, what rights.Permission) (access.Visibility, error) {
		if what != rights.Journal {
			return all, nil
		}
		return *reads.Load(), nil
	})
	who, cookie := n.Owner(t)
	token := n.Token(t, 2)
	var computers, sessions [2]string
	session := func(i int) string {
		t.Helper()
		e, err := n.Journal.Begin(t.Context(), journal.Start{Computer: relaytest.Own(computers[i]), Operator: who, Scopes: relaytest.Watching})
		if err != nil {
			t.Fatal(err)
		}
		return e.GetSessionId()
	}
	for i, name := range []string{"mine", "others"} {
		computers[i] = relaytest.NewMachine(name).Connect(t, n, token).Welcome.GetComputerId()
		sessions[i] = session(i)
	}
	tab := relaytest.OpenTab(t, n, cookie)
	tab.Watch(false, true)
	audience := ""
	snapshot := func(what string, want ...string) {
		t.Helper()
		s := tab.Take(what, func(m *orielv1.ToConsole) bool {
			return m.GetJournal() != nil && m.GetJournal().GetAudience() != audience
		}).GetJournal()
		audience = s.GetAudience()
		var got []string
		for _, e := range s.GetEntries() {
			got = append(got, e.GetSessionId())
		}
		slices.Sort(got)
		if slices.Sort(want); !slices.Equal(got, want) {
			t.Errorf("%s: %q, want %q", what, got, want)
		}
	}
	entry := func(id string) func(*orielv1.ToConsole) bool {
		return func(m *orielv1.ToConsole) bool { return m.GetJournalEntry().GetSessionId() == id }
	}
	snapshot("all", sessions[0], sessions[1])
	reads.Store(&access.Visibility{Computers: computers[:1]})
	snapshot("one's own", sessions[0])
	others, mine := session(1), session(0)
	tab.Take("one's own", entry(mine))
	if tab.Has(entry(others)) {
		t.Error("told of a session with a computer that it may not read of")
	}
	if err := n.Fleet.Remove(t.Context(), audit.Command, relaytest.Own(computers[0])); err != nil {
		t.Fatal(err)
	}
	snapshot("what is left without the computer")
	reads.Store(&access.Visibility{})
	snapshot("nothing")
	reads.Store(&all)
	snapshot("all again", sessions[0], sessions[1], others, mine)
}

// Rule: a tab that asks for ICE servers while the relay cannot say whether it may is told so.
func TestRenewalIsAnsweredWithoutADatabase(t *testing.T) {
	n := relaytest.StartNode(t, relaytest.NodeOptions{Recheck: time.Hour})
	var away atomic.Bool
	n.Hub.SetVisible(func(context.Context, access.Identity, rights.Permission) (access.Visibility, error) {
		if away.Load() {
			return access.Visibility{}, errors.New("the database is away")
		}
		return store.Everything, nil
	})
	_, cookie := n.Owner(t)
	tab := relaytest.OpenTab(t, n, cookie)
	renew := &orielv1.FromConsole{Id: 5, Body: &orielv1.FromConsole_RenewIce{RenewIce: &orielv1.RenewIce{}}}
	tab.Say(renew)
	tab.Take("servers", func(m *orielv1.ToConsole) bool { return m.GetIceServers() != nil })
	away.Store(true)
	tab.Say(renew)
	if p := tab.Problem(); p.GetReplyTo() != 5 || p.GetCode() != orielv1.Code_CODE_INTERNAL || p.GetDetail() == "" {
		t.Error(p)
	}
}

// Rule: what the relay lacks is told who may operate it; who may no longer is told that nothing more is said, and who may
// from now on is told what there is.
func TestHealthIsForWhoOperatesTheRelay(t *testing.T) {
	n := relaytest.StartNode(t, relaytest.NodeOptions{Recheck: 20 * time.Millisecond})
	n.Owner(t) // an organization keeps one
	who, cookie := n.MemberOf(t, store.FirstOrganization, store.RoleAdmin)
	tab := relaytest.OpenTab(t, n, cookie)
	told := func(what string, parts int) {
		t.Helper()
		tab.Take(what, func(m *orielv1.ToConsole) bool {
			return m.GetRelayHealth() != nil && len(m.GetRelayHealth().GetFailing()) == parts
		})
	}
	role := func(role string) {
		t.Helper()
		if err := n.Store.Members(store.FirstOrganization).SetRole(t.Context(), audit.Command.Did("test.done", "person", who.PersonID), who.PersonID, role); err != nil {
			t.Fatal(err)
		}
	}
	n.Hub.SetHealth(&orielv1.RelayHealth{Failing: []*orielv1.Failing{{Part: "bus"}}})
	told("what is lacking", 1)
	role(store.RoleOperator)
	told("nothing more", 0)
	n.Hub.SetHealth(&orielv1.RelayHealth{Failing: []*orielv1.Failing{{Part: "bus"}, {Part: "blobs"}}})
	role(store.RoleAdmin)
	told("what is lacking now", 2)
	if tab.Has(func(m *orielv1.ToConsole) bool { return m.GetRelayHealth() != nil }) {
		t.Error("told while it might not know")
	}
}
