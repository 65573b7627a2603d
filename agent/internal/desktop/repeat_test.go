//go:build linux

package desktop

import (
	"encoding/binary"
	"strings"
	"testing"

	"github.com/jezek/xgb"
	"github.com/jezek/xgb/xproto"

	"oriel/agent/internal/desktop/xvfbtest"
)

// Rule: a key that is held through us repeats only when we are told so; the keyboards
// of the machine go on repeating, and after us, also after a crash, all do.
func TestRepeatsAreTheViewers(t *testing.T) {
	t.Parallel()
	s := xvfbtest.Start(t, xvfbtest.Options{})
	s.Run("xset", "r", "rate", "20", "100") // what the server repeats would come at once
	c := startTerminal(t, s)
	p := newPainter(t, s)
	s.Run("xdotool", "windowfocus", "--sync", s.Window("terminal"))
	p.c.use("XKEYBOARD")
	use := make([]byte, 8)
	xgb.Put16(use[4:], 1)
	if _, err := p.c.request("XKEYBOARD", xkbUseExtension, use, true); err != nil {
		t.Fatal(err)
	}
	const core = xkbUseCoreKbd
	repeats := func(device uint16) bool {
		t.Helper()
		buf := make([]byte, 8)
		xgb.Put16(buf[4:], device)
		reply, err := p.c.request("XKEYBOARD", xkbGetControls, buf, true)
		p.check(err)
		return xgb.Get32(reply[56:])&xkbRepeatKeys != 0
	}
	// heldFor holds a key until the server has had time for dozens of repeats, by its own clock.
	heldFor := func(d Desktop, key Usage) {
		t.Helper()
		p.check(d.Key(key, true))
		begun := serverTime(t, p)
		eventually(t, "a while has passed", func() bool { return serverTime(t, p)-begun > 400 })
	}

	d := openX(t, s)
	xtest := d.input.repeating.xtest
	if xtest == 0 || d.input.repeating.master == 0 {
		t.Fatal("no XTEST keyboard found")
	}
	heldFor(d, 4)
	p.check(d.Key(4, true)) // two repeats of the viewer's
	p.check(d.Key(4, true))
	p.check(d.Key(4, false))
	p.check(d.Key(5, true))
	p.check(d.Key(5, false))
	c.expect(t, "aaab")
	if repeats(core) || repeats(xtest) {
		t.Error("the server repeats in mid-session")
	}
	for device := xtest + 1; device < xtest+4; device++ {
		buf := make([]byte, 8)
		xgb.Put16(buf[4:], device)
		if _, err := p.c.request("XKEYBOARD", xkbGetControls, buf, true); err == nil && !repeats(device) {
			t.Errorf("device %d, which is not ours, does not repeat", device)
		}
	}

	// Somebody sets all keyboards: XTEST's is switched off with a later press.
	s.Run("xset", "r", "on")
	if !repeats(xtest) {
		t.Error("xset r on does not reach XTEST's keyboard; is this the test it was?")
	}
	d.input.mu.Lock()
	d.input.repeating.looked = d.input.repeating.looked.Add(-lookAgain)
	d.input.mu.Unlock()
	p.check(d.Key(6, true))
	p.check(d.Key(6, false))
	c.expect(t, "c")
	if repeats(xtest) {
		t.Error("it is still on")
	}

	// Modifiers and locks do not repeat, whoever says so.
	p.check(d.Key(0xe1, true))
	p.check(d.Key(0x39, true))
	p.check(d.Key(0x39, true))
	p.check(d.Key(0xe1, true))
	p.check(d.Key(4, true))
	p.check(d.Key(4, false))
	p.check(d.Key(0xe1, false))
	p.check(d.Key(0x39, false))
	p.check(d.Key(4, true))
	p.check(d.Key(4, false))
	c.expect(t, "aA") // Shift under Caps Lock, then Caps Lock alone

	d.hand.hangUp() // as a crash does
	eventually(t, "the server repeats again", func() bool { return repeats(core) && repeats(xtest) })
}

// serverTime is the server's clock, in ms.
func serverTime(t *testing.T, p *painter) uint32 {
	t.Helper()
	p.check(xproto.ChangeWindowAttributesChecked(p.c.Conn, p.win, xproto.CwEventMask, []uint32{xproto.EventMaskPropertyChange}).Check())
	p.check(xproto.ChangePropertyChecked(p.c.Conn, xproto.PropModeAppend, p.win, xproto.AtomWmName, xproto.AtomString, 8, 0, nil).Check())
	ev := p.wait(xproto.PropertyNotify)
	return binary.LittleEndian.Uint32(ev[12:])
}

// Rule: a list of devices is read within its bounds.
func TestFindsNoKeyboardInBrokenLists(t *testing.T) {
	entry := func(id, use, attached uint16, name string, classes ...byte) []byte {
		b := make([]byte, 12)
		for i, v := range []uint16{id, use, attached, uint16(len(classes)), uint16(len(name))} {
			binary.LittleEndian.PutUint16(b[2*i:], v)
		}
		b = append(b, name+strings.Repeat("\x00", -len(name)&3)...)
		for _, words := range classes {
			class := make([]byte, 4*max(1, int(words)))
			binary.LittleEndian.PutUint16(class[2:], uint16(words))
			b = append(b, class...)
		}
		return b
	}
	list := func(entries ...[]byte) []byte {
		b := make([]byte, 32)
		binary.LittleEndian.PutUint16(b[8:], uint16(len(entries)))
		for _, e := range entries {
			b = append(b, e...)
		}
		return b
	}
	good := list(entry(3, 2, 2, "Virtual core keyboard", 2, 5), entry(5, 4, 3, "Virtual core XTEST keyboard", 2))
	if device, master, err := findXTEST(good); device != 5 || master != 3 || err != nil {
		t.Errorf("device %d, master %d, %v", device, master, err)
	}
	for n := range good {
		findXTEST(good[:n])
	}
	for _, bad := range [][]byte{nil, list(), list(entry(3, 2, 2, "x", 0), entry(5, 4, 3, "Virtual core XTEST keyboard")), list(entry(5, 3, 2, "Virtual core XTEST keyboard"))} {
		if device, _, err := findXTEST(bad); err == nil {
			t.Errorf("device %d of a broken list", device)
		}
	}
}
