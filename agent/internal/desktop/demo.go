package desktop

import (
	"context"
	"errors"
	"fmt"
	"image"
	"strconv"
	"sync"
	"time"
	"unicode"
	"unicode/utf8"
)

// DemoOption changes what Demo shows.
type DemoOption func(*demo)

// StopClock has the demo's clock stand at t, so that the same input gives the
// same pictures.
func StopClock(t time.Time) DemoOption {
	return func(d *demo) { d.now = func() time.Time { return t }; d.ticks = nil; d.stopped = true }
}

// RunClock has the demo's clock show now and look at it whenever ticks receives.
func RunClock(now func() time.Time, ticks <-chan time.Time) DemoOption {
	return func(d *demo) { d.now = now; d.ticks = ticks; d.stopped = true }
}

// Smallest and largest size of a demo.
const (
	demoMinW, demoMinH = 640, 400
	demoMaxW, demoMaxH = 7680, 4320
)

// demo is a desktop that the program draws itself, for machines with no screen
// to share: a test card, a clock, a field that takes keys (US layout) and text,
// a button that counts and a page to scroll. It keeps the contract of a real one: damage
// only where something changed, the pointer beside the picture and not in it.
// No goroutine belongs to it; the clock is looked at in Next.
type demo struct {
	now     func() time.Time
	ticks   <-chan time.Time
	stopped bool // no timer of our own

	next  sync.Mutex // held by Next
	frame []byte

	mu      sync.Mutex // protects what follows
	scene   *scene
	all     bool
	dirty   []image.Rectangle // drawn, not yet shown
	shown   time.Time         // what the clock shows
	text    []rune
	caret   int
	clicks  int
	pressed bool // the button on the card
	scroll  int  // of the page, in pixels
	wheel   int  // 1/120 notches not yet used
	caps    bool
	keys    map[Usage]bool
	buttons map[Button]bool
	cursor  Cursor

	wake    chan struct{} // capacity 1
	changed chan struct{} // capacity 1
	closing chan struct{}
	closed  bool // protected by mu
}

// maxField is how many characters the demo's field keeps.
const maxField = 2000

// Demo opens a desktop of the given size that the program draws itself. Sizes
// outside 640×400 to 7680×4320 are brought within.
func Demo(size image.Point, options ...DemoOption) Desktop {
	size = image.Pt(min(max(size.X, demoMinW), demoMaxW), min(max(size.Y, demoMinH), demoMaxH))
	d := &demo{
		now:     time.Now,
		all:     true,
		keys:    make(map[Usage]bool),
		buttons: make(map[Button]bool),
		wake:    make(chan struct{}, 1),
		changed: make(chan struct{}, 1),
		closing: make(chan struct{}),
		frame:   make([]byte, size.X*size.Y*4),
	}
	for _, o := range options {
		o(d)
	}
	d.scene = newScene(size)
	d.shown = d.now()
	d.scene.drawAll()
	d.scene.drawClock(d.shown)
	d.scene.drawField(d.text, d.caret)
	d.scene.drawButton(d.clicks, d.pressed)
	d.scene.drawPage(d.scroll)
	d.cursor = Cursor{Serial: 1, Visible: true, Position: image.Pt(size.X/2, size.Y/2)}
	d.cursor.Shape, d.cursor.Hot = cursorArrow.image(d.scene.cursorScale())
	d.point()
	return d
}

func (d *demo) Name() string { return "demo" }

func (d *demo) Size() image.Point { return d.scene.size }

func (d *demo) Refresh() {
	d.mu.Lock()
	d.all = true
	d.mu.Unlock()
	d.poke(d.wake)
}

func (d *demo) poke(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

func (d *demo) Next(ctx context.Context) (Picture, error) {
	d.next.Lock()
	defer d.next.Unlock()
	for {
		select {
		case <-d.closing:
			return Picture{}, ErrClosed
		default:
		}
		if err := ctx.Err(); err != nil {
			return Picture{}, err
		}
		at := time.Now()
		if dirty := d.take(); len(dirty) > 0 {
			return Picture{Pix: d.frame, Stride: d.scene.size.X * 4, Size: d.scene.size, Dirty: dirty, At: at}, nil
		}
		if err := d.wait(ctx); err != nil {
			return Picture{}, err
		}
	}
}

// wait returns when there may be something new: an act, or the next second.
func (d *demo) wait(ctx context.Context) error {
	var second <-chan time.Time
	if !d.stopped {
		now := d.now()
		timer := time.NewTimer(now.Truncate(time.Second).Add(time.Second).Sub(now))
		defer timer.Stop()
		second = timer.C
	}
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-d.closing:
		return ErrClosed
	case <-d.wake:
	case <-second:
	case <-d.ticks:
	}
	return nil
}

// take copies what was drawn since the last call to frame.
func (d *demo) take() []image.Rectangle {
	d.mu.Lock()
	defer d.mu.Unlock()
	if now := d.now(); now.Unix() != d.shown.Unix() {
		d.shown = now
		d.add(d.scene.drawClock(now))
	}
	whole := image.Rectangle{Max: d.scene.size}
	drawn := coalesce(append([]image.Rectangle(nil), d.dirty...), maxDirty)
	if d.all {
		drawn = []image.Rectangle{whole}
	}
	frame := view{pix: d.frame, stride: d.scene.size.X * 4, at: whole}
	var boxes []image.Rectangle
	for _, r := range drawn {
		r = r.Intersect(whole)
		if r.Empty() {
			continue
		}
		boxes = diff(boxes, frame, d.scene.bgr(r), true)
	}
	d.dirty = d.dirty[:0]
	if d.all {
		d.all = false
		return []image.Rectangle{whole}
	}
	return coalesce(boxes, maxDirty)
}

func (d *demo) add(r image.Rectangle) {
	d.dirty = append(d.dirty, r)
	if len(d.dirty) > 4*maxDirty {
		d.dirty = coalesce(d.dirty, maxDirty)
	}
}

// Lacks: see Desktop; this one has all.
func (d *demo) Lacks() Lacks { return 0 }

func (d *demo) Cursor() Cursor {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.cursor
}

func (d *demo) CursorChanged() <-chan struct{} { return d.changed }

// act runs f, which changes something, and wakes Next.
func (d *demo) act(f func()) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed {
		return ErrClosed
	}
	f()
	d.poke(d.wake)
	return nil
}

func (d *demo) Move(p image.Point) error {
	return d.act(func() {
		p = clamp(p, d.scene.size)
		if p != d.cursor.Position {
			d.cursor.Position = p
			d.point()
			d.poke(d.changed)
		}
	})
}

// point gives the pointer the shape that belongs to its place.
func (d *demo) point() {
	shape := cursorArrow
	switch p := d.cursor.Position; {
	case p.In(d.scene.button):
		shape = cursorHand
	case p.In(d.scene.field):
		shape = cursorText
	}
	img, hot := shape.image(d.scene.cursorScale())
	if img == d.cursor.Shape {
		return
	}
	d.cursor.Shape, d.cursor.Hot = img, hot
	d.cursor.Serial++
	d.poke(d.changed)
}

func (d *demo) Button(b Button, down bool) error {
	if b > ButtonForward {
		return fmt.Errorf("button %d: %w", b, errors.ErrUnsupported)
	}
	return d.act(func() {
		if down == d.buttons[b] {
			return
		}
		d.hold(b, down)
		if b != ButtonLeft {
			return
		}
		on := d.cursor.Position.In(d.scene.button)
		if !down && d.pressed && on {
			d.clicks++
		}
		if was := d.pressed; was || on {
			d.pressed = down && on
			d.add(d.scene.drawButton(d.clicks, d.pressed))
		}
	})
}

func (d *demo) hold(b Button, down bool) {
	if down {
		d.buttons[b] = true
	} else {
		delete(d.buttons, b)
	}
}

func (d *demo) Wheel(dx, dy int) error {
	return d.act(func() {
		dy = min(max(dy, -maxNotches*notch), maxNotches*notch)
		d.wheel += dy * d.scene.line * 3
		by := d.wheel / notch
		d.wheel -= by * notch
		d.scrollBy(by)
	})
}

func (d *demo) scrollBy(by int) {
	to := min(max(d.scroll+by, 0), d.scene.pageEnd())
	if to == d.scroll {
		return
	}
	d.scroll = to
	d.add(d.scene.drawPage(d.scroll))
}

func (d *demo) Key(u Usage, down bool) error {
	if u < 0x04 || u > 0xe7 {
		return fmt.Errorf("key %#x: %w", uint16(u), errors.ErrUnsupported)
	}
	return d.act(func() {
		if !down {
			delete(d.keys, u)
			return
		}
		d.keys[u] = true // a second press is the operator's key repeat
		d.pressKey(u)
	})
}

func (d *demo) pressKey(u Usage) {
	for _, modifier := range []Usage{0xe0, 0xe2, 0xe3, 0xe4, 0xe6, 0xe7} {
		if d.keys[modifier] {
			return
		}
	}
	switch u {
	case 0x39:
		d.caps = !d.caps
	case 0x28, 0x58:
		d.insert('\n')
	case 0x2a:
		if d.caret > 0 {
			d.caret--
			d.cut(d.caret)
		}
	case 0x4c:
		if d.caret < len(d.text) {
			d.cut(d.caret)
		}
	case 0x2b:
		d.insert('\t')
	case 0x50:
		d.setCaret(d.caret - 1)
	case 0x4f:
		d.setCaret(d.caret + 1)
	case 0x4a:
		d.setCaret(0)
	case 0x4d:
		d.setCaret(len(d.text))
	case 0x52:
		d.scrollBy(-d.scene.line)
	case 0x51:
		d.scrollBy(d.scene.line)
	case 0x4b:
		d.scrollBy(-d.scene.page.Dy() * 3 / 4)
	case 0x4e:
		d.scrollBy(d.scene.page.Dy() * 3 / 4)
	default:
		if r := usKey(u, d.keys[0xe1] || d.keys[0xe5], d.caps); r != 0 {
			d.insert(r)
		}
	}
}

func (d *demo) insert(runes ...rune) {
	d.text = append(d.text[:d.caret], append(append([]rune(nil), runes...), d.text[d.caret:]...)...)
	d.caret += len(runes)
	if more := len(d.text) - maxField; more > 0 {
		d.text = append([]rune(nil), d.text[more:]...)
		d.caret = max(d.caret-more, 0)
	}
	d.add(d.scene.drawField(d.text, d.caret))
}

func (d *demo) cut(at int) {
	d.text = append(d.text[:at], d.text[at+1:]...)
	d.add(d.scene.drawField(d.text, d.caret))
}

func (d *demo) setCaret(at int) {
	at = min(max(at, 0), len(d.text))
	if at != d.caret {
		d.caret = at
		d.add(d.scene.drawField(d.text, d.caret))
	}
}

func (d *demo) Text(s string) error {
	if utf8.RuneCountInString(s) > maxText {
		return errTextTooLong
	}
	return d.act(func() {
		runes := make([]rune, 0, len(s))
		last := rune(0)
		for _, r := range s {
			switch {
			case r == '\n' && last == '\r':
			case r == '\r':
				runes = append(runes, '\n')
			case r == '\n' || r == '\t' || !unicode.IsControl(r):
				runes = append(runes, r)
			}
			last = r
		}
		if len(runes) > 0 {
			d.insert(runes...)
		}
	})
}

// Locks does nothing: this keyboard has none.
func (d *demo) Locks(_, _ Locks) error { return nil }

// RestoreLocks: there is nothing to restore.
func (d *demo) RestoreLocks() {}

func (d *demo) ReleaseAll() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	n := len(d.keys) + len(d.buttons)
	clear(d.keys)
	clear(d.buttons)
	if d.pressed {
		d.pressed = false
		d.add(d.scene.drawButton(d.clicks, false))
		d.poke(d.wake)
	}
	return n
}

func (d *demo) Close() error {
	d.ReleaseAll()
	d.mu.Lock()
	defer d.mu.Unlock()
	if !d.closed {
		d.closed = true
		close(d.closing)
	}
	return nil
}

// usKey is what a US keyboard types; 0 for nothing.
func usKey(u Usage, shift, caps bool) rune {
	switch {
	case u >= 0x04 && u <= 0x1d:
		r := 'a' + rune(u-0x04)
		if shift != caps {
			r = unicode.ToUpper(r)
		}
		return r
	case u >= 0x1e && u <= 0x27:
		if shift {
			return rune("!@#$%^&*()"[u-0x1e])
		}
		return rune("1234567890"[u-0x1e])
	case u >= 0x54 && u <= 0x57:
		return rune("/*-+"[u-0x54])
	case u >= 0x59 && u <= 0x61:
		r, _ := utf8.DecodeRuneInString(strconv.Itoa(int(u-0x59) + 1))
		return r
	case u == 0x62:
		return '0'
	case u == 0x63:
		return '.'
	case u == 0x67:
		return '='
	case u == 0x2c:
		return ' '
	case u == 0x64:
		u = 0x31 // a US board has no such key; ISO boards set to US print backslash
	}
	pairs := map[Usage]string{
		0x2d: "-_", 0x2e: "=+", 0x2f: "[{", 0x30: "]}", 0x31: `\|`, 0x32: `\|`,
		0x33: ";:", 0x34: `'"`, 0x35: "`~", 0x36: ",<", 0x37: ".>", 0x38: "/?",
	}
	p, ok := pairs[u]
	if !ok {
		return 0
	}
	if shift {
		return rune(p[1])
	}
	return rune(p[0])
}
