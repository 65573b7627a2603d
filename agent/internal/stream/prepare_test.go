//go:build cgo

package stream

import (
	"image"
	"testing"
	"testing/synctest"
	"time"

	"oriel/agent/internal/encode"
)

// The first picture is made before anybody can be reached, once, and is there
// at once when he can; what changed meanwhile follows.
func TestPreparedPictureIsThereAtOnce(t *testing.T) {
	virtually(t, func(t *testing.T, c encode.Codec) {
		d := newScript(image.Pt(640, 400))
		s := New(d, c, Options{})
		defer s.Close()
		v := newLink(t, c, 20e6, 0)
		sub, err := s.Prepare(v)
		if err != nil {
			t.Fatal(err)
		}
		defer sub.Close()
		sub.SetTarget(20e6)
		for range 100 {
			time.Sleep(30 * time.Millisecond)
			d.scroll(9)
		}
		if n := s.Stats().Frames; n != 1 {
			t.Errorf("%d frames were encoded for nobody", n)
		}
		if n := d.read(); n > 2 {
			t.Errorf("the screen was read %d times for nobody", n)
		}
		if n := len(v.all()); n != 0 {
			t.Fatalf("%d frames were sent to nobody", n)
		}
		sub.Start()
		thereAtOnce(t, s, d, v)
	})
}

// thereAtOnce expects that v, which was just started, has a key frame, the only one, and
// soon the whole picture.
func thereAtOnce(t *testing.T, s *Stream, d *script, v *link) {
	t.Helper()
	synctest.Wait()
	if n := len(v.all()); n == 0 || !v.all()[0].frame.Key {
		t.Fatalf("of %d frames none, or no key frame, was there at once", n)
	}
	time.Sleep(2 * time.Second)
	if p := v.likeness(d.image(t)); p < 48 {
		t.Errorf("settled at %.1f dB", p)
	}
	if n := s.Stats().Keys; n != 1 {
		t.Errorf("%d key frames for one viewer", n)
	}
}

// What was made for one who did not come is there for the next, as long as nothing
// followed it.
func TestPreparedForAnother(t *testing.T) {
	virtually(t, func(t *testing.T, c encode.Codec) {
		d := newScript(image.Pt(640, 400))
		s := New(d, c, Options{})
		defer s.Close()
		nobody, v := newLink(t, c, 20e6, 0), newLink(t, c, 20e6, 0)
		one, err := s.Prepare(nobody)
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		two, err := s.Prepare(v)
		if err != nil {
			t.Fatal(err)
		}
		defer two.Close()
		two.SetTarget(20e6)
		one.Close()
		d.key()
		time.Sleep(time.Second)
		two.Start()
		thereAtOnce(t, s, d, v)
		if n := len(nobody.all()); n != 0 {
			t.Errorf("%d frames were sent to nobody", n)
		}
		// Nothing is kept any more.
		three, err := s.Prepare(nobody)
		if err != nil {
			t.Fatal(err)
		}
		defer three.Close()
		if three.kept != nil {
			t.Error("a picture that others followed was kept for the next")
		}
	})
}

// A viewer who is being waited for costs the others nothing, and gets a picture
// of the time when he comes.
func TestPreparedBesideOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newScript(image.Pt(640, 400))
		s := New(d, encode.AV1, Options{})
		defer s.Close()
		first, second := newLink(t, encode.AV1, 20e6, 0), newLink(t, encode.AV1, 20e6, 0)
		one := subscribe(t, s, first, 20e6)
		defer one.Close()
		time.Sleep(time.Second)
		two, err := s.Prepare(second)
		if err != nil {
			t.Fatal(err)
		}
		defer two.Close()
		for range 20 {
			d.key()
			time.Sleep(100 * time.Millisecond)
		}
		if n := s.Stats().Keys; n != 1 {
			t.Errorf("%d key frames while the second is not there yet", n)
		}
		if n := len(second.all()); n != 0 {
			t.Errorf("%d frames were sent to nobody", n)
		}
		two.Start()
		time.Sleep(time.Second)
		if p := second.likeness(d.image(t)); p < 48 {
			t.Errorf("the second sees %.1f dB", p)
		}
		if n := s.Stats().Keys; n != 2 {
			t.Errorf("%d key frames for two viewers", n)
		}
		// The first leaves while a third is being prepared.
		third := newLink(t, encode.AV1, 20e6, 0)
		three, err := s.Prepare(third)
		if err != nil {
			t.Fatal(err)
		}
		defer three.Close()
		one.Close()
		two.Close()
		d.key()
		three.Start()
		time.Sleep(time.Second)
		if p := third.likeness(d.image(t)); p < 48 {
			t.Errorf("the third sees %.1f dB", p)
		}
	})
}
