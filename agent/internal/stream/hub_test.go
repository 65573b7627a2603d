//go:build cgo

package stream

import (
	"fmt"
	"image"
	"testing"
	"testing/synctest"
	"time"

	"oriel/agent/internal/encode"
)

// join subscribes as a session does: the cap to the hub, and to the subscription.
func join(t testing.TB, h *Hub, d *script, fps int, sink Sink) *Subscription {
	t.Helper()
	sub, err := h.Subscribe(d, encode.AV1, encode.I420, fps, sink)
	if err != nil {
		t.Fatal(err)
	}
	sub.Prefer(Balanced, fps)
	sub.SetTarget(30e6)
	return sub
}

// of is how many of the frames show a change, not the same picture finer.
func of(frames []Frame) (changes int) {
	for _, f := range frames {
		if !f.Refined {
			changes++
		}
	}
	return changes
}

// Rule: one viewer's frame cap is that viewer's alone, in both directions: he gets no
// more than he asked for, and the others all there is.
func TestCapIsOneViewersAlone(t *testing.T) {
	const seconds, changes, capped = 10, 30, 5
	for name, change := range map[string]func(*script, int){
		"scrolling": func(d *script, _ int) { d.scroll(9) },
		"typing":    func(d *script, _ int) { d.key() },
		"video":     func(d *script, i int) { d.video(image.Rect(40, 40, 280, 160), i) },
	} {
		for _, first := range []int{0, capped} { // whoever was there first
			t.Run(fmt.Sprint(name, first), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					d, h := newScript(image.Pt(320, 200)), NewHub(Options{})
					viewers := map[int]*counter{0: {}, capped: {}}
					for _, fps := range []int{first, capped - first} {
						defer join(t, h, d, fps, viewers[fps]).Close()
					}
					time.Sleep(3 * time.Second)
					all, few := len(viewers[0].all()), len(viewers[capped].all())
					for i := range seconds * changes {
						change(d, i)
						time.Sleep(time.Second / changes)
					}
					if n := of(viewers[0].all()[all:]); n < seconds*changes-1 {
						t.Errorf("who has no cap got %d of %d pictures", n, seconds*changes)
					}
					// The first may begin at once.
					if n := len(viewers[capped].all()) - few; n > seconds*capped+1 || n < seconds*capped*8/10 {
						t.Errorf("%d pictures in %d s, the cap is %d a second", n, seconds, capped)
					}
				})
			})
		}
	}
}

// A cap that changes is no key frame for who is alone with his stream, and moves who
// is not; who shares a stream is not touched by what another of it asks for.
//
// Rule: one viewer's frame cap is that viewer's alone.
func TestHubSuitsCaps(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, h := newScript(image.Pt(320, 200)), NewHub(Options{})
		suits := func(sub *Subscription, fps int, want bool) {
			t.Helper()
			if got := h.Suits(sub, encode.I420, fps); got != want {
				t.Errorf("the stream suits a cap of %d: %v", fps, got)
			}
		}
		got := &counter{}
		one := join(t, h, d, 0, got)
		defer one.Close()
		time.Sleep(2 * time.Second)
		for _, fps := range []int{5, 30, 0, 1000, 5} {
			one.Prefer(Balanced, fps)
			suits(one, fps, true)
		}
		if n := one.Stream().Stats().Keys; n != 1 {
			t.Errorf("%d key frames for one viewer who changes the cap", n)
		}
		two := join(t, h, d, 5, &counter{})
		if two.Stream() != one.Stream() {
			t.Error("two streams for two viewers who want the same")
		}
		suits(two, 20, false)
		two.Prefer(Balanced, 20) // until he has moved
		before := got.frames()
		for range 90 {
			d.scroll(9)
			time.Sleep(time.Second / 30)
		}
		if n := got.frames() - before; n > 3*5+2 { // and the key frame for two
			t.Errorf("%d pictures in 3 s, the cap is 5 and another one's 20", n)
		}
		moved := join(t, h, d, 20, &counter{})
		two.Close()
		if moved.Stream() == one.Stream() {
			t.Error("one stream for two caps")
		}
		suits(one, 5, true)
		suits(one, 20, false) // there is one
		moved.Close()
		suits(one, 20, true)
		three := join(t, h, d, 1000, &counter{})
		four := join(t, h, d, 0, &counter{})
		if three.Stream() != four.Stream() {
			t.Error("a cap that changes nothing is a stream of its own")
		}
		three.Close()
		four.Close()
		one.Close()
		if len(h.sources) != 0 {
			t.Error("the hub keeps what nobody watches")
		}
		suits(one, 5, true)
	})
}

// However many caps there are, a desktop has few streams: beyond the bound one watches
// with who has the nearest cap above.
func TestCappedStreamsAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, h := newScript(image.Pt(320, 200)), NewHub(Options{})
		streams := func() int { return len(h.sources[d].streams) }
		subs := map[int]*Subscription{}
		for _, fps := range []int{20, 10, 30} {
			subs[fps] = join(t, h, d, fps, &counter{})
		}
		for fps, with := range map[int]int{5: 10, 15: 20, 10: 10, 29: 30} {
			sub := join(t, h, d, fps, &counter{})
			if sub.Stream() != subs[with].Stream() {
				t.Errorf("a cap of %d does not watch with those of %d", fps, with)
			}
			if !h.Suits(sub, encode.I420, fps) {
				t.Errorf("a cap of %d is to go from where it was put", fps)
			}
			sub.Close()
		}
		for fps := 31; fps < 59; fps++ { // none above but that without a cap
			sub := join(t, h, d, fps, &counter{})
			defer sub.Close()
		}
		if n := streams(); n != mostCapped+1 {
			t.Errorf("%d streams of a desktop", n)
		}
		// A place that comes free is had at the next change.
		late := join(t, h, d, 5, &counter{})
		defer late.Close()
		subs[20].Close()
		if h.Suits(late, encode.I420, 5) {
			t.Error("a place is free and not taken")
		}
		subs[10].Close()
		if !h.Suits(late, encode.I420, 5) || late.Stream().most != 5 {
			t.Error("who is alone keeps a cap that was another's")
		}
		subs[30].Close()
	})
}
