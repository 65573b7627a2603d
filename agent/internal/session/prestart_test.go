//go:build cgo

package session

import (
	"image"
	"testing"
	"time"

	orielv1 "oriel/protocol/oriel/v1"
)

func (p *fakeDesktop) shown() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.grabs
}

// calm is when the Host has looked at the desktop and nobody watches it.
func (r *rig) calm(p *fakeDesktop) {
	r.t.Helper()
	eventually(r.t, "a display", func() bool { return r.host.current() != nil && p.shown() > 0 })
}

func (r *rig) watchers() int {
	s := r.host.current()
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.watchers)
}

// What is made for a session that was announced is what its viewer sees first: the
// screen is not read again for him.
func TestAnnouncedSessionFindsItsPicture(t *testing.T) {
	p := newFakeDesktop(t)
	r := start(t, Options{timing: timing{prestart: time.Minute}}, on(p))
	r.calm(p)
	before := p.shown()
	r.host.Prepare()
	r.host.Prepare() // the click after the press
	eventually(t, "a picture for nobody", func() bool { return p.shown() == before+1 })
	if n := r.watchers(); n != 1 {
		t.Errorf("%d watch", n)
	}
	v := r.ready(look{})
	eventually(t, "a picture", func() bool { return v.luma(image.Rect(0, 0, 320, 200)) > 0 })
	if n := p.shown(); n != before+1 {
		t.Errorf("the screen was read %d times, not once", n-before)
	}
	eventually(t, "the viewer alone", func() bool { return r.watchers() == 1 })
	r.host.Prepare()
	if n := r.watchers(); n != 1 {
		t.Errorf("%d watch though one does", n)
	}
	v.leave()
	r.expectEnd("s1", orielv1.EndReason_END_REASON_OPERATOR, 0)
	eventually(t, "nobody", func() bool { return r.watchers() == 0 })
}

// Who takes another codec gets his own.
func TestAnnouncedSessionOfAnotherCodec(t *testing.T) {
	p := newFakeDesktop(t)
	r := start(t, Options{timing: timing{prestart: time.Minute}}, on(p))
	r.calm(p)
	r.host.Prepare()
	v := r.ready(look{codec: "VP8"})
	eventually(t, "a picture", func() bool { return v.luma(image.Rect(0, 0, 320, 200)) > 0 })
	eventually(t, "the viewer alone", func() bool { return r.watchers() == 1 })
}

// What was made for nobody goes, and can be made again.
func TestNobodyCame(t *testing.T) {
	p := newFakeDesktop(t)
	r := start(t, Options{timing: timing{prestart: time.Millisecond}}, on(p))
	r.calm(p)
	for range 2 {
		before := p.shown()
		r.host.Prepare()
		eventually(t, "a picture for nobody, and nobody", func() bool {
			r.host.mu.Lock()
			defer r.host.mu.Unlock()
			return r.host.prestart == nil
		})
		if r.watchers() != 0 {
			t.Fatal("somebody watches")
		}
		p.touch(func() {}) // seen by whoever looks when nobody watches
		eventually(t, "the screen being looked after", func() bool { return p.shown() > before })
	}
}
