//go:build cgo

package session

import (
	"bytes"
	"context"
	"fmt"
	"image"
	"image/color"
	"image/jpeg"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"oriel/agent/internal/desktop"
	"oriel/agent/internal/encode"
	orielv1 "oriel/protocol/oriel/v1"
)

// seat is an opener whose desktop a test takes away and gives back.
type seat struct {
	mu sync.Mutex
	d  desktop.Desktop
}

func (s *seat) set(d desktop.Desktop) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.d = d
}

func (s *seat) open(context.Context) (desktop.Desktop, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.d == nil {
		return nil, fmt.Errorf("%w: nobody\nis signed in", desktop.ErrNoDisplay)
	}
	d := s.d
	s.d = nil
	return d, nil
}

func (r *rig) status() *orielv1.Status {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.statuses) == 0 {
		return nil
	}
	return r.statuses[len(r.statuses)-1]
}

func TestDisplayThatComesGoesAndComesBack(t *testing.T) {
	var s seat
	r := start(t, Options{timing: timing{retryMin: 5 * time.Millisecond, retryMax: 20 * time.Millisecond}}, s.open)
	v := r.ready(look{})
	gone := func(m *orielv1.FromDesktop) bool { return m.GetDisplay() != nil && !m.GetDisplay().GetAvailable() }
	back := func(m *orielv1.FromDesktop) bool { return m.GetDisplay().GetAvailable() }
	if d := v.wait("that there is no display", gone).GetDisplay(); d.GetDetail() == "" {
		t.Error("no words for the viewer")
	}
	if st := r.status(); st.GetDisplay() != orielv1.Status_DISPLAY_NONE || st.GetDetail() != "no display: nobody is signed in" {
		t.Errorf("status: %v", st)
	}
	v.key(4, true) // nothing to press it on
	v.sync()

	for i := 1; i <= 3; i++ {
		p := newFakeDesktop(t)
		p.shade = color.RGBA{uint8(80 * i), uint8(80 * i), uint8(80 * i), 255}
		s.set(p)
		eventually(t, "display there", func() bool { return v.count(back) == i })
		want := 16 + 80*i*219/255
		eventually(t, "its picture", func() bool {
			l := v.luma(image.Rect(0, 0, 320, 200))
			return l > want-8 && l < want+8
		})
		if st := r.status(); st.GetDisplay() != orielv1.Status_DISPLAY_READY {
			t.Errorf("status: %v", st)
		}
		v.key(uint32(4+i), true)
		eventually(t, "a key held", func() bool { return p.held() == 1 })
		p.Close()
		eventually(t, "display gone", func() bool { return v.count(gone) == i+1 })
		v.key(uint32(4+i), false)
	}
	if r.ended("s1") != nil {
		t.Errorf("ended: %v", r.ended("s1"))
	}
}

func TestDemoStatus(t *testing.T) {
	r := start(t, Options{}, on(desktop.Demo(image.Pt(800, 600))))
	eventually(t, "the status", func() bool { return r.status().GetDisplay() == orielv1.Status_DISPLAY_DEMO })
}

// differing is how many pixels of the newest picture are not as in old.
func (v *viewer) differing(old *encode.Image) int {
	img, _ := v.seen()
	if img == nil || old == nil || img.Size != old.Size {
		return 0
	}
	n := 0
	for y := range img.Size.Y {
		for x := range img.Size.X {
			if d := int(img.Y[y*img.StrideY+x]) - int(old.Y[y*old.StrideY+x]); d > 32 || d < -32 {
				n++
			}
		}
	}
	return n
}

// changes does something and waits until the picture shows it.
func (v *viewer) changes(what string, act func()) {
	v.t.Helper()
	old, _ := v.seen()
	act()
	eventually(v.t, what+" in the picture", func() bool { return v.differing(old) >= 8 })
}

// still waits for a sharp picture at rest.
func (v *viewer) still() {
	v.t.Helper()
	eventually(v.t, "a picture", func() bool { img, _ := v.seen(); return img != nil })
	from := v.count(settled)
	eventually(v.t, "a still picture", func() bool {
		last := v.last(func(m *orielv1.FromDesktop) bool { return m.GetStats() != nil })
		return v.count(settled) > from || last.GetStats().GetSettled()
	})
}

func settled(m *orielv1.FromDesktop) bool { return m.GetStats().GetSettled() }

func TestKeyAndClickChangeTheDemo(t *testing.T) {
	d := desktop.Demo(image.Pt(800, 600), desktop.StopClock(time.Unix(1e9, 0)))
	r := start(t, Options{}, on(d))
	v := r.ready(look{})
	v.still()
	v.changes("a letter", func() { v.key(0x1a, true); v.key(0x1a, false) })
	v.still()
	v.changes("text", func() { v.text("Ж漢") })
	v.wait("cursor shape", func(m *orielv1.FromDesktop) bool { return m.GetCursorShape().GetWidth() > 0 })

	watcher := r.ready(look{id: "s2", viewOnly: true})
	watcher.still()
	old, _ := watcher.seen()
	for range 20 {
		watcher.key(0x1a, true)
		watcher.text("WWWW")
		watcher.button(0, true, 0x8000, 0x8000)
	}
	watcher.sync()
	watcher.still()
	if n := watcher.differing(old); n != 0 {
		t.Errorf("a viewer who may only watch changed %d pixels", n)
	}
}

// shots is how many previews were sent.
func (r *rig) shots() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.previews)
}

// shot is the newest preview, decoded; its limits are checked.
func (r *rig) shot() (*orielv1.Preview, color.RGBA) {
	r.t.Helper()
	r.mu.Lock()
	p := r.previews[len(r.previews)-1]
	r.mu.Unlock()
	img, err := jpeg.Decode(bytes.NewReader(p.GetData()))
	if err != nil || p.GetType() != "image/jpeg" {
		r.t.Fatalf("preview of type %q: %v", p.GetType(), err)
	}
	b := img.Bounds()
	if b.Dx() != int(p.GetWidth()) || b.Dy() != int(p.GetHeight()) || max(b.Dx(), b.Dy()) > orielv1.MaxPreviewSide || len(p.GetData()) > orielv1.MaxPreviewBytes || p.GetTakenAt() == 0 {
		r.t.Errorf("preview %v of %d bytes, said to be %dx%d", b, len(p.GetData()), p.GetWidth(), p.GetHeight())
	}
	return p, color.RGBAModel.Convert(img.At(b.Dx()/2, b.Dy()/2)).(color.RGBA)
}

func near(a, b color.RGBA) bool {
	d := func(a, b uint8) bool { return max(a, b)-min(a, b) < 6 }
	return d(a.R, b.R) && d(a.G, b.G) && d(a.B, b.B)
}

func TestPreviews(t *testing.T) {
	p := newFakeDesktop(t)
	p.size = image.Pt(1920, 1080)
	r := start(t, Options{timing: timing{previewIn: 5 * time.Millisecond, previewMin: 1}}, on(p))
	eventually(t, "the display is open", func() bool { return r.status() != nil })
	if r.shots() != 0 {
		t.Error("a preview before anybody asked for one")
	}
	r.host.Apply(&orielv1.Settings{PreviewSeconds: 1})
	eventually(t, "the first preview", func() bool { return r.shots() == 1 })
	if shot, c := r.shot(); shot.GetWidth() != 640 || shot.GetHeight() != 360 || !near(c, color.RGBA{40, 80, 120, 255}) {
		t.Errorf("%dx%d of %v", shot.GetWidth(), shot.GetHeight(), c)
	}

	grabs := func() int {
		p.mu.Lock()
		defer p.mu.Unlock()
		return p.grabs
	}
	// Damage that changes nothing is looked at, not sent.
	before := grabs()
	p.touch(func() {})
	eventually(t, "a look at the damage", func() bool { return grabs() == before+1 })
	red := color.RGBA{200, 20, 20, 255}
	p.paint(red)
	eventually(t, "the second preview", func() bool { return r.shots() == 2 })
	if _, c := r.shot(); !near(c, red) {
		t.Errorf("the second preview is %v", c)
	}
	// A change may be read once by itself and once more for its preview.
	if n := grabs(); n > before+4 {
		t.Errorf("%d pictures were read for two changes", n-before)
	}

	// Who asks again gets the same again.
	r.host.Apply(&orielv1.Settings{PreviewSeconds: 1})
	eventually(t, "the preview again", func() bool { return r.shots() == 3 })

	p.touch(func() { p.noise = true })
	eventually(t, "a preview of noise", func() bool { return r.shots() == 4 })
	r.shot()

	// Switched off, and on with a viewer watching.
	r.host.Apply(&orielv1.Settings{})
	p.touch(func() { p.noise, p.size, p.shade = false, image.Pt(600, 1000), red })
	v := r.ready(look{})
	eventually(t, "the picture", func() bool { return v.luma(image.Rect(0, 0, 99, 99)) > 0 })
	if r.shots() != 4 {
		t.Error("a preview that nobody wants")
	}
	r.host.Apply(&orielv1.Settings{PreviewSeconds: 1})
	eventually(t, "a preview while a viewer watches", func() bool { return r.shots() == 5 })
	if shot, c := r.shot(); shot.GetWidth() != 384 || shot.GetHeight() != 640 || !near(c, red) {
		t.Errorf("%dx%d of %v", shot.GetWidth(), shot.GetHeight(), c)
	}
	p.paint(color.RGBA{1, 200, 1, 255})
	eventually(t, "another while a viewer watches", func() bool { return r.shots() == 6 })
	v.leave()
	p.paint(red)
	eventually(t, "another after the viewer left", func() bool { return r.shots() >= 7 })
}

// A preview does not share a slow way with a session, but for one now and then.
func TestPreviewsWaitWhileASlowWayIsUsed(t *testing.T) {
	green, red := color.RGBA{1, 200, 1, 255}, color.RGBA{200, 20, 20, 255}
	var held atomic.Int32
	watched := func(most int) (*fakeDesktop, *rig, *viewer) {
		p := newFakeDesktop(t)
		r := start(t, Options{timing: timing{previewIn: 5 * time.Millisecond, previewMin: 1, slowWay: 1 << 30,
			mostHeld: most, held: func() { held.Add(1) }}}, on(p))
		r.host.Apply(&orielv1.Settings{PreviewSeconds: 1})
		eventually(t, "the first preview", func() bool { return r.shots() == 1 })
		v := r.ready(look{})
		eventually(t, "the picture, and that the way is known", func() bool {
			return v.luma(image.Rect(0, 0, 99, 99)) > 0 && r.host.slow()
		})
		held.Store(0)
		p.paint(color.RGBA{20, 20, 200, 255}) // one may wait for a change since before the way was known
		eventually(t, "the first is held back", func() bool { return held.Load() > 0 })
		return p, r, v
	}
	p, r, v := watched(1 << 30)
	before := r.shots()
	p.paint(green)
	held.Store(0)
	if eventually(t, "some are held back", func() bool { return held.Load() > 2 }); r.shots() != before {
		t.Error("a preview while a viewer watches over a slow way")
	}
	v.leave()
	eventually(t, "a preview after the viewer left", func() bool { return r.shots() > before })

	p, r, _ = watched(mostHeld)
	before = r.shots()
	p.paint(red)
	eventually(t, "a preview in spite of the viewer", func() bool { return r.shots() > before })
}

// A change that was read long before the preview is due is in it.
func TestPreviewOfAnOldChange(t *testing.T) {
	p := newFakeDesktop(t)
	r := start(t, Options{timing: timing{previewIn: 700 * time.Millisecond, previewMin: 1, idle: time.Millisecond}}, on(p))
	r.host.Apply(&orielv1.Settings{PreviewSeconds: 1})
	eventually(t, "the first preview", func() bool { return r.shots() == 1 })
	blue := color.RGBA{0, 0, 200, 255}
	p.paint(blue)
	eventually(t, "the change is read", func() bool {
		p.mu.Lock()
		defer p.mu.Unlock()
		return !p.dirty
	})
	eventually(t, "the second preview", func() bool { return r.shots() == 2 })
	if _, c := r.shot(); !near(c, blue) {
		t.Errorf("the preview is %v", c)
	}
}
