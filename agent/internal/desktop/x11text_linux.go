package desktop

import (
	"errors"
	"fmt"
	"image"
	"slices"
	"time"
	"unicode/utf8"

	"github.com/jezek/xgb/xproto"
)

// Text on X11: what the layout has on its own keys (with and without Shift, in
// the group that is active) is typed with them. Everything else goes through
// spare key codes, those that the layout leaves empty, about 19 of 248: they
// are bound to the characters' keysyms, pressed, and emptied again later.
//
// A program that gets a key press looks its code up in a copy of the map that it
// fetches when it hears that the map has changed, perhaps only when it comes to
// the press itself. The news of the change goes before the press in every
// connection, so a program that reads late sees a newer map, never an older
// one. It follows that a code must keep its meaning until the press has been
// looked up: see settle. A program with two connections may read the press on
// one before the news on the other: see announce. Bindings are kept while typing goes on, and a text with
// few characters beyond the layout changes the map once.
type typewriter struct {
	slots    []slot // the spare codes
	tidy     *time.Timer
	lastUsed time.Time
	pinger   pinger
}

// slot is one spare key code.
type slot struct {
	code byte
	sym  uint32 // what it is bound to; 0: empty
	used time.Time
}

const (
	// tidyAfter is how long bindings stay when nothing is typed.
	tidyAfter = 2 * time.Second
	// tidyWithin is how long other input may be held up by looking whether that
	// was long enough.
	tidyWithin = 300 * time.Millisecond
	// chunk is how many characters go out before the server is waited for.
	chunk = 64
)

// Keysyms of the few keys that are named here.
const (
	symTab     = 0xff09
	symReturn  = 0xff0d
	symNumLock = 0xff7f
)

func (d *x11) startText() error {
	d.hand.use("X-Resource")
	if err := d.startPing(); err != nil {
		return err
	}
	return d.useXKB()
}

// Text types what the layout has on its keys and binds spare codes for the
// rest. Control characters other than newline and tab are left out. Held and
// locked modifiers are lifted meanwhile.
func (d *x11) Text(s string) error {
	if utf8.RuneCountInString(s) > maxText {
		return errTextTooLong
	}
	if err := d.begin(); err != nil {
		return err
	}
	defer d.input.mu.Unlock()
	syms := keysyms(s)
	if len(syms) == 0 {
		return nil
	}
	err := d.typeSyms(syms)
	if err != nil && (d.isClosed() || d.isEnding() || isClosedError(err) && !errors.Is(err, errors.ErrUnsupported)) {
		return ErrClosed
	}
	return err
}

func (d *x11) typeSyms(syms []uint32) error {
	k, err := d.readKeyboard()
	if err != nil {
		return err
	}
	lifted, err := d.liftModifiers(k)
	if err != nil {
		return err
	}
	defer d.restoreModifiers(k, lifted)
	d.findSlots(k)
	direct := k.direct()
	t := &d.input.text
	t.pinger.silent, t.pinger.restless = 0, false
	shift := false
	defer func() {
		if shift {
			d.tap(xproto.KeyRelease, k.shift)
		}
		t.lastUsed = time.Now()
		d.tidyLater()
	}()
	for len(syms) > 0 {
		n, err := d.bind(syms, direct)
		if err != nil {
			return err
		}
		for i, sym := range syms[:n] {
			key, ok := direct[sym]
			if !ok {
				s := t.slot(sym)
				s.used = time.Now()
				key = stroke{code: s.code, any: true}
			}
			if !key.any && key.shift != shift {
				shift = key.shift
				kind := byte(xproto.KeyRelease)
				if shift {
					kind = xproto.KeyPress
				}
				d.tap(kind, k.shift)
			}
			d.tap(xproto.KeyPress, key.code)
			d.tap(xproto.KeyRelease, key.code)
			if i%chunk == chunk-1 || i == n-1 {
				if err := d.sync(); err != nil {
					return err
				}
				if d.isEnding() {
					return ErrClosed
				}
			}
		}
		syms = syms[n:]
	}
	return nil
}

func (d *x11) tap(kind, code byte) { d.fake(kind, code, d.hand.root, image.Point{}) }

// sync waits until the server has handled all requests so far.
func (d *x11) sync() error {
	_, err := xproto.GetInputFocus(d.hand.Conn).Reply()
	return err
}

// stroke is a key to press. With any, it means the same with and without Shift.
type stroke struct {
	code  byte
	shift bool
	any   bool
}

// mainBlock are the codes that type characters on every keyboard: four rows,
// space and the keys that ISO and JIS boards have more.
var mainBlock = func() (codes []byte) {
	for _, r := range [][2]byte{{10, 21}, {24, 35}, {38, 49}, {51, 61}, {65, 65}, {94, 94}, {97, 97}, {132, 132}} {
		for c := r[0]; c <= r[1]; c++ {
			codes = append(codes, c)
		}
	}
	return codes
}()

// direct is what the layout's own keys type, by keysym as keysyms gives them.
func (k *keyboard) direct() map[uint32]stroke {
	m := make(map[uint32]stroke)
	if k.base != 0 {
		return m // somebody at the machine holds one; what keys mean is not ours to say
	}
	for _, named := range []struct {
		code byte
		sym  uint32
	}{{36, symReturn}, {23, symTab}} {
		if k.sym(named.code, 0) == named.sym {
			m[named.sym] = stroke{code: named.code}
		}
	}
	if k.group > 1 {
		return m // the core protocol shows two groups only
	}
	for column := range 2 {
		if column == 1 && k.shift == 0 {
			break
		}
		for _, code := range mainBlock {
			sym := unicodeSym(k.sym(code, int(k.group)*2+column))
			if _, ok := m[sym]; !ok && sym != 0 {
				m[sym] = stroke{code: code, shift: column == 1}
			}
		}
	}
	return m
}

// bind makes sure that as many characters of syms as possible have a key, and
// says how many those are.
func (d *x11) bind(syms []uint32, direct map[uint32]stroke) (int, error) {
	t := &d.input.text
	want := make(map[uint32]bool) // the characters of this round that need a spare code
	var missing []uint32
	n := 0
	for ; n < len(syms); n++ {
		sym := syms[n]
		if _, ok := direct[sym]; ok || want[sym] {
			continue
		}
		if len(want) == len(t.slots) {
			break
		}
		want[sym] = true
		if t.slot(sym) == nil {
			missing = append(missing, sym)
		}
	}
	if n == 0 {
		return 0, fmt.Errorf("the keyboard map has no free key for text: %w", errors.ErrUnsupported)
	}
	if len(missing) == 0 {
		return n, nil
	}
	var free []*slot
	for i := range t.slots {
		if !want[t.slots[i].sym] {
			free = append(free, &t.slots[i])
		}
	}
	slices.SortStableFunc(free, func(a, b *slot) int { return a.used.Compare(b.used) })
	free = free[:len(missing)]
	if err := d.settle(free[len(free)-1].used); err != nil {
		return 0, err
	}
	for i, s := range free {
		s.sym = missing[i]
		d.changeKey(s.code, s.sym)
	}
	if err := d.sync(); err != nil {
		return 0, err
	}
	return n, d.announce()
}

// changeKey binds a code on both levels, so that Shift and Caps Lock change nothing.
func (d *x11) changeKey(code byte, sym uint32) {
	xproto.ChangeKeyboardMapping(d.hand.Conn, 1, xproto.Keycode(code), 2,
		[]xproto.Keysym{xproto.Keysym(sym), xproto.Keysym(sym)})
}

func (t *typewriter) slot(sym uint32) *slot {
	for i := range t.slots {
		if t.slots[i].sym == sym {
			return &t.slots[i]
		}
	}
	return nil
}

// findSlots brings the spare codes up to date with the map: somebody may have
// set another layout since. A code with a single character on it that no
// keyboard has is what a crash of ours left behind.
func (d *x11) findSlots(k *keyboard) {
	t := &d.input.text
	known := make(map[byte]slot, len(t.slots))
	for _, s := range t.slots {
		known[s.code] = s
	}
	t.slots = t.slots[:0]
	for c := int(k.first); c <= int(d.hand.setup.MaxKeycode); c++ {
		code := byte(c)
		if slices.Contains(k.mods, code) || slices.Contains(mainBlock, code) {
			continue
		}
		a, b := k.sym(code, 0), k.sym(code, 1)
		empty, same := true, true
		for i := range k.width {
			sym := k.sym(code, i)
			empty = empty && sym == 0
			same = same && (sym == 0 || sym == a)
		}
		s, ours := known[code]
		switch {
		case empty:
			t.slots = append(t.slots, slot{code: code, used: s.used})
		case ours && s.sym == a && s.sym != 0:
			t.slots = append(t.slots, s)
		case same && b == a && unicodeSym(a) == a && a < 0x1100_0000 && code > 120:
			t.slots = append(t.slots, slot{code: code, used: time.Now()})
		}
	}
}

// tidyLater empties the spare codes when nothing has been typed for a while.
func (d *x11) tidyLater() {
	t := &d.input.text
	if t.tidy == nil {
		t.tidy = time.AfterFunc(tidyAfter, func() {
			d.input.mu.Lock()
			defer d.input.mu.Unlock()
			if rest := time.Until(t.lastUsed.Add(tidyAfter)); rest > tidyAfter/10 {
				t.tidy.Reset(rest)
				return
			}
			if d.isClosed() {
				return
			}
			// One that is later than that still finds what was typed for it.
			if process := d.focusProcess(); process != "" && time.Since(t.lastUsed) < longAgo {
				if idle, err := d.untilIdle(process, tidyWithin); err != nil || !idle {
					t.tidy.Reset(tidyAfter)
					return
				}
			}
			d.tidyNow()
		})
		return
	}
	t.tidy.Reset(tidyAfter)
}

func (d *x11) tidyNow() {
	t := &d.input.text
	k, err := d.readKeyboard()
	if err != nil {
		return
	}
	for i := range t.slots {
		s := &t.slots[i]
		// Another layout may have put something of its own there.
		if s.sym != 0 && k.sym(s.code, 0) == s.sym {
			d.changeKey(s.code, 0)
		}
		s.sym = 0
	}
	_ = d.sync()
}

// closeText leaves the map as it was found.
func (d *x11) closeText() {
	d.input.mu.Lock()
	defer d.input.mu.Unlock()
	t := &d.input.text
	if t.tidy == nil {
		return
	}
	t.tidy.Stop()
	if t.lastUsed.IsZero() || !slices.ContainsFunc(t.slots, func(s slot) bool { return s.sym != 0 }) {
		return
	}
	// Not settle: that ends at once when Close has begun.
	timer := time.NewTimer(time.Until(t.lastUsed.Add(reuseAfter)))
	defer timer.Stop()
	select {
	case <-timer.C:
		d.tidyNow()
	case <-d.closing:
	}
}

func (d *x11) isEnding() bool {
	select {
	case <-d.ending:
		return true
	default:
		return false
	}
}
