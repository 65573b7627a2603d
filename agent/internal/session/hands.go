package session

import (
	"errors"
	"image"
	"sync"

	"oriel/agent/internal/desktop"
)

// hands is everything that is held down on the desktop, by whom. Several
// viewers may hold the same key: it goes down with the first and up with the
// last. One mutex stands above the desktop too, so that a click's place and
// the click are never torn apart by another viewer's move.
//
// The keys and buttons of a viewer are released on every way out: control channel
// closed, peer connection disconnected or failed, replaced, session ended, Host
// closed, a panic in a handler. Each viewer releases only what it pressed itself.
type hands struct {
	mu      sync.Mutex
	input   desktop.Desktop // nil while there is no display; protected by mu
	keys    map[desktop.Usage]map[*hand]bool
	buttons map[desktop.Button]map[*hand]bool
	typists map[*hand]bool // have pressed keys
	trail   [32]step       // the last places we moved the pointer to
	next    int
}

// step is one place the pointer was put at, by whom.
type step struct {
	by *hand
	at image.Point
}

// hand is one viewer's. Once let go it never acts again.
type hand struct {
	gone bool // protected by hands.mu
}

// attach gives the hands a desktop, with nothing held; nil takes it away.
func (h *hands) attach(d desktop.Desktop) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.input = d
	h.keys = make(map[desktop.Usage]map[*hand]bool)
	h.buttons = make(map[desktop.Button]map[*hand]bool)
	h.typists = make(map[*hand]bool)
	h.trail = [32]step{}
}

// do runs f with the desktop, unless there is none or the hand has let go.
func (h *hands) do(by *hand, f func(in desktop.Desktop) error) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if by.gone || h.input == nil {
		return nil
	}
	return f(h.input)
}

// move puts the pointer at a place in 1/65536 of the picture.
func (h *hands) move(by *hand, x, y uint32) error {
	return h.do(by, func(in desktop.Desktop) error { return h.place(in, by, x, y) })
}

// place is move with mu held.
func (h *hands) place(in desktop.Desktop, by *hand, x, y uint32) error {
	at := pixel(in.Size(), x, y)
	h.trail[h.next] = step{by, at}
	h.next = (h.next + 1) % len(h.trail)
	return in.Move(at)
}

// button presses or releases at a place. A button that this hand does not hold
// is not released.
func (h *hands) button(by *hand, b desktop.Button, down bool, x, y uint32) error {
	return h.do(by, func(in desktop.Desktop) error {
		if err := h.place(in, by, x, y); err != nil {
			return err
		}
		return grip(h.buttons, by, b, down, in.Button)
	})
}

// wheel scrolls at a place.
func (h *hands) wheel(by *hand, dx, dy int, x, y uint32) error {
	return h.do(by, func(in desktop.Desktop) error {
		if err := h.place(in, by, x, y); err != nil {
			return err
		}
		return in.Wheel(dx, dy)
	})
}

// key presses or releases a physical key. A key that this hand does not hold
// is not released; one that it holds already is passed on, it is a repeat.
// Before a press the locks are brought into line that it shows.
func (h *hands) key(by *hand, u desktop.Usage, down bool, shows shownLocks) error {
	return h.do(by, func(in desktop.Desktop) error {
		if down {
			h.typists[by] = true
		}
		var err error
		if down && shows.known != 0 {
			err = in.Locks(shows.known, shows.on)
		}
		return errors.Join(grip(h.keys, by, u, down, in.Key), err)
	})
}

// shownLocks are the locks of an operator's keyboard that are known, and which are on.
type shownLocks struct{ known, on desktop.Locks }

// text types s.
func (h *hands) text(by *hand, s string) error {
	return h.do(by, func(in desktop.Desktop) error { return in.Text(s) })
}

// release lets go of all that one hand holds and reports how many. After
// letting go for good, the hand never acts again; after the last of those who
// pressed keys, the computer's locks are as they were.
func (h *hands) release(by *hand, forGood bool) int {
	h.mu.Lock()
	defer h.mu.Unlock()
	if forGood {
		by.gone = true
	}
	n := 0
	for u := range h.keys {
		n += drop(h.keys, by, u, h.input.Key)
	}
	for b := range h.buttons {
		n += drop(h.buttons, by, b, h.input.Button)
	}
	if forGood && h.typists[by] {
		delete(h.typists, by)
		if len(h.typists) == 0 && h.input != nil {
			h.input.RestoreLocks()
		}
	}
	return n
}

// slip lets go of one thing where it is, and reports whether this hand held it.
func (h *hands) slip(by *hand, what thing) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	switch {
	case h.input == nil:
		return false
	case what.button:
		return drop(h.buttons, by, desktop.Button(what.is), h.input.Button) > 0
	}
	return drop(h.keys, by, desktop.Usage(what.is), h.input.Key) > 0
}

// moved reports whether the pointer's being at p is this hand's doing.
func (h *hands) moved(by *hand, p image.Point) bool {
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

// grip counts by in or out of the holders of what and acts on the first and
// the last. What the desktop refused is not held.
func grip[K comparable](held map[K]map[*hand]bool, by *hand, what K, down bool, act func(K, bool) error) error {
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
		held[what] = make(map[*hand]bool)
	}
	held[what][by] = true
	return nil
}

func drop[K comparable](held map[K]map[*hand]bool, by *hand, what K, act func(K, bool) error) int {
	if !held[what][by] {
		return 0
	}
	// An error here means that the display went away, and what it held with it.
	_ = grip(held, by, what, false, act)
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
