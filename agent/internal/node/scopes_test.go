package node_test

import (
	"crypto/ed25519"
	"crypto/rand"
	"slices"
	"strings"
	"testing"
	"time"

	"oriel/agent/internal/link/linktest"
	"oriel/agent/internal/node"
	"oriel/agent/internal/node/nodetest"
	orielv1 "oriel/protocol/oriel/v1"
	"oriel/protocol/trust"
)

// connected opens a session for v by g.
func connected(t *testing.T, relay *linktest.Relay, peer *linktest.Agent, v *nodetest.Viewer, g *orielv1.Grant) {
	t.Helper()
	if err := peer.Send(nodetest.Offer(t, relay.Key, g, v, 1)); err != nil {
		t.Fatal(err)
	}
	v.Take(t, peer.Wait(t, "answer", answered(g.GetSessionId())).GetAnswer())
	for _, m := range peer.Got() {
		v.Candidate(m.GetCandidate())
	}
	relay.Until("candidates", func() bool {
		for _, m := range peer.Got() {
			if c := m.GetCandidate(); c != nil {
				v.Candidate(c)
			}
		}
		return v.Open()
	})
	v.Hear(t, "ready", func(m *orielv1.FromDesktop) bool { return m.GetReady() != nil })
}

// Rule: a supplement is taken from the relay that the agent trusts, for this computer and
// in its time, and answered; the viewer is told what is in force.
func TestSupplements(t *testing.T) {
	relay := linktest.Start(t)
	a := run(t, relay)
	peer, v := relay.Agent(1), nodetest.NewViewer(t)
	g := nodetest.Grant(t, relay, a.id.Key(), v)
	connected(t, relay, peer, v, g)
	_, another, _ := ed25519.GenerateKey(rand.Reader)
	ask := uint64(100)
	say := func(key ed25519.PrivateKey, change func(*orielv1.Supplement)) *orielv1.FromAgent {
		t.Helper()
		ask++
		now := relay.Now()
		s := &orielv1.Supplement{SessionId: g.GetSessionId(), ComputerId: relay.Computer, Scopes: []orielv1.Scope{orielv1.Scope_SCOPE_VIEW},
			IssuedAt: max(now.UnixMilli(), g.GetIssuedAt()+1), ExpiresAt: now.Add(trust.GrantLifetime).UnixMilli()}
		change(s)
		signed, err := trust.SignSupplement(trust.Key(key), s)
		if err != nil {
			t.Fatal(err)
		}
		if err := peer.Send(&orielv1.ToAgent{Id: ask, Body: &orielv1.ToAgent_Supplement{Supplement: signed}}); err != nil {
			t.Fatal(err)
		}
		return peer.Wait(t, "answer to the supplement", func(m *orielv1.FromAgent) bool { return m.GetReplyTo() == ask })
	}
	for name, c := range map[string]struct {
		key    ed25519.PrivateKey
		change func(*orielv1.Supplement)
		want   orielv1.Code
	}{
		"another key":      {another, func(*orielv1.Supplement) {}, orielv1.Code_CODE_GRANT_SIGNATURE},
		"another computer": {relay.Key, func(s *orielv1.Supplement) { s.ComputerId = "x" }, orielv1.Code_CODE_GRANT_COMPUTER},
		"expired": {relay.Key, func(s *orielv1.Supplement) {
			s.IssuedAt, s.ExpiresAt = s.IssuedAt-200_000, s.ExpiresAt-200_000
		}, orielv1.Code_CODE_GRANT_EXPIRED},
		"good for too long":    {relay.Key, func(s *orielv1.Supplement) { s.ExpiresAt += 3_600_000 }, orielv1.Code_CODE_GRANT_EXPIRED},
		"another session":      {relay.Key, func(s *orielv1.Supplement) { s.SessionId = "x" }, orielv1.Code_CODE_INVALID},
		"older than the grant": {relay.Key, func(s *orielv1.Supplement) { s.IssuedAt, s.ExpiresAt = g.GetIssuedAt(), g.GetExpiresAt() }, orielv1.Code_CODE_INVALID},
	} {
		if m := say(c.key, c.change); m.GetFault().GetCode() != c.want || m.GetFault().GetDetail() == "" {
			t.Errorf("%s: %v", name, m)
		}
	}
	if m := say(relay.Key, func(*orielv1.Supplement) {}); m.GetBody() != nil {
		t.Fatalf("a good one: %v", m)
	}
	v.Hear(t, "what is in force", func(m *orielv1.FromDesktop) bool {
		return slices.Equal(m.GetScopesInForce().GetScopes(), []orielv1.Scope{orielv1.Scope_SCOPE_VIEW})
	})
}

// Rule: a session ends when its grant says, by the relay's clock, whatever is renewed.
func TestSessionEndsInTime(t *testing.T) {
	relay := linktest.Start(t, func(r *linktest.Relay) { r.Skew = -3 * time.Hour })
	a := run(t, relay, func(o *node.Options) { o.LeaseEvery = 10 * time.Millisecond })
	peer, v := relay.Agent(1), nodetest.NewViewer(t)
	g := nodetest.Grant(t, relay, a.id.Key(), v)
	g.EndsAt = relay.Now().Add(200 * time.Millisecond).UnixMilli()
	if err := peer.Send(nodetest.Offer(t, relay.Key, g, v, 1)); err != nil {
		t.Fatal(err)
	}
	e := peer.Wait(t, "end", endedWith(g.GetSessionId())).GetSessionEnded()
	if e.GetReason() != orielv1.EndReason_END_REASON_TIME_UP {
		t.Errorf("ended %v", e)
	}
}

// Rule: a policy that this agent cannot see to is not passed over: the session is
// refused, and what to update is said.
func TestPoliciesThatThisAgentCannotKeep(t *testing.T) {
	relay := linktest.Start(t)
	a := run(t, relay)
	peer, v := relay.Agent(1), nodetest.NewViewer(t)
	for _, p := range []*orielv1.Policy{
		{Consent: orielv1.Consent_CONSENT_WHEN_PRESENT}, {Consent: orielv1.Consent_CONSENT_ALWAYS}, {Consent: 9}, {Recording: true}, {Banner: true},
	} {
		g := nodetest.Grant(t, relay, a.id.Key(), v)
		g.Policy = p
		if err := peer.Send(nodetest.Offer(t, relay.Key, g, v, 1)); err != nil {
			t.Fatal(err)
		}
		e := peer.Wait(t, "refusal", endedWith(g.GetSessionId())).GetSessionEnded()
		if e.GetReason() != orielv1.EndReason_END_REASON_REFUSED || e.GetCode() != orielv1.Code_CODE_UNIMPLEMENTED || !strings.Contains(e.GetDetail(), "update the agent") {
			t.Errorf("%v: %v", p, e)
		}
	}
}
