//go:build (linux && x11) || (darwin && mac) || (windows && win)

package desktop

import (
	"context"
	"errors"
	"fmt"
	"image"
	"log/slog"
	"os"
	"sync"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/go-vgo/robotgo"
	"github.com/kbinani/screenshot"

	"oriel/protocol/sanitize"
)

// portable serves systems that have no file of their own here: pictures by
// kbinani/screenshot, input by robotgo. It is built with robotgo's tag for the
// system (x11, mac or win), so that no cgo is needed. What it cannot do:
//
//   - It is not told of changes. It looks ten times a second while something
//     changes or somebody types, and backs off to twice a second when nothing
//     does; each look at 1920×1080 costs about 30 ms of one core.
//   - The pointer's shape is unknown (Cursor.Shape is nil); its place is polled.
//   - Keys are robotgo's key names, which are those of a US keyboard: on another
//     layout a key gives the character that a US keyboard would print. Keys
//     without a name (F13 and up on some systems, Intl*, Lang*, the ISO key) and
//     the buttons back and forward are errors.ErrUnsupported.
//   - Text is right for what the layout has without AltGr; of the rest some may
//     be lost in programs that are slow to notice a change of the keyboard map.
//   - On Linux it opens $DISPLAY only, and both libraries write to tables of
//     the process that every X connection reads: use it in a process of its
//     own there. (Linux has the x11 backend; this one is there to be tested.)
type portable struct {
	name string
	log  *slog.Logger

	next  sync.Mutex // held by Next
	frame []byte
	spare []byte
	calm  int // looks without a change, one after another

	mu     sync.Mutex // protects what follows
	size   image.Point
	origin image.Point // of the picture in the system's coordinates
	all    bool
	cursor Cursor
	keys   map[Usage]bool
	down   map[Button]bool
	wheel  [2]int

	wake    chan struct{} // capacity 1: look at once
	changed chan struct{} // capacity 1: the pointer moved
	follow  sync.Once

	life    sync.Mutex // protects the closing of closing and running.Go
	closing chan struct{}
	running sync.WaitGroup
}

// robot is held around every call into both libraries, which are not made for
// several goroutines.
var robot sync.Mutex

const (
	lookOften  = 100 * time.Millisecond
	lookSeldom = 500 * time.Millisecond
	calmAfter  = 30 // looks
	// Failed looks, one after another, before the display counts as gone: a
	// change of resolution makes one or two.
	maxFailures = 5
)

func openPortable(o Options) (Desktop, error) {
	if err := portableDisplay(o); err != nil {
		return nil, err
	}
	d := &portable{
		name:    "portable",
		log:     o.Logger,
		all:     true,
		keys:    make(map[Usage]bool),
		down:    make(map[Button]bool),
		wake:    make(chan struct{}, 1),
		changed: make(chan struct{}, 1),
		closing: make(chan struct{}),
	}
	if display := os.Getenv("DISPLAY"); display != "" {
		d.name += " " + sanitize.Line(display, 200)
	}
	img, origin, err := look()
	if err != nil {
		return nil, fmt.Errorf("%w: cannot read the screen (%s); run in a graphical session", ErrNoDisplay, sanitize.Line(err.Error(), 200))
	}
	d.size, d.origin = img.Rect.Size(), origin
	d.cursor = Cursor{Serial: 1, Visible: true}
	return d, nil
}

// look reads all screens.
func look() (*image.RGBA, image.Point, error) {
	robot.Lock()
	defer robot.Unlock()
	var bounds image.Rectangle
	for i := range screenshot.NumActiveDisplays() {
		bounds = bounds.Union(screenshot.GetDisplayBounds(i))
	}
	if bounds.Empty() {
		return nil, image.Point{}, errors.New("no active screen")
	}
	img, err := screenshot.CaptureRect(bounds)
	if err != nil {
		return nil, image.Point{}, err
	}
	return img, bounds.Min, nil
}

func (d *portable) Name() string { return d.name }

func (d *portable) Size() image.Point {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.size
}

func (d *portable) Refresh() {
	d.mu.Lock()
	d.all = true
	d.mu.Unlock()
	d.poke(d.wake)
}

func (d *portable) poke(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

func (d *portable) isClosed() bool {
	select {
	case <-d.closing:
		return true
	default:
		return false
	}
}

// Next looks, compares, and waits between looks.
func (d *portable) Next(ctx context.Context) (Picture, error) {
	d.next.Lock()
	defer d.next.Unlock()
	failures := 0
	for {
		if d.isClosed() {
			return Picture{}, ErrClosed
		}
		if err := ctx.Err(); err != nil {
			return Picture{}, err
		}
		at := time.Now()
		img, origin, err := look()
		if err != nil {
			if failures++; failures >= maxFailures {
				d.log.Info("screen gone", "desktop", d.name, "error", err)
				d.shut()
				return Picture{}, ErrClosed
			}
		} else {
			failures = 0
			if dirty := d.take(img, origin); len(dirty) > 0 {
				d.calm = 0
				size := img.Rect.Size()
				return Picture{Pix: d.frame, Stride: size.X * 4, Size: size, Dirty: dirty, At: at}, nil
			}
			d.calm++
		}
		pause := lookOften
		if d.calm > calmAfter {
			pause = lookSeldom
		}
		timer := time.NewTimer(pause)
		select {
		case <-ctx.Done():
		case <-d.closing:
		case <-timer.C:
		case <-d.wake:
			d.calm = 0
		}
		timer.Stop()
	}
}

// take makes frame equal to img and says where it was not.
func (d *portable) take(img *image.RGBA, origin image.Point) []image.Rectangle {
	size := img.Rect.Size()
	d.mu.Lock()
	all := d.all || size != d.size
	d.all = false
	d.size, d.origin = size, origin
	d.mu.Unlock()
	n := size.X * size.Y * 4
	if len(d.frame) != n {
		d.frame, d.spare, all = make([]byte, n), make([]byte, n), true
	}
	whole := image.Rectangle{Max: size}
	for y := range size.Y {
		swapRB(d.spare[y*size.X*4:(y+1)*size.X*4], img.Pix[y*img.Stride:])
	}
	if all {
		d.frame, d.spare = d.spare, d.frame
		return []image.Rectangle{whole}
	}
	frame := view{pix: d.frame, stride: size.X * 4, at: whole}
	spare := view{pix: d.spare, stride: size.X * 4, at: whole}
	return coalesce(diff(nil, frame, spare, true), maxDirty)
}

// Lacks: see Desktop and portable.
func (d *portable) Lacks() Lacks { return LacksDamage | LacksPointerShape }

func (d *portable) Cursor() Cursor {
	d.locate()
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.cursor
}

func (d *portable) CursorChanged() <-chan struct{} {
	d.follow.Do(func() {
		d.life.Lock()
		defer d.life.Unlock()
		if !d.isClosed() {
			d.running.Go(d.followPointer)
		}
	})
	return d.changed
}

func (d *portable) followPointer() {
	calm := 0
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-d.closing:
			return
		case <-timer.C:
		}
		if calm++; d.locate() {
			calm = 0
		}
		if calm > calmAfter {
			timer.Reset(2 * lookOften)
		} else {
			timer.Reset(lookOften / 2)
		}
	}
}

func (d *portable) locate() bool {
	if d.isClosed() {
		return false
	}
	robot.Lock()
	x, y := robotgo.Location()
	robot.Unlock()
	d.mu.Lock()
	defer d.mu.Unlock()
	p := clamp(image.Pt(x, y).Sub(d.origin), d.size)
	if p == d.cursor.Position {
		return false
	}
	d.cursor.Position = p
	d.poke(d.changed)
	return true
}

// act runs f, which injects, and has the screen looked at soon.
func (d *portable) act(f func() error) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.isClosed() {
		return ErrClosed
	}
	robot.Lock()
	defer robot.Unlock()
	err := f()
	d.poke(d.wake)
	return err
}

func (d *portable) Move(p image.Point) error {
	return d.act(func() error {
		p = clamp(p, d.size)
		robotgo.Move(p.X+d.origin.X, p.Y+d.origin.Y)
		if d.cursor.Position != p {
			d.cursor.Position = p
			d.poke(d.changed)
		}
		return nil
	})
}

var robotButtons = map[Button]string{ButtonLeft: "left", ButtonMiddle: "center", ButtonRight: "right"}

func (d *portable) Button(b Button, down bool) error {
	name, ok := robotButtons[b]
	if !ok {
		return fmt.Errorf("button %d: %w", b, errors.ErrUnsupported)
	}
	return d.act(func() error {
		if down == d.down[b] {
			return nil
		}
		d.down[b] = down
		if !down {
			delete(d.down, b)
		}
		return robotgo.Toggle(name, direction(down))
	})
}

func (d *portable) Wheel(dx, dy int) error {
	return d.act(func() error {
		x, y := wheelNotches(&d.wheel[0], dx), wheelNotches(&d.wheel[1], dy)
		if x != 0 || y != 0 {
			robotgo.Scroll(-x, -y, 0)
		}
		return nil
	})
}

func (d *portable) Key(u Usage, down bool) error {
	name, ok := robotKeys[u]
	if !ok {
		return fmt.Errorf("key %#x: %w", uint16(u), errors.ErrUnsupported)
	}
	return d.act(func() error {
		if down == d.keys[u] {
			return nil
		}
		if err := robotgo.KeyToggle(name, direction(down)); err != nil {
			return fmt.Errorf("key %#x (%v): %w", uint16(u), err, errors.ErrUnsupported)
		}
		d.keys[u] = down
		if !down {
			delete(d.keys, u)
		}
		return nil
	})
}

func direction(down bool) string {
	if down {
		return "down"
	}
	return "up"
}

func (d *portable) Text(s string) error {
	if utf8.RuneCountInString(s) > maxText {
		return errTextTooLong
	}
	return d.act(func() error {
		typed := make([]rune, 0, len(s))
		flush := func() {
			if len(typed) > 0 {
				robotgo.TypeStr(string(typed))
				typed = typed[:0]
			}
		}
		last := rune(0)
		for _, r := range s {
			switch {
			case r == '\n' && last == '\r':
			case r == '\n' || r == '\r':
				flush()
				if err := tapKey("enter"); err != nil {
					return err
				}
			case r == '\t':
				flush()
				if err := tapKey("tab"); err != nil {
					return err
				}
			case unicode.IsControl(r):
			default:
				typed = append(typed, r)
			}
			last = r
		}
		flush()
		portableTextDone()
		return nil
	})
}

func tapKey(name string) error {
	if err := robotgo.KeyToggle(name, "down"); err != nil {
		return err
	}
	return robotgo.KeyToggle(name, "up")
}

// Locks is not supported: what a lock is differs with the system.
func (d *portable) Locks(_, _ Locks) error { return errors.ErrUnsupported }

// RestoreLocks: there is nothing to restore.
func (d *portable) RestoreLocks() {}

func (d *portable) ReleaseAll() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	robot.Lock()
	defer robot.Unlock()
	n := len(d.keys) + len(d.down)
	for u := range d.keys {
		_ = robotgo.KeyToggle(robotKeys[u], "up")
	}
	for b := range d.down {
		_ = robotgo.Toggle(robotButtons[b], "up")
	}
	clear(d.keys)
	clear(d.down)
	d.wheel = [2]int{}
	return n
}

func (d *portable) shut() {
	d.life.Lock()
	defer d.life.Unlock()
	if !d.isClosed() {
		close(d.closing)
	}
}

func (d *portable) Close() error {
	if !d.isClosed() {
		d.ReleaseAll()
		d.shut()
	}
	d.running.Wait()
	robot.Lock()
	defer robot.Unlock()
	portableClose()
	return nil
}
