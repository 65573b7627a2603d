package node_test

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"image"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
	"google.golang.org/protobuf/proto"

	"oriel/agent/internal/desktop"
	"oriel/agent/internal/identity"
	"oriel/agent/internal/link/linktest"
	"oriel/agent/internal/node"
	"oriel/agent/internal/node/nodetest"
	"oriel/agent/internal/session"
	orielv1 "oriel/protocol/oriel/v1"
	"oriel/protocol/trust"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// agent is a whole node: link, host facts and a real session.Host on the demo
// desktop, against a relay that speaks the real wire.
type agent struct {
	id  *identity.Identity
	end func()
}

func run(t *testing.T, relay *linktest.Relay, with ...func(*node.Options)) *agent {
	t.Helper()
	return runAs(t, identified(t, identity.Given{Relays: []string{relay.URL()}, Token: relay.Token()}), with...)
}

// identified is a new machine that was told so much.
func identified(t *testing.T, given identity.Given) *identity.Identity {
	t.Helper()
	id, err := identity.Open(filepath.Join(t.TempDir(), "data"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { id.Close() })
	if err := id.Configure(given); err != nil {
		t.Fatal(err)
	}
	return id
}

func runAs(t *testing.T, id *identity.Identity, with ...func(*node.Options)) *agent {
	t.Helper()
	o := node.Options{Version: "1.2.3", Desktop: func(out node.Outlet) node.Desktop {
		return session.NewHost(session.Options{
			Open: func(context.Context) (desktop.Desktop, error) { return desktop.Demo(image.Pt(320, 200)), nil },
			Sign: out.Sign, Send: out.Send, Loopback: true,
		})
	}}
	for _, w := range with {
		w(&o)
	}
	n := node.New(id, o)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- n.Run(ctx) }()
	a := &agent{id: id, end: sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run: %v", err)
		}
	})}
	t.Cleanup(a.end)
	return a
}

func answered(session string) func(*orielv1.FromAgent) bool {
	return func(m *orielv1.FromAgent) bool { return m.GetAnswer().GetSessionId() == session }
}

func endedWith(session string) func(*orielv1.FromAgent) bool {
	return func(m *orielv1.FromAgent) bool { return m.GetSessionEnded().GetSessionId() == session }
}

func TestGrants(t *testing.T) {
	relay := linktest.Start(t, func(r *linktest.Relay) { r.Skew = -3 * time.Hour }) // the relay's clock counts
	a := run(t, relay)
	peer := relay.Agent(1)
	v := nodetest.NewViewer(t)
	other, another, _ := ed25519.GenerateKey(rand.Reader)

	for _, c := range []struct {
		name   string
		key    ed25519.PrivateKey // nil: the relay's
		change func(*orielv1.Grant, *orielv1.Offer)
		want   orielv1.Code
	}{
		{"expired", nil, func(g *orielv1.Grant, _ *orielv1.Offer) {
			g.IssuedAt -= 120_000
			g.ExpiresAt -= 120_000
		}, orielv1.Code_CODE_GRANT_EXPIRED},
		{"good by this machine's wrong clock only", nil, func(g *orielv1.Grant, _ *orielv1.Offer) {
			g.IssuedAt = time.Now().UnixMilli()
			g.ExpiresAt = time.Now().Add(time.Minute).UnixMilli()
		}, orielv1.Code_CODE_GRANT_EXPIRED},
		{"for another computer", nil, func(g *orielv1.Grant, _ *orielv1.Offer) { g.ComputerId = "computer-2" }, orielv1.Code_CODE_GRANT_COMPUTER},
		{"for another machine key", nil, func(g *orielv1.Grant, _ *orielv1.Offer) { g.ComputerKey = other }, orielv1.Code_CODE_GRANT_COMPUTER},
		{"for another browser", nil, func(g *orielv1.Grant, _ *orielv1.Offer) { g.Fingerprint[0] ^= 1 }, orielv1.Code_CODE_GRANT_FINGERPRINT},
		{"signed by another key", another, nil, orielv1.Code_CODE_GRANT_SIGNATURE},
		{"altered after it was signed", nil, func(_ *orielv1.Grant, o *orielv1.Offer) { o.Grant.Grant[5] ^= 1 }, orielv1.Code_CODE_GRANT_SIGNATURE},
		{"none", nil, func(_ *orielv1.Grant, o *orielv1.Offer) { o.Grant = nil }, orielv1.Code_CODE_GRANT_SIGNATURE},
		{"of another session", nil, func(_ *orielv1.Grant, o *orielv1.Offer) { o.SessionId = "other-" + o.SessionId }, orielv1.Code_CODE_INVALID},
	} {
		t.Run(c.name, func(t *testing.T) {
			key := c.key
			if key == nil {
				key = relay.Key
			}
			g := nodetest.Grant(t, relay, a.id.Key(), v)
			if c.change != nil {
				c.change(g, &orielv1.Offer{Grant: &orielv1.SignedGrant{Grant: make([]byte, 10)}})
			}
			m := nodetest.Offer(t, key, g, v, 1)
			if c.change != nil {
				c.change(proto.CloneOf(g), m.GetOffer())
			}
			peer.Send(m)
			e := peer.Wait(t, "the refusal", endedWith(m.GetOffer().GetSessionId())).GetSessionEnded()
			attempt := uint32(0)
			if c.want == orielv1.Code_CODE_GRANT_EXPIRED {
				attempt = 1 // the relay may make it anew
			}
			if e.GetReason() != orielv1.EndReason_END_REASON_REFUSED || e.GetCode() != c.want || e.GetAttempt() != attempt || e.GetDetail() == "" {
				t.Fatalf("got %v, want %v", e, c.want)
			}
		})
	}

	t.Run("replayed", func(t *testing.T) {
		g := nodetest.Grant(t, relay, a.id.Key(), v)
		m := nodetest.Offer(t, relay.Key, g, v, 1)
		peer.Send(m)
		answer := peer.Wait(t, "the answer", answered(g.GetSessionId())).GetAnswer()
		fingerprint, err := trust.Fingerprint(answer.GetSdp())
		if err != nil || trust.VerifyAnswer(a.id.Key(), g.GetSessionId(), g.GetNonce(), fingerprint, answer.GetSignature()) != nil {
			t.Fatalf("the answer is not signed with the machine key: %v", err)
		}
		again := proto.CloneOf(m)
		again.GetOffer().Attempt = 2
		peer.Send(again)
		e := peer.Wait(t, "the refusal", endedWith(g.GetSessionId())).GetSessionEnded()
		if e.GetCode() != orielv1.Code_CODE_GRANT_REPLAYED || e.GetAttempt() != 2 {
			t.Fatalf("got %v, want REPLAYED for attempt 2 only: the session runs on", e)
		}
	})
}

func TestSessionOutlivesTheRelayAndItsEndIsSaidUntilHeard(t *testing.T) {
	v := nodetest.NewViewer(t)
	relay := linktest.Start(t, func(r *linktest.Relay) {
		r.Received = func(_ *linktest.Agent, m *orielv1.FromAgent) { v.Candidate(m.GetCandidate()) }
	})
	a := run(t, relay)
	peer := relay.Agent(1)
	g := nodetest.Grant(t, relay, a.id.Key(), v)
	id := g.GetSessionId()
	peer.Send(nodetest.Offer(t, relay.Key, g, v, 1))
	v.Take(t, peer.Wait(t, "the answer", answered(id)).GetAnswer())
	v.Connected(t)
	peer.Wait(t, "a report", func(m *orielv1.FromAgent) bool { return m.GetSessionReport().GetConnectedAt() > 0 })

	relay.Stop()
	relay.Restart()
	second := relay.Agent(2)
	if !slices.Contains(second.Hello.GetSessions(), id) {
		t.Fatalf("the running session is not in Hello: %v", second.Hello.GetSessions())
	}
	second.Wait(t, "the report again", func(m *orielv1.FromAgent) bool { return m.GetSessionReport().GetSessionId() == id })

	second.Send(&orielv1.ToAgent{Body: &orielv1.ToAgent_EndSession{EndSession: &orielv1.EndSession{SessionId: id, Reason: orielv1.EndReason_END_REASON_ENDED}}})
	first := second.Wait(t, "the end", endedWith(id)).GetSessionEnded()
	if first.GetReason() != orielv1.EndReason_END_REASON_ENDED {
		t.Fatalf("ended with %v", first)
	}
	// Not acknowledged: it is said again, the same, to the next relay …
	relay.Stop()
	relay.Restart()
	third := relay.Agent(3)
	if got := third.Wait(t, "the end again", endedWith(id)).GetSessionEnded(); !proto.Equal(got, first) {
		t.Fatalf("said %v, then %v", first, got)
	}
	// … and when asked to end what has ended.
	third.Send(&orielv1.ToAgent{Body: &orielv1.ToAgent_EndSession{EndSession: &orielv1.EndSession{SessionId: id, Reason: orielv1.EndReason_END_REASON_OPERATOR}}})
	relay.Until("the end once more", func() bool {
		return len(slices.DeleteFunc(third.Got(), func(m *orielv1.FromAgent) bool { return !proto.Equal(m.GetSessionEnded(), first) })) == 2
	})
	// Acknowledged: not a word more.
	third.Send(&orielv1.ToAgent{Body: &orielv1.ToAgent_SessionEndedAck{SessionEndedAck: &orielv1.SessionEndedAck{SessionId: id}}})
	third.Send(&orielv1.ToAgent{Id: 77})
	third.Wait(t, "the fault, so the ack was read", func(m *orielv1.FromAgent) bool { return m.GetReplyTo() == 77 })
	relay.Stop()
	relay.Restart()
	fourth := relay.Agent(4)
	fourth.Wait(t, "status", func(m *orielv1.FromAgent) bool { return m.GetStatus() != nil })
	if slices.ContainsFunc(fourth.Got(), endedWith(id)) {
		t.Fatal("said again after it was acknowledged")
	}
	if len(fourth.Hello.GetSessions()) != 0 {
		t.Fatalf("sessions in Hello: %v", fourth.Hello.GetSessions())
	}
}

func TestStopEndsTheSessions(t *testing.T) {
	relay := linktest.Start(t)
	a := run(t, relay)
	peer := relay.Agent(1)
	v := nodetest.NewViewer(t)
	g := nodetest.Grant(t, relay, a.id.Key(), v)
	peer.Send(nodetest.Offer(t, relay.Key, g, v, 1))
	peer.Wait(t, "the answer", answered(g.GetSessionId()))
	a.end()
	e := peer.Wait(t, "the end", endedWith(g.GetSessionId())).GetSessionEnded()
	if e.GetReason() != orielv1.EndReason_END_REASON_AGENT_STOPPED {
		t.Fatalf("ended with %v", e)
	}
	select {
	case <-peer.Done():
	case <-time.After(linktest.Deadline):
		t.Fatal("the link stayed")
	}
}

func TestWhatTheRelayAsks(t *testing.T) {
	relay := linktest.Start(t)
	run(t, relay)
	peer := relay.Agent(1)
	if s := peer.Hello.GetSummary(); s.GetHostName() == "" || s.GetOs() == "" || peer.Hello.GetMachineId() == "" || peer.Hello.GetAgentVersion() != "1.2.3" {
		t.Errorf("hello: %v", peer.Hello)
	}
	inv := peer.Wait(t, "the inventory at start", func(m *orielv1.FromAgent) bool { return m.GetInventory() != nil })
	if inv.GetReplyTo() != 0 || inv.GetInventory().GetGeneral().GetAgentVersion() != "1.2.3" {
		t.Errorf("inventory at start: %v", inv)
	}
	peer.Wait(t, "the demo desktop", func(m *orielv1.FromAgent) bool {
		return m.GetStatus().GetDisplay() == orielv1.Status_DISPLAY_DEMO || m.GetStatus().GetDisplay() == orielv1.Status_DISPLAY_READY
	})

	peer.Send(&orielv1.ToAgent{Id: 42, Body: &orielv1.ToAgent_SendInventory{SendInventory: &orielv1.SendInventory{}}})
	peer.Wait(t, "the inventory asked for", func(m *orielv1.FromAgent) bool { return m.GetReplyTo() == 42 && m.GetInventory() != nil })

	// Nothing comes of it until somebody comes; it is known, and not answered.
	peer.Send(&orielv1.ToAgent{Body: &orielv1.ToAgent_Prepare{Prepare: &orielv1.Prepare{}}})

	peer.Send(&orielv1.ToAgent{Id: 43}) // what a newer relay may ask
	fault := peer.Wait(t, "the fault", func(m *orielv1.FromAgent) bool { return m.GetReplyTo() == 43 }).GetFault()
	if fault.GetCode() != orielv1.Code_CODE_UNIMPLEMENTED {
		t.Errorf("unknown ask: %v", fault)
	}
	peer.Send(&orielv1.ToAgent{Id: 44, Body: &orielv1.ToAgent_Welcome{Welcome: &orielv1.Welcome{}}})
	fault = peer.Wait(t, "the fault", func(m *orielv1.FromAgent) bool { return m.GetReplyTo() == 44 }).GetFault()
	if fault.GetCode() != orielv1.Code_CODE_INVALID {
		t.Errorf("a second welcome: %v", fault)
	}

	peer.Send(&orielv1.ToAgent{Body: &orielv1.ToAgent_Settings{Settings: &orielv1.Settings{PreviewSeconds: 1}}})
	preview := peer.Wait(t, "a preview", func(m *orielv1.FromAgent) bool { return m.GetPreview() != nil }).GetPreview()
	if !strings.HasPrefix(preview.GetType(), "image/") || len(preview.GetData()) == 0 {
		t.Errorf("preview: %s, %d bytes", preview.GetType(), len(preview.GetData()))
	}

	peer.Send(&orielv1.ToAgent{Body: &orielv1.ToAgent_EndSession{EndSession: &orielv1.EndSession{SessionId: "nobody", Reason: orielv1.EndReason_END_REASON_ENDED}}})
	if e := peer.Wait(t, "the end", endedWith("nobody")).GetSessionEnded(); e.GetReason() != orielv1.EndReason_END_REASON_ENDED {
		t.Errorf("the end of what does not run: %v", e)
	}
}

func TestInventoryIsSentAgainOnlyWhenDue(t *testing.T) {
	count := func(a *linktest.Agent) int {
		n := 0
		for _, m := range a.Got() {
			if m.GetInventory() != nil {
				n++
			}
		}
		return n
	}
	t.Run("daily", func(t *testing.T) {
		relay := linktest.Start(t)
		run(t, relay, func(o *node.Options) { o.CheckEvery, o.RepeatEvery = 20*time.Millisecond, 50*time.Millisecond })
		peer := relay.Agent(1)
		relay.Until("three", func() bool { return count(peer) >= 3 })
	})
	t.Run("not on reconnecting, but on enrolling anew", func(t *testing.T) {
		relay := linktest.Start(t)
		a := run(t, relay)
		peer := relay.Agent(1)
		relay.Until("the first", func() bool { return count(peer) == 1 })
		relay.Stop()
		relay.Restart()
		second := relay.Agent(2)
		second.Send(&orielv1.ToAgent{Id: 5, Body: &orielv1.ToAgent_SendInventory{SendInventory: &orielv1.SendInventory{}}})
		second.Wait(t, "the one asked for", func(m *orielv1.FromAgent) bool { return m.GetReplyTo() == 5 })
		if n := count(second); n != 1 {
			t.Fatalf("%d inventories after reconnecting, want the one that was asked for", n)
		}
		if err := a.id.Configure(identity.Given{Token: relay.Token()}); err != nil {
			t.Fatal(err)
		}
		relay.Stop()
		relay.Forget()
		relay.Restart()
		third := relay.Agent(3)
		relay.Until("one for the relay that forgot", func() bool { return count(third) == 1 })
	})
}

// taker is a Desktop that shows what offers reach it.
type taker struct {
	node.Desktop
	offers chan *orielv1.Offer
}

func (d taker) Offer(o *orielv1.Offer, _ *orielv1.Grant) { d.offers <- o }

// Rule: ICE servers are looked at before anything here asks them.
func TestICEServersOfOthersDoNotReachTheDesktop(t *testing.T) {
	relay := linktest.Start(t)
	offers := make(chan *orielv1.Offer, 1)
	a := run(t, relay, func(o *node.Options) {
		inner := o.Desktop
		o.Desktop = func(out node.Outlet) node.Desktop { return taker{inner(out), offers} }
	})
	v := nodetest.NewViewer(t)
	m := nodetest.Offer(t, relay.Key, nodetest.Grant(t, relay, a.id.Key(), v), v, 1)
	m.GetOffer().IceServers = []*orielv1.IceServer{
		{Urls: []string{"stun:stun.thief.example:3478", "turn:127.0.0.1:3478?transport=udp"}, Username: "u", Credential: "c"},
		{Urls: []string{"turn:169.254.169.254:80?transport=tcp"}, Username: "u", Credential: "c"},
	}
	relay.Agent(1).Send(m)
	got := (<-offers).GetIceServers()
	if len(got) != 1 || !slices.Equal(got[0].GetUrls(), []string{"turn:127.0.0.1:3478?transport=udp"}) {
		t.Fatalf("asked are %v", got)
	}
}
