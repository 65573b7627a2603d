package session

import (
	"context"
	"errors"
	"image"
	"image/color"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"oriel/agent/internal/desktop"
)

// fakeDesktop is a desktop that records what is done to it and shows what a test
// paints. It keeps the contract of desktop.Desktop and checks its callers'.
type fakeDesktop struct {
	t    testing.TB
	wake chan struct{}
	cur  chan struct{}
	gone chan struct{}
	once sync.Once

	mu       sync.Mutex
	size     image.Point
	shade    color.RGBA
	noise    bool
	dirty    bool
	reading  bool
	grabs    int // pictures returned
	cursor   desktop.Cursor
	lacks    desktop.Lacks
	locks    []shownLocks // as asked for
	restored int          // times
	keys     map[desktop.Usage]bool
	buttons  map[desktop.Button]bool
	acts     int // everything done, moves too
	moves    []image.Point
	typed    string
	panicOn  desktop.Usage
	stuck    atomic.Bool   // somebody hangs
	hang     chan struct{} // not nil: Text blocks on it, or until Close
}

func newFakeDesktop(t testing.TB) *fakeDesktop {
	return &fakeDesktop{
		t: t, wake: make(chan struct{}, 1), cur: make(chan struct{}, 1), gone: make(chan struct{}),
		size: image.Pt(320, 200), shade: color.RGBA{40, 80, 120, 255}, dirty: true,
		keys: map[desktop.Usage]bool{}, buttons: map[desktop.Button]bool{},
		cursor: desktop.Cursor{Serial: 1, Visible: true, Shape: image.NewRGBA(image.Rect(0, 0, 16, 16))},
	}
}

func (p *fakeDesktop) Name() string { return "paper" }

func (p *fakeDesktop) Size() image.Point {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.size
}

func (p *fakeDesktop) Next(ctx context.Context) (desktop.Picture, error) {
	p.mu.Lock()
	if p.reading {
		p.t.Error("two callers of Next at a time")
	}
	p.reading = true
	p.mu.Unlock()
	defer func() {
		p.mu.Lock()
		p.reading = false
		p.mu.Unlock()
	}()
	for {
		select {
		case <-p.gone:
			return desktop.Picture{}, desktop.ErrClosed
		default:
		}
		if err := ctx.Err(); err != nil {
			return desktop.Picture{}, err
		}
		p.mu.Lock()
		if p.dirty {
			p.dirty = false
			p.grabs++
			pic := p.picture()
			p.mu.Unlock()
			return pic, nil
		}
		p.mu.Unlock()
		select {
		case <-ctx.Done():
		case <-p.gone:
		case <-p.wake:
		}
	}
}

// picture has mu.
func (p *fakeDesktop) picture() desktop.Picture {
	pix := make([]byte, p.size.X*p.size.Y*4)
	state := uint32(1)
	for i := 0; i < len(pix); i += 4 {
		pix[i], pix[i+1], pix[i+2] = p.shade.B, p.shade.G, p.shade.R
		if p.noise {
			state = state*1664525 + 1013904223
			pix[i], pix[i+1], pix[i+2] = byte(state>>24), byte(state>>16), byte(state>>8)
		}
	}
	return desktop.Picture{
		Pix: pix, Stride: p.size.X * 4, Size: p.size, Dirty: []image.Rectangle{{Max: p.size}}, At: time.Now(),
	}
}

func (p *fakeDesktop) Refresh() { p.touch(func() {}) }

// touch changes something and marks everything dirty.
func (p *fakeDesktop) touch(f func()) {
	p.mu.Lock()
	f()
	p.dirty = true
	p.mu.Unlock()
	select {
	case p.wake <- struct{}{}:
	default:
	}
}

func (p *fakeDesktop) paint(c color.RGBA) { p.touch(func() { p.shade = c }) }

func (p *fakeDesktop) Cursor() desktop.Cursor {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.cursor
}

func (p *fakeDesktop) Lacks() desktop.Lacks {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.lacks
}

func (p *fakeDesktop) CursorChanged() <-chan struct{} { return p.cur }

func (p *fakeDesktop) setCursor(f func(*desktop.Cursor)) {
	p.mu.Lock()
	f(&p.cursor)
	p.mu.Unlock()
	select {
	case p.cur <- struct{}{}:
	default:
	}
}

func (p *fakeDesktop) do(f func()) error {
	select {
	case <-p.gone:
		return desktop.ErrClosed
	default:
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.acts++
	f()
	return nil
}

func (p *fakeDesktop) Move(at image.Point) error {
	if !at.In(image.Rectangle{Max: p.Size()}) {
		p.t.Errorf("pointer moved to %v, outside %v", at, p.Size())
	}
	err := p.do(func() { p.moves = append(p.moves, at) })
	p.setCursor(func(c *desktop.Cursor) { c.Position = at })
	return err
}

func (p *fakeDesktop) Button(b desktop.Button, down bool) error {
	if b > desktop.ButtonForward {
		return errors.ErrUnsupported
	}
	err := p.do(func() {
		if !down && !p.buttons[b] {
			p.t.Errorf("button %d released that was not down", b)
		}
		p.buttons[b] = down
		if !down {
			delete(p.buttons, b)
		}
	})
	p.paint(p.next())
	return err
}

// next is another colour than now.
func (p *fakeDesktop) next() color.RGBA {
	p.mu.Lock()
	defer p.mu.Unlock()
	return color.RGBA{p.shade.R + 60, p.shade.G + 60, p.shade.B + 60, 255}
}

func (p *fakeDesktop) Wheel(dx, dy int) error {
	if dx < -maxWheel || dx > maxWheel || dy < -maxWheel || dy > maxWheel {
		p.t.Errorf("wheel %d %d", dx, dy)
	}
	return p.do(func() {})
}

func (p *fakeDesktop) Key(u desktop.Usage, down bool) error {
	if u == p.panicOn && u != 0 && down {
		panic("a key that breaks the agent")
	}
	if u > 0xe7 {
		return errors.ErrUnsupported
	}
	return p.do(func() {
		if !down && !p.keys[u] {
			p.t.Errorf("key %#x released that was not down", u)
		}
		p.keys[u] = down
		if !down {
			delete(p.keys, u)
		}
	})
}

func (p *fakeDesktop) Text(s string) error {
	if len([]rune(s)) > 4096 {
		p.t.Errorf("text of %d runes", len([]rune(s)))
	}
	for _, r := range s {
		if r < ' ' && r != '\n' && r != '\t' {
			p.t.Errorf("control character %#x typed", r)
		}
	}
	p.mu.Lock()
	hang := p.hang
	p.mu.Unlock()
	if hang != nil {
		p.stuck.Store(true)
		select {
		case <-hang:
		case <-p.gone:
			return desktop.ErrClosed
		}
	}
	return p.do(func() { p.typed += s })
}

func (p *fakeDesktop) Locks(known, on desktop.Locks) error {
	return p.do(func() { p.locks = append(p.locks, shownLocks{known, on}) })
}

func (p *fakeDesktop) RestoreLocks() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.restored++
}

func (p *fakeDesktop) ReleaseAll() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := len(p.keys) + len(p.buttons)
	clear(p.keys)
	clear(p.buttons)
	return n
}

func (p *fakeDesktop) Close() error {
	p.once.Do(func() { close(p.gone) })
	return nil
}

// held is how many keys and buttons are down.
func (p *fakeDesktop) held() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.keys) + len(p.buttons)
}

func (p *fakeDesktop) done() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.acts
}
