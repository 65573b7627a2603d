package desktop

import (
	"bytes"
	"fmt"
	"image"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jezek/xgb/xproto"

	"oriel/agent/internal/desktop/xvfbtest"
)

// openX opens the desktop under test on s.
func openX(t testing.TB, s *xvfbtest.Server) *x11 {
	t.Helper()
	d, err := Open(Options{Display: s.Display})
	if err != nil {
		t.Fatalf("open: %v", err)
	}
	t.Cleanup(func() { d.Close() })
	return d.(*x11)
}

// eventually polls until ok says so.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	deadline := time.Now().Add(15 * time.Second)
	for !ok() {
		if time.Now().After(deadline) {
			t.Fatalf("not within 15 s: %s", what)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// painter is another X client: a window over the whole screen that it paints on.
type painter struct {
	t      testing.TB
	c      *xconn
	win    xproto.Window
	gc     xproto.Gcontext
	colour uint32
	last   image.Rectangle
	events chan [32]byte
}

func newPainter(t testing.TB, s *xvfbtest.Server) *painter {
	t.Helper()
	p := &painter{t: t, events: make(chan [32]byte, 1000)}
	var err error
	p.c, err = dialX(s.Display, "", false, func(ev []byte) {
		select {
		case p.events <- [32]byte(ev):
		default:
			panic("events nobody reads")
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		p.c.hangUp()
		<-p.c.closed
	})
	p.win, _ = xproto.NewWindowId(p.c.Conn)
	p.gc, _ = xproto.NewGcontextId(p.c.Conn)
	p.check(xproto.CreateWindowChecked(p.c.Conn, p.c.screen.RootDepth, p.win, p.c.root, 0, 0,
		p.c.screen.WidthInPixels, p.c.screen.HeightInPixels, 0, xproto.WindowClassInputOutput, p.c.screen.RootVisual,
		xproto.CwBackPixel|xproto.CwOverrideRedirect|xproto.CwEventMask, []uint32{0, 1, xproto.EventMaskExposure}).Check())
	p.check(xproto.CreateGCChecked(p.c.Conn, p.gc, xproto.Drawable(p.win), 0, nil).Check())
	p.check(xproto.MapWindowChecked(p.c.Conn, p.win).Check())
	p.wait(xproto.Expose)
	return p
}

func (p *painter) check(err error) {
	p.t.Helper()
	if err != nil {
		p.t.Fatal(err)
	}
}

// wait returns the next event of a kind.
func (p *painter) wait(kinds ...byte) [32]byte {
	p.t.Helper()
	deadline := time.After(15 * time.Second)
	for {
		select {
		case ev := <-p.events:
			for _, kind := range kinds {
				if ev[0]&0x7f == kind {
					return ev
				}
			}
		case <-deadline:
			p.t.Fatalf("no event %v", kinds)
		}
	}
}

// focus has keys and buttons come here.
func (p *painter) focus() {
	p.t.Helper()
	p.check(xproto.ChangeWindowAttributesChecked(p.c.Conn, p.win, xproto.CwEventMask, []uint32{
		xproto.EventMaskKeyPress | xproto.EventMaskKeyRelease | xproto.EventMaskButtonPress |
			xproto.EventMaskButtonRelease | xproto.EventMaskFocusChange}).Check())
	p.check(xproto.SetInputFocusChecked(p.c.Conn, xproto.InputFocusPointerRoot, p.win, xproto.TimeCurrentTime).Check())
	p.wait(xproto.FocusIn)
}

// fill paints a rectangle with a colour that was not used before and waits
// until the server has done it.
func (p *painter) fill(r image.Rectangle) {
	p.t.Helper()
	// Steps in every channel, also with the 16 bits of some servers.
	p.colour = (p.colour + 0x1021) & 0xffff
	pixel := p.colour
	if p.c.screen.RootDepth > 16 {
		pixel = p.colour*0x101 ^ 0x5a0000
	}
	p.check(xproto.ChangeGCChecked(p.c.Conn, p.gc, xproto.GcForeground, []uint32{pixel}).Check())
	p.last = r
	p.again()
}

// again paints the last rectangle once more.
func (p *painter) again() {
	r := p.last
	if err := xproto.PolyFillRectangleChecked(p.c.Conn, xproto.Drawable(p.win), p.gc, []xproto.Rectangle{{
		X: int16(r.Min.X), Y: int16(r.Min.Y), Width: uint16(r.Dx()), Height: uint16(r.Dy())}}).Check(); err != nil {
		p.t.Error(err)
	}
}

// cursor gives the window a cursor: # red, . blue, space nothing.
func (p *painter) cursor(rows []string, hot image.Point) {
	p.t.Helper()
	w, h := len(rows[0]), len(rows)
	plane := func(on func(byte) bool) xproto.Pixmap {
		id, _ := xproto.NewPixmapId(p.c.Conn)
		gc, _ := xproto.NewGcontextId(p.c.Conn)
		p.check(xproto.CreatePixmapChecked(p.c.Conn, 1, id, xproto.Drawable(p.win), uint16(w), uint16(h)).Check())
		p.check(xproto.CreateGCChecked(p.c.Conn, gc, xproto.Drawable(id), xproto.GcForeground, []uint32{0}).Check())
		xproto.PolyFillRectangle(p.c.Conn, xproto.Drawable(id), gc, []xproto.Rectangle{{Width: uint16(w), Height: uint16(h)}})
		xproto.ChangeGC(p.c.Conn, gc, xproto.GcForeground, []uint32{1})
		for y, row := range rows {
			for x := range row {
				if on(row[x]) {
					xproto.PolyPoint(p.c.Conn, xproto.CoordModeOrigin, xproto.Drawable(id), gc, []xproto.Point{{X: int16(x), Y: int16(y)}})
				}
			}
		}
		return id
	}
	source := plane(func(b byte) bool { return b == '#' })
	mask := plane(func(b byte) bool { return b != ' ' })
	id, _ := xproto.NewCursorId(p.c.Conn)
	p.check(xproto.CreateCursorChecked(p.c.Conn, id, source, mask, 0xffff, 0, 0, 0, 0, 0xffff, uint16(hot.X), uint16(hot.Y)).Check())
	p.check(xproto.ChangeWindowAttributesChecked(p.c.Conn, p.win, xproto.CwCursor, []uint32{uint32(id)}).Check())
}

// keysDown are the key codes that the server holds for pressed.
func (p *painter) keysDown() (codes []byte) {
	p.t.Helper()
	reply, err := xproto.QueryKeymap(p.c.Conn).Reply()
	p.check(err)
	for i := range 256 {
		if reply.Keys[i/8]&(1<<(i%8)) != 0 {
			codes = append(codes, byte(i))
		}
	}
	return codes
}

// buttonsDown is the state of the pointer's buttons 1 to 5.
func (p *painter) buttonsDown() uint16 {
	p.t.Helper()
	reply, err := xproto.QueryPointer(p.c.Conn, p.c.root).Reply()
	p.check(err)
	return reply.Mask & 0x1f00
}

// keymap is the whole keyboard map.
func (p *painter) keymap() []xproto.Keysym {
	p.t.Helper()
	first, last := p.c.setup.MinKeycode, p.c.setup.MaxKeycode
	reply, err := xproto.GetKeyboardMapping(p.c.Conn, first, byte(last-first+1)).Reply()
	p.check(err)
	return reply.Keysyms
}

func readPPM(t testing.TB, b []byte) ([]byte, image.Point) {
	t.Helper()
	var w, h, depth int
	if n, err := fmt.Sscanf(string(b[:min(len(b), 40)]), "P6\n%d %d\n%d\n", &w, &h, &depth); n != 3 || depth != 255 {
		t.Fatalf("no picture: %v", err)
	}
	rgb := b[len(b)-w*h*3:]
	pix := make([]byte, w*h*4)
	for i := range w * h {
		pix[i*4], pix[i*4+1], pix[i*4+2] = rgb[i*3+2], rgb[i*3+1], rgb[i*3]
	}
	return pix, image.Pt(w, h)
}

// setMode gives the screen another size through RandR.
func setMode(t testing.TB, s *xvfbtest.Server, n int, size image.Point) {
	t.Helper()
	name := fmt.Sprintf("mode%d", n)
	x, y := fmt.Sprint(size.X), fmt.Sprint(size.Y)
	s.Run("xrandr", "--newmode", name, "10", x, x, x, x, y, y, y, y)
	s.Run("xrandr", "--addmode", "screen", name)
	s.Run("xrandr", "--output", "screen", "--mode", name)
}

// terminal is an xterm in which cat writes what is typed to a file.
type terminal struct {
	pid  int
	file string
	seen int
}

var terminals atomic.Int32

func startTerminal(t testing.TB, s *xvfbtest.Server) *terminal {
	t.Helper()
	c := &terminal{file: filepath.Join(t.TempDir(), "typed")}
	title := fmt.Sprintf("terminal%d", terminals.Add(1))
	cmd := s.Command("xterm", "-u8", "-title", title, "-geometry", "100x30+0+0", "-e", "sh", "-c",
		"stty -echo -icanon min 1 time 0 -icrnl -ixon -isig -iexten; : > "+c.file+"; exec cat >> "+c.file)
	c.pid = cmd.Process.Pid
	id := s.Window(title)
	s.Run("xdotool", "windowfocus", "--sync", id)
	eventually(t, "cat runs", func() bool { _, err := os.Stat(c.file); return err == nil })
	return c
}

// expect waits until something has been typed since the last call and fails
// unless it is exactly want.
func (c *terminal) expect(t testing.TB, want string) {
	t.Helper()
	want = strings.ReplaceAll(want, "\n", "\r")
	var got []byte
	deadline := time.Now().Add(20 * time.Second)
	for time.Now().Before(deadline) {
		b, err := os.ReadFile(c.file)
		if err != nil {
			t.Fatal(err)
		}
		if got = b[c.seen:]; len(got) >= len(want) {
			break
		}
		time.Sleep(5 * time.Millisecond)
	}
	c.seen += len(got)
	if !bytes.Equal(got, []byte(want)) {
		t.Fatalf("typed\n%q\narrived as\n%q", want, got)
	}
}

// grabServer keeps every other client from being served, until the test ends.
func (p *painter) grabServer() {
	p.t.Helper()
	p.check(xproto.GrabServerChecked(p.c.Conn).Check())
}
