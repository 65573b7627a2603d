package link

import (
	"crypto/ed25519"
	"crypto/rand"
	"sync/atomic"
	"testing"
	"time"

	"oriel/agent/internal/identity"
	"oriel/agent/internal/link/linktest"
	orielv1 "oriel/protocol/oriel/v1"
	"oriel/protocol/trust"
)

// Rule: the relay's time is renewed with every ping of the agent link, and
// neither a step of the machine's clock nor a suspend nor a pause makes it old.
func TestTimeIsRenewedWithEveryPing(t *testing.T) {
	for name, c := range map[string]struct {
		relay, wall, elapsed time.Duration
		said                 string
	}{
		"paused, a virtual machine": {time.Hour, 0, 0, "another than this computer thought"},
		"the relay was set back":    {-time.Hour, 0, 0, "another than this computer thought"},
		"stepped forth":             {0, time.Hour, 0, "clock was set"},
		"stepped back":              {0, -time.Hour, 0, "clock was set"},
		"suspended":                 {time.Hour, time.Hour, time.Hour, "was suspended"},
	} {
		t.Run(name, func(t *testing.T) {
			var wall, elapsed atomic.Int64
			from := time.Now()
			relay := linktest.Start(t)
			id := newIdentity(t, identity.Given{Relays: []string{relay.URL()}, Token: relay.Token()})
			a := run(t, id, func(o *Options) {
				o.Wire.PingEvery, o.Wire.PongTimeout = 20*time.Millisecond, 20*time.Second
				o.Clock = Clock{
					Wall:    func() time.Time { return time.Now().Round(0).Add(time.Duration(wall.Load())) },
					Elapsed: func() time.Duration { return time.Since(from) + time.Duration(elapsed.Load()) },
				}
			})
			asked := func() int {
				n := 0
				for _, m := range relay.Agent(1).Got() {
					if m.GetAskClock() != nil {
						n++
					}
				}
				return n
			}
			relay.Until("two pings", func() bool { return asked() > 1 })
			relay.Step(c.relay)
			wall.Store(int64(c.wall))
			elapsed.Store(int64(c.elapsed))
			relay.Until("the right time", func() bool { return a.Now().Sub(relay.Now()).Abs() < 2*time.Second })
			before := asked()
			relay.Until("further pings", func() bool { return asked() > before+1 })
			if off := a.Now().Sub(relay.Now()); off.Abs() > 2*time.Second {
				t.Errorf("off by %v", off)
			}
			if !a.log.Contains(c.said) {
				t.Errorf("the log does not say %q:\n%v", c.said, a.log)
			}
		})
	}
}

// Rule: an answer counts once, for its own question, signed by the relay for this
// computer; and it moves what is known no further than it proves.
func TestTimeIsTakenFromTheRelayOnly(t *testing.T) {
	relay := linktest.Start(t)
	id := newIdentity(t, identity.Given{Relays: []string{relay.URL()}, Token: relay.Token()})
	a := run(t, id)
	relay.Until("enrolled", func() bool { return id.State().Enrolled() })
	a.end()
	_, other, _ := ed25519.GenerateKey(rand.Reader)
	start := time.UnixMilli(1795305600000)
	for name, c := range map[string]struct {
		key              ed25519.PrivateKey
		computer         string
		spoil            func(*orielv1.Clock)
		says, trip, want time.Duration // after start
	}{
		"later than known":       {relay.Key, relay.Computer, nil, time.Hour, 0, time.Hour},
		"earlier than known":     {relay.Key, relay.Computer, nil, -time.Hour, time.Second, -time.Hour + time.Second},
		"within a slow trip":     {relay.Key, relay.Computer, nil, 5 * time.Second, 20 * time.Second, 20 * time.Second},
		"at the end of the trip": {relay.Key, relay.Computer, nil, 20 * time.Second, 20 * time.Second, 20 * time.Second},
		"another key's":          {other, relay.Computer, nil, time.Hour, 0, 0},
		"another computer's":     {relay.Key, "computer-2", nil, time.Hour, 0, 0},
		"to another question":    {relay.Key, relay.Computer, func(c *orielv1.Clock) { c.Nonce[0] ^= 1 }, time.Hour, 0, 0},
		"altered":                {relay.Key, relay.Computer, func(c *orielv1.Clock) { c.Now++ }, time.Hour, 0, 0},
	} {
		t.Run(name, func(t *testing.T) {
			elapsed := time.Duration(0)
			l := New(id, Options{Clock: Clock{Elapsed: func() time.Duration { return elapsed }, Wall: func() time.Time { return start }}})
			l.setClock(start)
			q := &question{}
			if l.ping(q) != nil {
				t.Fatal("asked before the greeting was over")
			}
			q.ready()
			nonce := l.ping(q).(*orielv1.FromAgent).GetAskClock().GetNonce()
			elapsed = c.trip
			now := start.Add(c.says)
			sig, err := trust.SignClock(trust.Key(c.key), nonce, c.computer, now)
			if err != nil {
				t.Fatal(err)
			}
			answer := &orielv1.Clock{Nonce: append([]byte(nil), nonce...), Now: now.UnixMilli(), Signature: sig}
			if c.spoil != nil {
				c.spoil(answer)
			}
			l.told(q, answer)
			if got := l.Now().Sub(start); got != c.want {
				t.Errorf("known is %v, want %v", got, c.want)
			}
			before := l.Now()
			elapsed += time.Hour
			l.told(q, answer) // once more
			if got := l.Now().Sub(before); got != time.Hour {
				t.Errorf("an answer counted again: moved by %v", got)
			}
		})
	}
}
