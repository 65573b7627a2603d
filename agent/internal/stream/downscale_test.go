//go:build cgo

package stream

import (
	"image"
	"testing"
	"testing/synctest"
	"time"

	"oriel/agent/internal/encode"
	"oriel/agent/internal/encode/decodetest"
)

// Half is decided by large changes that take too long, in a hurry, and undone by rest, by an end of
// the hurry, and by five seconds in which the whole would not take too long.
func TestWhenHalfIsShown(t *testing.T) {
	now := time.Unix(1000, 0)
	var h downscaler
	link := time.Duration(0) // that a picture needs
	// frames lets so many changes pass, each of which takes so long to be encoded, were it whole.
	frames := func(n int, hurry bool, share float64, whole time.Duration) {
		for range n {
			h.decide(now, hurry, share)
			d := whole
			if h.active {
				d /= 4
			}
			now = now.Add(max(motion, d))
			h.took(now, d, link, share)
		}
	}
	expect := func(what string, on bool) {
		t.Helper()
		if h.active != on {
			t.Errorf("%s: half is %v", what, h.active)
		}
	}
	const slow, quick = 120 * ms, 20 * ms
	frames(20, false, 1, slow)
	expect("slow, and in no hurry", false)
	frames(20, true, 0.1, slow)
	expect("slow, but small", false)
	link = 150 * ms
	frames(20, true, 1, slow)
	expect("slow, but the link is slower", false)
	link = 30 * ms
	frames(3, true, 1, slow)
	expect("slow three times", false)
	frames(1, true, 1, slow)
	expect("slow four times", true)
	frames(200, true, 1, slow)
	expect("slow for long", true)
	frames(10, true, 0.05, quick)
	expect("after a third of a second of small changes", false)
	now = now.Add(time.Second)
	frames(1, true, 1, slow)
	now = now.Add(2 * time.Second)
	frames(1, true, 1, slow)
	expect("pages two seconds apart", false)
	frames(1, true, 1, slow)
	expect("what moves again, and was slow", true)
	if stands := h.stands(); stands.Before(now) || stands.After(now.Add(standsAfter)) {
		t.Errorf("stands %v from now", stands.Sub(now))
	}
	frames(1, false, 1, slow)
	expect("in no hurry any more", false)
	frames(3, true, 1, slow)
	expect("in a hurry again", false)
	frames(1, true, 1, slow)
	expect("slow in a hurry again", true)
	frames(100, true, 1, quick)
	expect("quick for three seconds", true)
	frames(100, true, 1, quick)
	expect("quick for six seconds", false)
	frames(100, true, 1, quick)
	expect("quick", false)
}

// slowly takes time for what it encodes: so much for each pixel.
type slowly struct {
	encode.Encoder
	pixel time.Duration
}

func (s slowly) Encode(img *encode.Image, p encode.Params) (encode.Packet, error) {
	part := p.Dirty
	if p.Key || len(part) == 0 {
		part = []image.Rectangle{img.Bounds()}
	}
	time.Sleep(time.Duration(share(part, img.Size)*float64(img.Size.X*img.Size.Y)) * s.pixel)
	return s.Encoder.Encode(img, p)
}

// A video that takes a slow machine 200 ms a picture is shown in half the size, three times as
// often, and whole again as soon as it stands still, in both formats.
func TestWhatEncodesLateIsHalved(t *testing.T) {
	for name, format := range map[string]encode.Format{"4:2:0": encode.I420, "4:4:4": encode.I444} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { halved(t, format) })
		})
	}
}

func halved(t *testing.T, format encode.Format) {
	size := image.Pt(641, 401) // odd ones are as good
	d := newScript(size)
	s := New(d, encode.AV1, Options{Format: format})
	defer s.Close()
	open := s.open
	s.open = func() (encode.Encoder, error) {
		e, err := open()
		return slowly{e, 200 * time.Millisecond / time.Duration(size.X*size.Y)}, err
	}
	v := newLink(t, encode.AV1, 50e6, 0)
	sub := subscribe(t, s, v, 30e6)
	defer sub.Close()
	play := func(d *script, seconds int) {
		for i := range 30 * seconds {
			d.video(image.Rectangle{Max: size}, i)
			time.Sleep(time.Second / 30)
		}
	}
	time.Sleep(2 * time.Second)
	if got := v.all(); got[len(got)-1].frame.Size != size {
		t.Fatalf("a still picture is of %v", got[len(got)-1].frame.Size)
	}

	play(d, 4) // Auto notices, and then half is
	before := len(v.all())
	play(d, 4)
	time.Sleep(150 * time.Millisecond)
	moving := v.all()[before:]
	for _, a := range moving {
		if a.frame.Size != encode.Half(size) {
			t.Fatalf("what moves slowly is of %v", a.frame.Size)
		}
		if a.frame.Key {
			t.Error("a key frame in motion")
		}
	}
	if len(moving) < 60 || len(moving) > 100 {
		t.Errorf("%d pictures in four seconds, a whole one takes 200 ms", len(moving))
	}
	want := encode.NewImage(encode.I420, encode.Half(size))
	whole := d.image(t)
	if err := encode.Halve(want, whole, []image.Rectangle{want.Bounds()}); err != nil {
		t.Fatal(err)
	}
	if luma := lumaPSNR(want, v); luma < 30 {
		t.Errorf("what moves has %.1f dB", luma)
	} else {
		t.Logf("%d pictures in four seconds, of %.1f dB", len(moving), luma)
	}

	time.Sleep(2 * time.Second)
	last := v.all()[before+len(moving):]
	if got := last[len(last)-1].frame.Size; got != size {
		t.Fatalf("what stands still is of %v", got)
	}
	if luma := lumaPSNR(whole, v); luma < 45 {
		t.Errorf("what stands still has %.1f dB", luma)
	}
	wait := time.Hour
	for _, a := range last {
		if a.frame.Size == size {
			wait = min(wait, a.frame.At.Sub(moving[len(moving)-1].frame.At))
		}
	}
	if wait > 500*time.Millisecond {
		t.Errorf("the whole is shown %v after the last picture", wait)
	}

	// What moves again is halved at once; who wants it sharp has it whole.
	before = len(v.all())
	play(d, 1)
	some := v.all()[before:]
	if n := sizes(some)[size]; n > 3 {
		t.Errorf("%d pictures were whole though it is known that they take long", n)
	}
	sub.Prefer(Sharp, 0)
	play(d, 1)
	before = len(v.all())
	play(d, 3)
	if all := sizes(v.all()[before:]); all[encode.Half(size)] > 0 {
		t.Errorf("what is to be sharp is halved: %v", all)
	}
}

func sizes(of []arrival) map[image.Point]int {
	n := map[image.Point]int{}
	for _, a := range of {
		n[a.frame.Size]++
	}
	return n
}

// lumaPSNR is of what is shown, in any format.
func lumaPSNR(want *encode.Image, v *link) float64 {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.picture == nil || v.picture.Size != want.Size {
		return 0
	}
	return decodetest.PSNR(want, v.picture, want.Bounds())
}
