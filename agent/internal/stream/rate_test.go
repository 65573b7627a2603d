//go:build cgo

package stream

import (
	"image"
	"slices"
	"testing"
	"time"

	"oriel/agent/internal/encode"
	"oriel/agent/internal/encode/decodetest"
)

// On 1 Mbit/s the first picture of 720p fits, is refined after, and a page that scrolls
// is never old: what does not fit is left out, not queued.
func TestSlowLink(t *testing.T) {
	virtually(t, func(t *testing.T, c encode.Codec) {
		rate, size := 1e6, image.Pt(1280, 720)
		if c != encode.AV1 { // as much a pixel, in less time
			rate, size = 250e3, image.Pt(640, 360)
		}
		d := newScript(size)
		s := New(d, c, Options{})
		defer s.Close()
		v := newLink(t, c, rate, 50*time.Millisecond)
		began := time.Now()
		sub := subscribe(t, s, v, int(rate*9/10))
		defer sub.Close()
		time.Sleep(10 * time.Second)
		all := v.all()
		if first := all[0].at.Sub(began); first > time.Second {
			t.Errorf("first picture after %v, %d bytes", first, len(all[0].frame.Data))
		}
		sharp := time.Duration(0)
		for _, a := range all {
			sharp = a.at.Sub(began)
		}
		if p := v.likeness(d.image(t)); p < 45 || sharp > 6*time.Second {
			t.Errorf("settled at %.1f dB after %v", p, sharp)
		}
		before := len(all)
		for range 90 { // 3 seconds
			d.scroll(9)
			time.Sleep(33 * time.Millisecond)
		}
		var oldest, newest time.Duration
		moving := v.all()[before:]
		for i, a := range moving {
			oldest = max(oldest, a.age)
			if i >= len(moving)-5 {
				newest = max(newest, a.age)
			}
		}
		t.Logf("first %d bytes at %d, scroll: %.1f frames/s, oldest %v, at the end %v, %d at the end", len(all[0].frame.Data), all[0].frame.Quantizer, float64(len(moving))/3, oldest, newest, moving[len(moving)-1].frame.Quantizer)
		if oldest > 1500*time.Millisecond || newest > 700*time.Millisecond {
			t.Errorf("scroll: oldest %v, at the end %v", oldest, newest)
		}
		if len(moving) < 6 {
			t.Errorf("scroll: %d frames in 3 s", len(moving))
		}
		time.Sleep(8 * time.Second)
		if p := v.likeness(d.image(t)); p < 45 {
			t.Errorf("settled at %.1f dB after the scroll", p)
		}
	})
}

// A page that scrolls fast fits a slow link, as most of it only moves: it is shown
// whole, and young. Also where it begins to scroll before it was ever shown: then
// it is soft first, and sharp when it stands still.
func TestScrollIsNotTorn(t *testing.T) {
	for name, fresh := range map[string]bool{"a page that was shown": false, "a new page": true} {
		t.Run(name, func(t *testing.T) {
			virtually(t, func(t *testing.T, c encode.Codec) {
				if !encode.Patched(c) {
					t.Skip("it looks for motion within a few lines of text, and codes the rest anew")
				}
				scrollOnSlowLink(t, c, fresh)
			})
		})
	}
}

// What changed again before it was shown whole is recognized though its box differs a little; a
// letter beside a page that is still to come is not that.
func TestCovers(t *testing.T) {
	rest := []image.Rectangle{image.Rect(384, 128, 1328, 192), image.Rect(64, 192, 1328, 784)}
	for name, c := range map[string]struct {
		dirty image.Rectangle
		want  bool
	}{
		"the same":                   {image.Rect(64, 64, 1328, 784), true},
		"lines that begin elsewhere": {image.Rect(91, 64, 1344, 784), true},
		"a letter":                   {image.Rect(500, 300, 512, 324), false},
		"the upper half":             {image.Rect(64, 64, 1328, 424), false},
		"elsewhere":                  {image.Rect(0, 800, 1920, 1080), false},
	} {
		if got := covers([]image.Rectangle{c.dirty}, rest); got != c.want {
			t.Errorf("%s: %v", name, got)
		}
	}
	if !covers([]image.Rectangle{image.Rect(0, 0, 1, 1)}, nil) {
		t.Error("nothing is to come, and is not covered")
	}
}

func scrollOnSlowLink(t *testing.T, c encode.Codec, fresh bool) {
	d := newScript(image.Pt(960, 540))
	s := New(d, c, Options{})
	defer s.Close()
	v := newLink(t, c, 600e3, 50*time.Millisecond)
	sub := subscribe(t, s, v, 540_000)
	defer sub.Close()
	time.Sleep(8 * time.Second)
	before := len(v.all())
	if fresh { // and so slow that it does not fit
		v.rate(250e3)
		sub.SetTarget(225_000)
		d.page()
		time.Sleep(33 * time.Millisecond)
	}
	whole := 0
	var likeness []float64
	v.watch(func(now *encode.Image) {
		p := decodetest.PSNR(d.image(t), now, now.Bounds())
		likeness = append(likeness, p)
		if p > 16.5 { // a torn one has 15 at most, a soft one 17
			whole++
		}
	})
	const seconds = 2
	for range 30 * seconds {
		d.scroll(40)
		time.Sleep(33 * time.Millisecond)
	}
	v.watch(nil) // and what it wrote can be read
	moving := v.all()[before:]
	var ages []time.Duration
	for _, a := range moving {
		ages = append(ages, a.age)
	}
	slices.Sort(ages)
	t.Logf("%d frames, %d whole, age median %v, worst %v; %.0f", len(moving), whole, ages[len(ages)/2], ages[len(ages)-1], likeness)
	if whole < 10*seconds {
		t.Errorf("%d whole pictures in %d s", whole, seconds)
	}
	if age := ages[len(ages)/2]; age > 300*time.Millisecond {
		t.Errorf("the median picture is %v old", age)
	}
	time.Sleep(8 * time.Second)
	if p := v.likeness(d.image(t)); p < 45 {
		t.Errorf("settled at %.1f dB", p)
	}
}

// On a link that takes a frame now and then, motion is not taken for a picture
// that stands still: between two frames nobody has looked.
func TestMotionIsNotRefined(t *testing.T) {
	virtually(t, func(t *testing.T, c encode.Codec) {
		d := newScript(image.Pt(640, 360))
		d.lag = 30 * time.Millisecond
		s := New(d, c, Options{})
		defer s.Close()
		v := newLink(t, c, 450e3, 20*time.Millisecond)
		sub := subscribe(t, s, v, 400_000)
		defer sub.Close()
		time.Sleep(8 * time.Second)
		before := s.Stats()
		for range 90 {
			d.scroll(9)
			time.Sleep(33 * time.Millisecond)
		}
		after := s.Stats()
		if n := after.Refined - before.Refined; n > 0 {
			t.Errorf("%d of %d frames only refined a page that scrolls", n, after.Frames-before.Frames)
		}
	})
}

// A key on a slow link does not wait for the refinement of the page.
func TestSmallFrameIsNotDelayed(t *testing.T) {
	virtually(t, func(t *testing.T, c encode.Codec) {
		d := newScript(image.Pt(1280, 720))
		s := New(d, c, Options{})
		defer s.Close()
		v := newLink(t, c, 2e6, 0)
		sub := subscribe(t, s, v, 2e6)
		defer sub.Close()
		time.Sleep(10 * time.Second)
		before := len(v.all())
		var worst time.Duration
		for range 20 {
			at := time.Now()
			d.key()
			time.Sleep(200 * time.Millisecond)
			for _, a := range v.all()[before:] {
				if !a.frame.At.Before(at) && !a.frame.Refined {
					worst = max(worst, a.at.Sub(at))
					break
				}
			}
			before = len(v.all())
		}
		// VP8 chooses its effort by the time it has: a busy machine shows in bits.
		if worst > map[encode.Codec]time.Duration{encode.AV1: 80, encode.VP9: 80, encode.VP8: 300}[c]*time.Millisecond {
			t.Errorf("a key took %v", worst)
		}
	})
}

// The rate falls to a twentieth while the page scrolls, and rises again.
func TestRateFallsAndRises(t *testing.T) {
	virtually(t, func(t *testing.T, c encode.Codec) {
		const good, bad = 9e6, 450e3
		d := newScript(image.Pt(640, 360))
		s := New(d, c, Options{})
		defer s.Close()
		v := newLink(t, c, good, 20*time.Millisecond)
		sub := subscribe(t, s, v, good*9/10)
		defer sub.Close()
		scroll := func(n int) (last time.Duration, frames int) {
			before := len(v.all())
			for range n {
				d.scroll(9)
				time.Sleep(33 * time.Millisecond)
			}
			got := v.all()[before:]
			return got[len(got)-1].age, len(got)
		}
		if age, n := scroll(60); age > 150*time.Millisecond || n < 50 {
			t.Errorf("a good link: %d frames, the last %v old", n, age)
		}
		v.rate(bad)
		scroll(6)                   // before the estimate knows
		sub.SetTarget(bad * 9 / 10) // now it does
		if age, n := scroll(90); age > 700*time.Millisecond {
			t.Errorf("a bad one: %d frames, the last %v old", n, age)
		}
		v.rate(good)
		sub.SetTarget(good * 9 / 10)
		if age, n := scroll(60); age > 150*time.Millisecond || n < 50 {
			t.Errorf("a good one again: %d frames, the last %v old", n, age)
		}
		time.Sleep(2 * time.Second)
		if p := v.likeness(d.image(t)); p < 48 {
			t.Errorf("settled at %.1f dB", p)
		}
	})
}

// Blocks of one colour say nothing of what a page of text takes, nor it of them.
func TestLettersSayNothingOfPages(t *testing.T) {
	r := newRate(encode.AV1)
	r.setTarget(time.Unix(1000, 0), 300_000)
	page, letter := r.bits(classChange, 70_000, 63), r.bits(classChange, 1_000, 20)
	for range 100 {
		r.learn(classChange, 1_100, 44, 1_000)
	}
	if now := r.bits(classChange, 70_000, 63); now != page {
		t.Errorf("a page is believed to take %.0f bits instead of %.0f", now, page)
	}
	if now := r.bits(classChange, 1_000, 20); now > letter/2 {
		t.Errorf("nothing was learned of letters: %.0f bits, %.0f before", now, letter)
	}
	letter = r.bits(classChange, 1_000, 20)
	r.learn(classChange, 70_000, 63, 150_000)
	if now := r.bits(classChange, 1_000, 20); now != letter {
		t.Errorf("a letter is believed to take %.0f bits instead of %.0f", now, letter)
	}
}
