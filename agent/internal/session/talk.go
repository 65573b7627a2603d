package session

import (
	"image"
	"time"

	"oriel/agent/internal/desktop"
	orielv1 "oriel/protocol/oriel/v1"
)

// Limits of what may be under way on control, in bytes.
const (
	controlFull = 64 << 10 // news wait
	controlDead = 1 << 20  // the viewer is dropped
)

// cursorEvery bounds how often news are looked for.
const cursorEvery = 16 * time.Millisecond

// say sends one message on control, if that is open.
func (p *peer) say(m *orielv1.FromDesktop) bool {
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
		p.letGo(true)
		p.s.end(orielv1.EndReason_END_REASON_NETWORK, orielv1.Code_CODE_UNAVAILABLE, "the viewer does not take what it is sent")
		return false
	}
	return dc.Send(b) == nil
}

// crowded reports that so much is under way that news had better wait.
func (p *peer) crowded() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.control != nil && p.control.BufferedAmount() > controlFull
}

// sayBye sends the last message and gives it a moment to leave.
func (p *peer) sayBye(bye *orielv1.Bye) {
	if !p.say(&orielv1.FromDesktop{Body: &orielv1.FromDesktop_Bye{Bye: bye}}) {
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

// told is what the viewer knows already.
type told struct {
	available bool
	lacks     desktop.Lacks
	why       string // there is none
	screen    uint64 // which one, by number
	size      image.Point
	shape     uint64 // the cursor's serial, of that screen
	shaped    bool
	place     image.Point
	placed    bool
	local     bool
}

// news wakes talk.
func (p *peer) news() {
	select {
	case p.wake <- struct{}{}:
	default:
	}
}

// talk greets the viewer and then tells it what is new, for as long as the
// peer lives. What changed twice meanwhile is told once.
func (p *peer) talk() {
	var t told
	p.greet(&t)
	second := time.NewTicker(time.Second)
	defer second.Stop()
	for {
		select {
		case <-p.ctx.Done():
			return
		case <-second.C:
			p.tellStats() // what is new comes with a wake: the desktop need not be asked each second
			continue
		case <-p.wake:
		}
		p.tell(&t)
		select {
		case <-p.ctx.Done():
			return
		case <-time.After(cursorEvery):
		}
	}
}

func (p *peer) greet(t *told) {
	ready := &orielv1.Ready{Scopes: p.scopes(), Codec: string(p.codec), FullChroma: p.full}
	t.available = true
	if s := p.s.h.current(); s != nil {
		ready.Desktop = s.Name()
		t.lacks = s.Lacks()
		ready.Lacks = lacks(t.lacks)
		t.screen = s.number
		if p.may(orielv1.Scope_SCOPE_VIEW) {
			t.size = s.Size()
			ready.Screen = &orielv1.Screen{Width: uint32(t.size.X), Height: uint32(t.size.Y)}
		}
	}
	p.say(&orielv1.FromDesktop{Body: &orielv1.FromDesktop_Ready{Ready: ready}})
	p.tell(t)
}

// tell sends the difference between what is and what was told.
func (p *peer) tell(t *told) {
	if p.crowded() {
		p.news()
		return
	}
	s := p.s.h.current()
	now := told{available: s != nil}
	if s != nil {
		now.lacks = s.Lacks()
	} else {
		now.why = p.s.h.gone()
	}
	if now.available != t.available || now.lacks != t.lacks || now.why != t.why {
		t.available, t.lacks, t.why = now.available, now.lacks, now.why
		p.say(&orielv1.FromDesktop{Body: &orielv1.FromDesktop_Display{Display: &orielv1.DisplayState{
			Available: now.available, Detail: now.why, Lacks: lacks(now.lacks),
		}}})
	}
	if s == nil || !p.may(orielv1.Scope_SCOPE_VIEW) {
		return
	}
	if s.number != t.screen {
		*t = told{available: true, lacks: t.lacks, screen: s.number, size: t.size}
	}
	if size := s.Size(); size != t.size {
		t.size, t.placed = size, false
		p.say(&orielv1.FromDesktop{Body: &orielv1.FromDesktop_Screen{
			Screen: &orielv1.Screen{Width: uint32(size.X), Height: uint32(size.Y)},
		}})
	}
	p.tellCursor(t, s)
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

func (p *peer) tellCursor(t *told, s *screen) {
	c := s.Cursor()
	if !t.shaped || c.Serial != t.shape {
		t.shaped, t.shape = true, c.Serial
		if shape := s.cursorShape(c); shape != nil {
			p.say(&orielv1.FromDesktop{Body: &orielv1.FromDesktop_CursorShape{CursorShape: shape}})
		}
	}
	local := p.s.h.hands.moved(&p.hand, c.Position)
	if t.placed && c.Position == t.place && local == t.local {
		return
	}
	t.placed, t.place, t.local = true, c.Position, local
	x, y := fraction(t.size, c.Position)
	p.say(&orielv1.FromDesktop{Body: &orielv1.FromDesktop_CursorPlace{
		CursorPlace: &orielv1.CursorPlace{X: x, Y: y, Local: local},
	}})
}
