package session

import (
	"runtime/debug"
	"strings"
	"time"
	"unicode"

	"github.com/pion/webrtc/v4"

	"oriel/agent/internal/desktop"
	orielv1 "oriel/protocol/oriel/v1"
)

// maxPointer bounds a PointerMove: three fields of five bytes and their tags.
const maxPointer = 64

// guard ends the session when f panics: a message that can break the agent
// must not also leave keys pressed.
func (p *peer) guard(f func()) {
	defer func() {
		if r := recover(); r != nil {
			p.s.log.Error("panic in a handler", "attempt", p.attempt, "panic", r, "stack", string(debug.Stack()))
			p.releaseAll(true)
			p.s.end(orielv1.EndReason_END_REASON_FAILED, orielv1.Code_CODE_INTERNAL,
				"the agent made a mistake; its log says more")
		}
	}()
	f()
}

// onControl acts on one message. It runs in the channel's reader, so that a
// slow desktop slows down the viewer who uses it and nobody else.
func (p *peer) onControl(raw webrtc.DataChannelMessage) {
	m := &orielv1.ToDesktop{}
	ok := !raw.IsString && orielv1.Decode(raw.Data, m) == nil
	if ok && isInput(m) {
		ok = p.inputs.inOrder(func() bool { return p.input(m) })
	} else if ok {
		p.ages.take(time.Now(), m.GetAt())
		ok = p.act(m)
	}
	if !ok {
		p.refuseMessage()
	}
}

// refuseMessage ends the session of a viewer that says what none of ours does.
func (p *peer) refuseMessage() {
	p.releaseAll(true)
	p.s.end(orielv1.EndReason_END_REASON_FAILED, orielv1.Code_CODE_INVALID,
		"the viewer sent a message that cannot be read; reload its page")
}

// input is act for input that is not too late. Whoever may not control is told that
// first.
func (p *peer) input(m *orielv1.ToDesktop) bool {
	if !p.may(orielv1.Scope_SCOPE_CONTROL) {
		p.waiting.clear() // whose release it would not hear of
	} else if p.tooLate(m) || p.repeatsLate(m) {
		return true
	}
	return p.act(m)
}

// act does what a well-formed message asks for; false: no viewer of ours says
// such a thing. A kind that this agent does not know is ignored.
func (p *peer) act(m *orielv1.ToDesktop) bool {
	input, err := &p.s.h.input, error(nil)
	switch b := m.GetBody().(type) {
	case *orielv1.ToDesktop_Key:
		if b.Key.GetUsage() > 0xffff {
			return false
		}
		if p.allowed(orielv1.Scope_SCOPE_CONTROL) {
			p.proof.key(desktop.Usage(b.Key.GetUsage()), b.Key.GetDown())
			err = input.key(&p.holder, desktop.Usage(b.Key.GetUsage()), b.Key.GetDown(),
				shownLocks{known: desktop.Locks(b.Key.GetLocks() & 0xf), on: desktop.Locks(b.Key.GetLocked() & 0xf)})
		}
	case *orielv1.ToDesktop_Button:
		if b.Button.GetButton() > 0xff {
			return false
		}
		if p.allowed(orielv1.Scope_SCOPE_CONTROL) {
			p.pointer.overtake(b.Button.GetSeq())
			p.proof.button(desktop.Button(b.Button.GetButton()), b.Button.GetDown())
			err = input.button(&p.holder, desktop.Button(b.Button.GetButton()), b.Button.GetDown(), b.Button.GetX(), b.Button.GetY())
		}
	case *orielv1.ToDesktop_Wheel:
		if p.allowed(orielv1.Scope_SCOPE_CONTROL) {
			err = input.wheel(&p.holder, notches(b.Wheel.GetDx()), notches(b.Wheel.GetDy()), b.Wheel.GetX(), b.Wheel.GetY())
		}
	case *orielv1.ToDesktop_Text:
		if p.allowed(orielv1.Scope_SCOPE_CONTROL) {
			if s := typeable(b.Text.GetText()); s != "" {
				err = input.text(&p.holder, s)
			}
		}
	case *orielv1.ToDesktop_ReleaseAll:
		p.releaseAll(false)
	case *orielv1.ToDesktop_Stream:
		if p.allowed(orielv1.Scope_SCOPE_VIEW) {
			p.setStream(b.Stream)
		}
	case *orielv1.ToDesktop_Refresh:
		if p.allowed(orielv1.Scope_SCOPE_VIEW) && p.video != nil {
			p.video.lost()
		}
	case *orielv1.ToDesktop_Ping:
		p.send(&orielv1.FromDesktop{Body: &orielv1.FromDesktop_Pong{Pong: &orielv1.Pong{Id: b.Ping.GetId()}}})
	case *orielv1.ToDesktop_Heard:
		p.ages.heard(time.Now(), b.Heard.GetNumber(), m.GetAt())
	case *orielv1.ToDesktop_Held:
		p.proof.held(b.Held)
	case *orielv1.ToDesktop_Seen:
		p.s.latency.viewerReport(b.Seen)
	case *orielv1.ToDesktop_Leave:
		p.releaseAll(true)
		p.s.end(orielv1.EndReason_END_REASON_OPERATOR, 0, "")
	}
	if err != nil {
		// A key this system does not have, or a display that is going away.
		p.s.log.Debug("input refused by the desktop", "attempt", p.attempt, "error", err)
	}
	return true
}

// maxWheel bounds one Wheel message, in 1/120 notch.
const maxWheel = 120 * 64

func notches(d int32) int { return int(min(max(d, -maxWheel), maxWheel)) }

// typeable is s without the control characters that no keyboard types.
func typeable(s string) string {
	s = strings.ReplaceAll(s, "\r\n", "\n")
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\r':
			return '\n'
		case r != '\n' && r != '\t' && unicode.IsControl(r):
			return -1
		}
		return r
	}, s)
}

// allowed reports whether the grant has the scope and the display can do it, and
// says so where not.
func (p *peer) allowed(sc orielv1.Scope) bool {
	may := p.may(sc)
	if s := p.s.h.current(); may && (sc != orielv1.Scope_SCOPE_CONTROL || s == nil || s.Lacks()&desktop.LacksInput == 0) {
		return true
	}
	p.mu.Lock()
	quiet := time.Since(p.denied[sc]) < time.Second
	if !quiet {
		p.denied[sc] = time.Now()
	}
	p.mu.Unlock()
	if !quiet {
		detail := "this session may only be watched"
		if sc == orielv1.Scope_SCOPE_VIEW {
			detail = "this session may not see the screen"
		} else if why := p.s.h.policy().Forbids(sc); why != "" {
			detail = why
		} else if may {
			detail = "this computer's display takes no keys or clicks"
		}
		p.deny(sc, detail)
	}
	return false
}

// deny tells the viewer why a scope is not in force.
func (p *peer) deny(sc orielv1.Scope, detail string) {
	p.send(&orielv1.FromDesktop{Body: &orielv1.FromDesktop_Denied{Denied: &orielv1.Denied{
		Scope: sc, Code: orielv1.Code_CODE_SCOPE, Detail: detail,
	}}})
}
