package hub_test

import (
	"slices"
	"testing"

	orielv1 "oriel/protocol/oriel/v1"
	"oriel/relay/internal/access"
	"oriel/relay/internal/audit"
	"oriel/relay/internal/policy"
	"oriel/relay/internal/relaytest"
	"oriel/relay/internal/store"
)

// keeping is a machine whose agent knows policies.
func keeping(name string) *relaytest.Machine {
	m := relaytest.NewMachine(name)
	m.Hello.Capabilities = []orielv1.Capability{orielv1.Capability_CAPABILITY_VIEW, orielv1.Capability_CAPABILITY_CONTROL, orielv1.Capability_CAPABILITY_POLICIES}
	return m
}

// told is the next policy that the agent takes.
func told(t *testing.T, a *relaytest.Agent, kept int64) *orielv1.ComputerPolicy {
	t.Helper()
	m := a.Take("policy", func(m *orielv1.ToAgent) bool { return m.GetPolicy() != nil })
	p, err := a.Verifier.VerifyPolicy(m.GetPolicy(), kept)
	if err != nil {
		t.Fatal(err)
	}
	a.Say(&orielv1.FromAgent{ReplyTo: m.GetId()})
	return p
}

func say(t *testing.T, n *relaytest.Node, on policy.Origin, version int64, s policy.Settings) {
	t.Helper()
	if _, err := n.Policies.Save(t.Context(), audit.Command, store.FirstOrganization, on, version, s); err != nil {
		t.Fatal(err)
	}
}

// Rule: an agent is told what holds for its computer as soon as it is there, and at once
// when that is another: because a policy on the way changed or went, or the computer came
// into another group. Each is newer than the one before, also on another connection; what
// says the same as before is not said again.
func TestAgentsAreToldTheirPolicy(t *testing.T) {
	n := relaytest.StartNode(t, relaytest.NodeOptions{})
	organization, group := policy.Origin{Kind: store.ObjectOrganization}, policy.Origin{Kind: store.ObjectGroup, ID: store.NewID()}
	s := n.Store
	if err := s.Groups(store.FirstOrganization).Add(t.Context(), audit.Command.Did("group.made", "group", group.ID), store.Group{ID: group.ID, Name: "Tills"}); err != nil {
		t.Fatal(err)
	}
	hour, half := 60, 30
	say(t, n, organization, 0, policy.Settings{SessionMinutes: &hour})
	machine := keeping("till")
	a := machine.Connect(t, n, n.Token(t, 1))
	first := told(t, a, 0)
	if first.GetSessionMinutes() != 60 || first.GetComputerId() != a.Welcome.GetComputerId() || first.GetOrganization().GetId() != string(store.FirstOrganization) {
		t.Fatalf("%v", first)
	}
	say(t, n, group, 0, policy.Settings{Scopes: []string{"view"}}) // it is not in there
	say(t, n, organization, 1, policy.Settings{SessionMinutes: &half})
	second := told(t, a, first.GetVersion())
	if second.GetSessionMinutes() != 30 || second.GetLimitsScopes() {
		t.Fatalf("%v", second)
	}
	err := s.Computers(store.FirstOrganization).SetGroup(t.Context(), audit.Command.Did("computer.moved", "computer", first.GetComputerId()), first.GetComputerId(), group.ID)
	if err != nil {
		t.Fatal(err)
	}
	n.Access.Announce(access.Change{Organization: store.FirstOrganization})
	third := told(t, a, second.GetVersion())
	if !slices.Equal(third.GetScopes(), []orielv1.Scope{orielv1.Scope_SCOPE_VIEW}) || third.GetSessionMinutes() != 30 {
		t.Fatalf("%v", third)
	}
	_ = a.Conn.Close()
	ahead := third.GetVersion() + 1_000_000_000 // by a node whose clock was ahead
	machine.Hello.PolicyVersion = ahead
	a = machine.Connect(t, n, "")
	if again := told(t, a, ahead); again.GetSessionMinutes() != 30 {
		t.Fatalf("%v", again)
	}
	for i, on := range []policy.Origin{group, organization} {
		if err := n.Policies.Remove(t.Context(), audit.Command, store.FirstOrganization, on, int64(i+1)); err != nil {
			t.Fatal(err)
		}
		none := told(t, a, ahead+int64(i+1))
		if none.GetLimitsScopes() || (none.GetSessionMinutes() == 0) != (i == 1) {
			t.Fatalf("%v", none)
		}
	}
}

// Rule: an agent that does not know policies, and one that has none and is to have none, is
// sent none.
func TestWhoIsNotToldOfPolicies(t *testing.T) {
	n := relaytest.StartNode(t, relaytest.NodeOptions{})
	none := keeping("none").Connect(t, n, n.Token(t, 1))
	hour := 60
	old := relaytest.NewMachine("old").Connect(t, n, n.Token(t, 1))
	say(t, n, policy.Origin{Kind: store.ObjectOrganization}, 0, policy.Settings{AllowedAddresses: []string{"0.0.0.0/0"}})
	say(t, n, policy.Origin{Kind: store.ObjectOrganization}, 1, policy.Settings{SessionMinutes: &hour})
	if p := told(t, none, 0); p.GetSessionMinutes() != 60 {
		t.Errorf("%v", p) // it was told of what is for people
	}
	if old.Has(func(m *orielv1.ToAgent) bool { return m.GetPolicy() != nil }) {
		t.Error("an older agent is told")
	}
}
