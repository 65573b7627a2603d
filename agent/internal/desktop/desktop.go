// Package desktop is the operating system's edge: it shows what is on one
// desktop (an X display, a Windows session, a macOS user session) and acts on it.
//
// A Desktop delivers pictures when something changed and never by the clock:
// Next blocks until there is damage, reads only the damaged pixels into a
// buffer that it owns and says which rectangles those were. A caller that is
// late simply gets the newest picture with the damage of everything it missed;
// nothing is queued. The pointer is never part of the picture: its shape and
// place come through Cursor, so that a viewer can draw it itself.
//
// Backends: x11 (MIT-SHM, XDamage, XFixes, XTEST through pure Go xgb), portable
// (kbinani/screenshot and robotgo, for systems without a file of their own) and
// demo (drawn by the program itself, for machines with no screen to share).
// One suite, desktop_test.go, holds all of them to the contracts below.
//
// Measured on Xvfb, 1920×1080, two cores shared with much else, in one run: a
// whole screen 0.85 ms; one that somebody painted, read, compared and exchanged
// 2.1 ms; a window's 400×200 of it 0.16 ms, all with under 2 kB of garbage;
// kbinani/screenshot beside it 56 ms and 8.5 MB. An idle minute with a viewer,
// its pointer followed, takes 21 ms of one core. Text is typed at some 10,000
// characters a second where the layout has them; beyond that a layout's spare
// key codes (19 on a PC keyboard) are given new meanings for every 19 different
// characters, which takes 30 to 65 ms while the program that is typed into has
// nothing else to do, and up to 3 s when it hangs. Locked and held modifiers do not matter, except
// that those held at the machine itself act on what is typed, as they must.
//
// An X server without DAMAGE, XFIXES, XTEST or MIT-SHM is shown all the same; see Lacks.
//
// What to know: a frozen X server holds Next until Close; the fourth byte of a
// pixel is whatever the screen has there; a pixel that was drawn again as it was
// is not damage, however the system reports it.
package desktop

import (
	"context"
	"errors"
	"fmt"
	"image"
	"time"
)

var (
	// ErrNoDisplay: there is no display to open on this machine (now). A
	// machine without one is fine; the agent says so and tries again later.
	ErrNoDisplay = errors.New("no display")
	// ErrClosed: the display went away (the X server died, the user signed
	// out) or Close was called. The Desktop is of no more use.
	ErrClosed = errors.New("display closed")
	// ErrWayland: the display is Xwayland, which has single windows of a
	// Wayland desktop and no picture of it. It wraps ErrNoDisplay.
	ErrWayland = fmt.Errorf("%w: the desktop is Wayland, which is not shown yet; sign in at the computer with a session on Xorg", ErrNoDisplay)
)

// Lacks is a set of abilities that a desktop does not have, or not well, for want of a
// part of its system.
type Lacks uint8

const (
	// LacksInput: keys, buttons and moves are errors.ErrUnsupported.
	LacksInput Lacks = 1 << iota
	// LacksDamage: the system does not say what changed, and the picture is read
	// again and again, which takes time and is late.
	LacksDamage
	// LacksPointerShape: Cursor.Shape is nil.
	LacksPointerShape
	// LacksSharedMemory: pictures come through a connection, later.
	LacksSharedMemory
)

// Desktop is one open desktop. All methods may be called from any goroutine,
// except that Next has one caller at a time.
type Desktop interface {
	// Name says what this is, for logs and people: "x11 :0", "demo".
	Name() string

	// Size is the current size of the picture in pixels.
	Size() image.Point

	// Next blocks until the picture differs from what the last Next returned
	// (the first call, and the first after Refresh or a change of size,
	// returns at once with everything dirty). The Picture's memory belongs to
	// the Desktop and stays as it is until the following call of Next.
	// Errors: ErrClosed, the context's.
	Next(ctx context.Context) (Picture, error)

	// Refresh makes the coming Next return at once with everything dirty.
	Refresh()

	// Cursor is the pointer as it is now. Changed receives a value (capacity
	// 1, newest wins) whenever shape or place changed, or what Lacks says.
	Cursor() Cursor
	CursorChanged() <-chan struct{}

	// Lacks returns the abilities that are missing now.
	Lacks() Lacks

	// Input acts on the desktop.
	Input

	// Close releases every key and button that Input holds down, then the
	// display. It may be called more than once.
	Close() error
}

// Picture is one state of the screen.
type Picture struct {
	Pix    []byte // 4 bytes a pixel: blue, green, red, unused
	Stride int    // bytes from one row to the next
	Size   image.Point
	Dirty  []image.Rectangle // what changed, within Size, at least one; at most 32, not overlapping much
	At     time.Time         // when it was read
}

// Cursor is the pointer: Shape changes far more rarely than Position.
type Cursor struct {
	Serial   uint64      // changes when Shape, Hot or Visible do
	Shape    *image.RGBA // premultiplied as XFixes gives it; nil where unknown; at most 256×256
	Hot      image.Point
	Position image.Point // of the hot spot, in pixels of the picture
	Visible  bool
}

// Button numbers are those of the DOM's MouseEvent.button.
type Button uint8

// The five buttons every platform has.
const (
	ButtonLeft Button = iota
	ButtonMiddle
	ButtonRight
	ButtonBack
	ButtonForward
)

// Usage is a physical key: its usage number on page 7 (keyboard/keypad) of the
// USB HID usage tables 1.5. KeyboardEvent.code "KeyA" is 0x04, whatever the
// layout prints on it.
type Usage uint16

// Locks are the states of a keyboard that one key switches on and off.
type Locks uint8

const (
	LockCaps Locks = 1 << iota
	LockNum
	LockScroll
	LockKana
)

// Input injects what an operator does. What it holds down is released by
// ReleaseAll and by Close. Errors: ErrClosed; errors.ErrUnsupported for a key
// or button this system does not have; image coordinates are clamped.
type Input interface {
	// Move puts the pointer's hot spot at p, in pixels of the picture.
	Move(p image.Point) error
	// Press and Release a mouse button where the pointer is.
	Button(b Button, down bool) error
	// Wheel scrolls; units are 1/120 notch, positive is right and down.
	Wheel(dx, dy int) error
	// Key presses or releases a physical key. What appears is decided by the
	// layout of the remote machine. A press of what is down is a repeat: a held
	// key repeats only so, where the system can be kept from doing it.
	Key(u Usage, down bool) error
	// Locks brings those locks into line that are known of the operator's
	// keyboard; on is how they are there. RestoreLocks and Close put them back
	// as they were before, but for what somebody else changed meanwhile.
	Locks(known, on Locks) error
	RestoreLocks()
	// Text types s as it is, whatever the layout: any script, emoji; newline
	// is Return and tab is Tab. It takes at most 4096 runes a call.
	Text(s string) error
	// ReleaseAll lets go of every key and button that is held down through
	// this Desktop and reports how many.
	ReleaseAll() int
}
