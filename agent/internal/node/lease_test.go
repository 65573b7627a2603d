package node_test

import (
	"crypto/ed25519"
	"crypto/rand"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"oriel/agent/internal/link"
	"oriel/agent/internal/link/linktest"
	"oriel/agent/internal/node"
	"oriel/agent/internal/node/nodetest"
	"oriel/agent/internal/policy"
	orielv1 "oriel/protocol/oriel/v1"
	"oriel/protocol/trust"
)

// ledger is a Desktop whose sessions run until they are ended.
type ledger struct {
	node.Desktop
	out node.Outlet

	mu      sync.Mutex
	running map[string]bool // protected by mu
	refuses bool            // protected by mu; supplements, and offers for what runs
}

func (d *ledger) refuse() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.refuses = true
}

func (d *ledger) Supplement(ask uint64, _ *orielv1.Supplement) {
	d.mu.Lock()
	defer d.mu.Unlock()
	out := &orielv1.FromAgent{ReplyTo: ask}
	if d.refuses {
		out.Body = &orielv1.FromAgent_Fault{Fault: &orielv1.Fault{Code: orielv1.Code_CODE_INVALID, Detail: "not now"}}
	}
	d.out.Send(out)
}

func (d *ledger) Offer(o *orielv1.Offer, _ *orielv1.Grant) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.running[o.GetSessionId()] && d.refuses {
		d.out.Send(&orielv1.FromAgent{Body: &orielv1.FromAgent_SessionEnded{SessionEnded: &orielv1.SessionEnded{
			SessionId: o.GetSessionId(), Reason: orielv1.EndReason_END_REASON_REFUSED, Attempt: o.GetAttempt()}}})
		return
	}
	d.running[o.GetSessionId()] = true
	d.out.Send(&orielv1.FromAgent{Body: &orielv1.FromAgent_Answer{Answer: &orielv1.Answer{SessionId: o.GetSessionId(), Attempt: o.GetAttempt()}}})
}

func (d *ledger) End(e *orielv1.EndSession) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.running[e.GetSessionId()] {
		delete(d.running, e.GetSessionId())
		d.out.Send(&orielv1.FromAgent{Body: &orielv1.FromAgent_SessionEnded{SessionEnded: &orielv1.SessionEnded{
			SessionId: e.GetSessionId(), Reason: e.GetReason(), Code: e.GetCode(), Detail: e.GetDetail()}}})
	}
}

func (d *ledger) runs(id string) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.running[id]
}

// lent is an agent whose clock the test moves, and the relay's with it.
type lent struct {
	*linktest.Relay
	t       *testing.T
	desktop *ledger
	machine ed25519.PublicKey
	viewer  *nodetest.Viewer
	gone    atomic.Int64 // nanoseconds that have passed
}

func lend(t *testing.T, p policy.Set) *lent {
	l := &lent{Relay: linktest.Start(t), t: t, desktop: &ledger{running: map[string]bool{}}, viewer: nodetest.NewViewer(t)}
	passed := func() time.Duration { return time.Duration(l.gone.Load()) }
	a := run(t, l.Relay, func(o *node.Options) {
		inner := o.Desktop
		o.Desktop = func(out node.Outlet) node.Desktop {
			l.desktop.Desktop, l.desktop.out = inner(out), out
			return l.desktop
		}
		o.Policy, o.LeaseEvery, o.Wire.PingEvery = p, time.Millisecond, time.Hour
		o.Clock = link.Clock{Elapsed: passed, Running: passed}
	})
	l.machine = a.id.Key()
	welcomed(t, l.Relay)
	return l
}

// welcomed waits until the agent has taken the relay's first word, and its time.
func welcomed(t *testing.T, r *linktest.Relay) *linktest.Agent {
	t.Helper()
	peer := r.Agent(1)
	peer.Wait(t, "a word after Welcome", func(m *orielv1.FromAgent) bool { return m.GetStatus() != nil })
	return peer
}

func (l *lent) pass(d time.Duration) {
	l.Step(d)
	l.gone.Add(int64(d))
}

// session begins one that lasts for that many seconds without a renewal.
func (l *lent) session(seconds uint32) string {
	l.t.Helper()
	g := nodetest.Grant(l.t, l.Relay, l.machine, l.viewer)
	g.LeaseSeconds = seconds
	l.last().Send(nodetest.Offer(l.t, l.Key, g, l.viewer, 1))
	l.Until("it runs", func() bool { return l.desktop.runs(g.GetSessionId()) })
	return g.GetSessionId()
}

func (l *lent) last() *linktest.Agent { return l.Agent(len(l.Agents())) }

// looked waits until leases were looked at after this moment: another session
// comes, and is over first.
func (l *lent) looked() {
	l.t.Helper()
	id := l.session(1)
	l.pass(time.Second)
	l.Until("the short one is over", func() bool { return !l.desktop.runs(id) })
}

func (l *lent) renewal(id string, key ed25519.PrivateKey, computer string, at time.Time) *orielv1.SignedRenewal {
	l.t.Helper()
	r, err := trust.SignRenewal(trust.Key(key), &orielv1.Renewal{SessionId: id, ComputerId: computer, IssuedAt: at.UnixMilli()})
	if err != nil {
		l.t.Fatal(err)
	}
	return r
}

// say sends a renewal and waits until it was read.
func (l *lent) say(r *orielv1.SignedRenewal) {
	l.t.Helper()
	l.last().Send(&orielv1.ToAgent{Body: &orielv1.ToAgent_Renewal{Renewal: r}})
	l.last().Send(&orielv1.ToAgent{Id: 7777})
	l.last().Wait(l.t, "what comes after it", func(m *orielv1.FromAgent) bool { return m.GetReplyTo() == 7777 })
}

func (l *lent) ended(id string) {
	l.t.Helper()
	e := l.last().Wait(l.t, "the end of "+id, endedWith(id)).GetSessionEnded()
	if e.GetReason() != orielv1.EndReason_END_REASON_UNRENEWED || e.GetCode() != orielv1.Code_CODE_UNAVAILABLE ||
		!strings.Contains(e.GetDetail(), "the relay has not renewed this session for") {
		l.t.Errorf("ended with %v", e)
	}
}

// Rule: a session that the relay does not renew ends on the agent after its
// lease, with a sentence; a renewal by the relay's key, and nothing else, begins
// the lease anew; also over another connection.
func TestSessionEndsWithoutRenewal(t *testing.T) {
	const quarter = 900
	own := 5
	_, other, _ := ed25519.GenerateKey(rand.Reader)
	for name, c := range map[string]struct {
		policy policy.Set
		lease  uint32
		after  func(l *lent, id string) // ten minutes
		until  time.Duration            // it runs
	}{
		"nothing comes":                    {nil, quarter, nil, 15 * time.Minute},
		"policy is shorter":                {policy.Set{{LeaseMinutes: &own}}, quarter, nil, 5 * time.Minute},
		"policy is longer":                 {policy.Set{{LeaseMinutes: &own}}, 120, nil, 2 * time.Minute},
		"older relay, policy of one's own": {policy.Set{{LeaseMinutes: &own}}, 0, nil, 5 * time.Minute},
		"renewed":                          {nil, quarter, func(l *lent, id string) { l.say(l.renewal(id, l.Key, l.Computer, l.Now())) }, 25 * time.Minute},
		"renewed over another link": {nil, quarter, func(l *lent, id string) {
			l.Stop()
			l.Restart()
			l.Agent(2)
			l.say(l.renewal(id, l.Key, l.Computer, l.Now()))
		}, 25 * time.Minute},
		"a renewal that was held up": {nil, quarter, func(l *lent, id string) {
			l.say(l.renewal(id, l.Key, l.Computer, l.Now().Add(-2*time.Minute)))
		}, 23 * time.Minute},
		"an old one again": {nil, quarter, func(l *lent, id string) {
			l.say(l.renewal(id, l.Key, l.Computer, l.Now().Add(-11*time.Minute)))
		}, 15 * time.Minute},
		"another key's":      {nil, quarter, func(l *lent, id string) { l.say(l.renewal(id, other, l.Computer, l.Now())) }, 15 * time.Minute},
		"another computer's": {nil, quarter, func(l *lent, id string) { l.say(l.renewal(id, l.Key, "computer-2", l.Now())) }, 15 * time.Minute},
		"another session's":  {nil, quarter, func(l *lent, id string) { l.say(l.renewal("other", l.Key, l.Computer, l.Now())) }, 15 * time.Minute},
		"altered": {nil, quarter, func(l *lent, id string) {
			r := l.renewal(id, l.Key, l.Computer, l.Now())
			r.Renewal[len(r.Renewal)-1] ^= 1
			l.say(r)
		}, 15 * time.Minute},
		"a relay set back": {nil, quarter, func(l *lent, id string) {
			l.Step(time.Hour) // and the agent does not know yet
			l.say(l.renewal(id, l.Key, l.Computer, l.Now()))
			l.Step(-time.Hour)
		}, 25 * time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := lend(t, c.policy)
			id, passed := l.session(c.lease), time.Duration(0)
			if c.after != nil {
				l.pass(10 * time.Minute)
				passed = 10 * time.Minute
				c.after(l, id)
			}
			l.pass(c.until - passed - 3*time.Second)
			l.looked()
			if !l.desktop.runs(id) {
				t.Fatalf("ended before %v", c.until)
			}
			l.pass(30 * time.Second) // the relay's own clock went on while this ran
			l.ended(id)
		})
	}
	t.Run("older relay", func(t *testing.T) {
		l := lend(t, nil)
		id := l.session(0)
		l.pass(365 * 24 * time.Hour)
		l.looked()
		if !l.desktop.runs(id) {
			t.Error("ended although nobody lent it")
		}
	})
}

// Rule: a session ends at the time that its grant says, however often it is renewed. The
// relay's newest word on that counts: a renewal, a supplement or another grant may say a
// later time or an earlier one, an older word says nothing, and a renewal or supplement
// without a time changes nothing. Of a supplement or grant that is refused nothing counts.
func TestTheEndOfASessionIsTheNewestWords(t *testing.T) {
	const quarter = 900
	at := func(l *lent, d time.Duration) int64 { return l.Now().Add(d).UnixMilli() }
	renew := func(l *lent, id string, issued time.Time, ends int64) {
		r, err := trust.SignRenewal(trust.Key(l.Key), &orielv1.Renewal{SessionId: id, ComputerId: l.Computer, IssuedAt: issued.UnixMilli(), EndsAt: ends})
		if err != nil {
			l.t.Fatal(err)
		}
		l.say(r)
	}
	supplement := func(l *lent, id string, issued time.Time, ends int64) {
		s, err := trust.SignSupplement(trust.Key(l.Key), &orielv1.Supplement{SessionId: id, ComputerId: l.Computer, IssuedAt: issued.UnixMilli(),
			Scopes: []orielv1.Scope{orielv1.Scope_SCOPE_VIEW}, ExpiresAt: issued.Add(trust.GrantLifetime).UnixMilli(), EndsAt: ends})
		if err != nil {
			l.t.Fatal(err)
		}
		l.last().Send(&orielv1.ToAgent{Id: 8888, Body: &orielv1.ToAgent_Supplement{Supplement: s}})
		l.last().Wait(l.t, "what comes of it", func(m *orielv1.FromAgent) bool { return m.GetReplyTo() == 8888 })
	}
	again := func(l *lent, id string, ends int64) {
		g := nodetest.Grant(l.t, l.Relay, l.machine, l.viewer)
		g.SessionId, g.LeaseSeconds, g.EndsAt = id, quarter, ends
		l.last().Send(nodetest.Offer(l.t, l.Key, g, l.viewer, 2))
		l.last().Wait(l.t, "what comes of it", func(m *orielv1.FromAgent) bool {
			return m.GetAnswer().GetAttempt() == 2 || m.GetSessionEnded().GetAttempt() == 2
		})
	}
	for name, c := range map[string]struct {
		after func(l *lent, id string) // five minutes
		until time.Duration            // it runs
	}{
		"as granted":             {func(*lent, string) {}, 10 * time.Minute},
		"renewed without a time": {func(l *lent, id string) { renew(l, id, l.Now(), 0) }, 10 * time.Minute},
		"later":                  {func(l *lent, id string) { renew(l, id, l.Now(), at(l, 9*time.Minute)) }, 14 * time.Minute},
		"earlier":                {func(l *lent, id string) { renew(l, id, l.Now(), at(l, 2*time.Minute)) }, 7 * time.Minute},
		"an older word": {func(l *lent, id string) {
			renew(l, id, l.Now().Add(-10*time.Minute), at(l, 9*time.Minute))
		}, 10 * time.Minute},
		"by a supplement":           {func(l *lent, id string) { supplement(l, id, l.Now(), at(l, 9*time.Minute)) }, 14 * time.Minute},
		"earlier by a supplement":   {func(l *lent, id string) { supplement(l, id, l.Now(), at(l, 2*time.Minute)) }, 7 * time.Minute},
		"supplement without a time": {func(l *lent, id string) { supplement(l, id, l.Now(), 0) }, 10 * time.Minute},
		"older than a supplement without a time": {func(l *lent, id string) {
			supplement(l, id, l.Now(), 0)
			renew(l, id, l.Now().Add(-time.Minute), at(l, 9*time.Minute))
		}, 10 * time.Minute},
		"later by a supplement that is refused": {func(l *lent, id string) {
			l.desktop.refuse()
			supplement(l, id, l.Now(), at(l, 9*time.Minute))
		}, 10 * time.Minute},
		"earlier by a supplement that is refused": {func(l *lent, id string) {
			l.desktop.refuse()
			supplement(l, id, l.Now(), at(l, 2*time.Minute))
		}, 10 * time.Minute},
		"by another grant": {func(l *lent, id string) { again(l, id, at(l, 9*time.Minute)) }, 14 * time.Minute},
		"by another grant that is refused": {func(l *lent, id string) {
			l.desktop.refuse()
			again(l, id, at(l, 9*time.Minute))
		}, 10 * time.Minute},
		"never, as good as": {func(l *lent, id string) { renew(l, id, l.Now(), 1<<62) }, 19 * time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := lend(t, nil)
			g := nodetest.Grant(t, l.Relay, l.machine, l.viewer)
			g.LeaseSeconds, g.EndsAt = quarter, at(l, 10*time.Minute)
			id := g.GetSessionId()
			l.last().Send(nodetest.Offer(t, l.Key, g, l.viewer, 1))
			l.Until("it runs", func() bool { return l.desktop.runs(id) })
			l.pass(5 * time.Minute)
			c.after(l, id)
			l.pass(c.until - 5*time.Minute - 3*time.Second)
			l.looked()
			if !l.desktop.runs(id) {
				t.Fatalf("ended before %v", c.until)
			}
			if name == "never, as good as" {
				return
			}
			l.pass(30 * time.Second)
			e := l.last().Wait(t, "the end", func(m *orielv1.FromAgent) bool {
				return endedWith(id)(m) && m.GetSessionEnded().GetAttempt() == 0
			}).GetSessionEnded()
			if e.GetReason() != orielv1.EndReason_END_REASON_TIME_UP {
				t.Errorf("ended with %v", e)
			}
		})
	}
}

// Rule: a lease that is over ends the session itself, and its sentence is said.
func TestUnrenewedSessionEndsWithASentence(t *testing.T) {
	relay := linktest.Start(t)
	var gone atomic.Int64
	passed := func() time.Duration { return time.Duration(gone.Load()) }
	a := run(t, relay, func(o *node.Options) {
		o.LeaseEvery, o.Wire.PingEvery, o.Clock = time.Millisecond, time.Hour, link.Clock{Elapsed: passed, Running: passed}
	})
	v := nodetest.NewViewer(t)
	g := nodetest.Grant(t, relay, a.id.Key(), v)
	g.LeaseSeconds = 900
	relay.Agent(1).Send(nodetest.Offer(t, relay.Key, g, v, 1))
	relay.Agent(1).Wait(t, "the answer", answered(g.GetSessionId()))
	gone.Store(int64(15*time.Minute + time.Second))
	e := relay.Agent(1).Wait(t, "the end", endedWith(g.GetSessionId())).GetSessionEnded()
	if e.GetReason() != orielv1.EndReason_END_REASON_UNRENEWED || e.GetCode() != orielv1.Code_CODE_UNAVAILABLE ||
		e.GetDetail() != "the relay has not renewed this session for 15 minutes; open it again when the relay is back" {
		t.Errorf("ended with %v", e)
	}
}

// Rule: each session opens after the machine's clock was stepped by an hour
// between two pings, after a suspend and after a pause that no clock counted: a
// grant refused for its time is preceded by the question for the time, and the
// next one is good.
func TestSessionOpensWhateverTheClocksDid(t *testing.T) {
	for name, c := range map[string]struct {
		relay, wall, running, elapsed time.Duration
		refused                       bool // the first
	}{
		"stepped forth":             {0, time.Hour, 0, 0, false},
		"stepped back":              {0, -time.Hour, 0, 0, false},
		"suspended, and counted":    {time.Hour, time.Hour, 0, time.Hour, false},
		"suspended, and not":        {time.Hour, time.Hour, 0, 0, true},
		"paused, a virtual machine": {time.Hour, 0, 0, 0, true},
		"the relay was set back":    {-time.Hour, 0, 0, 0, true},
	} {
		t.Run(name, func(t *testing.T) {
			var wall, running, elapsed atomic.Int64
			from := time.Now()
			relay := linktest.Start(t)
			a := run(t, relay, func(o *node.Options) {
				o.Wire.PingEvery = time.Hour // what happens, happens between two pings
				o.Clock = link.Clock{
					Wall:    func() time.Time { return time.Now().Round(0).Add(time.Duration(wall.Load())) },
					Running: func() time.Duration { return time.Since(from) + time.Duration(running.Load()) },
					Elapsed: func() time.Duration { return time.Since(from) + time.Duration(elapsed.Load()) },
				}
			})
			peer, v := welcomed(t, relay), nodetest.NewViewer(t)
			relay.Step(c.relay)
			wall.Store(int64(c.wall))
			running.Store(int64(c.running))
			elapsed.Store(int64(c.elapsed))
			g := nodetest.Grant(t, relay, a.id.Key(), v)
			peer.Send(nodetest.Offer(t, relay.Key, g, v, 1))
			if c.refused {
				e := peer.Wait(t, "the refusal", endedWith(g.GetSessionId())).GetSessionEnded()
				if e.GetCode() != orielv1.Code_CODE_GRANT_EXPIRED || e.GetAttempt() != 1 {
					t.Fatalf("refused with %v", e)
				}
				if i := slices.IndexFunc(peer.Got(), func(m *orielv1.FromAgent) bool { return m.GetAskClock() != nil }); i < 0 ||
					i > slices.IndexFunc(peer.Got(), endedWith(g.GetSessionId())) {
					t.Fatal("the time was not asked for before")
				}
				g.IssuedAt, g.ExpiresAt = relay.Now().UnixMilli(), relay.Now().Add(trust.GrantLifetime).UnixMilli()
				peer.Send(nodetest.Offer(t, relay.Key, g, v, 1))
			}
			peer.Wait(t, "the answer", answered(g.GetSessionId()))
		})
	}
}
