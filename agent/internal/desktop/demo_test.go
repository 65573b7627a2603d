//go:build linux

package desktop

import (
	"context"
	"crypto/sha256"
	"errors"
	"image"
	"testing"
	"time"
)

var demoTime = time.Date(2025, 3, 4, 9, 8, 7, 0, time.UTC)

func newDemo(t testing.TB, size image.Point, o ...DemoOption) *demo {
	t.Helper()
	d := Demo(size, o...).(*demo)
	t.Cleanup(func() { d.Close() })
	return d
}

func TestDemoClockChangesTheClockOnly(t *testing.T) {
	t.Parallel()
	now := demoTime
	ticks := make(chan time.Time)
	d := newDemo(t, image.Pt(1280, 720), RunClock(func() time.Time { return now }, ticks))
	w := &watcher{d: d}
	w.next(t)
	got := make(chan Picture)
	for range 3 {
		go func() {
			p, err := d.Next(context.Background())
			if err != nil {
				t.Error(err)
			}
			got <- p
		}()
		ticks <- now // the same second: nothing new
		select {
		case p := <-got:
			t.Fatalf("a picture without a change: %v", p.Dirty)
		default:
		}
		d.mu.Lock() // Next reads the clock under it
		now = now.Add(time.Second)
		d.mu.Unlock()
		var p Picture
		select { // it may still be about to look because of the first tick
		case ticks <- now:
			p = <-got
		case p = <-got:
		}
		for _, r := range p.Dirty {
			if !r.In(d.scene.clock) {
				t.Errorf("dirty %v, the clock is %v", r, d.scene.clock)
			}
		}
		w.apply(t, p)
	}
}

func TestDemoClockRuns(t *testing.T) {
	t.Parallel()
	d := newDemo(t, image.Pt(640, 400))
	w := &watcher{d: d}
	w.next(t)
	for range 2 {
		for _, r := range w.next(t).Dirty {
			if !r.In(d.scene.clock) {
				t.Errorf("dirty %v", r)
			}
		}
	}
}

func TestDemoField(t *testing.T) {
	t.Parallel()
	d := newDemo(t, image.Pt(1280, 720), StopClock(demoTime))
	for _, step := range []struct {
		do   func() error
		want string
	}{
		{func() error { return d.Text("Grüße, мир\r\n") }, "Grüße, мир\n"},
		{func() error { strokes(t, d, "04 S04 1e S1e 2d S2d 38 S38 S34 59 62 55 2c 64"); return nil }, "Grüße, мир\naA1!-_/?\"10* \\"},
		{func() error { strokes(t, d, "2a 2a 2a 2a 2a 2a 2a 2a 2a 2a 2a 2a 2a 2a"); return nil }, "Grüße, мир\n"},
		{func() error { strokes(t, d, "39 04 S04 39 04 28 2b"); return nil }, "Grüße, мир\nAaa\n\t"},
		{func() error { strokes(t, d, "4a 4c 4c 0a 4f 4d 2a 50 05"); return nil }, "güße, мир\nAaab\n"},
		{func() error { d.Key(0xe0, true); strokes(t, d, "04 05"); d.Key(0xe0, false); return nil }, "güße, мир\nAaab\n"},
	} {
		if err := step.do(); err != nil {
			t.Fatal(err)
		}
		if got := string(d.text); got != step.want {
			t.Fatalf("the field holds %q, want %q", got, step.want)
		}
	}
	long := make([]rune, maxText)
	for i := range long {
		long[i] = 'x'
	}
	if err := d.Text(string(long)); err != nil {
		t.Fatal(err)
	}
	if len(d.text) != maxField || d.caret > maxField {
		t.Errorf("%d characters kept, caret at %d", len(d.text), d.caret)
	}
	if err := d.Text(string(long) + "x"); err == nil {
		t.Error("a text that is too long was taken")
	}
	if err := d.Key(0x200, true); !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("an impossible key: %v", err)
	}
	(&watcher{d: d}).next(t)
}

func TestDemoButtonAndPage(t *testing.T) {
	t.Parallel()
	d := newDemo(t, image.Pt(1280, 720), StopClock(demoTime))
	w := &watcher{d: d}
	w.next(t)
	click := func(at image.Point, b Button) {
		d.Move(at)
		d.Button(b, true)
		d.Button(b, false)
	}
	on := d.scene.button.Min.Add(image.Pt(9, 9))
	click(on, ButtonLeft)
	click(on, ButtonRight)
	click(image.Pt(1, 1), ButtonLeft)
	// Pressed on it and let go elsewhere is no click.
	d.Move(on)
	d.Button(ButtonLeft, true)
	d.Move(image.Pt(1, 1))
	d.Button(ButtonLeft, false)
	if d.clicks != 1 {
		t.Errorf("%d clicks, want 1", d.clicks)
	}
	for _, r := range w.next(t).Dirty {
		if !r.In(d.scene.button) {
			t.Errorf("a click changes %v", r)
		}
	}
	d.Wheel(0, 40)
	d.Wheel(0, 80)
	if want := 3 * d.scene.line; d.scroll != want {
		t.Errorf("scrolled by %d, want %d", d.scroll, want)
	}
	for _, r := range w.next(t).Dirty {
		if !r.In(d.scene.page) {
			t.Errorf("a scroll changes %v", r)
		}
	}
	d.Wheel(0, 1<<40)
	if d.scroll != d.scene.pageEnd() || d.scroll == 0 {
		t.Errorf("scrolled to %d of %d", d.scroll, d.scene.pageEnd())
	}
	d.Wheel(0, -1<<40)
	if d.scroll != 0 {
		t.Errorf("scrolled to %d", d.scroll)
	}
	strokes(t, d, "4e 51 52 4b")
}

func TestDemoIsTheSameEveryTime(t *testing.T) {
	t.Parallel()
	script := func() (sums [][32]byte) {
		d := newDemo(t, image.Pt(1024, 640), StopClock(demoTime))
		w := &watcher{d: d}
		for _, do := range []func(){
			func() {}, func() { d.Text("abc где") }, func() { d.Wheel(0, 360) }, func() { strokes(t, d, "04 05 06 28") },
			func() { d.Move(d.scene.button.Min.Add(image.Pt(5, 5))); d.Button(ButtonLeft, true) },
		} {
			do()
			w.next(t)
			sums = append(sums, sha256.Sum256(w.pix))
		}
		return sums
	}
	first, second := script(), script()
	for i := range first {
		if first[i] != second[i] {
			t.Errorf("picture %d differs", i)
		}
		if i > 0 && first[i] == first[i-1] {
			t.Errorf("picture %d shows nothing new", i)
		}
	}
}

func TestDemoSizes(t *testing.T) {
	t.Parallel()
	for _, size := range []image.Point{{1, 1}, {641, 401}, {800, 600}, {1366, 768}, {720, 1280}, {1920, 1080}, {1 << 30, 1}} {
		d := newDemo(t, size, StopClock(demoTime))
		w := &watcher{d: d}
		p := w.next(t)
		if p.Size != d.Size() || p.Size.X < demoMinW || p.Size.X > demoMaxW || p.Size.Y < demoMinH || p.Size.Y > demoMaxH {
			t.Errorf("%v became %v", size, p.Size)
		}
		for _, part := range []image.Rectangle{d.scene.clock, d.scene.card, d.scene.field, d.scene.button, d.scene.page} {
			if part.Empty() || !part.In(image.Rectangle{Max: p.Size}) {
				t.Errorf("%v has a part at %v", p.Size, part)
			}
		}
		d.Text("text")
		d.Wheel(0, 240)
		w.next(t)
		d.Close()
	}
}
