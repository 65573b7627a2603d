package desktop

import (
	"bytes"
	"errors"
	"fmt"
	"image"
	"io"
	"net"
	"path/filepath"
	"strings"
	"testing"

	"github.com/jezek/xgb/xproto"

	"oriel/agent/internal/desktop/xvfbtest"
)

// Rule: a part that an X server has not costs what it gives, and no more; and the
// desktop says which it is.
func TestEachMissingPart(t *testing.T) {
	for _, c := range []struct {
		without string
		lacks   Lacks
	}{
		{"", 0},
		{"XTEST", LacksInput},
		{"DAMAGE", LacksDamage},
		{"XFIXES", LacksPointerShape},
		{"RANDR", 0},
		{"MIT-SHM", LacksSharedMemory},
		{"DAMAGE MIT-SHM", LacksDamage | LacksSharedMemory},
		{"XTEST DAMAGE XFIXES RANDR MIT-SHM", LacksInput | LacksDamage | LacksPointerShape | LacksSharedMemory},
	} {
		t.Run(c.without, func(t *testing.T) {
			t.Parallel()
			var args []string
			for name := range strings.FieldsSeq(c.without) {
				args = append(args, "-extension", name)
			}
			r := startX(t, xvfbtest.Options{Args: args})
			if is := r.Lacks(); is != c.lacks {
				t.Errorf("it lacks %04b, want %04b", is, c.lacks)
			}
			w := &watcher{d: r}
			w.next(t)
			// Other programs need what is missing here.
			witness, err := dialX(r.server.Display, "", false, nil)
			if err != nil {
				t.Fatal(err)
			}
			defer func() {
				witness.hangUp()
				<-witness.closed
			}()
			r.truth = func() ([]byte, image.Point) {
				reply, err := xproto.GetImage(witness.Conn, xproto.ImageFormatZPixmap, xproto.Drawable(witness.root),
					0, 0, uint16(rigSize.X), uint16(rigSize.Y), 0xffffffff).Reply()
				if err != nil {
					t.Fatal(err)
				}
				return reply.Data, rigSize
			}
			w.settled(t, r)
			for range 5 {
				within := r.change()
				changed := w.settled(t, r)
				if len(changed) == 0 {
					t.Error("nothing changed")
				}
				for _, dirty := range changed {
					if !dirty.In(within) {
						t.Errorf("dirty %v, changed was %v", dirty, within)
					}
				}
			}
			w.quiet(t, nil)

			p := newPainter(t, r.server)
			p.focus()
			p.cursor([]string{"##", ".."}, image.Pt(1, 1))
			shown := func() bool {
				s := r.Cursor().Shape
				return s != nil && s.Rect.Size() == image.Pt(2, 2)
			}
			p.check(xproto.WarpPointerChecked(p.c.Conn, 0, p.c.root, 0, 0, 0, 0, 200, 100).Check())
			eventually(t, "the pointer's place", func() bool { return r.Cursor().Position == image.Pt(200, 100) })
			if c.lacks&LacksPointerShape == 0 {
				eventually(t, "its shape", shown)
			} else if cursor := r.Cursor(); cursor.Shape != nil || !cursor.Visible {
				t.Errorf("a pointer of unknown shape: %v", cursor)
			}

			acts := map[string]error{
				"move":    r.Move(image.Pt(300, 200)),
				"press":   r.Button(ButtonLeft, true),
				"release": r.Button(ButtonLeft, false),
				"wheel":   r.Wheel(0, 120),
				"down":    r.Key(4, true),
				"up":      r.Key(4, false),
				"text":    r.Text("ж"),
			}
			for what, err := range acts {
				if missing := c.lacks&LacksInput != 0; missing != errors.Is(err, errors.ErrUnsupported) || !missing && err != nil {
					t.Errorf("%s: %v", what, err)
				}
			}
			if c.lacks&LacksInput == 0 {
				if ev := p.wait(xproto.ButtonPress); ev[1] != 1 {
					t.Errorf("button %d", ev[1])
				}
				p.wait(xproto.KeyPress)
			}
			if n := r.ReleaseAll(); n != 0 {
				t.Errorf("%d still held", n)
			}
			if err := r.Close(); err != nil {
				t.Error(err)
			}
		})
	}
}

// Rule: a server that has DAMAGE and does not tell of changes is noticed by the
// picture, which is then looked at itself.
func TestSilentDamage(t *testing.T) {
	t.Parallel()
	r := startX(t, xvfbtest.Options{})
	d := r.Desktop.(*x11)
	w := &watcher{d: r}
	r.change()
	w.settled(t, r)
	if r.Lacks() != 0 {
		t.Errorf("lacks %v", r.Lacks())
	}
	told := d.capture.bases.Load()
	d.capture.bases.Store(&bases{damage: 0xff, xfixes: told.xfixes, randr: told.randr})
	for range 3 {
		r.change()
		w.settled(t, r)
	}
	if r.Lacks() != LacksDamage {
		t.Errorf("lacks %v, want damage", r.Lacks())
	}
	d.capture.bases.Store(told)
	r.change()
	w.settled(t, r)
}

// Rule: Xwayland is no desktop, and it is asked itself whether it is that.
func TestXwaylandIsNotShown(t *testing.T) {
	s := xvfbtest.Start(t, xvfbtest.Options{})
	// The proxy answers for XWAYLAND what the server says of another extension.
	file := filepath.Join(t.TempDir(), "x")
	l, err := net.Listen("unix", file+":0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		for {
			here, err := l.Accept()
			if err != nil {
				return
			}
			there, err := net.Dial("unix", "/tmp/.X11-unix/X"+strings.TrimPrefix(s.Display, ":"))
			if err != nil {
				here.Close()
				return
			}
			go func() {
				io.Copy(here, there)
				here.Close()
			}()
			go func() {
				buf := make([]byte, 64<<10)
				for {
					n, err := here.Read(buf)
					if err != nil {
						there.Close()
						return
					}
					there.Write(bytes.ReplaceAll(buf[:n], []byte("XWAYLAND"), []byte("SECURITY")))
				}
			}()
		}
	}()
	t.Setenv("DISPLAY", file+":0")
	for _, portable := range []bool{false, true} {
		d, err := Open(Options{Portable: portable})
		if err == nil {
			d.Close()
		}
		if portable && strings.Contains(fmt.Sprint(err), "this build has no portable backend") {
			continue
		}
		if !errors.Is(err, ErrWayland) || !errors.Is(err, ErrNoDisplay) || !strings.Contains(fmt.Sprint(err), "Wayland") {
			t.Errorf("xwayland, portable %v: %v", portable, err)
		}
	}
}

// Rule: left is left. Whatever the server makes of its buttons, for a left-handed
// person or for a wheel that turns the other way, the button that was meant arrives.
func TestButtonsOfALeftHandedDesktop(t *testing.T) {
	t.Parallel()
	r := startX(t, xvfbtest.Options{})
	p := newPainter(t, r.server)
	p.focus()
	setMapping := func(first ...byte) (status byte) {
		t.Helper()
		now, err := xproto.GetPointerMapping(p.c.Conn).Reply()
		p.check(err)
		m := make([]byte, len(now.Map))
		for i := range m {
			m[i] = byte(i + 1)
		}
		copy(m, first)
		reply, err := xproto.SetPointerMapping(p.c.Conn, byte(len(m)), m).Reply()
		p.check(err)
		// The news has reached the desktop before what is asked next is answered.
		if err := r.Desktop.(*x11).sync(); err != nil {
			t.Fatal(err)
		}
		return reply.Status
	}
	expect := func(want ...byte) {
		t.Helper()
		for _, button := range want {
			if ev := p.wait(xproto.ButtonPress); ev[1] != button {
				t.Errorf("button %d, want %d", ev[1], button)
			}
			if ev := p.wait(xproto.ButtonRelease); ev[1] != button {
				t.Errorf("button %d goes up, want %d", ev[1], button)
			}
		}
	}
	click := func(b Button) {
		t.Helper()
		p.check(r.Button(b, true))
		p.check(r.Button(b, false))
	}
	for _, mapping := range [][]byte{{1}, {3, 2, 1}, {1, 2, 3, 5, 4, 7, 6}, {2, 3, 1, 5, 4}, {1}} {
		if status := setMapping(mapping...); status != xproto.MappingStatusSuccess {
			t.Fatalf("mapping %v is refused: %d", mapping, status)
		}
		click(ButtonLeft)
		click(ButtonMiddle)
		click(ButtonRight)
		p.check(r.Wheel(0, 120))
		p.check(r.Wheel(120, 0))
		expect(1, 2, 3, 5, 7)
	}
	// A mapping that changes in mid-press leaves no button down.
	p.check(r.Button(ButtonLeft, true))
	p.wait(xproto.ButtonPress)
	setMapping(3, 2, 1) // a server may refuse it while a button is down
	p.check(r.Button(ButtonLeft, false))
	eventually(t, "nothing is down", func() bool { return p.buttonsDown() == 0 })
	// A button that is switched off is not pressed as another.
	setMapping(1, 0, 3)
	if err := r.Button(ButtonMiddle, true); !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("a button that is switched off: %v", err)
	}
}
