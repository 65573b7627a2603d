package stream

import (
	"context"
	"image"
	"image/color"
	"image/draw"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
	"golang.org/x/image/font"
	"golang.org/x/image/font/basicfont"
	"golang.org/x/image/math/fixed"

	"oriel/agent/internal/desktop"
	"oriel/agent/internal/encode"
)

func TestMain(m *testing.M) {
	// xvfbtest keeps one thread for all its servers.
	goleak.VerifyTestMain(m, goleak.IgnoreTopFunction("oriel/agent/internal/desktop/xvfbtest.starterLoop"))
}

// script is a desktop that the test draws, with the contract of the real ones:
// Next blocks until there is damage and gives the newest picture with all of it.
type script struct {
	desktop.Input // nil: nobody acts on it

	mu      sync.Mutex
	pic     *image.RGBA // in the layout of capture: blue, green, red
	dirty   []image.Rectangle
	all     bool
	reads   int
	readers int
	err     error
	lag     time.Duration // from the damage to what is read
	changed chan struct{}
	out     []byte
	rand    *rand.Rand
	below   int // rows that were scrolled since the last line
}

func newScript(size image.Point) *script {
	s := &script{changed: make(chan struct{}, 1), all: true, rand: rand.New(rand.NewPCG(5, 6))}
	s.pic = image.NewRGBA(image.Rectangle{Max: size})
	s.page()
	return s
}

func (s *script) Name() string                   { return "script" }
func (s *script) Cursor() desktop.Cursor         { return desktop.Cursor{} }
func (s *script) CursorChanged() <-chan struct{} { return nil }
func (s *script) Lacks() desktop.Lacks           { return 0 }
func (s *script) Close() error                   { return nil }

func (s *script) Size() image.Point {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.pic.Rect.Size()
}

func (s *script) Refresh() {
	s.mu.Lock()
	s.all = true
	s.mu.Unlock()
	s.poke()
}

func (s *script) poke() {
	select {
	case s.changed <- struct{}{}:
	default:
	}
}

func (s *script) Next(ctx context.Context) (desktop.Picture, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.readers++; s.readers > 1 {
		panic("two readers of one desktop")
	}
	defer func() { s.readers-- }()
	for len(s.dirty) == 0 && !s.all && s.err == nil {
		s.mu.Unlock()
		select {
		case <-s.changed:
		case <-ctx.Done():
		}
		s.mu.Lock()
		if ctx.Err() != nil {
			return desktop.Picture{}, ctx.Err()
		}
	}
	if s.lag > 0 {
		s.mu.Unlock()
		time.Sleep(s.lag)
		s.mu.Lock()
	}
	if s.err != nil {
		return desktop.Picture{}, s.err
	}
	if s.all {
		s.dirty = []image.Rectangle{s.pic.Rect}
	}
	s.reads++
	s.out = append(s.out[:0], s.pic.Pix...)
	p := desktop.Picture{Pix: s.out, Stride: s.pic.Stride, Size: s.pic.Rect.Size(), Dirty: s.dirty, At: time.Now()}
	s.dirty, s.all = nil, false
	return p, nil
}

// fail makes the display go away.
func (s *script) fail(err error) {
	s.mu.Lock()
	s.err = err
	s.mu.Unlock()
	s.poke()
}

// draw changes the picture; f returns what it changed.
func (s *script) draw(f func(*image.RGBA) image.Rectangle) image.Rectangle {
	s.mu.Lock()
	r := f(s.pic).Intersect(s.pic.Rect)
	s.dirty = append(s.dirty, r)
	if len(s.dirty) > 32 {
		s.dirty = []image.Rectangle{union(s.dirty)}
	}
	s.mu.Unlock()
	s.poke()
	return r
}

func (s *script) resize(size image.Point) {
	s.mu.Lock()
	s.pic = image.NewRGBA(image.Rectangle{Max: size})
	s.dirty, s.all = nil, true
	s.mu.Unlock()
	s.page()
}

var paper = image.NewUniform(color.RGBA{248, 250, 250, 255})

// inks are blue, green, red; the coloured ones have much the same luma.
var inks = []*image.Uniform{
	image.NewUniform(color.RGBA{30, 20, 20, 255}), image.NewUniform(color.RGBA{200, 90, 20, 255}),
	image.NewUniform(color.RGBA{30, 40, 220, 255}), image.NewUniform(color.RGBA{60, 120, 10, 255}),
}

const letters = "etaoin shrdlu cmfwyp vbgk ETAOIN 0123456789.(){}"

func (s *script) line(dst *image.RGBA, p image.Point, n int) {
	b := make([]byte, n)
	for i := range b {
		b[i] = letters[s.rand.IntN(len(letters))]
	}
	d := font.Drawer{Dst: dst, Src: inks[max(0, s.rand.IntN(9)-5)], Face: basicfont.Face7x13, Dot: fixed.P(p.X, p.Y)}
	d.DrawString(string(b))
}

// page writes a new page of text everywhere.
func (s *script) page() {
	s.draw(func(p *image.RGBA) image.Rectangle {
		draw.Draw(p, p.Rect, paper, image.Point{}, draw.Src)
		for y := 14; y < p.Rect.Max.Y; y += 17 {
			s.line(p, image.Pt(8, y), max(1, s.rand.IntN(max(2, p.Rect.Max.X/7-3))))
		}
		return p.Rect
	})
}

// key types a letter somewhere.
func (s *script) key() image.Rectangle {
	return s.draw(func(p *image.RGBA) image.Rectangle {
		at := image.Pt(8+s.rand.IntN(p.Rect.Max.X-30), 4+s.rand.IntN(p.Rect.Max.Y-24))
		r := image.Rectangle{at, at.Add(image.Pt(9, 16))}
		draw.Draw(p, r, paper, image.Point{}, draw.Src)
		s.line(p, at.Add(image.Pt(1, 11)), 1)
		return r
	})
}

// button fills a small rectangle with a colour.
func (s *script) button() image.Rectangle {
	return s.draw(func(p *image.RGBA) image.Rectangle {
		at := image.Pt(s.rand.IntN(p.Rect.Max.X-90), s.rand.IntN(p.Rect.Max.Y-40))
		r := image.Rectangle{at, at.Add(image.Pt(20+s.rand.IntN(60), 8+s.rand.IntN(30)))}
		draw.Draw(p, r, inks[s.rand.IntN(len(inks))], image.Point{}, draw.Src)
		return r
	})
}

// scroll moves the page up. Lines come into view whole: by fewer rows than they are
// high, one now and then.
func (s *script) scroll(n int) {
	s.draw(func(p *image.RGBA) image.Rectangle {
		copy(p.Pix, p.Pix[n*p.Stride:])
		draw.Draw(p, image.Rect(0, p.Rect.Max.Y-n, p.Rect.Max.X, p.Rect.Max.Y), paper, image.Point{}, draw.Src)
		room := n
		if n < 17 {
			s.below += n
			if room = s.below; room < 17 {
				return p.Rect
			}
			s.below = 0
		}
		for y := p.Rect.Max.Y - room + 13; y < p.Rect.Max.Y; y += 17 {
			s.line(p, image.Pt(8, y), max(1, s.rand.IntN(p.Rect.Max.X/7-3)))
		}
		return p.Rect
	})
}

// video fills r with the t-th picture of a moving texture.
func (s *script) video(r image.Rectangle, t int) {
	s.draw(func(p *image.RGBA) image.Rectangle {
		for y := r.Min.Y; y < r.Max.Y; y++ {
			row := p.Pix[y*p.Stride:]
			for x := r.Min.X; x < r.Max.X; x++ {
				v := wave[(x*3+t*7)&1023] + wave[(y*5-t*4)&1023] + wave[(x+y+t*9)&1023]
				n := int(noise[((y+t)*67+x*31+t*13)&4095])
				row[4*x], row[4*x+1], row[4*x+2] = byte(v/3+n), byte(v/4+40+n), byte(v/5+70+n)
			}
		}
		return r
	})
}

var (
	wave  [1024]int
	noise [4096]int8
)

func init() {
	r := rand.New(rand.NewPCG(3, 4))
	for i := range wave {
		wave[i] = (i * i / 700) % 200
	}
	for i := range noise {
		noise[i] = int8(r.IntN(13) - 6)
	}
}

// image is the picture in planes, as the viewer ought to see it.
func (s *script) image(t testing.TB) *encode.Image {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	return planes(t, s.pic.Pix, s.pic.Stride, s.pic.Rect.Size())
}

func planes(t testing.TB, pix []byte, stride int, size image.Point) *encode.Image {
	t.Helper()
	img := encode.NewImage(encode.I420, size)
	if err := encode.Convert(img, encode.Picture{Pix: pix, Stride: stride, Size: size}, []image.Rectangle{img.Bounds()}); err != nil {
		t.Fatal(err)
	}
	return img
}

// read is how often the screen was read.
func (s *script) read() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.reads
}
