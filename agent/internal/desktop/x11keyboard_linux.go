package desktop

import (
	"errors"
	"slices"

	"github.com/jezek/xgb"
	"github.com/jezek/xgb/xproto"
)

// keyboard is the state of the server's keyboard when a text begins.
type keyboard struct {
	first byte
	width int // keysyms a code
	syms  []xproto.Keysym
	mods  []byte // key codes that are modifiers or act as such
	shift byte   // a code that is Shift; 0: none
	numLk byte   // modifier mask of Num Lock
	down  [32]byte
	xkbState
}

// xkbState is what modifiers do just now, however they came to it.
type xkbState struct {
	base, latched, locked byte // modifiers that are held, wait for one key, stay
	group                 byte // active layout
}

func (k *keyboard) sym(code byte, column int) uint32 {
	i := (int(code)-int(k.first))*k.width + column
	if code < k.first || column >= k.width || i >= len(k.syms) {
		return 0
	}
	return uint32(k.syms[i])
}

func (k *keyboard) isDown(code byte) bool { return k.down[code/8]&(1<<(code%8)) != 0 }

// readKeyboard asks for everything at once and then takes the answers.
func (d *x11) readKeyboard() (*keyboard, error) {
	c := d.hand.Conn
	first, last := d.hand.setup.MinKeycode, d.hand.setup.MaxKeycode
	mapping := xproto.GetKeyboardMapping(c, first, byte(last-first+1))
	modifiers := xproto.GetModifierMapping(c)
	down := xproto.QueryKeymap(c)
	m, err := mapping.Reply()
	if err != nil {
		return nil, err
	}
	mods, err := modifiers.Reply()
	if err != nil {
		return nil, err
	}
	held, err := down.Reply()
	if err != nil {
		return nil, err
	}
	k := &keyboard{first: byte(first), width: int(m.KeysymsPerKeycode), syms: m.Keysyms}
	copy(k.down[:], held.Keys)
	for i, code := range mods.Keycodes {
		if code == 0 {
			continue
		}
		row := i / int(mods.KeycodesPerModifier)
		k.mods = append(k.mods, byte(code))
		if row == xproto.MapIndexShift && k.shift == 0 {
			k.shift = byte(code)
		}
		if k.sym(byte(code), 0) == symNumLock {
			k.numLk |= 1 << row
		}
	}
	// The core protocol does not know all: AltGr acts through the keyboard
	// extension and is in no row of its table.
	for c := int(first); c <= int(last); c++ {
		if code := byte(c); actsAsModifier(k.sym(code, 0)) && !slices.Contains(k.mods, code) {
			k.mods = append(k.mods, code)
		}
	}
	if k.xkbState, err = d.modifiers(); err != nil {
		return nil, err
	}
	return k, nil
}

// actsAsModifier: Shift_L to Hyper_R, Mode_switch, Num_Lock, ISO_Lock to ISO_Level5_Lock.
func actsAsModifier(sym uint32) bool {
	return sym >= 0xffe1 && sym <= 0xffee || sym == 0xff7e || sym == symNumLock || sym >= 0xfe01 && sym <= 0xfe13
}

// liftModifiers lets go of what we hold and unlocks Caps Lock and its like. Of
// what somebody holds at the machine nothing can be lifted; k.base shows it.
func (d *x11) liftModifiers(k *keyboard) (lifted []byte, err error) {
	asked := k.base != 0
	for _, code := range k.mods {
		if k.isDown(code) {
			asked = true
			d.tap(xproto.KeyRelease, code)
			if d.input.keys[code] {
				lifted = append(lifted, code)
			}
		}
	}
	if k.locked&^k.numLk != 0 || k.latched != 0 {
		d.lockModifiers(k.locked&^k.numLk, 0, true)
	}
	if asked {
		now, err := d.modifiers()
		if err != nil {
			return nil, err
		}
		k.base = now.base
	}
	return lifted, nil
}

func (d *x11) restoreModifiers(k *keyboard, lifted []byte) {
	if lock := k.locked &^ k.numLk; lock != 0 {
		d.lockModifiers(lock, lock, true)
	}
	for _, code := range lifted {
		d.tap(xproto.KeyPress, code)
	}
	_ = d.sync()
}

// The three requests of the X Keyboard Extension that are needed; xgb has none.
const (
	xkbUseExtension   = 0
	xkbGetState       = 4
	xkbLatchLockState = 5
	xkbUseCoreKbd     = 0x100
)

func (d *x11) useXKB() error {
	buf := make([]byte, 8)
	xgb.Put16(buf[4:], 1)
	reply, err := d.hand.request("XKEYBOARD", xkbUseExtension, buf, true)
	if errors.Is(err, errors.ErrUnsupported) || err == nil && len(reply) > 1 && reply[1] == 0 {
		delete(d.hand.ext, "XKEYBOARD")
		d.log.Info("no keyboard extension on the x server; text may be wrong with caps lock on", "desktop", d.name)
		return nil
	}
	return err
}

func (d *x11) modifiers() (s xkbState, err error) {
	buf := make([]byte, 8)
	xgb.Put16(buf[4:], xkbUseCoreKbd)
	reply, err := d.hand.request("XKEYBOARD", xkbGetState, buf, true)
	if errors.Is(err, errors.ErrUnsupported) {
		return s, nil
	}
	if err != nil {
		return s, err
	}
	if len(reply) < 14 {
		return s, errors.New("short keyboard state")
	}
	return xkbState{base: reply[9], latched: reply[10], locked: reply[11], group: reply[12]}, nil
}

// lockModifiers sets the locks in affect to locks, and forgets latches if told to.
func (d *x11) lockModifiers(affect, locks byte, unlatch bool) {
	buf := make([]byte, 16)
	xgb.Put16(buf[4:], xkbUseCoreKbd)
	buf[6], buf[7] = affect, locks
	if unlatch {
		buf[10] = 0xff
	}
	if _, err := d.hand.request("XKEYBOARD", xkbLatchLockState, buf, false); err != nil {
		d.log.Debug("change locked modifiers", "desktop", d.name, "error", err)
	}
}
