//go:build cgo

package session

import (
	"image"
	"image/color"
	"testing"
	"time"

	"github.com/pion/webrtc/v4"

	"oriel/agent/internal/desktop"
	orielv1 "oriel/protocol/oriel/v1"
)

func TestPictureArrivesAndInputActs(t *testing.T) {
	p := newFakeDesktop(t)
	r := start(t, Options{}, on(p))
	v := r.ready(look{})
	ready := v.last(func(m *orielv1.FromDesktop) bool { return m.GetReady() != nil }).GetReady()
	if ready.GetDesktop() != "paper" || ready.GetCodec() != "AV1" || ready.GetScreen().GetWidth() != 320 || len(ready.GetScopes()) != 2 {
		t.Errorf("ready: %v", ready)
	}
	v.wait("cursor shape", func(m *orielv1.FromDesktop) bool { return m.GetCursorShape().GetWidth() == 16 })
	eventually(t, "a picture", func() bool { return v.luma(image.Rect(0, 0, 320, 200)) > 0 })

	p.paint(color.RGBA{255, 255, 255, 255})
	eventually(t, "a white picture", func() bool { return v.luma(image.Rect(0, 0, 320, 200)) > 225 })
	p.paint(color.RGBA{0, 0, 0, 255})
	eventually(t, "a black picture", func() bool { return v.luma(image.Rect(0, 0, 320, 200)) < 25 })

	v.key(4, true)
	v.key(4, false)
	v.button(0, true, 0x8000, 0xffff)
	v.button(0, false, 0x8000, 0xffff)
	v.text("grüße 👋\x1b\r\n")
	v.sync()
	p.mu.Lock()
	at, typed := p.moves[len(p.moves)-1], p.typed
	p.mu.Unlock()
	if at != image.Pt(160, 199) {
		t.Errorf("clicked at %v", at)
	}
	if typed != "grüße 👋\n" {
		t.Errorf("typed %q", typed)
	}
	if p.held() != 0 {
		t.Errorf("%d held", p.held())
	}

	before := p.done()
	v.move(0x4000, 0x4000)
	eventually(t, "the pointer's move", func() bool {
		if p.done() > before {
			return true
		}
		v.move(0x4000, 0x4000) // the channel may lose one
		return false
	})
	v.wait("the cursor's place, moved by this viewer", func(m *orielv1.FromDesktop) bool {
		c := m.GetCursorPlace()
		return c.GetLocal() && c.GetX()>>8 == 0x40
	})
	p.setCursor(func(c *desktop.Cursor) { c.Position = image.Pt(7, 9) })
	v.wait("the cursor's place, moved by others", func(m *orielv1.FromDesktop) bool {
		c := m.GetCursorPlace()
		return c != nil && !c.GetLocal() && pixel(p.Size(), c.GetX(), c.GetY()) == image.Pt(7, 9)
	})
	v.wait("statistics", func(m *orielv1.FromDesktop) bool { return m.GetStats().GetSettled() })

	eventually(t, "a report", func() bool {
		r.mu.Lock()
		defer r.mu.Unlock()
		for _, rep := range r.reports {
			if rep.GetPath() == orielv1.Path_PATH_DIRECT && rep.GetCodec() == "AV1" && rep.GetConnectedAt() > 0 {
				return true
			}
		}
		return false
	})
	v.say(&orielv1.ToDesktop{Body: &orielv1.ToDesktop_Seen{Seen: &orielv1.Seen{Frames: 3, DecodeUs: 2000, ShownUs: 1 << 31}}})
	v.leave()
	end := r.expectEnd("s1", orielv1.EndReason_END_REASON_OPERATOR, 0)
	if end.GetBytesSent() == 0 || end.GetBytesReceived() == 0 {
		t.Errorf("bytes: %v", end)
	}
	d := end.GetDelays()
	if d.GetFrames() == 0 || d.GetCaptureUs() == 0 || d.GetEncodeUs() == 0 || d.GetRoundTripUs() == 0 ||
		d.GetDecodeUs() != 2000 || d.GetShownUs() != longest || d.GetWaitUs() != 0 {
		t.Errorf("delays: %v", d)
	}
	v.wait("bye", func(m *orielv1.FromDesktop) bool {
		return m.GetBye().GetReason() == orielv1.EndReason_END_REASON_OPERATOR
	})
	if n := len(r.host.Running()); n != 0 {
		t.Errorf("%d running", n)
	}
}

func TestEveryCodec(t *testing.T) {
	for _, codec := range []string{"AV1", "VP9", "VP8"} {
		t.Run(codec, func(t *testing.T) {
			p := newFakeDesktop(t)
			r := start(t, Options{}, on(p))
			v := r.ready(look{codec: codec})
			eventually(t, "a picture", func() bool { return v.luma(image.Rect(0, 0, 320, 200)) > 0 })
			p.paint(color.RGBA{255, 255, 255, 255})
			eventually(t, "a white picture", func() bool { return v.luma(image.Rect(0, 0, 320, 200)) > 225 })
		})
	}
}

func TestScopes(t *testing.T) {
	inputs := map[string]func(v *viewer){
		"key":    func(v *viewer) { v.key(4, true) },
		"button": func(v *viewer) { v.button(0, true, 100, 100) },
		"text":   func(v *viewer) { v.text("x") },
		"wheel": func(v *viewer) {
			v.say(&orielv1.ToDesktop{Body: &orielv1.ToDesktop_Wheel{Wheel: &orielv1.Wheel{Dy: 120, X: 1, Y: 1}}})
		},
		"move": func(v *viewer) { v.move(100, 100) },
	}
	for name, input := range inputs {
		t.Run("view only refuses "+name, func(t *testing.T) {
			p := newFakeDesktop(t)
			r := start(t, Options{}, on(p))
			v := r.ready(look{viewOnly: true})
			eventually(t, "a picture", func() bool { return v.luma(image.Rect(0, 0, 320, 200)) > 0 })
			denied := func(m *orielv1.FromDesktop) bool {
				return m.GetDenied().GetScope() == orielv1.Scope_SCOPE_CONTROL && m.GetDenied().GetCode() == orielv1.Code_CODE_SCOPE
			}
			eventually(t, "denied", func() bool {
				input(v) // a move may be lost
				return v.last(denied) != nil
			})
			for range 50 {
				input(v)
			}
			v.sync()
			if n := v.count(denied); n > 3 {
				t.Errorf("denied %d times for one burst", n)
			}
			if n := p.done(); n != 0 {
				t.Errorf("%d things were done to the desktop", n)
			}
		})
	}
	t.Run("no view, no picture", func(t *testing.T) {
		p := newFakeDesktop(t)
		r := start(t, Options{}, on(p))
		v := r.ready(look{scopes: []orielv1.Scope{orielv1.Scope_SCOPE_CONTROL}})
		v.key(4, true)
		v.say(&orielv1.ToDesktop{Body: &orielv1.ToDesktop_Stream{Stream: &orielv1.StreamSettings{MaxFps: 1}}})
		v.wait("denied", func(m *orielv1.FromDesktop) bool { return m.GetDenied().GetScope() == orielv1.Scope_SCOPE_VIEW })
		if p.held() != 1 {
			t.Error("the key did nothing")
		}
		p.paint(color.RGBA{255, 255, 255, 255})
		v.sync()
		for what, is := range map[string]func(*orielv1.FromDesktop) bool{
			"cursor": func(m *orielv1.FromDesktop) bool { return m.GetCursorShape() != nil || m.GetCursorPlace() != nil },
			"screen": func(m *orielv1.FromDesktop) bool { return m.GetScreen() != nil || m.GetReady().GetScreen() != nil },
		} {
			if v.last(is) != nil {
				t.Errorf("the viewer was told the %s", what)
			}
		}
		for _, tr := range v.pc.GetTransceivers() {
			if d := tr.Direction(); d != webrtc.RTPTransceiverDirectionInactive && tr.Receiver() != nil && tr.Receiver().Track() != nil {
				if tr.Receiver().Track().SSRC() != 0 {
					t.Errorf("video is %v", d)
				}
			}
		}
		if _, n := v.seen(); n != 0 {
			t.Errorf("%d pictures", n)
		}
	})
	t.Run("no scope at all", func(t *testing.T) {
		p := newFakeDesktop(t)
		r := start(t, Options{}, on(p))
		v := r.ready(look{scopes: []orielv1.Scope{orielv1.Scope_SCOPE_TERMINAL}})
		v.key(4, true)
		v.wait("denied", func(m *orielv1.FromDesktop) bool { return m.GetDenied() != nil })
		if p.done() != 0 {
			t.Error("the key did something")
		}
	})
}

// hold presses three keys and a button.
func (v *viewer) hold(p *fakeDesktop) {
	v.t.Helper()
	for _, u := range []uint32{4, 0xe0, 0xe1} {
		v.key(u, true)
	}
	v.button(2, true, 100, 100)
	eventually(v.t, "keys held", func() bool { return p.held() == 4 })
}

func TestEveryWayOutReleases(t *testing.T) {
	failed, invalid := orielv1.EndReason_END_REASON_FAILED, orielv1.Code_CODE_INVALID
	for name, c := range map[string]struct {
		out    func(r *rig, v *viewer, p *fakeDesktop)
		reason orielv1.EndReason // zero: the session goes on
		code   orielv1.Code
	}{
		"release all": {out: func(_ *rig, v *viewer, _ *fakeDesktop) {
			v.say(&orielv1.ToDesktop{Body: &orielv1.ToDesktop_ReleaseAll{ReleaseAll: &orielv1.ReleaseAll{}}})
		}},
		"leave": {func(_ *rig, v *viewer, _ *fakeDesktop) { v.leave() }, orielv1.EndReason_END_REASON_OPERATOR, 0},
		"ended from the journal": {func(r *rig, v *viewer, _ *fakeDesktop) {
			r.host.End(&orielv1.EndSession{SessionId: v.id, Reason: orielv1.EndReason_END_REASON_ENDED})
		}, orielv1.EndReason_END_REASON_ENDED, 0},
		"host closed": {func(r *rig, _ *viewer, _ *fakeDesktop) {
			r.host.Close(orielv1.EndReason_END_REASON_AGENT_STOPPED)
		}, orielv1.EndReason_END_REASON_AGENT_STOPPED, 0},
		"control channel closed": {func(_ *rig, v *viewer, _ *fakeDesktop) { _ = v.control.Close() },
			orielv1.EndReason_END_REASON_NETWORK, orielv1.Code_CODE_UNAVAILABLE},
		"peer connection closed": {func(_ *rig, v *viewer, _ *fakeDesktop) { v.close() },
			orielv1.EndReason_END_REASON_NETWORK, orielv1.Code_CODE_UNAVAILABLE},
		"replaced": {out: func(r *rig, _ *viewer, _ *fakeDesktop) { r.ready(look{attempt: 2}) }},
		"replaced by view only": {out: func(r *rig, _ *viewer, _ *fakeDesktop) {
			r.ready(look{attempt: 2, viewOnly: true})
		}},
		"panic": {func(_ *rig, v *viewer, _ *fakeDesktop) { v.key(0x66, true) }, failed, orielv1.Code_CODE_INTERNAL},
		"garbage": {func(_ *rig, v *viewer, _ *fakeDesktop) {
			_ = v.control.Send([]byte{0xff, 0xff, 0xff})
		}, failed, invalid},
		"text frame":     {func(_ *rig, v *viewer, _ *fakeDesktop) { _ = v.control.SendText("hello") }, failed, invalid},
		"beyond a bound": {func(_ *rig, v *viewer, _ *fakeDesktop) { v.tooLong() }, failed, invalid},
		"impossible key": {func(_ *rig, v *viewer, _ *fakeDesktop) { v.key(1<<16|4, true) }, failed, invalid},
		"too many channels": {func(r *rig, v *viewer, _ *fakeDesktop) {
			c := &r.host.session(v.id).current().channels
			c.mu.Lock()
			c.streams = maxStreams // pion itself closes what the agent has closed
			c.mu.Unlock()
			v.open("terminal", true)
		}, failed, invalid},
	} {
		t.Run(name, func(t *testing.T) {
			p := newFakeDesktop(t)
			p.panicOn = 0x66
			r := start(t, Options{timing: timing{lost: 300 * time.Millisecond}}, on(p))
			v := r.ready(look{})
			v.hold(p)
			c.out(r, v, p)
			eventually(t, "everything released", func() bool { return p.held() == 0 })
			if c.reason == 0 {
				if r.ended("s1") != nil {
					t.Errorf("ended: %v", r.ended("s1"))
				}
				return
			}
			r.expectEnd("s1", c.reason, c.code)
		})
	}
}

// tooLong sends a Text beyond its bound, past our own check.
func (v *viewer) tooLong() {
	b := []byte{4<<3 | 2, 0x84, 0x20, 1<<3 | 2, 0x81, 0x20}
	for range 4097 {
		b = append(b, 'x')
	}
	_ = v.control.Send(b)
}

func TestViewerThatVanishes(t *testing.T) {
	p := newFakeDesktop(t)
	r := start(t, Options{timing: timing{silent: 400 * time.Millisecond, lost: 500 * time.Millisecond}}, on(p))
	v := r.ready(look{})
	v.hold(p)
	// Its packets stop coming, without a word: what a pulled cable does.
	for _, pair := range []func() error{v.pc.SCTP().Transport().ICETransport().Stop} {
		if err := pair(); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, "everything released", func() bool { return p.held() == 0 })
	r.expectEnd("s1", orielv1.EndReason_END_REASON_NETWORK, orielv1.Code_CODE_UNAVAILABLE)
}

func TestEachReleasesItsOwn(t *testing.T) {
	p := newFakeDesktop(t)
	r := start(t, Options{}, on(p))
	a, b := r.ready(look{id: "a"}), r.ready(look{id: "b"})
	a.key(4, true)
	a.key(5, true)
	a.sync()
	b.key(5, true)
	b.key(6, true)
	b.sync()
	eventually(t, "both see a picture", func() bool { return a.luma(image.Rect(0, 0, 9, 9)) >= 0 && b.luma(image.Rect(0, 0, 9, 9)) >= 0 })
	b.key(4, false) // not its own
	b.sync()
	if p.held() != 3 {
		t.Errorf("%d held, expected 3", p.held())
	}
	a.leave()
	eventually(t, "the first one's key released", func() bool { return p.held() == 2 })
	r.expectEnd("a", orielv1.EndReason_END_REASON_OPERATOR, 0)
	_, n := b.seen()
	p.paint(color.RGBA{9, 9, 9, 255})
	eventually(t, "the second still sees pictures", func() bool { _, m := b.seen(); return m > n })
	b.leave()
	eventually(t, "all released", func() bool { return p.held() == 0 })
}

func TestReplacedPeer(t *testing.T) {
	p := newFakeDesktop(t)
	r := start(t, Options{}, on(p))
	first := r.ready(look{})
	first.hold(p)
	second := r.ready(look{attempt: 2})
	if p.held() != 0 {
		t.Errorf("%d held", p.held())
	}
	eventually(t, "a picture on the new connection", func() bool { return second.luma(image.Rect(0, 0, 9, 9)) >= 0 })
	second.hold(p)
	eventually(t, "the first is closed", func() bool { return first.is(webrtc.PeerConnectionStateClosed) })
	if got := r.host.Running(); len(got) != 1 || got[0] != "s1" || r.ended("s1") != nil {
		t.Errorf("running %v, ended %v", got, r.ended("s1"))
	}
	if p.held() != 4 {
		t.Errorf("%d held", p.held())
	}

	// What cannot be answered ends its attempt only.
	r.join(look{attempt: 3, codec: "H264"})
	eventually(t, "the attempt's end", func() bool { return r.attemptEnded("s1", 3) == orielv1.Code_CODE_NO_CODEC })
	r.join(look{attempt: 4, operator: " else"})
	eventually(t, "the attempt's end", func() bool { return r.attemptEnded("s1", 4) == orielv1.Code_CODE_FORBIDDEN })
	if r.ended("s1") != nil || p.held() != 4 {
		t.Errorf("ended %v, %d held", r.ended("s1"), p.held())
	}
	second.leave()
	r.expectEnd("s1", orielv1.EndReason_END_REASON_OPERATOR, 0)
}

func (r *rig) attemptEnded(id string, attempt uint32) orielv1.Code {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, e := range r.ends {
		if e.GetSessionId() == id && e.GetAttempt() == attempt {
			return e.GetCode()
		}
	}
	return 0
}

func TestEndIsToldAtOnce(t *testing.T) {
	p := newFakeDesktop(t)
	r := start(t, Options{}, on(p))
	v := r.ready(look{})
	v.hold(p)
	p.mu.Lock()
	p.hang = make(chan struct{})
	p.mu.Unlock()
	v.text("a desktop that does not answer")
	eventually(t, "it hangs", p.stuck.Load)
	asked := time.Now()
	r.host.End(&orielv1.EndSession{SessionId: "s1", Reason: orielv1.EndReason_END_REASON_ENDED})
	end := r.expectEnd("s1", orielv1.EndReason_END_REASON_ENDED, 0)
	// The agent's own clock: nothing here depends on how fast this machine is.
	if d := time.UnixMilli(end.GetEndedAt()).Sub(asked); d > time.Second {
		t.Errorf("ended after %v", d)
	}
	v.wait("bye", func(m *orielv1.FromDesktop) bool {
		return m.GetBye().GetReason() == orielv1.EndReason_END_REASON_ENDED
	})
	close(p.hang)
	eventually(t, "everything released", func() bool { return p.held() == 0 })

	r.host.End(&orielv1.EndSession{SessionId: "unknown"})
	r.expectEnd("unknown", orielv1.EndReason_END_REASON_ENDED, orielv1.Code_CODE_NOT_FOUND)
}

func TestRefused(t *testing.T) {
	p := newFakeDesktop(t)
	r := start(t, Options{MaxSessions: 1, timing: timing{connect: 3 * time.Second}}, on(p))
	refused := orielv1.EndReason_END_REASON_REFUSED
	r.join(look{id: "h264", codec: "H264"})
	r.expectEnd("h264", refused, orielv1.Code_CODE_NO_CODEC)
	r.join(look{id: "blind", noVideo: true})
	r.expectEnd("blind", refused, orielv1.Code_CODE_NO_CODEC)
	for name, sdp := range map[string]string{"junk": "v=0\r\nhello", "text": "offer me something"} {
		r.host.Offer(&orielv1.Offer{SessionId: name, Sdp: sdp}, &orielv1.Grant{SessionId: name, Scopes: []orielv1.Scope{1}})
		r.expectEnd(name, refused, orielv1.Code_CODE_INVALID)
	}
	r.join(look{id: "mute", mute: true, deaf: true})
	r.join(look{id: "second"})
	r.expectEnd("second", refused, orielv1.Code_CODE_BUSY)
	r.expectEnd("mute", orielv1.EndReason_END_REASON_TIMEOUT, orielv1.Code_CODE_UNAVAILABLE)
	if n := len(r.host.Running()); n != 0 {
		t.Errorf("%d running", n)
	}
	r.host.Close(orielv1.EndReason_END_REASON_AGENT_STOPPED)
	r.join(look{id: "late"})
	r.expectEnd("late", refused, orielv1.Code_CODE_UNAVAILABLE)
}

func TestOtherChannelsAreClosed(t *testing.T) {
	p := newFakeDesktop(t)
	r := start(t, Options{}, on(p))
	v := r.ready(look{channels: []string{"files"}})
	v.dial("control").ends(orielv1.Code_CODE_UNIMPLEMENTED, 0)
	v.key(4, true)
	v.sync()
	if p.held() != 1 {
		t.Error("the first control channel stopped working")
	}
}

func TestCaps(t *testing.T) {
	p := newFakeDesktop(t)
	r := start(t, Options{}, on(p))
	v := r.ready(look{})
	eventually(t, "a picture", func() bool { return v.luma(image.Rect(0, 0, 9, 9)) >= 0 })
	v.say(&orielv1.ToDesktop{Body: &orielv1.ToDesktop_Stream{Stream: &orielv1.StreamSettings{MaxFps: 2, MaxKbps: 500}}})
	v.sync()
	s := r.host.current()
	s.mu.Lock()
	s.last = time.Now()
	s.mu.Unlock()
	if d := s.pause(); d < 100*time.Millisecond || d > 500*time.Millisecond {
		t.Errorf("two pictures a second, but the next after %v", d)
	}
	v.leave()
	r.expectEnd("s1", orielv1.EndReason_END_REASON_OPERATOR, 0)
	eventually(t, "the cap leaves with the viewer", func() bool { return s.pause() == 0 })
}

func TestHostClosesThoughTheDesktopHangs(t *testing.T) {
	p := newFakeDesktop(t)
	p.hang = make(chan struct{})
	r := start(t, Options{}, on(p))
	v := r.ready(look{})
	v.text("a desktop that does not answer")
	eventually(t, "it hangs", p.stuck.Load)
	r.host.Close(orielv1.EndReason_END_REASON_AGENT_STOPPED)
	r.expectEnd("s1", orielv1.EndReason_END_REASON_AGENT_STOPPED, 0)
}

func TestReports(t *testing.T) {
	p := newFakeDesktop(t)
	r := start(t, Options{timing: timing{report: 30 * time.Millisecond}}, on(p))
	r.ready(look{})
	eventually(t, "reports that count up", func() bool {
		r.mu.Lock()
		defer r.mu.Unlock()
		n := len(r.reports)
		return n > 3 && r.reports[n-1].GetBytesSent() > r.reports[0].GetBytesSent() &&
			r.reports[n-1].GetConnectedAt() == r.reports[0].GetConnectedAt()
	})
}

// A viewer that takes nothing is not sent everything that happened meanwhile.
func TestNewsDoNotPileUp(t *testing.T) {
	p := newFakeDesktop(t)
	r := start(t, Options{}, on(p))
	v := r.ready(look{})
	v.sync()
	peer := r.host.session("s1").current()
	if err := v.pc.SCTP().Transport().ICETransport().Stop(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the channel is full", func() bool {
		p.setCursor(func(c *desktop.Cursor) {
			c.Serial++
			c.Shape = image.NewRGBA(image.Rect(0, 0, 100, 100))
		})
		return peer.congested()
	})
	for range 100 {
		p.setCursor(func(c *desktop.Cursor) { c.Serial++ })
		peer.stateChanged()
	}
	if n := peer.control.BufferedAmount(); n > controlFull+50_000 {
		t.Errorf("%d bytes under way", n)
	}
	// What must be said all the same has its end, too.
	for range 60 {
		peer.send(&orielv1.FromDesktop{Body: &orielv1.FromDesktop_CursorShape{CursorShape: shapeOf(p.Cursor())}})
	}
	r.expectEnd("s1", orielv1.EndReason_END_REASON_NETWORK, orielv1.Code_CODE_UNAVAILABLE)
}
