package stream

import (
	"image"
	"testing"
	"testing/synctest"
	"time"

	"oriel/agent/internal/encode"
)

// What a preset does to the quantizer of what moves, on links of every width.
func TestPresetsQuantizers(t *testing.T) {
	for _, codec := range []encode.Codec{encode.AV1, encode.VP9, encode.VP8} {
		quantizer := func(p Preset, target int, share float64) int {
			r := newRate(codec)
			r.preset = p
			r.setTarget(time.Unix(0, 0), target)
			return r.change(time.Unix(1, 0), 900_000*share, share, false, 33*time.Millisecond)
		}
		for _, share := range []float64{0.05, 0.3, 1} {
			for _, target := range []int{MinTarget, 1_000_000, 5_000_000, MaxTarget} {
				speed, balanced, sharp := quantizer(Speed, target, share), quantizer(Balanced, target, share), quantizer(Sharp, target, share)
				if speed < balanced || balanced < sharp {
					t.Errorf("%s, %d bits, %.2f: Speed %d, Balanced %d, Sharp %d", codec, target, share, speed, balanced, sharp)
				}
				if speed < 44 {
					t.Errorf("%s, %d bits, %.2f: Speed moves at %d", codec, target, share, speed)
				}
				if sharp > 36 {
					t.Errorf("%s, %d bits, %.2f: Sharp moves at %d", codec, target, share, sharp)
				}
				if auto := quantizer(Auto, target, share); auto != balanced {
					t.Errorf("%s, %d bits, %.2f: Auto %d, Balanced %d", codec, target, share, auto, balanced)
				}
			}
		}
		// A letter is a letter, whatever the preset.
		if speed, balanced := quantizer(Speed, MaxTarget, 0.001), quantizer(Balanced, MaxTarget, 0.001); speed != balanced {
			t.Errorf("%s: a letter at %d with Speed, at %d with Balanced", codec, speed, balanced)
		}
	}
}

// Auto saves where there is a reason that lasts, and as long as it lasts.
func TestAutoChangesItsMindSlowly(t *testing.T) {
	now := time.Unix(0, 0)
	var a qualityAdapter
	// pass lets time go by and reports what is decided at its end.
	pass := func(d time.Duration, target int) bool {
		t.Helper()
		saving := false
		for end := now.Add(d); now.Before(end); now = now.Add(50 * time.Millisecond) {
			saving = a.decide(now, target)
		}
		return saving
	}
	for i, step := range []struct {
		for_   time.Duration
		target int
		want   bool
	}{
		{5 * time.Second, DefaultTarget, false}, // a guess is no reason
		{800 * time.Millisecond, 500_000, false},
		{2 * time.Second, 3_000_000, false},
		{1200 * time.Millisecond, 1_300_000, true},
		{20 * time.Second, 1_900_000, true}, // better, not good
		{4 * time.Second, 3_000_000, true},  // good, not for long
		{500 * time.Millisecond, 1_000_000, true},
		{4 * time.Second, 3_000_000, true},
		{1500 * time.Millisecond, 3_000_000, false},
		{20 * time.Second, 1_900_000, false}, // the bounds lie apart
	} {
		if got := pass(step.for_, step.target); got != step.want {
			t.Errorf("step %d, %v at %d: saving is %v", i, step.for_, step.target, got)
		}
	}
	frames := func(n int, took time.Duration) bool {
		saving := false
		for range n {
			now = now.Add(40 * time.Millisecond)
			a.frame(now, took, motion)
			saving = a.decide(now, 10_000_000)
		}
		return saving
	}
	if frames(4, 50*time.Millisecond) || frames(3, 10*time.Millisecond) || frames(4, 50*time.Millisecond) {
		t.Error("saves for a few late frames")
	}
	if !frames(2, 50*time.Millisecond) {
		t.Error("does not save though encoding is late")
	}
	if !frames(400, 28*time.Millisecond) {
		t.Error("stops saving though encoding is nearly late")
	}
	if !frames(100, 10*time.Millisecond) {
		t.Error("stops saving after four quick seconds")
	}
	if frames(50, 10*time.Millisecond) {
		t.Error("saves though encoding has long been quick")
	}
	if !frames(5, 50*time.Millisecond) {
		t.Error("does not save though encoding is late again")
	}
	saving := true
	for range 50 {
		frames(1, 50*time.Millisecond)
		saving = frames(4, 10*time.Millisecond)
	}
	if saving {
		t.Error("saves though no more than one in five is late")
	}
}

// couple is a stream of a small screen with two viewers on links of so many bits a
// second, and what the first of them gets.
func couple(t *testing.T, target int) (d *script, s *Stream, one, two *Subscription, got *counter) {
	t.Helper()
	d, got = newScript(image.Pt(320, 200)), &counter{}
	s = New(d, encode.AV1, Options{})
	var err error
	if one, err = s.Subscribe(got); err != nil {
		t.Fatal(err)
	}
	if two, err = s.Subscribe(&counter{}); err != nil {
		t.Fatal(err)
	}
	one.SetTarget(target)
	two.SetTarget(target)
	return d, s, one, two, got
}

// The preset in force is that of the most economical viewer, Auto's by the link.
func TestStreamTakesTheMostEconomicalPreset(t *testing.T) {
	if len(encode.Supported()) == 0 {
		t.Skip("no encoders in this build")
	}
	synctest.Test(t, func(t *testing.T) {
		d, s, one, two, _ := couple(t, 10_000_000)
		defer s.Close()
		defer one.Close()
		expect := func(what string, want Preset) {
			t.Helper()
			for range 80 { // eight seconds of motion
				time.Sleep(100 * time.Millisecond)
				d.key()
			}
			if got := s.Stats().Preset; got != want {
				t.Errorf("%s: preset %d, not %d", what, got, want)
			}
		}
		expect("two of Auto", Balanced)
		one.Prefer(Sharp, 0)
		two.Prefer(Sharp, 0)
		expect("two of Sharp", Sharp)
		two.Prefer(Balanced, 0)
		expect("Sharp and Balanced", Balanced)
		two.Prefer(Speed, 0)
		expect("Sharp and Speed", Speed)
		two.Prefer(Auto, 0)
		expect("Sharp and Auto", Balanced)
		two.SetTarget(1_000_000)
		expect("Sharp and Auto on a slow link", Speed)
		two.SetTarget(10_000_000)
		expect("Sharp and Auto on a good link again", Balanced)
		two.Close()
		expect("Sharp alone", Sharp)
	})
}

// A viewer's cap holds for what refines, too, where nobody watches who wants more.
//
// Rule: one viewer's frame cap is that viewer's alone.
func TestViewersCap(t *testing.T) {
	if len(encode.Supported()) == 0 {
		t.Skip("no encoders in this build")
	}
	synctest.Test(t, func(t *testing.T) {
		d, s, one, two, got := couple(t, 20_000_000)
		defer s.Close()
		defer one.Close()
		count := func() int {
			before := got.frames()
			for range 100 { // three seconds
				d.scroll(9)
				time.Sleep(30 * time.Millisecond)
			}
			return got.frames() - before
		}
		two.Prefer(Balanced, 1)
		if n := count(); n < 80 {
			t.Errorf("%d frames in 3 s, the cap is another viewer's", n)
		}
		one.Prefer(Balanced, 10)
		if n := count(); n < 25 || n > 31 {
			t.Errorf("%d frames in 3 s, the highest cap is 10 a second", n)
		}
		two.Prefer(Balanced, 0)
		if n := count(); n < 80 {
			t.Errorf("%d frames in 3 s, another viewer has no cap", n)
		}
		two.Close()
		if n := count(); n < 25 || n > 31 {
			t.Errorf("%d frames in 3 s, the cap is one's own", n)
		}
	})
}
