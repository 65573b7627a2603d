package session

import (
	"sync"
	"time"

	"oriel/agent/internal/desktop"
	orielv1 "oriel/protocol/oriel/v1"
)

const (
	// tooOld is the age at which input is not done any more: whoever gave it saw
	// another screen.
	tooOld = 2 * time.Second
	// ageWindow is how long the smallest delay counts at least. Two clocks drift
	// apart by some ms in it.
	ageWindow = 5 * time.Minute
)

// ages estimates the age of a viewer's messages on arrival. The clocks of browser
// and agent have nothing in common, so age is what a message took longer than the
// fastest of late. Where a clock stood still (a suspended laptop), the round trip of
// Dropped and Heard puts that right. The zero value knows nothing.
type ages struct {
	mu            sync.Mutex
	known         bool
	began         time.Time     // of the window
	least, before time.Duration // the smallest difference of the clocks, in this window and the one before
	epoch         time.Time     // of our clock
	number        uint32        // of the last Dropped
	asked         time.Time     // when it was said; zero: Heard has come
}

// take records the arrival of a message and returns the least age it can have. One that
// bears no time has none.
func (a *ages) take(now time.Time, at uint32) time.Duration {
	a.mu.Lock()
	defer a.mu.Unlock()
	if at == 0 {
		return 0
	}
	if !a.known {
		a.known, a.epoch, a.began = true, now, now
		a.least = -millis(at)
		a.before = a.least
		return 0
	}
	apart := a.apart(now, at)
	if now.Sub(a.began) > ageWindow {
		a.before, a.least, a.began = a.least, apart, now
	}
	a.least = min(a.least, apart)
	return apart - min(a.least, a.before)
}

// apart is our clock less the viewer's.
func (a *ages) apart(now time.Time, at uint32) time.Duration { return now.Sub(a.epoch) - millis(at) }

func millis(at uint32) time.Duration { return time.Duration(at) * time.Millisecond }

// stale reports that what presses or types must not be done now: it is too old, or
// the viewer does not know yet that something before it was dropped. number is not
// zero when the viewer is to be told.
func (a *ages) stale(now time.Time, at uint32) (stale bool, number uint32) {
	age := a.take(now, at)
	a.mu.Lock()
	defer a.mu.Unlock()
	if !a.asked.IsZero() {
		return at != 0, 0
	}
	if age <= tooOld {
		return false, 0
	}
	a.number++
	a.asked = now
	return true, a.number
}

// heard takes the viewer's answer, which is no older than the round trip.
func (a *ages) heard(now time.Time, number, at uint32) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.asked.IsZero() || number != a.number {
		return
	}
	trip := now.Sub(a.asked)
	a.asked = time.Time{}
	if at == 0 || !a.known {
		return
	}
	if floor := a.apart(now, at) - trip; min(a.least, a.before) < floor {
		a.least, a.before, a.began = floor, floor, now
	}
}

// tooLate reports whether input is too old to be done, and sends Dropped where it is. What
// releases never is. A modifier by itself does nothing, but what follows must not be
// done without it: it waits for that. inputSequencer.mu is held.
func (p *peer) tooLate(m *orielv1.ToDesktop) bool {
	stale, number := p.ages.stale(time.Now(), m.GetAt())
	if number != 0 {
		p.send(&orielv1.FromDesktop{Body: &orielv1.FromDesktop_Dropped{Dropped: &orielv1.Dropped{Number: number}}})
		p.s.log.Info("input came too late and is dropped", "attempt", p.attempt)
	}
	key := m.GetKey()
	switch usage := desktop.Usage(key.GetUsage()); {
	case m.GetReleaseAll() != nil:
		p.waiting.clear()
		return false
	case key != nil && !key.GetDown():
		p.waiting.forget(usage)
		return false
	case m.GetButton() != nil && !m.GetButton().GetDown():
		return false
	case stale && key != nil && isModifier(usage):
		p.waiting.add(usage)
		return true
	}
	if !stale {
		p.pressWaiting()
	}
	return stale
}

// repeatsLate reports a repeat that is older than a held key counts as held. Done in
// one go when the network moves again, they would run on past where one let go.
func (p *peer) repeatsLate(m *orielv1.ToDesktop) bool {
	return m.GetKey().GetRepeat() && p.ages.take(time.Now(), m.GetAt()) > keyHolds
}

// pressWaiting presses the modifiers that arrived too late to be pressed alone.
func (p *peer) pressWaiting() {
	for _, usage := range p.waiting.usages {
		if err := p.s.h.input.key(&p.holder, usage, true, shownLocks{}); err != nil {
			p.s.log.Debug("input refused by the desktop", "attempt", p.attempt, "error", err)
		}
	}
	p.waiting.clear()
}

// waiting is the modifiers that a viewer holds and the desktop does not know of,
// in the order in which they were pressed; at most the eight there are.
type waiting struct{ usages []desktop.Usage }

func (w *waiting) clear() { w.usages = w.usages[:0] }

func (w *waiting) forget(u desktop.Usage) {
	for i, have := range w.usages {
		if have == u {
			w.usages = append(w.usages[:i], w.usages[i+1:]...)
			return
		}
	}
}

func (w *waiting) add(u desktop.Usage) {
	w.forget(u)
	w.usages = append(w.usages, u)
}

// isModifier reports whether u is Ctrl, Shift, Alt or Meta, left or right.
func isModifier(u desktop.Usage) bool { return u >= 0xe0 && u <= 0xe7 }
