//go:build linux

package desktop

import (
	"errors"
	"image"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/jezek/xgb/xproto"

	"oriel/agent/internal/desktop/xvfbtest"
)

// keyNames are what the X keyboard database calls the keys, by usage: an
// account of where a key is that owes nothing to our own table of numbers.
var keyNames = map[Usage]string{
	0x14: "AD01", 0x1a: "AD02", 0x08: "AD03", 0x15: "AD04", 0x17: "AD05", 0x1c: "AD06", 0x18: "AD07", 0x0c: "AD08", 0x12: "AD09", 0x13: "AD10",
	0x04: "AC01", 0x16: "AC02", 0x07: "AC03", 0x09: "AC04", 0x0a: "AC05", 0x0b: "AC06", 0x0d: "AC07", 0x0e: "AC08", 0x0f: "AC09",
	0x1d: "AB01", 0x1b: "AB02", 0x06: "AB03", 0x19: "AB04", 0x05: "AB05", 0x11: "AB06", 0x10: "AB07",
	0x1e: "AE01", 0x1f: "AE02", 0x20: "AE03", 0x21: "AE04", 0x22: "AE05", 0x23: "AE06", 0x24: "AE07", 0x25: "AE08", 0x26: "AE09", 0x27: "AE10",
	0x28: "RTRN", 0x29: "ESC", 0x2a: "BKSP", 0x2b: "TAB", 0x2c: "SPCE", 0x2d: "AE11", 0x2e: "AE12", 0x2f: "AD11", 0x30: "AD12",
	0x31: "BKSL", 0x32: "BKSL", 0x33: "AC10", 0x34: "AC11", 0x35: "TLDE", 0x36: "AB08", 0x37: "AB09", 0x38: "AB10", 0x39: "CAPS",
	0x3a: "FK01", 0x3b: "FK02", 0x3c: "FK03", 0x3d: "FK04", 0x3e: "FK05", 0x3f: "FK06", 0x40: "FK07", 0x41: "FK08", 0x42: "FK09",
	0x43: "FK10", 0x44: "FK11", 0x45: "FK12", 0x46: "PRSC", 0x47: "SCLK", 0x48: "PAUS", 0x49: "INS", 0x4a: "HOME", 0x4b: "PGUP",
	0x4c: "DELE", 0x4d: "END", 0x4e: "PGDN", 0x4f: "RGHT", 0x50: "LEFT", 0x51: "DOWN", 0x52: "UP", 0x53: "NMLK",
	0x54: "KPDV", 0x55: "KPMU", 0x56: "KPSU", 0x57: "KPAD", 0x58: "KPEN", 0x59: "KP1", 0x5a: "KP2", 0x5b: "KP3", 0x5c: "KP4",
	0x5d: "KP5", 0x5e: "KP6", 0x5f: "KP7", 0x60: "KP8", 0x61: "KP9", 0x62: "KP0", 0x63: "KPDL", 0x64: "LSGT", 0x65: "COMP",
	0x66: "POWR", 0x67: "KPEQ",
	0x68: "FK13", 0x69: "FK14", 0x6a: "FK15", 0x6b: "FK16", 0x6c: "FK17", 0x6d: "FK18", 0x6e: "FK19", 0x6f: "FK20", 0x70: "FK21",
	0x71: "FK22", 0x72: "FK23", 0x73: "FK24",
	0x74: "OPEN", 0x75: "HELP", 0x76: "PROP", 0x77: "FRNT", 0x78: "STOP", 0x79: "AGAI", 0x7a: "UNDO", 0x7b: "CUT", 0x7c: "COPY",
	0x7d: "PAST", 0x7e: "FIND", 0x7f: "MUTE", 0x80: "VOL+", 0x81: "VOL-", 0x85: "KPPT", 0x87: "AB11", 0x88: "HKTG", 0x89: "AE13",
	0x8a: "HENK", 0x8b: "MUHE", 0x8c: "JPCM", 0x90: "HNGL", 0x91: "HJCV", 0x92: "KATA", 0x93: "HIRA",
	0xb6: "I187", 0xb7: "I188",
	0xe0: "LCTL", 0xe1: "LFSH", 0xe2: "LALT", 0xe3: "LWIN", 0xe4: "RCTL", 0xe5: "RTSH", 0xe6: "RALT", 0xe7: "RWIN",
}

// evdevCodes reads the server's own key names.
func evdevCodes(t *testing.T) map[string]byte {
	t.Helper()
	b, err := os.ReadFile("/usr/share/X11/xkb/keycodes/evdev")
	if err != nil {
		t.Fatal(err)
	}
	codes := make(map[string]byte)
	for _, m := range regexp.MustCompile(`(?m)^\s*<([^>]+)>\s*=\s*(\d+);`).FindAllStringSubmatch(string(b), -1) {
		n, _ := strconv.Atoi(m[2])
		codes[m[1]] = byte(n)
	}
	for _, m := range regexp.MustCompile(`(?m)^\s*alias <([^>]+)>\s*=\s*<([^>]+)>;`).FindAllStringSubmatch(string(b), -1) {
		if _, ok := codes[m[1]]; !ok {
			codes[m[1]] = codes[m[2]]
		}
	}
	return codes
}

func TestEveryKeyArrivesAsItself(t *testing.T) {
	codes := evdevCodes(t)
	each(t, func(b backend) bool { return b.x }, func(t *testing.T, b backend, r *rig) {
		p := newPainter(t, r.server)
		p.focus()
		pressed := 0
		for usage := Usage(0); usage < 0x100; usage++ {
			err := r.Key(usage, true)
			if errors.Is(err, errors.ErrUnsupported) {
				if _, known := keyNames[usage]; known && b.rawKey {
					t.Errorf("key %#x is not supported", usage)
				}
				continue
			}
			if err != nil {
				t.Fatal(err)
			}
			pressed++
			if err := r.Key(usage, false); err != nil {
				t.Fatal(err)
			}
			down, up := p.wait(xproto.KeyPress, xproto.KeyRelease), p.wait(xproto.KeyPress, xproto.KeyRelease)
			if name := keyNames[usage]; !b.rawKey && down[1] == codes["LFSH"] && name != "LFSH" {
				// A backend of key names holds Shift for a digit of the keypad.
				down, up = up, p.wait(xproto.KeyRelease)
				p.wait(xproto.KeyRelease)
			}
			if down[0] != xproto.KeyPress || up[0] != xproto.KeyRelease || down[1] != up[1] {
				t.Fatalf("key %#x: event %d of %d, then %d of %d", usage, down[0], down[1], up[0], up[1])
			}
			if name, ok := keyNames[usage]; ok && down[1] != codes[name] {
				t.Errorf("key %#x is key code %d, want %d (%s)", usage, down[1], codes[name], name)
			}
		}
		if pressed < 90 || b.rawKey && pressed < len(keyNames) {
			t.Errorf("%d keys pressed", pressed)
		}
		if err := r.Key(0x1ff, true); !errors.Is(err, errors.ErrUnsupported) {
			t.Errorf("an impossible key: %v", err)
		}
		if left := p.keysDown(); left != nil {
			t.Errorf("still down: %v", left)
		}
	})
}

func TestButtonsAndWheel(t *testing.T) {
	each(t, func(b backend) bool { return b.x }, func(t *testing.T, b backend, r *rig) {
		p := newPainter(t, r.server)
		p.focus()
		r.Move(image.Pt(321, 123))
		wants := map[Button]byte{ButtonLeft: 1, ButtonMiddle: 2, ButtonRight: 3}
		if b.sides {
			wants[ButtonBack], wants[ButtonForward] = 8, 9
		} else if err := r.Button(ButtonBack, true); !errors.Is(err, errors.ErrUnsupported) {
			t.Errorf("back: %v", err)
		}
		for button, want := range wants {
			for _, down := range []bool{true, false} {
				if err := r.Button(button, down); err != nil {
					t.Fatal(err)
				}
				ev := p.wait(xproto.ButtonPress, xproto.ButtonRelease)
				at := image.Pt(int(ev[20])|int(ev[21])<<8, int(ev[22])|int(ev[23])<<8)
				if (ev[0] == xproto.ButtonPress) != down || ev[1] != want || at != image.Pt(321, 123) {
					t.Errorf("button %d down %v: event %d of %d at %v", button, down, ev[0], ev[1], at)
				}
			}
		}
		if err := r.Button(99, true); !errors.Is(err, errors.ErrUnsupported) {
			t.Errorf("button 99: %v", err)
		}
		for _, step := range []struct {
			dx, dy int
			want   []byte
		}{
			{0, 120, []byte{5}}, {0, -120, []byte{4}}, {120, 0, []byte{7}}, {-240, 0, []byte{6, 6}},
			{0, 50, nil}, {0, 50, nil}, {0, 50, []byte{5}}, {0, -100, nil}, {0, -20, []byte{4}},
			{130, -360, []byte{7, 4, 4, 4}}, {0, 0, nil},
		} {
			if err := r.Wheel(step.dx, step.dy); err != nil {
				t.Fatal(err)
			}
			// A click marks the end of what the wheel did.
			r.Button(ButtonLeft, true)
			r.Button(ButtonLeft, false)
			var got []byte
			for {
				ev := p.wait(xproto.ButtonPress)
				if ev[1] == 1 {
					break
				}
				got = append(got, ev[1])
			}
			slices.Sort(got)
			want := slices.Clone(step.want)
			slices.Sort(want)
			if !slices.Equal(got, want) {
				t.Errorf("wheel %d %d: buttons %v, want %v", step.dx, step.dy, got, want)
			}
		}
		// A hostile amount is bounded.
		r.Wheel(1<<40, -1<<40)
		r.Button(ButtonRight, true)
		n := 0
		for p.wait(xproto.ButtonPress)[1] != 3 {
			n++
		}
		if n != 2*maxNotches {
			t.Errorf("%d notches", n)
		}
	})
}

func TestReleaseAll(t *testing.T) {
	press := func(t *testing.T, r *rig) {
		t.Helper()
		for _, u := range []Usage{0xe0, 0xe1, 0xe6, 0x04, 0x51} {
			if err := r.Key(u, true); err != nil {
				t.Fatal(err)
			}
			r.Key(u, true) // the operator's key repeat
		}
		for _, b := range []Button{ButtonLeft, ButtonRight} {
			if err := r.Button(b, true); err != nil {
				t.Fatal(err)
			}
		}
	}
	each(t, nil, func(t *testing.T, b backend, r *rig) {
		if n := r.ReleaseAll(); n != 0 {
			t.Errorf("%d held before anything", n)
		}
		var p *painter
		if b.x {
			p = newPainter(t, r.server)
			p.focus()
		}
		press(t, r)
		if b.x {
			eventually(t, "keys and buttons are down", func() bool { return len(p.keysDown()) == 5 && p.buttonsDown() != 0 })
		}
		if n := r.ReleaseAll(); n != 7 {
			t.Errorf("%d released, want 7", n)
		}
		if n := r.ReleaseAll(); n != 0 {
			t.Errorf("%d released twice", n)
		}
		if b.x {
			eventually(t, "all is up", func() bool { return p.keysDown() == nil && p.buttonsDown() == 0 })
		}
		press(t, r)
		if err := r.Close(); err != nil {
			t.Fatal(err)
		}
		if b.x {
			eventually(t, "all is up after close", func() bool { return p.keysDown() == nil && p.buttonsDown() == 0 })
		}
	})
}

// stroke presses keys by usage; a capital S before one holds Shift.
func strokes(t *testing.T, d Desktop, keys string) {
	t.Helper()
	for _, key := range strings.Fields(keys) {
		name, shift := strings.CutPrefix(key, "S")
		u, err := strconv.ParseUint(name, 16, 16)
		if err != nil {
			t.Fatal(err)
		}
		if shift {
			d.Key(0xe1, true)
		}
		for _, down := range []bool{true, false} {
			if err := d.Key(Usage(u), down); err != nil {
				t.Fatal(err)
			}
		}
		if shift {
			d.Key(0xe1, false)
		}
	}
}

func TestPhysicalKeysFollowTheLayout(t *testing.T) {
	// KeyQ KeyY KeyZ Digit2 Semicolon Slash, plain and with Shift.
	const keys = "14 1c 1d 1f 33 38 S14 S1c S1d S1f S33 S38"
	for layout, want := range map[string]string{
		"us": `qyz2;/QYZ@:?`,
		"de": `qzy2ö-QZY"Ö_`,
		"fr": `aywém!AYW2M§`,
		"ru": `йня2ж.ЙНЯ"Ж,`,
	} {
		t.Run(layout, func(t *testing.T) {
			t.Parallel()
			s := xvfbtest.Start(t, xvfbtest.Options{Layout: layout})
			d := openX(t, s)
			c := startTerminal(t, s)
			strokes(t, d, keys)
			c.expect(t, want)
		})
	}
}

func TestTextIsTypedAsItIs(t *testing.T) {
	texts := []string{
		"Hello, World! 0123456789\n",
		"~`!@#$%^&*()_-+={[}]|\\:;\"'<,>.?/ aAzZyYqQwWmM",
		"äöüß ÄÖÜ € éèêç ñ œ Ł ő ¿",
		"Съешь же ещё этих мягких французских булок — ЁЖ Її Ґ",
		"漢字仮名交じり文、한국어 العربية עברית",
		"😀👍🏽 🇩🇪 ∑√∞",
		"mixed: aбв漢😀 end\tof\nline",
		"ééééééé aaaaaaaaa ыыыыыыы",
	}
	for _, layout := range []string{"us", "de", "fr", "ru", "us,ru"} {
		t.Run(layout, func(t *testing.T) {
			t.Parallel()
			s := xvfbtest.Start(t, xvfbtest.Options{Layout: layout})
			p := newPainter(t, s)
			d := openX(t, s)
			c := startTerminal(t, s)
			for _, text := range texts {
				if err := d.Text(text); err != nil {
					t.Fatal(err)
				}
				c.expect(t, text)
			}
			if layout == "us,ru" {
				s.Run("setxkbmap", "-layout", "us,ru", "-option", "grp:menu_toggle")
				strokes(t, d, "65 04") // the menu key changes the group
				c.expect(t, "ф")
				for _, text := range texts {
					if err := d.Text(text); err != nil {
						t.Fatal(err)
					}
					c.expect(t, text)
				}
			}
			// Another layout in the middle of it.
			s.Layout("de")
			afterwards := p.keymap()
			if err := d.Text(texts[2] + texts[3]); err != nil {
				t.Fatal(err)
			}
			c.expect(t, texts[2]+texts[3])
			if slices.Equal(p.keymap(), afterwards) {
				t.Error("the map is not changed right after typing; is this the test it was?")
			}
			eventually(t, "the map is as it was", func() bool { return slices.Equal(p.keymap(), afterwards) })
			d.Text("漢")
			c.expect(t, "漢")
			d.Close()
			if !slices.Equal(p.keymap(), afterwards) {
				t.Error("the map is not restored by close")
			}
		})
	}
}

func TestTextUnderModifiers(t *testing.T) {
	t.Parallel()
	s := xvfbtest.Start(t, xvfbtest.Options{Layout: "de"})
	d := openX(t, s)
	c := startTerminal(t, s)
	p := newPainter(t, s)
	const text = "Hello Wörld äÄ ЯяÉé 漢😀 zZyY 123!\"§"
	s.Run("xdotool", "windowfocus", "--sync", s.Window("terminal"))

	strokes(t, d, "39") // Caps Lock
	strokes(t, d, "04")
	c.expect(t, "A")
	if err := d.Text(text); err != nil {
		t.Fatal(err)
	}
	c.expect(t, text)
	strokes(t, d, "04")
	c.expect(t, "A") // it is on again
	strokes(t, d, "39")

	for _, held := range []Usage{0xe1, 0xe5, 0xe0, 0xe2, 0xe3, 0xe6} {
		d.Key(held, true)
		if err := d.Text(text); err != nil {
			t.Fatal(err)
		}
		c.expect(t, text)
		if down := p.keysDown(); len(down) != 1 {
			t.Errorf("key %#x held before the text; after it %v are down", held, down)
		}
		d.Key(held, false)
	}
	d.Key(0xe1, true)
	strokes(t, d, "04")
	c.expect(t, "A")
	d.Key(0xe1, false)
	// Somebody else holds Shift.
	s.Run("xdotool", "keydown", "shift")
	if err := d.Text(text); err != nil {
		t.Fatal(err)
	}
	c.expect(t, text)
}

func TestTextOfManyCharacters(t *testing.T) {
	t.Parallel()
	s := xvfbtest.Start(t, xvfbtest.Options{Layout: "us"})
	d := openX(t, s)
	c := startTerminal(t, s)
	var sb strings.Builder
	for r := rune(0x4e00); r < 0x4e00+300; r++ {
		sb.WriteRune(r)
		if r%10 == 0 {
			sb.WriteString("ab ж")
		}
	}
	if err := d.Text(sb.String()); err != nil {
		t.Fatal(err)
	}
	c.expect(t, sb.String())
	long := strings.Repeat("0123456789abcdef", maxText/16)
	if err := d.Text(long); err != nil {
		t.Fatal(err)
	}
	c.expect(t, long)
	if err := d.Text(long + "x"); err == nil {
		t.Error("a text that is too long was taken")
	}
	if err := d.Text("a\r\nb\rc\x00\x07d\x7f\u0085e\xff"); err != nil {
		t.Fatal(err)
	}
	c.expect(t, "a\nb\ncde\ufffd")
	if err := d.Text(""); err != nil {
		t.Error(err)
	}
}
