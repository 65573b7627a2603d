package stream

import (
	"sync"
	"time"

	"github.com/pion/interceptor/pkg/cc"
)

// Congestion is the estimate of the way to one peer: GCC on transport-wide
// feedback, with one correction. pion's GCC answers a moment of delay with 0.85
// of what it saw received, also when hardly anything was sent: a few keys at 20
// kbit/s would leave 100 kbit/s for the next page, and 8 % a second to come back.
// So a fall is believed at once only while the link was in use; else the
// estimate gives way by the same 0.85, at most three times a second, so that a
// link that is really gone is still found out within seconds.
type Congestion struct {
	pacer *straight

	mu        sync.Mutex
	estimator cc.BandwidthEstimator
	guard     guard
	changed   func(bitsPerSecond int)
}

// Target is the estimate in bits per second; 0 before there is a peer.
func (c *Congestion) Target() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.guard.target
}

// OnChange calls f, from any goroutine, whenever the estimate changed, and at
// once: congestion.OnChange(sub.SetTarget).
func (c *Congestion) OnChange(f func(bitsPerSecond int)) {
	c.mu.Lock()
	c.changed = f
	target := c.guard.target
	c.mu.Unlock()
	if target > 0 {
		f(target)
	}
}

func (c *Congestion) bind(e cc.BandwidthEstimator) {
	c.mu.Lock()
	c.estimator = e
	c.guard = guard{target: e.GetTargetBitrate(), last: e.GetTargetBitrate()}
	c.mu.Unlock()
	e.OnTargetBitrateChange(func(int) {
		// pion calls from a new goroutine each time, in any order: ask.
		bits := e.GetTargetBitrate()
		now := time.Now()
		c.mu.Lock()
		before := c.guard.target
		target := c.guard.update(now, bits, c.pacer.bits.rate(now))
		f := c.changed
		c.mu.Unlock()
		if f != nil && target != before {
			f(target)
		}
	})
}

// guard is the correction.
type guard struct {
	target int // what is said
	last   int // what the estimator said
	gave   time.Time
}

const (
	giveWay = 0.85
	giveGap = 330 * time.Millisecond
)

// update takes a new estimate and what was sent lately, in bits per second.
func (g *guard) update(now time.Time, estimate, sent int) int {
	fell := estimate < g.last
	g.last = estimate
	switch {
	case estimate >= g.target:
		g.target = estimate
	case !fell: // it is on its way back from a fall that was not believed
	case sent*2 >= g.target:
		g.target = estimate
	case now.Sub(g.gave) >= giveGap:
		g.gave = now
		g.target = max(estimate, int(giveWay*float64(g.target)))
	}
	return g.target
}
