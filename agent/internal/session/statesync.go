package session

import (
	"image"
	"slices"
	"time"

	"oriel/agent/internal/desktop"
	orielv1 "oriel/protocol/oriel/v1"
)

// Limits of what may be under way on control, in bytes.
const (
	controlFull = 64 << 10 // state updates wait
	controlDead = 1 << 20  // the viewer is dropped
)

// cursorEvery is the least time between two state updates.
const cursorEvery = 16 * time.Millisecond

// send sends one message on control, if that is open.
func (p *peer) send(m *orielv1.FromDesktop) bool {
	p.mu.Lock()
	dc := p.control
	p.mu.Unlock()
	if dc == nil {
		return false
	}
	b, err := orielv1.Encode(m)
	if err != nil {
		p.s.log.Error("message not sent", "attempt", p.attempt, "error", err)
		return false
	}
	if dc.BufferedAmount()+uint64(len(b)) > controlDead {
		p.releaseAll(true)
		p.s.end(orielv1.EndReason_END_REASON_NETWORK, orielv1.Code_CODE_UNAVAILABLE, "the viewer does not take what it is sent")
		return false
	}
	return dc.Send(b) == nil
}

// congested reports that control has so much under way that state updates wait.
func (p *peer) congested() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.control != nil && p.control.BufferedAmount() > controlFull
}

// sendBye sends the last message and gives it a moment to leave.
func (p *peer) sendBye(bye *orielv1.Bye) {
	if !p.send(&orielv1.FromDesktop{Body: &orielv1.FromDesktop_Bye{Bye: bye}}) {
		return
	}
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for give := time.After(250 * time.Millisecond); p.control.BufferedAmount() > 0; {
		select {
		case <-tick.C:
		case <-give:
			return
		}
	}
}

// lastSent is the state that the viewer has.
type lastSent struct {
	scopes    []orielv1.Scope // in force
	available bool
	lacks     desktop.Lacks
	why       string // there is none
	display   uint64 // which one, by number
	size      image.Point
	shape     uint64 // the cursor's serial, of that display
	shaped    bool
	place     image.Point
	placed    bool
	local     bool
}

// stateChanged wakes stateSync.
func (p *peer) stateChanged() {
	select {
	case p.wake <- struct{}{}:
	default:
	}
}

// stateSync sends Ready and then each change of state, for as long as the peer
// lives. What changed twice in between is sent once.
func (p *peer) stateSync() {
	var t lastSent
	p.sendReady(&t)
	second := time.NewTicker(time.Second)
	defer second.Stop()
	for {
		select {
		case <-p.ctx.Done():
			return
		case <-second.C:
			p.pushStats() // what is new comes with a wake: the desktop need not be asked each second
			continue
		case <-p.wake:
		}
		p.push(&t)
		select {
		case <-p.ctx.Done():
			return
		case <-time.After(cursorEvery):
		}
	}
}

func (p *peer) sendReady(t *lastSent) {
	t.scopes = p.scopes()
	ready := &orielv1.Ready{Scopes: t.scopes, Codec: string(p.codec), FullChroma: p.full}
	t.available = true
	if s := p.s.h.current(); s != nil {
		ready.Desktop = s.Name()
		t.lacks = s.Lacks()
		ready.Lacks = lacks(t.lacks)
		t.display = s.number
		if p.may(orielv1.Scope_SCOPE_VIEW) {
			t.size = s.Size()
			ready.Screen = &orielv1.Screen{Width: uint32(t.size.X), Height: uint32(t.size.Y)}
		}
	}
	p.send(&orielv1.FromDesktop{Body: &orielv1.FromDesktop_Ready{Ready: ready}})
	p.push(t)
}

// push sends what differs from lastSent.
func (p *peer) push(t *lastSent) {
	if p.congested() {
		p.stateChanged()
		return
	}
	if scopes := p.scopes(); !slices.Equal(scopes, t.scopes) {
		t.scopes = scopes
		p.send(&orielv1.FromDesktop{Body: &orielv1.FromDesktop_ScopesInForce{ScopesInForce: &orielv1.ScopesInForce{Scopes: scopes}}})
	}
	s := p.s.h.current()
	now := lastSent{available: s != nil}
	if s != nil {
		now.lacks = s.Lacks()
	} else {
		now.why = p.s.h.gone()
	}
	if now.available != t.available || now.lacks != t.lacks || now.why != t.why {
		t.available, t.lacks, t.why = now.available, now.lacks, now.why
		p.send(&orielv1.FromDesktop{Body: &orielv1.FromDesktop_Display{Display: &orielv1.DisplayState{
			Available: now.available, Detail: now.why, Lacks: lacks(now.lacks),
		}}})
	}
	if s == nil || !p.may(orielv1.Scope_SCOPE_VIEW) {
		return
	}
	if s.number != t.display {
		*t = lastSent{scopes: t.scopes, available: true, lacks: t.lacks, display: s.number, size: t.size}
	}
	if size := s.Size(); size != t.size {
		t.size, t.placed = size, false
		p.send(&orielv1.FromDesktop{Body: &orielv1.FromDesktop_Screen{
			Screen: &orielv1.Screen{Width: uint32(size.X), Height: uint32(size.Y)},
		}})
	}
	p.pushCursor(t, s)
}

// lacks is what is missing, in the words of the wire.
func lacks(missing desktop.Lacks) (out []orielv1.Lack) {
	for _, l := range []struct {
		is   desktop.Lacks
		word orielv1.Lack
	}{
		{desktop.LacksInput, orielv1.Lack_LACK_INPUT},
		{desktop.LacksDamage, orielv1.Lack_LACK_DAMAGE},
		{desktop.LacksPointerShape, orielv1.Lack_LACK_POINTER_SHAPE},
		{desktop.LacksSharedMemory, orielv1.Lack_LACK_SHARED_MEMORY},
	} {
		if missing&l.is != 0 {
			out = append(out, l.word)
		}
	}
	return out
}

func (p *peer) pushCursor(t *lastSent, s *display) {
	c := s.Cursor()
	if !t.shaped || c.Serial != t.shape {
		t.shaped, t.shape = true, c.Serial
		if shape := s.cursorShape(c); shape != nil {
			p.send(&orielv1.FromDesktop{Body: &orielv1.FromDesktop_CursorShape{CursorShape: shape}})
		}
	}
	local := p.s.h.input.moved(&p.holder, c.Position)
	if t.placed && c.Position == t.place && local == t.local {
		return
	}
	t.placed, t.place, t.local = true, c.Position, local
	x, y := fraction(t.size, c.Position)
	p.send(&orielv1.FromDesktop{Body: &orielv1.FromDesktop_CursorPlace{
		CursorPlace: &orielv1.CursorPlace{X: x, Y: y, Local: local},
	}})
}
