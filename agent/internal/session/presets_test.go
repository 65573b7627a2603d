//go:build cgo

package session

import (
	"image"
	"image/color"
	"testing"
	"time"

	"oriel/agent/internal/encode"
	"oriel/agent/internal/stream"
	orielv1 "oriel/protocol/oriel/v1"
)

func (v *viewer) ask(s *orielv1.StreamSettings) {
	v.t.Helper()
	v.say(&orielv1.ToDesktop{Body: &orielv1.ToDesktop_Stream{Stream: s}})
}

// inForce waits for statistics that say so.
func (v *viewer) inForce(p orielv1.Preset, full bool) {
	v.t.Helper()
	eventually(v.t, "statistics with "+p.String(), func() bool {
		m := v.last(func(m *orielv1.FromDesktop) bool { return m.GetStats() != nil })
		return m.GetStats().GetPreset() == p && m.GetStats().GetFullChroma() == full
	})
}

// Sharp is 4:4:4 in mid-session and back, and what is seen is always the screen.
func TestSharpAndBack(t *testing.T) {
	p := newFakeDesktop(t)
	r := start(t, Options{}, on(p))
	v := r.ready(look{})
	if m := v.last(func(m *orielv1.FromDesktop) bool { return m.GetReady() != nil }); !m.GetReady().GetFullChroma() {
		t.Fatal("both sides have 4:4:4 and it is not said")
	}
	all := image.Rect(0, 0, 320, 200)
	eventually(t, "a picture", func() bool { return v.luma(all) > 0 })
	v.still()
	grey := v.luma(all)
	v.inForce(orielv1.Preset_PRESET_BALANCED, false) // of Auto
	for i, want := range []struct {
		preset orielv1.Preset
		format encode.Format
		full   bool
	}{
		{orielv1.Preset_PRESET_SHARP, encode.I444, true},
		{orielv1.Preset_PRESET_BALANCED, encode.I420, false},
		{orielv1.Preset_PRESET_SHARP, encode.I444, true},
		{orielv1.Preset_PRESET_SPEED, encode.I420, false},
	} {
		v.ask(&orielv1.StreamSettings{Preset: want.preset})
		eventually(t, "the format of "+want.preset.String(), func() bool {
			img, _ := v.seen()
			if l := v.luma(all); l < grey-6 || l > grey+6 {
				t.Fatalf("change %d: the screen has %d, what is seen %d", i, grey, l)
			}
			return img.Format == want.format
		})
		v.inForce(want.preset, want.full)
		shade := uint8(200 - 30*i)
		p.paint(color.RGBA{shade, shade, shade, 255})
		eventually(t, "the next picture", func() bool { l := v.luma(all); return l < grey-8 || l > grey+8 })
		v.still()
		grey = v.luma(all)
	}
	eventually(t, "a report of the codec that was in use", func() bool {
		r.mu.Lock()
		defer r.mu.Unlock()
		for _, rep := range r.reports {
			if rep.GetCodec() == "AV1 4:4:4" {
				return true
			}
		}
		return false
	})
	if e := r.ended("s1"); e != nil {
		t.Errorf("the session ended: %v", e)
	}
}

// Where the viewer has no 4:4:4, Sharp is Balanced, and that is said.
func TestSharpWithoutFullChroma(t *testing.T) {
	p := newFakeDesktop(t)
	r := start(t, Options{}, on(p))
	v := r.ready(look{codec: "VP9"})
	if m := v.last(func(m *orielv1.FromDesktop) bool { return m.GetReady() != nil }); m.GetReady().GetFullChroma() {
		t.Error("4:4:4 is promised to a viewer that did not offer it")
	}
	eventually(t, "a picture", func() bool { return v.luma(image.Rect(0, 0, 9, 9)) > 0 })
	v.ask(&orielv1.StreamSettings{Preset: orielv1.Preset_PRESET_SPEED})
	v.inForce(orielv1.Preset_PRESET_SPEED, false)
	v.ask(&orielv1.StreamSettings{Preset: orielv1.Preset_PRESET_SHARP})
	v.inForce(orielv1.Preset_PRESET_BALANCED, false)
	if img, _ := v.seen(); img.Format != encode.I420 {
		t.Error("4:4:4 was sent to a viewer that did not offer it")
	}
}

// A new stream's first frame silences the one before, which may have some left.
func TestNewStreamSilencesTheOld(t *testing.T) {
	track, err := stream.NewTrack(encode.AV1, "a", "b")
	if err != nil {
		t.Fatal(err)
	}
	v := &video{track: track, delays: &latencyStats{}}
	old, next := &streamSink{v: v, begun: make(chan struct{})}, &streamSink{v: v, begun: make(chan struct{})}
	for i, step := range []struct {
		o    *streamSink
		sent uint64 // frames, with this one
	}{{old, 1}, {old, 2}, {next, 3}, {old, 3}, {next, 4}, {old, 4}} {
		if err := step.o.WriteFrame(stream.Frame{Codec: encode.AV1, Data: []byte{1}, At: time.Now()}); err != nil {
			t.Fatal(err)
		}
		if n := v.delays.means().GetFrames(); n != step.sent {
			t.Errorf("step %d: %d frames went out, not %d", i, n, step.sent)
		}
	}
	select {
	case <-next.begun:
	default:
		t.Error("the new stream's begin was not told")
	}
}

// What is out of bounds is brought within them.
func TestSettingsHaveBounds(t *testing.T) {
	for _, c := range []struct {
		in   *orielv1.StreamSettings
		want settings
	}{
		{&orielv1.StreamSettings{}, settings{}},
		{&orielv1.StreamSettings{Preset: orielv1.Preset_PRESET_SHARP, MaxFps: 10, MaxKbps: 500}, settings{stream.Sharp, 500_000, 10}},
		{&orielv1.StreamSettings{Preset: 77, MaxFps: 1<<32 - 1, MaxKbps: 1<<32 - 1}, settings{stream.Auto, 1000 * mostKbps, mostFPS}},
		{&orielv1.StreamSettings{Preset: -1}, settings{}},
	} {
		if got := settingsOf(c.in); got != c.want {
			t.Errorf("%v: %+v", c.in, got)
		}
	}
}

// shownTo is the stream whose pictures v gets, once it is the only one.
func (v *viewer) shownTo() (of *stream.Stream) {
	v.r.host.each(func(s *session) {
		if p := s.current(); s.id == v.id && p != nil && p.video != nil {
			p.video.mu.Lock()
			defer p.video.mu.Unlock()
			if len(p.video.subs) == 1 {
				of = p.video.subs[0].Stream()
			}
		}
	})
	return of
}

// Rule: one viewer's frame cap is that viewer's alone, in both directions, whoever has
// set it and when, and it ends with the wish.
func TestViewersOfTwoCaps(t *testing.T) {
	p := newFakeDesktop(t)
	r := start(t, Options{}, on(p))
	free, capped := r.ready(look{}), r.ready(look{id: "s2"})
	all := image.Rect(0, 0, 320, 200)
	for _, v := range []*viewer{free, capped} {
		eventually(t, "a picture", func() bool { return v.luma(all) > 0 && v.shownTo() != nil })
	}
	if free.shownTo() != capped.shownTo() {
		t.Fatal("two streams for two viewers who want the same")
	}
	capped.ask(&orielv1.StreamSettings{MaxFps: 1})
	eventually(t, "a stream for the cap", func() bool { s := capped.shownTo(); return s != nil && s != free.shownTo() })
	_, before := capped.seen()
	shade := uint8(0)
	for i := range 30 { // each seen before the next
		shade = uint8(60 + 100*(i%2))
		p.paint(color.RGBA{shade, shade, shade, 255})
		eventually(t, "the picture for who has no cap", func() bool { return free.luma(all) > 100 == (i%2 == 1) })
	}
	if _, n := capped.seen(); n-before > 15 {
		t.Errorf("%d pictures for a cap of one a second while 30 were shown", n-before)
	}
	eventually(t, "the last picture for who has a cap", func() bool { return capped.luma(all) > 100 })
	capped.ask(&orielv1.StreamSettings{})
	eventually(t, "one stream again", func() bool { s := capped.shownTo(); return s != nil && s == free.shownTo() })
}
