package desktop

import (
	"slices"

	"github.com/jezek/xgb/xproto"
)

// locks compares the locks of the operator's keyboard with the server's: Caps
// Lock there and not here types in capitals what was meant so only there. They
// belong to whoever sits at the machine, so what is changed is changed back.
type locks struct {
	masks    [4]byte // modifiers of Caps Lock, Num Lock, Scroll Lock, Kana; 0: none
	codes    []byte  // keys that switch one of them
	read     bool    // masks and codes are what the server has; protected by input.mu
	begun    bool
	original byte // how they are to be left
	ours     byte // how they were when we last changed or read them
}

// lockSyms by the bits of Locks.
var lockSyms = [4][]uint32{{0xffe5}, {symNumLock}, {0xff14}, {0xff2d, 0xff2e}}

// all is every modifier that is a lock.
func (l *locks) all() byte { return l.masks[0] | l.masks[1] | l.masks[2] | l.masks[3] }

// see notes how the locks are. What is not as we left it somebody else has
// changed, and it is to stay so.
func (l *locks) see(now byte) {
	now &= l.all()
	if !l.begun {
		l.begun, l.original, l.ours = true, now, now
		return
	}
	theirs := now ^ l.ours
	l.original = l.original&^theirs | now&theirs
	l.ours = now
}

// Locks: see Input.
func (d *x11) Locks(known, on Locks) error {
	if err := d.begin(); err != nil {
		return err
	}
	defer d.input.mu.Unlock()
	state, ok, err := d.seeLocks()
	if !ok || err != nil {
		return err
	}
	l := &d.input.locks
	l.see(state)
	var affect, want byte
	for i, mask := range l.masks {
		if lock := Locks(1 << i); known&lock != 0 {
			affect |= mask
			if on&lock != 0 {
				want |= mask
			}
		}
	}
	if wrong := (state ^ want) & affect; wrong != 0 {
		d.lockModifiers(wrong, want&wrong, false)
		l.ours ^= wrong
	}
	return nil
}

// RestoreLocks: see Input.
func (d *x11) RestoreLocks() {
	d.input.mu.Lock()
	defer d.input.mu.Unlock()
	l := &d.input.locks
	if !l.begun || d.isClosed() {
		return
	}
	l.begun = false
	state, err := d.modifiers()
	if err != nil {
		return
	}
	theirs := state.locked ^ l.ours
	if wrong := (state.locked ^ l.original) & l.all() &^ theirs; wrong != 0 {
		d.lockModifiers(wrong, l.original&wrong, false)
	}
}

// switches reports whether a key switches a lock. Then it is the operator's doing,
// like that of a Locks: it is read before the key and noted after it.
func (d *x11) switches(code byte) bool {
	if !d.hand.has("XKEYBOARD") || d.readLocks() != nil || !slices.Contains(d.input.locks.codes, code) {
		return false
	}
	state, err := d.modifiers()
	if err != nil {
		return false
	}
	d.input.locks.see(state.locked)
	return true
}

// noteLocks takes what a key made of the locks for ours.
func (d *x11) noteLocks() {
	if state, err := d.modifiers(); err == nil {
		d.input.locks.ours = state.locked & d.input.locks.all()
	}
}

// seeLocks is the server's locks; not ok: they cannot be known. input.mu is held.
func (d *x11) seeLocks() (locked byte, ok bool, err error) {
	if !d.hand.has("XKEYBOARD") {
		return 0, false, nil
	}
	if err := d.readLocks(); err != nil {
		return 0, false, err
	}
	state, err := d.modifiers()
	return state.locked, err == nil, err
}

// readLocks learns which modifiers are locks, again when the map has changed.
func (d *x11) readLocks() error {
	l := &d.input.locks
	if d.input.remapped.Swap(false) {
		l.read = false
	}
	if l.read {
		return nil
	}
	c := d.hand.Conn
	first, last := d.hand.setup.MinKeycode, d.hand.setup.MaxKeycode
	mapping := xproto.GetKeyboardMapping(c, first, byte(last-first+1))
	modifiers := xproto.GetModifierMapping(c)
	m, err := mapping.Reply()
	if err != nil {
		return err
	}
	mods, err := modifiers.Reply()
	if err != nil {
		return err
	}
	k := &keyboard{first: byte(first), width: int(m.KeysymsPerKeycode), syms: m.Keysyms}
	l.masks, l.codes = [4]byte{}, l.codes[:0]
	for i, code := range mods.Keycodes {
		if code == 0 {
			continue
		}
		for lock, syms := range lockSyms {
			if slices.Contains(syms, k.sym(byte(code), 0)) {
				l.masks[lock] |= 1 << (i / int(mods.KeycodesPerModifier))
				l.codes = append(l.codes, byte(code))
			}
		}
	}
	l.read = true
	return nil
}
