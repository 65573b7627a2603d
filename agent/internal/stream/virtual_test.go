//go:build cgo

package stream

import (
	"errors"
	"image"
	"image/draw"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"oriel/agent/internal/desktop"
	"oriel/agent/internal/encode"
	"oriel/agent/internal/encode/decodetest"
)

// These tests run in virtual time (testing/synctest): encoding takes none, the
// link takes what its rate says.

// link is a viewer behind a link of some rate: it notes when each frame has
// arrived as a whole and what is shown then.
type link struct {
	t     testing.TB
	codec encode.Codec
	dec   *decodetest.Decoder

	mu       sync.Mutex
	bits     float64 // per second
	delay    time.Duration
	busy     time.Time // until when the link carries what was sent
	arrivals []arrival
	picture  *encode.Image
	loseKey  int // how many key frames to lose

	shown func(*encode.Image) // called with each picture when it is sent, mu held; may be nil
}

type arrival struct {
	frame  Frame
	sent   time.Time
	at     time.Time
	age    time.Duration // of the picture when it is shown
	queued time.Duration // how long it waited for the link
}

func newLink(t testing.TB, c encode.Codec, bits float64, delay time.Duration) *link {
	t.Helper()
	dec, err := decodetest.New(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(dec.Close)
	return &link{t: t, codec: c, dec: dec, bits: bits, delay: delay}
}

func (l *link) WriteFrame(f Frame) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Now()
	start := now
	if l.busy.After(start) {
		start = l.busy
	}
	l.busy = start.Add(time.Duration(float64(8*len(f.Data)) / l.bits * float64(time.Second)))
	at := l.busy.Add(l.delay)
	lost := f.Key && l.loseKey > 0
	if lost {
		l.loseKey--
	}
	l.arrivals = append(l.arrivals, arrival{f, now, at, at.Sub(f.At), start.Sub(now)})
	if lost {
		return nil
	}
	img, err := l.dec.Decode(f.Data)
	if err != nil {
		if l.picture != nil {
			l.t.Error(err)
		}
		return nil
	}
	l.picture = img
	if l.shown != nil {
		l.shown(img)
	}
	return nil
}

func (l *link) rate(bits float64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.bits = bits
}

// watch calls f with each picture when it is sent, one at a time; nil: no more.
func (l *link) watch(f func(*encode.Image)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.shown = f
}

func (l *link) all() []arrival {
	l.mu.Lock()
	defer l.mu.Unlock()
	return append([]arrival(nil), l.arrivals...)
}

// likeness is what the newest frame shows, whenever it arrives.
func (l *link) likeness(want *encode.Image) float64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.picture == nil || l.picture.Size != want.Size {
		return 0
	}
	return decodetest.PSNR(want, l.picture, want.Bounds())
}

// furthest is the largest difference of what the newest frame shows.
func (l *link) furthest(want *encode.Image) (luma, chroma int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	luma, _ = decodetest.Furthest(want, l.picture, want.Bounds())
	return luma, decodetest.FurthestChroma(want, l.picture)
}

func subscribe(t testing.TB, s *Stream, sink Sink, target int) *Subscription {
	t.Helper()
	sub, err := s.Subscribe(sink)
	if err != nil {
		t.Fatal(err)
	}
	if target > 0 {
		sub.SetTarget(target)
	}
	return sub
}

func virtually(t *testing.T, f func(*testing.T, encode.Codec)) {
	eachCodec(t, func(t *testing.T, c encode.Codec) {
		synctest.Test(t, func(t *testing.T) { f(t, c) })
	})
}

func TestIdleSendsNothing(t *testing.T) {
	virtually(t, func(t *testing.T, c encode.Codec) {
		d := newScript(image.Pt(640, 400))
		s := New(d, c, Options{})
		defer s.Close()
		v := newLink(t, c, 20e6, 0)
		sub := subscribe(t, s, v, 20e6)
		defer sub.Close()
		time.Sleep(2 * time.Second)
		frames, reads := s.Stats().Frames, d.read()
		if frames < 1 || frames > 8 {
			t.Errorf("%d frames until it settled", frames)
		}
		if p := v.likeness(d.image(t)); p < 48 {
			t.Errorf("settled at %.1f dB", p)
		}
		time.Sleep(10 * time.Minute)
		if n := s.Stats().Frames - frames; n != 0 {
			t.Errorf("%d frames in ten idle minutes", n)
		}
		if n := d.read() - reads; n != 0 {
			t.Errorf("the screen was read %d times in ten idle minutes", n)
		}
		d.key()
		time.Sleep(time.Second)
		if n := s.Stats().Frames - frames; n < 1 || n > 6 {
			t.Errorf("%d frames for one key", n)
		}
		if p := v.likeness(d.image(t)); p < 48 {
			t.Errorf("after a key: %.1f dB", p)
		}
	})
}

// What a fixed script on the demo display takes, in frames and bytes: typing, a page
// that is scrolled, and what is refined after each. A tenth more than it took when
// the bounds were written is a fault; less is a reason to write them anew.
func TestBytesOfTheDemo(t *testing.T) {
	if !encode.Patched(encode.AV1) {
		t.Skip("the bounds are those of the libaom that .ci/aom builds")
	}
	synctest.Test(t, func(t *testing.T) {
		d := desktop.Demo(image.Pt(1280, 720), desktop.StopClock(time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)))
		defer d.Close()
		s := New(d, encode.AV1, Options{Threads: 1})
		defer s.Close()
		v := newLink(t, encode.AV1, 20e6, 0)
		sub := subscribe(t, s, v, 20e6)
		defer sub.Close()
		done := 0
		took := func(what string, frames, bytes int, f func()) {
			t.Helper()
			f()
			time.Sleep(2 * time.Second)
			n, sum := 0, 0
			for _, a := range v.all()[done:] {
				n, sum = n+1, sum+len(a.frame.Data)
			}
			done += n
			if t.Logf("%s: %d frames, %d bytes", what, n, sum); n > frames || 10*sum > 11*bytes {
				t.Errorf("%s: %d frames and %d bytes, not %d and %d", what, n, sum, frames, bytes)
			}
		}
		ok := func(err error) {
			if err != nil {
				t.Error(err)
			}
		}
		took("the first picture", 3, 101_399, func() {})
		took("forty letters", 47, 10_957, func() {
			for i := range 40 {
				ok(d.Text(string(rune('a' + i%26))))
				time.Sleep(200 * time.Millisecond)
			}
		})
		took("a page scrolled for a second", 10, 40_284, func() {
			for range 30 {
				ok(d.Wheel(0, 120))
				time.Sleep(time.Second / 30)
			}
		})
		took("a minute in which nothing happens", 0, 0, func() { time.Sleep(time.Minute) })
	})
}

// After any change, within 200 ms, the picture differs nowhere by more than 16 in
// luma, nor, but for VP8, by more than 24 in chroma.
func TestEveryChangeIsShown(t *testing.T) {
	virtually(t, func(t *testing.T, c encode.Codec) {
		d := newScript(image.Pt(480, 320))
		s := New(d, c, Options{})
		defer s.Close()
		v := newLink(t, c, 30e6, 0)
		sub := subscribe(t, s, v, 30e6)
		defer sub.Close()
		time.Sleep(time.Second)
		wrong := 0
		// VP8 is never lossless, so each of its changes is refined to the end.
		for i := range map[encode.Codec]int{encode.AV1: 300, encode.VP9: 150, encode.VP8: 30}[c] {
			var r image.Rectangle
			if i%2 == 0 {
				r = d.key()
			} else {
				r = d.button()
			}
			time.Sleep(200 * time.Millisecond)
			luma, chroma := v.furthest(d.image(t))
			if luma > 16 || chroma > 24 && c != encode.VP8 {
				if wrong++; wrong < 5 {
					t.Errorf("change %d at %v: luma off by %d, chroma by %d", i, r, luma, chroma)
				}
			}
		}
	})
}

func TestFramesCarryTheirOwnTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newScript(image.Pt(320, 200))
		s := New(d, encode.AV1, Options{})
		defer s.Close()
		v := newLink(t, encode.AV1, 30e6, 0)
		sub := subscribe(t, s, v, 30e6)
		defer sub.Close()
		time.Sleep(3 * time.Second)
		var drawn []time.Time
		before := len(v.all())
		for _, wait := range []time.Duration{0, 17, 400, 33, 2000, 90, 1000 * 60} {
			time.Sleep(wait * time.Millisecond)
			drawn = append(drawn, time.Now())
			d.key()
			synctest.Wait()
		}
		time.Sleep(time.Second)
		seen := map[time.Time]bool{}
		last := time.Time{}
		for _, a := range v.all()[before:] {
			if !a.frame.At.After(last) {
				t.Errorf("time stands: %v after %v", a.frame.At, last)
			}
			last = a.frame.At
			seen[a.frame.At] = true
		}
		for i, at := range drawn {
			if !seen[at] {
				t.Errorf("no frame carries the time of change %d, %v", i, at)
			}
		}
	})
}

func TestSecondViewerSharesTheEncode(t *testing.T) {
	virtually(t, func(t *testing.T, c encode.Codec) {
		d := newScript(image.Pt(640, 400))
		h := NewHub(Options{})
		first := newLink(t, c, 30e6, 0)
		one, err := h.Subscribe(d, c, encode.I420, 0, first)
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * time.Second)
		second := newLink(t, c, 30e6, 0)
		two, err := h.Subscribe(d, c, encode.I420, 0, second)
		if err != nil {
			t.Fatal(err)
		}
		if one.Stream() != two.Stream() {
			t.Fatal("two streams of one desktop and codec")
		}
		time.Sleep(2 * time.Second)
		if st := one.Stream().Stats(); st.Keys != 2 {
			t.Errorf("%d key frames for two viewers", st.Keys)
		}
		want := d.image(t)
		if a, b := first.likeness(want), second.likeness(want); a < 48 || b < 48 {
			t.Errorf("settled at %.1f and %.1f dB", a, b)
		}
		before := one.Stream().Stats().Frames
		n1, n2 := len(first.all()), len(second.all())
		for range 10 {
			d.key()
			time.Sleep(300 * time.Millisecond)
		}
		encoded := int(one.Stream().Stats().Frames - before)
		if a, b := len(first.all())-n1, len(second.all())-n2; a != encoded || b != encoded || a == 0 {
			t.Errorf("%d encoded, %d and %d received", encoded, a, b)
		}
		one.Close()
		d.key()
		time.Sleep(300 * time.Millisecond)
		if p := second.likeness(d.image(t)); p < 45 {
			t.Errorf("after the first viewer left: %.1f dB", p)
		}
		two.Close()
		if len(h.sources) != 0 {
			t.Error("the hub keeps what nobody watches")
		}
	})
}

// Two codecs on one desktop: one reader, both right.
func TestTwoCodecsOneDesktop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newScript(image.Pt(480, 320))
		h := NewHub(Options{})
		var links []*link
		for _, c := range encode.Supported() {
			l := newLink(t, c, 30e6, 0)
			sub, err := h.Subscribe(d, c, encode.I420, 0, l)
			if err != nil {
				t.Fatal(err)
			}
			defer sub.Close()
			links = append(links, l)
		}
		for i := range 20 {
			d.key()
			if i%5 == 0 {
				d.scroll(9)
			}
			time.Sleep(500 * time.Millisecond)
			for _, l := range links {
				if p := l.likeness(d.image(t)); p < 42 {
					t.Errorf("change %d, %s: %.1f dB", i, l.codec, p)
				}
			}
		}
	})
}

// A lost key frame is not answered by an equal one, nor by one for each PLI.
func TestLostKeyFrameIsAnsweredByLess(t *testing.T) {
	virtually(t, func(t *testing.T, c encode.Codec) {
		d := newScript(image.Pt(1280, 720))
		s := New(d, c, Options{})
		defer s.Close()
		want := d.image(t)
		coarsest := coarsestKey(t, c, want) * 11 / 10
		v := newLink(t, c, 3e6, 0)
		v.loseKey = 2
		sub := subscribe(t, s, v, 2_700_000)
		defer sub.Close()
		asked := 0
		for range 100 { // a browser asks each 20 ms until it sees something
			time.Sleep(20 * time.Millisecond)
			if v.likeness(want) == 0 {
				asked++
				sub.RequestKeyFrame()
			}
		}
		var keys []int
		for _, a := range v.all() {
			if a.frame.Key {
				keys = append(keys, len(a.frame.Data))
			}
		}
		if len(keys) < 3 || len(keys) > 5 {
			t.Fatalf("%d key frames for %d requests: %v bytes", len(keys), asked, keys)
		}
		for i := 1; i < 3; i++ {
			// Half, where the codec can: nothing is coarser than the coarsest.
			if keys[i] > max(keys[i-1]*2/3, coarsest) {
				t.Errorf("key frames of %v bytes, the coarsest possible has %d", keys, coarsest)
			}
		}
		time.Sleep(10 * time.Second)
		if p := v.likeness(d.image(t)); p < 45 {
			t.Errorf("settled at %.1f dB", p)
		}
	})
}

// coarsestKey is the size of the smallest key frame there is of a picture.
func coarsestKey(t *testing.T, c encode.Codec, img *encode.Image) int {
	t.Helper()
	e, err := encode.New(c, encode.Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	p, err := e.Encode(img, encode.Params{Quantizer: encode.MaxQuantizer})
	if err != nil {
		t.Fatal(err)
	}
	return len(p.Data)
}

// Newest wins: a sink that blocks delays nobody else and gets a key frame when
// it is back, not what it missed.
func TestSlowSinkDelaysNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newScript(image.Pt(320, 200))
		s := New(d, encode.AV1, Options{})
		defer s.Close()
		good := newLink(t, encode.AV1, 30e6, 0)
		stuck := &blocking{gate: make(chan struct{}), to: newLink(t, encode.AV1, 30e6, 0)}
		a := subscribe(t, s, good, 0)
		b := subscribe(t, s, stuck, 0)
		for range 60 {
			d.key()
			time.Sleep(100 * time.Millisecond)
		}
		time.Sleep(time.Second)
		if p := good.likeness(d.image(t)); p < 48 {
			t.Errorf("the other viewer: %.1f dB", p)
		}
		if n := s.Stats().Keys; n > 40 {
			t.Errorf("%d key frames for one who does not listen", n)
		}
		close(stuck.gate)
		d.key()
		time.Sleep(2 * time.Second)
		if p := stuck.to.likeness(d.image(t)); p < 48 {
			t.Errorf("the one who came back: %.1f dB", p)
		}
		a.Close()
		b.Close()
	})
}

type blocking struct {
	gate chan struct{}
	to   *link
}

func (b *blocking) WriteFrame(f Frame) error {
	<-b.gate
	return b.to.WriteFrame(f)
}

func TestFailingSinkIsClosed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := New(newScript(image.Pt(320, 200)), encode.AV1, Options{})
		defer s.Close()
		broken := errors.New("gone")
		sub := subscribe(t, s, sinkFunc(func(Frame) error { return broken }), 0)
		<-sub.Done()
		if !errors.Is(sub.Err(), broken) {
			t.Errorf("Err is %v", sub.Err())
		}
		sub.Close()
	})
}

type sinkFunc func(Frame) error

func (f sinkFunc) WriteFrame(frame Frame) error { return f(frame) }

func TestDisplayGoesAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newScript(image.Pt(320, 200))
		h := NewHub(Options{})
		var subs []*Subscription
		for _, c := range []encode.Codec{encode.AV1, encode.VP9, encode.AV1} {
			sub, err := h.Subscribe(d, c, encode.I420, 0, newLink(t, c, 30e6, 0))
			if err != nil {
				t.Fatal(err)
			}
			subs = append(subs, sub)
		}
		time.Sleep(time.Second)
		d.fail(desktop.ErrClosed)
		for _, sub := range subs {
			<-sub.Done()
			if !errors.Is(sub.Err(), desktop.ErrClosed) {
				t.Errorf("Err is %v", sub.Err())
			}
			sub.Close()
		}
		if len(h.sources) != 0 {
			t.Error("the hub keeps a dead desktop")
		}
	})
}

// It runs only while somebody watches, and again for the next who comes.
func TestStopsWithTheLastViewer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newScript(image.Pt(320, 200))
		h := NewHub(Options{})
		for range 3 {
			v := newLink(t, encode.AV1, 30e6, 0)
			sub, err := h.Subscribe(d, encode.AV1, encode.I420, 0, v)
			if err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Second)
			if p := v.likeness(d.image(t)); p < 48 {
				t.Errorf("%.1f dB", p)
			}
			sub.Close()
			sub.Close()
			if sub.Err() != nil {
				t.Errorf("Err after Close: %v", sub.Err())
			}
			reads := d.read()
			d.key()
			time.Sleep(time.Second)
			if d.read() != reads {
				t.Error("the screen is read and nobody watches")
			}
		}
		s := New(d, encode.AV1, Options{})
		s.Close()
		if _, err := s.Subscribe(&counter{}); !errors.Is(err, ErrClosed) {
			t.Errorf("subscribe to a closed stream: %v", err)
		}
	})
}

// The cap holds, and what comes faster is the newest.
func TestFrameRateCap(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newScript(image.Pt(320, 200))
		s := New(d, encode.AV1, Options{FPS: 20})
		defer s.Close()
		v := newLink(t, encode.AV1, 30e6, 0)
		sub := subscribe(t, s, v, 30e6)
		defer sub.Close()
		time.Sleep(time.Second)
		before := len(v.all())
		for range 200 { // 2 seconds
			d.draw(func(p *image.RGBA) image.Rectangle {
				r := image.Rect(10, 10, 60, 60)
				draw.Draw(p, r, image.NewUniform(image.Black), image.Pt(0, 0), draw.Src)
				s := d.rand.IntN(40)
				draw.Draw(p, image.Rect(10+s, 10, 16+s, 60), paper, image.Point{}, draw.Src)
				return r
			})
			time.Sleep(10 * time.Millisecond)
		}
		got := v.all()[before:]
		if len(got) < 35 || len(got) > 43 {
			t.Errorf("%d frames in 2 s, the cap is 20 a second", len(got))
		}
		for _, a := range got {
			if a.age > 20*time.Millisecond {
				t.Errorf("a picture %v old was sent", a.age)
			}
		}
	})
}
