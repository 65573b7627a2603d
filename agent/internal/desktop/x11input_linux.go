package desktop

import (
	"errors"
	"fmt"
	"image"
	"sync"

	"github.com/jezek/xgb/xproto"
	"github.com/jezek/xgb/xtest"
)

// input injects through XTEST. Requests are not waited for, one by one: the
// connection keeps their order, and its end is noticed by whoever reads it.
type input struct {
	mu      sync.Mutex    // one act at a time; Text holds it to its end
	keys    map[byte]bool // key codes held down
	buttons map[byte]bool // X buttons held down
	wheel   [2]int        // right and down, 1/120 notches not yet sent
	text    typewriter
}

func (d *x11) startInput() error {
	d.input.keys = make(map[byte]bool)
	d.input.buttons = make(map[byte]bool)
	if _, err := xtest.GetVersion(d.hand.Conn, 2, 2).Reply(); err != nil {
		return err
	}
	// A program that grabs the server (a window manager while it drags) must
	// not keep the operator's button-up from arriving.
	xtest.GrabControl(d.hand.Conn, true)
	return d.startText()
}

func (d *x11) Move(p image.Point) error {
	d.input.mu.Lock()
	defer d.input.mu.Unlock()
	if d.isClosed() {
		return ErrClosed
	}
	d.fake(xproto.MotionNotify, 0, d.hand.root, clamp(p, d.Size()))
	d.pointer.stir()
	return nil
}

// xButtons by Button. 4 to 7 are the wheel.
var xButtons = [...]byte{ButtonLeft: 1, ButtonMiddle: 2, ButtonRight: 3, ButtonBack: 8, ButtonForward: 9}

func (d *x11) Button(b Button, down bool) error {
	if int(b) >= len(xButtons) {
		return fmt.Errorf("button %d: %w", b, errors.ErrUnsupported)
	}
	d.input.mu.Lock()
	defer d.input.mu.Unlock()
	if d.isClosed() {
		return ErrClosed
	}
	d.press(xButtons[b], down, d.input.buttons, xproto.ButtonPress, xproto.ButtonRelease)
	return nil
}

func (d *x11) Key(u Usage, down bool) error {
	code, ok := u.keycode()
	if !ok || code > byte(d.hand.setup.MaxKeycode) || code < byte(d.hand.setup.MinKeycode) {
		return fmt.Errorf("key %#x: %w", uint16(u), errors.ErrUnsupported)
	}
	d.input.mu.Lock()
	defer d.input.mu.Unlock()
	if d.isClosed() {
		return ErrClosed
	}
	d.press(code, down, d.input.keys, xproto.KeyPress, xproto.KeyRelease)
	return nil
}

// press changes a key or button. What is down already stays so: the server
// repeats a held key itself. A release goes out in any case.
func (d *x11) press(code byte, down bool, held map[byte]bool, press, release byte) {
	switch {
	case !down:
		delete(held, code)
		d.fake(release, code, d.hand.root, image.Point{})
	case !held[code]:
		held[code] = true
		d.fake(press, code, d.hand.root, image.Point{})
	}
}

func (d *x11) Wheel(dx, dy int) error {
	d.input.mu.Lock()
	defer d.input.mu.Unlock()
	if d.isClosed() {
		return ErrClosed
	}
	d.scroll(&d.input.wheel[0], dx, 6, 7)
	d.scroll(&d.input.wheel[1], dy, 4, 5)
	return nil
}

func (d *x11) scroll(sum *int, by int, less, more byte) {
	button := more
	n := wheelNotches(sum, by)
	if n < 0 {
		button, n = less, -n
	}
	for range n {
		d.fake(xproto.ButtonPress, button, d.hand.root, image.Point{})
		d.fake(xproto.ButtonRelease, button, d.hand.root, image.Point{})
	}
}

func (d *x11) ReleaseAll() int {
	d.input.mu.Lock()
	defer d.input.mu.Unlock()
	n := len(d.input.keys) + len(d.input.buttons)
	for code := range d.input.keys {
		d.fake(xproto.KeyRelease, code, d.hand.root, image.Point{})
	}
	for button := range d.input.buttons {
		d.fake(xproto.ButtonRelease, button, d.hand.root, image.Point{})
	}
	clear(d.input.keys)
	clear(d.input.buttons)
	d.input.wheel = [2]int{}
	return n
}
