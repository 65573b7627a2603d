package hub_test

import (
	"crypto/ed25519"
	"errors"
	"testing"

	"google.golang.org/protobuf/proto"

	orielv1 "oriel/protocol/oriel/v1"
	"oriel/protocol/trust"
	"oriel/relay/internal/audit"
	"oriel/relay/internal/fleet"
	"oriel/relay/internal/relaytest"
	"oriel/relay/internal/store"
	"oriel/relay/internal/store/storetest"
)

// two are nodes of one relay.
func two(t *testing.T) (n1, n2 *relaytest.Node) {
	nats, db := relaytest.StartNATS(t), storetest.PostgreSQL(t)
	return relaytest.StartNode(t, relaytest.NodeOptions{Name: "n1", Database: db, NATS: nats}),
		relaytest.StartNode(t, relaytest.NodeOptions{Name: "n2", Database: db, NATS: nats})
}

// original is a machine whose agent names its run and its fingerprint.
func original(name string) *relaytest.Machine {
	m := relaytest.NewMachine(name).Twin(true)
	return m
}

func refused(t *testing.T, m *relaytest.Machine, n *relaytest.Node, token string) *orielv1.Refused {
	t.Helper()
	var r *relaytest.Refusal
	if _, _, err := m.Dial(t.Context(), n, token); !errors.As(err, &r) || r.Refused == nil {
		t.Fatal("not refused:", err)
	}
	return r.Refused
}

func twins(id string, are bool) func(*orielv1.ToConsole) bool {
	return func(m *orielv1.ToConsole) bool {
		return m.GetComputer().GetId() == id && (m.GetComputer().GetTwins() != nil) == are
	}
}

// Rule: both seen at once by one key = a mark in the list, sessions refused, until
// somebody says 'they are two'; then the second gets a new identity by itself, and
// the first goes on. On one node and on two.
func TestTwoMachinesWithOneKey(t *testing.T) {
	for name, apart := range map[string]bool{"a copied disk in another machine": true, "a copied machine": false} {
		t.Run(name, func(t *testing.T) {
			n1, n2 := two(t)
			_, cookie := n2.Owner(t)
			tab := relaytest.OpenTab(t, n2, cookie)
			tab.Watch(true, false)
			m := original("pc")
			first := m.Connect(t, n1, n1.Token(t, 1))
			id := first.Welcome.GetComputerId()
			tab.Computer(id, orielv1.Computer_STATUS_ONLINE)

			copied := m.Twin(apart)
			copied.Hello.Summary.HostName = "pc-copy"
			for _, n := range []*relaytest.Node{n2, n1} {
				if r := refused(t, copied, n, ""); r.GetCode() != orielv1.Code_CODE_TWO_MACHINES || r.GetFinal() || r.GetNewIdentity() != nil {
					t.Fatal(r)
				}
			}
			shown := tab.Take("the mark", twins(id, true)).GetComputer().GetTwins().GetMachines()
			if len(shown) != 2 || shown[0].GetHostName() != "pc" || shown[1].GetHostName() != "pc-copy" || shown[0].GetMark() == shown[1].GetMark() {
				t.Fatal(shown)
			}
			if first.Conn.Err() != nil {
				t.Fatal("the first lost its connection:", first.Conn.Err())
			}
			tab.Open(id, relaytest.Watching, "")
			if p := tab.Problem(); p.GetCode() != orielv1.Code_CODE_TWO_MACHINES {
				t.Fatal(p)
			}

			if err := n2.Fleet.Split(t.Context(), audit.Command, relaytest.Own(id), "i:00"); !errors.Is(err, store.ErrNotFound) {
				t.Fatal("a mark of nobody's:", err)
			}
			if err := n2.Fleet.Split(t.Context(), audit.Command, relaytest.Own(id), shown[1].GetMark()); err != nil {
				t.Fatal(err)
			}
			_ = first.Closed() // it may have been meant
			first = m.Connect(t, n1, "")
			if first.Welcome.GetEnrolled() || first.Welcome.GetComputerId() != id {
				t.Fatal(first.Welcome)
			}
			told := refused(t, copied, n2, "").GetNewIdentity()
			if told == nil {
				t.Fatal("the second is not told to make its own identity")
			}
			own := relaytest.NewMachine("")
			own.Hello = proto.CloneOf(copied.Hello)
			second := own.Connect(t, n2, told.GetToken())
			if !second.Welcome.GetEnrolled() || second.Welcome.GetComputerId() == id {
				t.Fatal(second.Welcome)
			}
			tab.Take("the mark goes", twins(id, false))
			c, err := n1.Fleet.Get(t.Context(), relaytest.Own(second.Welcome.GetComputerId()))
			if err != nil || c.GetSameMachineAs() != "" {
				t.Fatal("those who were said to be two are called one machine:", c, err)
			}
			attempt := tab.Open(id, relaytest.Watching, "")
			tab.Opened(attempt)
			first.Offer()
			if all, err := n1.Fleet.Tokens(t.Context(), store.FirstOrganization); err != nil || len(all) != 1 {
				t.Fatal("the relay's own token is listed among people's:", all, err)
			}
		})
	}
}

// Rule: the word for a new identity is signed by the relay's key for this machine
// key and this greeting, so that nobody else's is.
func TestNewIdentityIsSigned(t *testing.T) {
	n := relaytest.StartNode(t, relaytest.NodeOptions{})
	m := original("pc")
	id := m.Connect(t, n, n.Token(t, 1)).Welcome.GetComputerId()
	copied := m.Twin(true)
	refused(t, copied, n, "")
	c, err := n.Fleet.Get(t.Context(), relaytest.Own(id))
	if err != nil {
		t.Fatal(err)
	}
	if err := n.Fleet.Split(t.Context(), audit.Command, relaytest.Own(id), c.GetTwins().GetMachines()[1].GetMark()); err != nil {
		t.Fatal(err)
	}
	said := refused(t, copied, n, "").GetNewIdentity()
	nonce := copied.Last.GetNonce()
	if err := trust.VerifyNewIdentity(n.Access.PublicKey(), m.Public(), nonce, said.GetToken(), said.GetSignature()); err != nil {
		t.Fatal(err)
	}
	other, _, _ := ed25519.GenerateKey(nil)
	if trust.VerifyNewIdentity(n.Access.PublicKey(), other, nonce, said.GetToken(), said.GetSignature()) == nil ||
		trust.VerifyNewIdentity(n.Access.PublicKey(), m.Public(), make([]byte, 32), said.GetToken(), said.GetSignature()) == nil ||
		trust.VerifyNewIdentity(other, m.Public(), nonce, said.GetToken(), said.GetSignature()) == nil {
		t.Fatal("it is good elsewhere")
	}
}

// Rule: one split lets one machine in, however often it was told; and none any more
// when only one machine is said to be left.
func TestOneSplitLetsOneMachineIn(t *testing.T) {
	each(t, relaytest.NodeOptions{}, func(t *testing.T, n *relaytest.Node) {
		m := original("pc")
		id := m.Connect(t, n, n.Token(t, 1)).Welcome.GetComputerId()
		copied := m.Twin(true)
		split := func() (first, second string) {
			t.Helper()
			refused(t, copied, n, "")
			c, err := n.Fleet.Get(t.Context(), relaytest.Own(id))
			if err != nil {
				t.Fatal(err)
			}
			if err := n.Fleet.Split(t.Context(), audit.Command, relaytest.Own(id), c.GetTwins().GetMachines()[1].GetMark()); err != nil {
				t.Fatal(err)
			}
			return refused(t, copied, n, "").GetNewIdentity().GetToken(), refused(t, copied, n, "").GetNewIdentity().GetToken()
		}
		closed := func(token string) {
			t.Helper()
			var r *relaytest.Refusal
			if _, _, err := relaytest.NewMachine("thief").Dial(t.Context(), n, token); !errors.As(err, &r) {
				t.Fatal("let in:", err)
			}
		}
		one, two := split()
		relaytest.NewMachine("pc-copy").Connect(t, n, one)
		closed(one)
		closed(two)

		m.Connect(t, n, "")
		one, two = split()
		if err := n.Fleet.Settle(t.Context(), audit.Command, relaytest.Own(id)); err != nil {
			t.Fatal(err)
		}
		closed(one)
		closed(two)
	})
}

// Rule: sessions that a split ends are not said to be those of a removed computer.
func TestSplitSaysWhySessionsEnd(t *testing.T) {
	n := relaytest.StartNode(t, relaytest.NodeOptions{})
	_, cookie := n.Owner(t)
	tab := relaytest.OpenTab(t, n, cookie)
	m := original("pc")
	first := m.Connect(t, n, n.Token(t, 1))
	id := first.Welcome.GetComputerId()
	session := tab.Opened(tab.Open(id, relaytest.Watching, "")).GetSessionId()
	first.Offer()
	refused(t, m.Twin(true), n, "")
	c, err := n.Fleet.Get(t.Context(), relaytest.Own(id))
	if err != nil {
		t.Fatal(err)
	}
	if err := n.Fleet.Split(t.Context(), audit.Command, relaytest.Own(id), c.GetTwins().GetMachines()[1].GetMark()); err != nil {
		t.Fatal(err)
	}
	if got := tab.Ended(session); got.GetDetail() != fleet.ErrTwoMachines.Error() {
		t.Errorf("ended because %q", got.GetDetail())
	}
}

// Rule: not merely a reconnect after a network change, and not one who is gone.
func TestOneMachineThatComesBack(t *testing.T) {
	n1, n2 := two(t)
	m := original("pc")
	first := m.Connect(t, n1, n1.Token(t, 1))
	id := first.Welcome.GetComputerId()
	plain := func(what string) {
		t.Helper()
		if c, err := n1.Fleet.Get(t.Context(), relaytest.Own(id)); err != nil || c.GetTwins() != nil {
			t.Fatal(what, c, err)
		}
	}
	second := m.Connect(t, n2, "") // the same run of the agent; the first is still there
	_ = first.Closed()
	plain("another network:")
	m.Deaf = true // the cable is out: the connection stands, and nobody answers
	restarted := m.Twin(false)
	third := restarted.Connect(t, n1, "")
	_ = second.Closed()
	plain("restarted:")
	_ = third.Conn.Close()
	relaytest.Until(t, "gone", func() bool { return n1.Hub.Stats().Agents == 0 })
	m.Twin(true).Connect(t, n2, "")
	plain("another that came after it:")
}

// Rule: the admin may say that only one is left; if both come again, so does the mark.
// Who names no run of its own is a second machine, too, beside one that does.
func TestTwinsAreSettled(t *testing.T) {
	n := relaytest.StartNode(t, relaytest.NodeOptions{})
	m := original("pc")
	id := m.Connect(t, n, n.Token(t, 1)).Welcome.GetComputerId()
	silent := m.Twin(true)
	silent.Hello.Instance, silent.Hello.Fingerprint = nil, nil
	for range 2 {
		if r := refused(t, silent, n, ""); r.GetCode() != orielv1.Code_CODE_TWO_MACHINES {
			t.Fatal(r)
		}
		if _, err := n.Fleet.Opening(t.Context(), relaytest.Own(id), ""); err == nil {
			t.Fatal("no mark")
		}
		if err := n.Fleet.Settle(t.Context(), audit.Command, relaytest.Own(id)); err != nil {
			t.Fatal(err)
		}
		if _, err := n.Fleet.Opening(t.Context(), relaytest.Own(id), ""); err != nil {
			t.Fatal(err)
		}
	}
	if err := n.Fleet.Settle(t.Context(), audit.Command, relaytest.Own(id)); !errors.Is(err, store.ErrNotFound) {
		t.Fatal(err)
	}
}

// Rule: a machine enrolled twice is marked; a copy of its disk in another is not.
func TestMachineEnrolledTwice(t *testing.T) {
	each(t, relaytest.NodeOptions{}, func(t *testing.T, n *relaytest.Node) {
		m := original("pc")
		first := m.Connect(t, n, n.Token(t, 1)).Welcome.GetComputerId()
		enroll := func(hello *orielv1.Hello) string {
			again := relaytest.NewMachine("pc")
			again.Hello = hello
			id := again.Connect(t, n, n.Token(t, 1)).Welcome.GetComputerId()
			c, err := n.Fleet.Get(t.Context(), relaytest.Own(id))
			if err != nil {
				t.Fatal(err)
			}
			return c.GetSameMachineAs()
		}
		if got := enroll(m.Twin(false).Hello); got != first {
			t.Errorf("enrolled twice: same as %q", got)
		}
		if got := enroll(m.Twin(true).Hello); got != "" {
			t.Errorf("a copied disk in another machine: same as %q", got)
		}
		old := proto.CloneOf(m.Hello)
		old.Fingerprint = nil
		if got := enroll(old); got != first {
			t.Errorf("an agent that tells no fingerprint: same as %q", got)
		}
	})
}
