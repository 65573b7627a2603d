//go:build linux

package desktop

import (
	"bytes"
	"context"
	"errors"
	"image"
	"image/color"
	"math/rand"
	"os/exec"
	"slices"
	"testing"
	"time"

	"go.uber.org/goleak"

	"oriel/agent/internal/desktop/xvfbtest"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction(xvfbtest.StarterLoop))
}

// backend is one implementation and what it can do. A test asks for what it
// needs; what a backend cannot do is said here and in its own documentation.
type backend struct {
	name   string
	start  func(t *testing.T) *rig
	alone  bool // not beside other tests: it is bound to the environment
	x      bool // shows an X display
	shape  bool // knows the pointer's shape
	rawKey bool // presses keys by position, on any layout, all of them
	anyone bool // types any text on any layout
	sides  bool // has the buttons back and forward
}

// rig is an open desktop and its other side.
type rig struct {
	Desktop
	server *xvfbtest.Server                      // nil for demo
	change func() (within image.Rectangle)       // makes one visible change, exactly within
	same   func()                                // draws again what is there
	truth  func() (pix []byte, size image.Point) // an independent look, as in Picture, alpha 0
}

var backends = []backend{
	{name: "x11", x: true, shape: true, rawKey: true, anyone: true, sides: true,
		start: func(t *testing.T) *rig { return startX(t, xvfbtest.Options{}) }},
	{name: "x11 without shared memory", x: true, shape: true, rawKey: true, anyone: true, sides: true,
		start: func(t *testing.T) *rig { return startX(t, xvfbtest.Options{Args: []string{"-extension", "MIT-SHM"}}) }},
	{name: "x11 of 16 bits", x: true, shape: true, rawKey: true, anyone: true, sides: true,
		start: func(t *testing.T) *rig { return startX(t, xvfbtest.Options{Depth: 16}) }},
	{name: "demo", shape: true, sides: true, start: startDemo},
}

// rigSize is small: the suite looks at every pixel, and under the race detector.
var rigSize = image.Pt(800, 600)

func startX(t *testing.T, o xvfbtest.Options) *rig {
	o.Width, o.Height = rigSize.X, rigSize.Y
	s := xvfbtest.Start(t, o)
	p := newPainter(t, s)
	return rigX(t, s, p, openX(t, s))
}

func rigX(t *testing.T, s *xvfbtest.Server, p *painter, d Desktop) *rig {
	r := &rig{Desktop: d, server: s}
	rnd := rand.New(rand.NewSource(7))
	r.change = func() image.Rectangle {
		size := d.Size()
		at := image.Pt(rnd.Intn(size.X-1), rnd.Intn(size.Y-1))
		rect := image.Rectangle{Min: at, Max: at.Add(image.Pt(1+rnd.Intn(size.X/2), 1+rnd.Intn(size.Y/2)))}
		rect = rect.Intersect(image.Rectangle{Max: size})
		p.fill(rect)
		return rect
	}
	r.same = p.again
	r.truth = func() ([]byte, image.Point) { return photograph(t, s) }
	return r
}

func startDemo(t *testing.T) *rig {
	d := Demo(rigSize, StopClock(demoTime)).(*demo)
	t.Cleanup(func() { d.Close() })
	r := &rig{Desktop: d}
	letters := []rune("aБc é")
	n := 0
	r.change = func() image.Rectangle {
		n++
		if err := d.Text(string(letters[n%len(letters)])); err != nil {
			t.Fatal(err)
		}
		return d.scene.field
	}
	r.same = func() {
		d.mu.Lock()
		defer d.mu.Unlock()
		d.add(d.scene.drawField(d.text, d.caret))
		d.poke(d.wake)
	}
	r.truth = func() ([]byte, image.Point) {
		d.mu.Lock()
		defer d.mu.Unlock()
		pix := make([]byte, len(d.scene.img.Pix))
		swapRB(pix, d.scene.img.Pix)
		return pix, d.scene.size
	}
	return r
}

// photograph reads an X screen with a program that has nothing to do with us.
func photograph(t testing.TB, s *xvfbtest.Server) ([]byte, image.Point) {
	t.Helper()
	cmd := exec.Command("import", "-silent", "-window", "root", "-depth", "8", "ppm:-")
	cmd.Env = s.Env()
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("photograph: %v %s", err, stderr.String())
	}
	return readPPM(t, out)
}

// each runs f on every backend that suits.
func each(t *testing.T, suits func(backend) bool, f func(t *testing.T, b backend, r *rig)) {
	for _, b := range backends {
		if suits != nil && !suits(b) {
			continue
		}
		t.Run(b.name, func(t *testing.T) {
			if !b.alone {
				t.Parallel()
			}
			f(t, b, b.start(t))
		})
	}
}

// watcher keeps a copy of the screen that it makes of dirty rectangles only.
type watcher struct {
	d    Desktop
	pix  []byte
	size image.Point
}

func (w *watcher) next(t *testing.T) Picture {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	p, err := w.d.Next(ctx)
	if err != nil {
		t.Fatalf("next: %v", err)
	}
	w.apply(t, p)
	return p
}

func (w *watcher) apply(t *testing.T, p Picture) {
	t.Helper()
	if p.Size != w.size {
		w.size, w.pix = p.Size, make([]byte, p.Size.X*p.Size.Y*4)
	}
	if len(p.Dirty) < 1 || len(p.Dirty) > maxDirty {
		t.Errorf("%d dirty rectangles", len(p.Dirty))
	}
	for _, r := range p.Dirty {
		if r.Empty() || !r.In(image.Rectangle{Max: p.Size}) {
			t.Errorf("dirty %v of %v", r, p.Size)
			continue
		}
		for y := r.Min.Y; y < r.Max.Y; y++ {
			copy(w.pix[(y*p.Size.X+r.Min.X)*4:(y*p.Size.X+r.Max.X)*4], p.Pix[y*p.Stride+r.Min.X*4:])
		}
	}
	for y := range p.Size.Y {
		if !equalPixels(w.pix[y*p.Size.X*4:(y+1)*p.Size.X*4], p.Pix[y*p.Stride:]) {
			t.Fatalf("row %d changed outside %v", y, p.Dirty)
		}
	}
}

// equalPixels ignores the fourth byte, which is unused.
func equalPixels(a, b []byte) bool {
	if bytes.Equal(a, b[:len(a)]) {
		return true
	}
	for i := 0; i < len(a); i += 4 {
		if a[i] != b[i] || a[i+1] != b[i+1] || a[i+2] != b[i+2] {
			return false
		}
	}
	return true
}

// settled is next until the picture is the truth.
func (w *watcher) settled(t *testing.T, r *rig) (dirty []image.Rectangle) {
	t.Helper()
	truth, size := r.truth()
	for range 20 {
		if size == w.size && equalPixels(truth, w.pix) {
			return dirty
		}
		dirty = append(dirty, w.next(t).Dirty...)
	}
	t.Fatalf("the picture does not become what is on the screen (%v, want %v)", w.size, size)
	return nil
}

// quiet fails when Next returns anything within a while.
func (w *watcher) quiet(t *testing.T, during func()) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 700*time.Millisecond)
	defer cancel()
	if during != nil {
		go func() {
			for ctx.Err() == nil {
				during()
				select {
				case <-ctx.Done():
				case <-time.After(20 * time.Millisecond):
				}
			}
		}()
	}
	if p, err := w.d.Next(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("next without a change: %v %v", p.Dirty, err)
	}
}

func TestFirstPictureIsWhole(t *testing.T) {
	each(t, nil, func(t *testing.T, b backend, r *rig) {
		r.change()
		w := &watcher{d: r}
		p := w.next(t)
		if p.Size != r.Size() || !slices.Equal(p.Dirty, []image.Rectangle{{Max: p.Size}}) {
			t.Fatalf("size %v, dirty %v, desktop %v", p.Size, p.Dirty, r.Size())
		}
		if p.At.IsZero() || time.Since(p.At) > time.Minute {
			t.Errorf("taken at %v", p.At)
		}
		w.settled(t, r)
		w.quiet(t, nil)
	})
}

func TestDamageIsWhatChanged(t *testing.T) {
	each(t, nil, func(t *testing.T, b backend, r *rig) {
		w := &watcher{d: r}
		w.next(t)
		w.settled(t, r)
		for range 10 {
			within := r.change()
			dirty := w.settled(t, r)
			for _, d := range dirty {
				if !d.In(within) {
					t.Fatalf("dirty %v, changed was %v", d, within)
				}
			}
			if b.x && covered(dirty) != area(within) {
				t.Fatalf("dirty %v has %d pixels, changed were %v, %d", dirty, covered(dirty), within, area(within))
			}
		}
		// Many changes at once: all of them, in few rectangles.
		for range 60 {
			r.change()
		}
		w.settled(t, r)
	})
}

// covered counts the pixels of a union.
func covered(rs []image.Rectangle) (n int) {
	var all image.Rectangle
	for _, r := range rs {
		all = all.Union(r)
	}
	seen := make([]bool, area(all))
	for _, r := range rs {
		for y := r.Min.Y; y < r.Max.Y; y++ {
			for x := r.Min.X; x < r.Max.X; x++ {
				if i := (y-all.Min.Y)*all.Dx() + x - all.Min.X; !seen[i] {
					seen[i] = true
					n++
				}
			}
		}
	}
	return n
}

func TestNothingWhenNothingChanges(t *testing.T) {
	each(t, nil, func(t *testing.T, b backend, r *rig) {
		w := &watcher{d: r}
		w.next(t)
		r.change()
		w.settled(t, r)
		w.quiet(t, nil)
		w.quiet(t, r.same)
		if err := r.Move(image.Pt(5, 5)); err != nil {
			t.Fatal(err)
		}
		w.quiet(t, nil)
	})
}

func TestNewestWins(t *testing.T) {
	each(t, nil, func(t *testing.T, b backend, r *rig) {
		w := &watcher{d: r}
		w.next(t)
		for range 50 {
			r.change()
		}
		// One picture holds it all, and none of those between comes later.
		truth, _ := r.truth()
		w.next(t)
		if !equalPixels(truth, w.pix) {
			t.Fatal("the first picture after many changes is not the newest")
		}
		w.quiet(t, nil)
	})
}

func TestRefresh(t *testing.T) {
	each(t, nil, func(t *testing.T, b backend, r *rig) {
		w := &watcher{d: r}
		w.next(t)
		w.settled(t, r)
		for range 3 {
			r.Refresh()
			w.pix = make([]byte, len(w.pix))
			if p := w.next(t); !slices.Equal(p.Dirty, []image.Rectangle{{Max: p.Size}}) {
				t.Fatalf("dirty %v", p.Dirty)
			}
		}
		w.settled(t, r)
		w.quiet(t, nil)
	})
}

func TestNextEndsWithItsContext(t *testing.T) {
	each(t, nil, func(t *testing.T, b backend, r *rig) {
		w := &watcher{d: r}
		w.next(t)
		w.settled(t, r)
		ctx, cancel := context.WithCancel(context.Background())
		got := make(chan error, 1)
		go func() { _, err := r.Next(ctx); got <- err }()
		cancel()
		if err := <-got; !errors.Is(err, context.Canceled) {
			t.Fatalf("next: %v", err)
		}
		// It is as good as before.
		r.change()
		w.settled(t, r)
	})
}

func TestCloseEndsEverything(t *testing.T) {
	each(t, nil, func(t *testing.T, b backend, r *rig) {
		w := &watcher{d: r}
		w.next(t)
		w.settled(t, r)
		r.CursorChanged()
		got := make(chan error, 1)
		go func() { _, err := r.Next(context.Background()); got <- err }()
		if err := r.Close(); err != nil {
			t.Fatalf("close: %v", err)
		}
		if err := <-got; !errors.Is(err, ErrClosed) {
			t.Fatalf("next: %v", err)
		}
		if err := r.Close(); err != nil {
			t.Fatalf("second close: %v", err)
		}
		closedForGood(t, r.Desktop)
	})
}

func closedForGood(t *testing.T, d Desktop) {
	t.Helper()
	_, err := d.Next(context.Background())
	for what, err := range map[string]error{
		"next": err, "move": d.Move(image.Pt(1, 1)), "button": d.Button(ButtonLeft, true),
		"wheel": d.Wheel(0, 120), "key": d.Key(0x04, true), "text": d.Text("a"),
	} {
		if !errors.Is(err, ErrClosed) {
			t.Errorf("%s: %v", what, err)
		}
	}
	d.Cursor()
	d.Refresh()
	d.Size()
	if n := d.ReleaseAll(); n != 0 {
		t.Errorf("%d keys held after close", n)
	}
}

func TestSizeChanges(t *testing.T) {
	each(t, func(b backend) bool { return b.x }, func(t *testing.T, b backend, r *rig) {
		w := &watcher{d: r}
		w.next(t)
		for i, size := range []image.Point{{640, 480}, {800, 600}, {601, 333}, {320, 200}} {
			setMode(t, r.server, i, size)
			r.same()
			eventually(t, "a picture of the new size", func() bool { return w.next(t).Size == size })
			if r.Size() != size {
				t.Errorf("size %v, want %v", r.Size(), size)
			}
			w.settled(t, r)
			r.change()
			w.settled(t, r)
			if err := r.Move(image.Pt(5000, 5000)); err != nil {
				t.Fatal(err)
			}
			eventually(t, "the pointer in the corner", func() bool { return r.Cursor().Position == size.Sub(image.Pt(1, 1)) })
		}
	})
}

func TestPointerPlace(t *testing.T) {
	each(t, nil, func(t *testing.T, b backend, r *rig) {
		changed := r.CursorChanged()
		for _, p := range []image.Point{{10, 20}, {0, 0}, {799, 599}, {400, 300}} {
			if err := r.Move(p); err != nil {
				t.Fatal(err)
			}
			waitCursor(t, r, changed, func(c Cursor) bool { return c.Position == p })
		}
		if err := r.Move(image.Pt(-50, 99999)); err != nil {
			t.Fatal(err)
		}
		waitCursor(t, r, changed, func(c Cursor) bool { return c.Position == image.Pt(0, 599) })
		if !b.x {
			return
		}
		// Somebody at the machine moves it; a program warps it while we watch.
		r.server.Run("xdotool", "mousemove_relative", "--", "33", "-19")
		waitCursor(t, r, changed, func(c Cursor) bool { return c.Position == image.Pt(33, 580) })
		ctx, cancel := context.WithCancel(context.Background())
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			for ctx.Err() == nil {
				r.Next(ctx)
			}
		}()
		r.server.Run("xdotool", "mousemove", "200", "210")
		waitCursor(t, r, changed, func(c Cursor) bool { return c.Position == image.Pt(200, 210) })
		cancel()
		<-ended
	})
}

// waitCursor waits for word of a change until ok, as a session does.
func waitCursor(t *testing.T, r *rig, changed <-chan struct{}, ok func(Cursor) bool) Cursor {
	t.Helper()
	deadline := time.After(15 * time.Second)
	for {
		c := r.Cursor()
		if ok(c) {
			return c
		}
		select {
		case <-changed:
		case <-deadline:
			t.Fatalf("the pointer is %+v at %v", c.Serial, c.Position)
		}
	}
}

func TestPointerShape(t *testing.T) {
	each(t, func(b backend) bool { return b.shape }, func(t *testing.T, b backend, r *rig) {
		changed := r.CursorChanged()
		before := r.Cursor()
		if before.Shape == nil || !before.Visible {
			t.Fatalf("no shape: %+v", before)
		}
		if d, ok := r.Desktop.(*demo); ok {
			r.Move(d.scene.button.Min.Add(image.Pt(3, 3)))
			hand := waitCursor(t, r, changed, func(c Cursor) bool { return c.Serial != before.Serial })
			r.Move(d.scene.field.Min.Add(image.Pt(3, 3)))
			text := waitCursor(t, r, changed, func(c Cursor) bool { return c.Serial != hand.Serial })
			if hand.Shape == text.Shape || before.Shape == text.Shape {
				t.Error("shapes are not different")
			}
			return
		}
		p := newPainter(t, r.server)
		p.cursor([]string{"#.#.", ".##.", "    "}, image.Pt(2, 1))
		r.Move(image.Pt(100, 100))
		c := waitCursor(t, r, changed, func(c Cursor) bool {
			return c.Serial != before.Serial && c.Shape.Rect.Dx() > 3 && c.Shape.RGBAAt(1, 1) == color.RGBA{255, 0, 0, 255}
		})
		want := map[image.Point]color.RGBA{
			{0, 0}: {255, 0, 0, 255}, {1, 0}: {0, 0, 255, 255}, {2, 0}: {255, 0, 0, 255}, {3, 0}: {0, 0, 255, 255},
			{0, 1}: {0, 0, 255, 255}, {1, 1}: {255, 0, 0, 255}, {0, 2}: {},
		}
		for at, px := range want {
			if got := c.Shape.RGBAAt(at.X, at.Y); got != px {
				t.Errorf("cursor at %v: %v, want %v", at, got, px)
			}
		}
		if c.Hot != image.Pt(2, 1) || !c.Visible {
			t.Errorf("hot %v, visible %v", c.Hot, c.Visible)
		}
		// The same shape again is not news; one without a pixel is a hidden pointer.
		r.Move(image.Pt(120, 100))
		if again := r.Cursor(); again.Serial != c.Serial {
			t.Error("the serial changed without the shape")
		}
		p.cursor([]string{"  ", "  "}, image.Point{})
		waitCursor(t, r, changed, func(c Cursor) bool { return !c.Visible })
	})
}
