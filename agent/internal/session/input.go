package session

import (
	"errors"
	"image"
	"sync"
	"sync/atomic"

	"oriel/agent/internal/desktop"
)

// inputArbiter merges the input of all viewers into one desktop's. It knows who holds
// which key and button: one that several hold goes down with the first press and up
// with the last release. One mutex stands above the desktop too, so that a click's place and
// the click are never torn apart by another viewer's move.
//
// The keys and buttons of a viewer are released on every way out: control channel
// closed, peer connection disconnected or failed, replaced, session ended, Host
// closed, a panic in a handler. Each viewer releases only what it pressed itself.
type inputArbiter struct {
	mu      sync.Mutex
	input   desktop.Desktop // nil while there is no display; protected by mu
	keys    map[desktop.Usage]map[*holder]bool
	buttons map[desktop.Button]map[*holder]bool
	typists map[*holder]bool // have pressed keys
	trail   [32]placed       // the last places we moved the pointer to
	next    int
}

// placed is one place the pointer was put at, by whom.
type placed struct {
	by *holder
	at image.Point
}

// holder is one viewer among those who press. After its final release it never acts
// again.
type holder struct {
	gone bool // protected by inputArbiter.mu
	// barred holders may not control, for now. It is set without the mutex, which a
	// desktop that hangs may hold.
	barred atomic.Bool
}

// attach begins with a desktop on which nothing is held; nil: there is none.
func (h *inputArbiter) attach(d desktop.Desktop) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.input = d
	h.keys = make(map[desktop.Usage]map[*holder]bool)
	h.buttons = make(map[desktop.Button]map[*holder]bool)
	h.typists = make(map[*holder]bool)
	h.trail = [32]placed{}
}

// do runs f with the desktop, unless there is none or by has released for good.
func (h *inputArbiter) do(by *holder, f func(in desktop.Desktop) error) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if by.gone || by.barred.Load() || h.input == nil {
		return nil
	}
	return f(h.input)
}

// releaseBarred releases all that a holder holds, if it is barred. What it did just
// before is done by then: this waits for the same mutex.
func (h *inputArbiter) releaseBarred(by *holder) int {
	h.mu.Lock()
	defer h.mu.Unlock()
	if !by.barred.Load() {
		return 0
	}
	return h.release(by, true)
}

// move puts the pointer at a place in 1/65536 of the picture.
func (h *inputArbiter) move(by *holder, x, y uint32) error {
	return h.do(by, func(in desktop.Desktop) error { return h.place(in, by, x, y) })
}

// place is move with mu held.
func (h *inputArbiter) place(in desktop.Desktop, by *holder, x, y uint32) error {
	at := pixel(in.Size(), x, y)
	h.trail[h.next] = placed{by, at}
	h.next = (h.next + 1) % len(h.trail)
	return in.Move(at)
}

// button presses or releases at a place. A button that by does not hold
// is not released.
func (h *inputArbiter) button(by *holder, b desktop.Button, down bool, x, y uint32) error {
	return h.do(by, func(in desktop.Desktop) error {
		if err := h.place(in, by, x, y); err != nil {
			return err
		}
		return press(h.buttons, by, b, down, in.Button)
	})
}

// wheel scrolls at a place.
func (h *inputArbiter) wheel(by *holder, dx, dy int, x, y uint32) error {
	return h.do(by, func(in desktop.Desktop) error {
		if err := h.place(in, by, x, y); err != nil {
			return err
		}
		return in.Wheel(dx, dy)
	})
}

// key presses or releases a physical key. A key that by does not hold
// is not released; one that it holds already is passed on, it is a repeat.
// Before a press the locks are brought into line that it shows.
func (h *inputArbiter) key(by *holder, u desktop.Usage, down bool, shows shownLocks) error {
	return h.do(by, func(in desktop.Desktop) error {
		if down {
			h.typists[by] = true
		}
		var err error
		if down && shows.known != 0 {
			err = in.Locks(shows.known, shows.on)
		}
		return errors.Join(press(h.keys, by, u, down, in.Key), err)
	})
}

// shownLocks are the locks of an operator's keyboard that are known, and which are on.
type shownLocks struct{ known, on desktop.Locks }

// text types s.
func (h *inputArbiter) text(by *holder, s string) error {
	return h.do(by, func(in desktop.Desktop) error { return in.Text(s) })
}

// releaseAll releases everything that by holds and reports how many. Released for
// good, by never acts again; after the last of those who
// pressed keys, the computer's locks are as they were.
func (h *inputArbiter) releaseAll(by *holder, forGood bool) int {
	h.mu.Lock()
	defer h.mu.Unlock()
	if forGood {
		by.gone = true
	}
	return h.release(by, forGood)
}

// release is releaseAll with mu held; done says that by types no more.
func (h *inputArbiter) release(by *holder, done bool) int {
	n := 0
	for u := range h.keys {
		n += unpress(h.keys, by, u, h.input.Key)
	}
	for b := range h.buttons {
		n += unpress(h.buttons, by, b, h.input.Button)
	}
	if done && h.typists[by] {
		delete(h.typists, by)
		if len(h.typists) == 0 && h.input != nil {
			h.input.RestoreLocks()
		}
	}
	return n
}

// releaseOne releases one key or button where the pointer is. It reports whether by
// held it.
func (h *inputArbiter) releaseOne(by *holder, what thing) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	switch {
	case h.input == nil:
		return false
	case what.button:
		return unpress(h.buttons, by, desktop.Button(what.is), h.input.Button) > 0
	}
	return unpress(h.keys, by, desktop.Usage(what.is), h.input.Key) > 0
}

// moved reports whether by put the pointer at p.
func (h *inputArbiter) moved(by *holder, p image.Point) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	for i := range len(h.trail) {
		s := h.trail[(h.next-1-i+2*len(h.trail))%len(h.trail)]
		if s.by != nil && s.at == p {
			return s.by == by
		}
	}
	return false
}

// press counts by in or out of the holders of what and acts on the first and
// the last. What the desktop refused is not held.
func press[K comparable](held map[K]map[*holder]bool, by *holder, what K, down bool, act func(K, bool) error) error {
	if !down {
		if !held[what][by] {
			return nil
		}
		delete(held[what], by)
		if len(held[what]) > 0 {
			return nil
		}
		delete(held, what)
		return act(what, false)
	}
	if len(held[what]) == 0 || held[what][by] {
		if err := act(what, true); err != nil {
			return err
		}
	}
	if held[what] == nil {
		held[what] = make(map[*holder]bool)
	}
	held[what][by] = true
	return nil
}

func unpress[K comparable](held map[K]map[*holder]bool, by *holder, what K, act func(K, bool) error) int {
	if !held[what][by] {
		return 0
	}
	// An error here means that the display went away, and what it held with it.
	_ = press(held, by, what, false, act)
	return 1
}

// pixel is the place in a picture of that size, always inside it.
func pixel(size image.Point, x, y uint32) image.Point {
	return image.Pt(along(size.X, x), along(size.Y, y))
}

func along(length int, at uint32) int {
	return min(max(length-1, 0), int(uint64(min(at, 0xffff))*uint64(max(length, 0))>>16))
}

// fraction is pixel's inverse: the middle of the pixel.
func fraction(size, p image.Point) (x, y uint32) {
	f := func(length, at int) uint32 {
		if length <= 0 {
			return 0
		}
		at = min(max(at, 0), length-1)
		return uint32((uint64(at)<<16 + 1<<15) / uint64(length))
	}
	return f(size.X, p.X), f(size.Y, p.Y)
}
