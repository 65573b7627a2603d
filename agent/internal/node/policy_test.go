package node_test

import (
	"crypto/ed25519"
	"crypto/rand"
	"sync/atomic"
	"testing"
	"time"

	"oriel/agent/internal/identity"
	"oriel/agent/internal/link/linktest"
	"oriel/agent/internal/node"
	"oriel/agent/internal/node/nodetest"
	"oriel/agent/internal/policy"
	orielv1 "oriel/protocol/oriel/v1"
	"oriel/protocol/trust"
)

// instruct sends a policy and gives the answer.
func instruct(t *testing.T, relay *linktest.Relay, peer *linktest.Agent, key ed25519.PrivateKey, p *orielv1.ComputerPolicy) *orielv1.FromAgent {
	t.Helper()
	if p.ComputerId == "" {
		p.ComputerId = relay.Computer
	}
	signed, err := trust.SignPolicy(trust.Key(key), p)
	if err != nil {
		t.Fatal(err)
	}
	ask := asked.Add(1)
	if err := peer.Send(&orielv1.ToAgent{Id: ask, Body: &orielv1.ToAgent_Policy{Policy: signed}}); err != nil {
		t.Fatal(err)
	}
	return peer.Wait(t, "answer to the policy", func(m *orielv1.FromAgent) bool { return m.GetReplyTo() == ask })
}

var asked atomic.Uint64

func watchOnly(version int64) *orielv1.ComputerPolicy {
	return &orielv1.ComputerPolicy{Version: version, LimitsScopes: true, Scopes: []orielv1.Scope{orielv1.Scope_SCOPE_VIEW},
		Organization: &orielv1.Organization{Name: "Acme"}}
}

// ready opens a session and returns its Ready message.
func ready(t *testing.T, relay *linktest.Relay, peer *linktest.Agent, machine ed25519.PublicKey) *orielv1.Ready {
	t.Helper()
	v := nodetest.NewViewer(t)
	connected(t, relay, peer, v, nodetest.Grant(t, relay, machine, v))
	return v.Hear(t, "ready", func(m *orielv1.FromDesktop) bool { return m.GetReady() != nil }).GetReady()
}

// Rule: an agent keeps to the newest policy that the relay it trusts signed for it, takes
// no other one, and says which it has; a newer one replaces it.
func TestPolicyOfTheOrganization(t *testing.T) {
	relay := linktest.Start(t)
	a := run(t, relay)
	peer := relay.Agent(1)
	_, another, _ := ed25519.GenerateKey(rand.Reader)
	if m := instruct(t, relay, peer, relay.Key, watchOnly(5)); m.GetFault() != nil {
		t.Fatal(m)
	}
	for name, c := range map[string]struct {
		key ed25519.PrivateKey
		p   *orielv1.ComputerPolicy
	}{
		"another relay's":    {another, &orielv1.ComputerPolicy{Version: 9}},
		"another computer's": {relay.Key, &orielv1.ComputerPolicy{Version: 9, ComputerId: "c-9"}},
		"older":              {relay.Key, &orielv1.ComputerPolicy{Version: 4}},
		"the same version":   {relay.Key, &orielv1.ComputerPolicy{Version: 5}},
		"not understood":     {relay.Key, &orielv1.ComputerPolicy{Version: 9, Hours: []string{"always"}}},
	} {
		if m := instruct(t, relay, peer, c.key, c.p); m.GetFault().GetCode() == 0 || m.GetFault().GetDetail() == "" {
			t.Errorf("%s: taken", name)
		}
	}
	if r := ready(t, relay, peer, a.id.Key()); len(r.GetScopes()) != 1 {
		t.Errorf("in force: %v", r.GetScopes())
	}
	if m := instruct(t, relay, peer, relay.Key, &orielv1.ComputerPolicy{Version: 6}); m.GetFault() != nil {
		t.Fatal(m)
	}
	if r := ready(t, relay, peer, a.id.Key()); len(r.GetScopes()) != 2 {
		t.Errorf("in force: %v", r.GetScopes())
	}
}

// Rule: an agent that starts again keeps to the policy before any relay said a word, tells
// the relay which it has, and takes no older one.
func TestPolicyHoldsAfterARestart(t *testing.T) {
	relay := linktest.Start(t)
	id := identified(t, identity.Given{Relays: []string{relay.URL()}, Token: relay.Token()})
	a := runAs(t, id)
	if m := instruct(t, relay, relay.Agent(1), relay.Key, watchOnly(5)); m.GetFault() != nil {
		t.Fatal(m)
	}
	a.end()
	relay.Stop()
	kept, err := policy.LoadRelay(id.Dir(), id.State().ComputerID)
	if err != nil {
		t.Fatal(err)
	}
	told := make(chan policy.Set, 8)
	runAs(t, id, func(o *node.Options) {
		o.Kept = kept
		inner := o.Desktop
		o.Desktop = func(out node.Outlet) node.Desktop { return keeper{inner(out), told} }
	})
	if first := <-told; first.NoControl() != "the policy of Acme lets this computer be watched only" { // no relay is there
		t.Fatalf("the desktop began with %s", first)
	}
	relay.Restart()
	peer := relay.Agent(2)
	if r := ready(t, relay, peer, id.Key()); len(r.GetScopes()) != 1 {
		t.Errorf("in force: %v", r.GetScopes())
	}
	if m := instruct(t, relay, peer, relay.Key, &orielv1.ComputerPolicy{Version: 4}); m.GetFault() == nil {
		t.Error("an older policy is taken after a restart")
	}
}

// keeper is a Desktop whose policies are told.
type keeper struct {
	node.Desktop
	told chan<- policy.Set
}

func (k keeper) Keep(s policy.Set) {
	k.told <- s
	k.Desktop.Keep(s)
}

// Rule: a session ends when it is as long as the policy lets one be, also one that runs
// when the policy comes, and with a sentence; another connection does not begin it anew.
func TestPolicyEndsLongSessions(t *testing.T) {
	l := lend(t, nil)
	id := l.session(0)
	l.pass(59 * time.Minute)
	again := nodetest.Grant(t, l.Relay, l.machine, l.viewer)
	again.SessionId = id
	l.last().Send(nodetest.Offer(t, l.Key, again, l.viewer, 2))
	if m := instruct(t, l.Relay, l.last(), l.Key, &orielv1.ComputerPolicy{Version: 1, SessionMinutes: 60, Organization: &orielv1.Organization{Name: "Acme"}}); m.GetFault() != nil {
		t.Fatal(m)
	}
	l.looked()
	if !l.desktop.runs(id) {
		t.Fatal("ended before its time")
	}
	l.pass(time.Minute)
	e := l.last().Wait(t, "the end", endedWith(id)).GetSessionEnded()
	if e.GetReason() != orielv1.EndReason_END_REASON_TIME_UP || e.GetDetail() != "the policy of Acme ends sessions after 60 minutes; open another one" {
		t.Errorf("ended with %v", e)
	}
}

// Rule: a lease that the policy shortens is shorter for the sessions that run, too.
func TestPolicyShortensLeases(t *testing.T) {
	l := lend(t, nil)
	id := l.session(900)
	if m := instruct(t, l.Relay, l.last(), l.Key, &orielv1.ComputerPolicy{Version: 1, LeaseMinutes: 5}); m.GetFault() != nil {
		t.Fatal(m)
	}
	l.pass(4 * time.Minute)
	l.looked()
	if !l.desktop.runs(id) {
		t.Fatal("ended before its time")
	}
	l.pass(2 * time.Minute)
	l.ended(id)
}
