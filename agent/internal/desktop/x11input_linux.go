package desktop

import (
	"bytes"
	"errors"
	"fmt"
	"image"
	"sync"
	"sync/atomic"

	"github.com/jezek/xgb/xproto"
	"github.com/jezek/xgb/xtest"
)

// input injects through XTEST. Requests are not waited for, one by one: the
// connection keeps their order, and its end is noticed by whoever reads it.
type input struct {
	mu        sync.Mutex    // one act at a time; Text holds it to its end
	keys      map[byte]bool // key codes held down
	buttons   map[byte]byte // buttons held down: what was pressed for each X button
	mapping   []byte        // what the server makes of each button, from 1 on
	mapped    atomic.Bool   // mapping is what the server has
	locks     locks
	repeating repeating
	remapped  atomic.Bool // the keyboard has another map since locks were read
	wheel     [2]int      // right and down, 1/120 notches not yet sent
	text      typewriter
}

func (d *x11) startInput() error {
	d.input.keys = make(map[byte]bool)
	d.input.buttons = make(map[byte]byte)
	if !d.hand.has("XTEST") {
		d.log.Info("no XTEST extension on the x server; the desktop can only be watched", "desktop", d.name)
		return nil
	}
	if _, err := xtest.GetVersion(d.hand.Conn, 2, 2).Reply(); err != nil {
		return err
	}
	// A program that grabs the server (a window manager while it drags) must
	// not keep the operator's button-up from arriving.
	xtest.GrabControl(d.hand.Conn, true)
	if err := d.startText(); err != nil {
		return err
	}
	d.hand.use("XInputExtension")
	d.startRepeating()
	// Now, so that no press waits for a server that does not answer.
	return d.readLocks()
}

// inputEvent takes an event of the hand's connection. It must not block.
func (d *x11) inputEvent(ev []byte) {
	switch ev[0] & 0x7f {
	case xproto.MappingNotify:
		if ev[4] == xproto.MappingPointer {
			d.input.mapped.Store(false)
		}
	case xproto.ClientMessage:
		d.input.text.pinger.answer(ev)
	}
}

// begin takes mu for an act, unless there is nothing to act on.
func (d *x11) begin() error {
	if !d.hand.has("XTEST") {
		return errNoXTEST
	}
	d.input.mu.Lock()
	if d.isClosed() {
		d.input.mu.Unlock()
		return ErrClosed
	}
	d.act()
	return nil
}

var errNoXTEST = fmt.Errorf("the X server has no XTEST extension: %w", errors.ErrUnsupported)

func (d *x11) Move(p image.Point) error {
	if err := d.begin(); err != nil {
		return err
	}
	defer d.input.mu.Unlock()
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
	if err := d.begin(); err != nil {
		return err
	}
	defer d.input.mu.Unlock()
	is := xButtons[b]
	button, ok := d.input.buttons[is]
	switch {
	case ok && down:
		return nil
	case ok:
		// The release is of the button that was pressed, whatever the mapping is by now.
		delete(d.input.buttons, is)
	default:
		if button = d.physical(is); button == 0 {
			return fmt.Errorf("button %d is switched off in the X server: %w", b, errors.ErrUnsupported)
		}
		if down {
			d.input.buttons[is] = button
		}
	}
	kind := byte(xproto.ButtonRelease)
	if down {
		kind = xproto.ButtonPress
	}
	d.fake(kind, button, d.hand.root, image.Point{})
	return nil
}

// physical is the button that has the meaning of one: the server gives another to
// each for whoever is left-handed, to XTEST's as well. 0: no button has it.
func (d *x11) physical(button byte) byte {
	in := &d.input
	if !in.mapped.Swap(true) {
		reply, err := xproto.GetPointerMapping(d.hand.Conn).Reply()
		if err != nil {
			in.mapped.Store(false)
			return button
		}
		in.mapping = reply.Map
	}
	if i := bytes.IndexByte(in.mapping, button); i >= 0 {
		return byte(i + 1)
	}
	if int(button) > len(in.mapping) {
		return button
	}
	return 0
}

func (d *x11) Key(u Usage, down bool) error {
	code, ok := u.keycode()
	if !ok || code > byte(d.hand.setup.MaxKeycode) || code < byte(d.hand.setup.MinKeycode) {
		return fmt.Errorf("key %#x: %w", uint16(u), errors.ErrUnsupported)
	}
	if err := d.begin(); err != nil {
		return err
	}
	defer d.input.mu.Unlock()
	if d.switches(code) {
		defer d.noteLocks()
	}
	// A press of what is down is a repeat, or nothing. A release goes out in any case.
	keys := d.input.keys
	if keys[code] && down && !d.input.repeating.mayRepeat(code) {
		return nil
	}
	if !down || keys[code] {
		d.fake(xproto.KeyRelease, code, d.hand.root, image.Point{})
	}
	if !down {
		delete(keys, code)
		return nil
	}
	keys[code] = true
	d.quiet()
	d.fake(xproto.KeyPress, code, d.hand.root, image.Point{})
	return nil
}

func (d *x11) Wheel(dx, dy int) error {
	if err := d.begin(); err != nil {
		return err
	}
	defer d.input.mu.Unlock()
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
	if n == 0 {
		return
	}
	if button = d.physical(button); button == 0 {
		return // switched off
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
	for _, button := range d.input.buttons {
		d.fake(xproto.ButtonRelease, button, d.hand.root, image.Point{})
	}
	clear(d.input.keys)
	clear(d.input.buttons)
	d.input.wheel = [2]int{}
	return n
}
