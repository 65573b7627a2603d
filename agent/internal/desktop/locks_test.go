//go:build linux

package desktop

import (
	"regexp"
	"testing"

	"github.com/jezek/xgb/xproto"

	"oriel/agent/internal/desktop/xvfbtest"
)

// Rule: the operator's Caps Lock and Num Lock decide what a key types, whatever the
// computer's are; afterwards those are as they were, unless somebody at the computer
// has changed them meanwhile.
func TestLocksAreComparedAndPutBack(t *testing.T) {
	t.Parallel()
	s := xvfbtest.Start(t, xvfbtest.Options{})
	c := startTerminal(t, s)
	reported := regexp.MustCompile(`(Caps|Num) Lock:\s+(on|off)`)
	expect := func(when, want string) {
		t.Helper()
		got := ""
		for _, m := range reported.FindAllStringSubmatch(s.Run("xset", "q"), -1) {
			got += m[1] + " " + m[2] + " "
		}
		if got != want {
			t.Errorf("%s: %q, want %q", when, got, want)
		}
	}
	const off, caps, num, both = "Caps off Num off ", "Caps on Num off ", "Caps off Num on ", "Caps on Num on "
	const all = LockCaps | LockNum | LockScroll | LockKana
	press := func(d Desktop, on Locks, keys string) {
		t.Helper()
		if err := d.Locks(all, on); err != nil {
			t.Fatal(err)
		}
		strokes(t, d, keys)
	}
	person := func(key string) { s.Run("xdotool", "key", key) }
	open := func() *x11 { return openX(t, s) }

	d := open()
	press(d, LockCaps, "04 05")
	c.expect(t, "AB")
	press(d, LockNum, "59 5f 60 04")
	c.expect(t, "178a")
	press(d, LockNum|LockCaps, "04")
	c.expect(t, "A")
	expect("both are wanted", both)
	d.RestoreLocks()
	d.sync()
	expect("the operator is gone", off)
	d.RestoreLocks() // once
	expect("and nothing follows", off)

	// The computer's are on, the operator's are not.
	person("Caps_Lock")
	person("Num_Lock")
	expect("the person switches both on", both)
	press(d, 0, "04 05")
	c.expect(t, "ab")
	expect("the operator has none", off)
	if err := d.Text("Text äÖ"); err != nil {
		t.Fatal(err)
	}
	c.expect(t, "Text äÖ")
	d.RestoreLocks()
	d.sync()
	expect("they are the person's again", both)

	// The person changes one in mid-session.
	press(d, 0, "04")
	c.expect(t, "a")
	person("Num_Lock") // on
	person("Num_Lock") // and off
	person("Caps_Lock")
	press(d, LockNum, "59")
	c.expect(t, "1")
	d.RestoreLocks()
	d.sync()
	expect("what the person did stays", both)
	person("Caps_Lock")
	press(d, LockCaps, "04")
	c.expect(t, "A")
	person("Num_Lock")
	d.RestoreLocks()
	d.sync()
	expect("also what was done last", num)
	person("Num_Lock")

	// A lock that both keyboards have is the person's to change, too.
	press(d, 0, "04")
	c.expect(t, "a")
	person("Caps_Lock")
	press(d, 0, "04")
	c.expect(t, "a")
	expect("the operator's is off", off)
	d.RestoreLocks()
	d.sync()
	expect("the person's is on", caps)
	person("Caps_Lock")

	// The operator presses the key of a lock itself.
	press(d, 0, "04 39 05")
	c.expect(t, "aB")
	press(d, LockCaps, "06")
	c.expect(t, "C")
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	expect("after close", off)

	// Another map: Num Lock is another modifier, and Caps Lock is none.
	s.Run("setxkbmap", "-option", "ctrl:nocaps")
	d = open()
	press(d, LockCaps|LockNum, "59 04")
	c.expect(t, "1a")
	d.RestoreLocks()
	d.sync()
	expect("with no Caps Lock", off)

	// A lock that few maps have.
	s.Run("xmodmap", "-e", "add mod3 = Scroll_Lock")
	if _, err := xproto.GetInputFocus(d.eye.Conn).Reply(); err != nil { // it has heard of that
		t.Fatal(err)
	}
	for _, on := range []Locks{LockScroll, 0} {
		press(d, on, "04")
		state, err := d.modifiers()
		if want := byte(on/LockScroll) << 5; err != nil || state.locked != want {
			t.Errorf("scroll lock %v: locked %#x, want %#x (%v)", on, state.locked, want, err)
		}
	}
}
