package link

import (
	"bytes"
	"crypto/rand"
	"sync"
	"time"

	"google.golang.org/protobuf/proto"

	orielv1 "oriel/protocol/oriel/v1"
	"oriel/protocol/trust"
)

// clockStep is how far two of this machine's clocks, or the relay's and what is
// known of it, may come apart from one ping to the next without a word.
const clockStep = 5 * time.Second

// Clock is this machine's clocks; a nil one is the system's.
type Clock struct {
	Wall    func() time.Time     // as people call it: anybody may set it
	Running func() time.Duration // since any moment; it stands still in a suspend
	Elapsed func() time.Duration // since any moment, suspends included where the system counts them
}

// WithDefaults is c with the system's clocks for those that are nil.
func (c Clock) WithDefaults() Clock {
	if c.Wall == nil {
		c.Wall = time.Now
	}
	if c.Running == nil {
		start := time.Now()
		c.Running = func() time.Duration { return time.Since(start) }
	}
	if c.Elapsed == nil {
		c.Elapsed = elapsed
	}
	return c
}

// question is the newest AskClock of one connection.
type question struct {
	mu      sync.Mutex
	greeted bool          // protected by mu; the relay takes nothing but Hello before
	nonce   []byte        // protected by mu; nil: answered
	at      time.Duration // protected by mu; Clock.Elapsed when it was asked

	wall             time.Time     // protected by mu; the machine's clocks then,
	running, elapsed time.Duration // protected by mu; to notice a step or a suspend
}

func (q *question) ready() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.greeted = true
}

// ping is the agent's ping on the connection of q: the question for the relay's
// time; nil before the greeting is over.
func (l *Link) ping(q *question) proto.Message {
	q.mu.Lock()
	defer q.mu.Unlock()
	if !q.greeted {
		return nil
	}
	l.notice(q)
	q.nonce = make([]byte, 16)
	_, _ = rand.Read(q.nonce) // never fails
	q.at = l.o.Clock.Elapsed()
	return &orielv1.FromAgent{Body: &orielv1.FromAgent_AskClock{AskClock: &orielv1.AskClock{Nonce: q.nonce}}}
}

// notice says in the log what became of this machine's clocks since the last
// ping. Nothing else is to be done: the answer to the next one sets it right.
// q.mu is held.
func (l *Link) notice(q *question) {
	wall, running, elapsed := l.o.Clock.Wall().Round(0), l.o.Clock.Running(), l.o.Clock.Elapsed()
	if !q.wall.IsZero() {
		slept := elapsed - q.elapsed - (running - q.running)
		step := wall.Sub(q.wall) - (elapsed - q.elapsed)
		if slept > clockStep {
			l.log.Info("this computer was suspended; the relay is asked for the time", "for", slept.Round(time.Second))
		}
		if step.Abs() > clockStep {
			l.log.Info("this computer's clock was set, or the computer was paused; the relay's time counts", "by", step.Round(time.Second))
		}
	}
	q.wall, q.running, q.elapsed = wall, running, elapsed
}

// AskClock asks for the relay's time now, and not only with the next ping.
func (l *Link) AskClock() {
	l.mu.Lock()
	conn, q := l.conn, l.clock
	l.mu.Unlock()
	if conn == nil {
		return
	}
	if m := l.ping(q); m != nil {
		_ = conn.Send(m) // one that ended is made anew, with the time
	}
}

// told takes the answer to the newest question. What the relay's clock says now
// lies between its word and its word plus the round trip: what is known is moved
// no further than that proves it wrong, so that a slow answer does no harm.
func (l *Link) told(q *question, c *orielv1.Clock) {
	received := l.o.Clock.Elapsed()
	q.mu.Lock()
	asked, fresh := q.at, q.nonce != nil && bytes.Equal(q.nonce, c.GetNonce())
	if fresh {
		q.nonce = nil
	}
	q.mu.Unlock()
	if !fresh {
		return
	}
	state, first := l.id.State(), time.UnixMilli(c.GetNow())
	if err := trust.VerifyClock(state.RelayKey, c.GetNonce(), state.ComputerID, first, c.GetSignature()); err != nil {
		l.log.Warn("the relay's time is not taken", "error", err)
		return
	}
	last := first.Add(max(0, received-asked))
	l.mu.Lock()
	known := l.relay.Add(received - l.at)
	now := known
	if now.Before(first) {
		now = first
	}
	if now.After(last) {
		now = last
	}
	l.relay, l.at = now, received
	l.mu.Unlock()
	if by := now.Sub(known); by.Abs() > clockStep {
		l.log.Info("the relay's time is another than this computer thought", "by", by.Round(time.Second))
	}
}

// Now is the relay's time, as well as it is known.
func (l *Link) Now() time.Time {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.relay.IsZero() {
		return l.o.Clock.Wall()
	}
	return l.relay.Add(l.o.Clock.Elapsed() - l.at)
}

// setClock takes the time of a Welcome.
func (l *Link) setClock(now time.Time) {
	at := l.o.Clock.Elapsed()
	l.mu.Lock()
	l.relay, l.at = now, at
	l.mu.Unlock()
	if off := l.o.Clock.Wall().Sub(now).Round(time.Second); off.Abs() > clockWarning && !l.everUp {
		l.log.Warn("this computer's clock is wrong; the relay's is used", "off_by", off)
	}
}
