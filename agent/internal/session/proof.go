package session

import (
	"sync"
	"time"

	"oriel/agent/internal/desktop"
	orielv1 "oriel/protocol/oriel/v1"
)

// How long something counts as held after the viewer said so last. A button takes
// longer: a drag that is let go by mistake does more harm than a letter twice.
const (
	keyHolds    = 400 * time.Millisecond
	buttonHolds = 2 * time.Second
)

// mostProofs bounds the things whose proof is kept.
const mostProofs = 64

// thing is a key or a button.
type thing struct {
	is     uint16
	button bool
}

// proof knows until when what a viewer holds counts as held. A modifier needs none:
// it types nothing by itself. The zero value asks for none, as of a viewer that gives
// none; release is to be set before that changes.
type proof struct {
	release func(thing)

	mu     sync.Mutex
	given  bool // the viewer says what it holds
	closed bool
	until  map[thing]time.Time
	timer  *time.Timer
}

func (p *proof) key(u desktop.Usage, down bool) {
	if !isModifier(u) {
		p.change(thing{is: uint16(u)}, down)
	}
}

func (p *proof) button(b desktop.Button, down bool) { p.change(thing{uint16(b), true}, down) }

func (p *proof) change(what thing, down bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !down {
		delete(p.until, what)
		return
	}
	if p.until == nil {
		p.until = make(map[thing]time.Time)
	}
	if _, ok := p.until[what]; !ok && len(p.until) >= mostProofs {
		return // nobody has so many fingers
	}
	p.until[what] = time.Now().Add(holds(what))
	p.arm()
}

func holds(what thing) time.Duration {
	if what.button {
		return buttonHolds
	}
	return keyHolds
}

// held takes the viewer's word. What it holds without having pressed it, or longer
// than it could be believed, is not held here.
func (p *proof) held(h *orielv1.Held) {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := time.Now()
	if !p.given {
		p.given = true
		for what := range p.until { // from now on
			p.until[what] = now.Add(holds(what))
		}
	}
	renew := func(what thing) {
		if _, ok := p.until[what]; ok {
			p.until[what] = now.Add(holds(what))
		}
	}
	for _, u := range h.GetUsages() {
		renew(thing{is: uint16(min(u, 0xffff))})
	}
	for _, b := range h.GetButtons() {
		renew(thing{uint16(min(b, 0xffff)), true})
	}
	p.arm()
}

// arm sets the timer to what ends first; mu is held.
func (p *proof) arm() {
	if !p.given || p.closed || len(p.until) == 0 {
		return
	}
	var first time.Time
	for _, until := range p.until {
		if first.IsZero() || until.Before(first) {
			first = until
		}
	}
	if p.timer == nil {
		p.timer = time.AfterFunc(time.Until(first), p.expire)
		return
	}
	p.timer.Reset(time.Until(first))
}

// expire releases what has no fresh proof.
func (p *proof) expire() {
	now := time.Now()
	var over []thing
	p.mu.Lock()
	if !p.closed {
		for what, until := range p.until {
			if !until.After(now) {
				over = append(over, what)
				delete(p.until, what)
			}
		}
		p.arm()
	}
	p.mu.Unlock()
	for _, what := range over {
		p.release(what)
	}
}

func (p *proof) stop() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = true
	if p.timer != nil {
		p.timer.Stop()
	}
}

// releaseUnproved releases a key or button without proof that it is still held.
func (p *peer) releaseUnproved(what thing) {
	p.guard(func() {
		if p.s.h.input.releaseOne(&p.holder, what) {
			p.s.log.Info("released what was not said to be held", "attempt", p.attempt)
		}
	})
}
