// Command target is the program on the shared X display in the end-to-end
// tests: one window over the whole screen whose every pixel is known and which
// shows what reaches it.
//
//   - A key that is held is a green cell, one that was released a blue cell, in
//     a grid of 16 columns: cell k is for X key code k.
//   - A pressed mouse button leaves a square of 32 pixels where it was pressed
//     (left red, middle yellow, right magenta); releasing it puts a white
//     square of 12 pixels into the middle of where it was released.
//   - Wheel steps up and down lengthen and shorten a bar.
//
// Each event is also a line of JSON on standard output. The first line says
// that the window is up. Lines on standard input: "clear" draws anew, "box X Y
// W H RRGGBB" fills a rectangle, "quit" ends. It ends with the display, too.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/jezek/xgb"
	"github.com/jezek/xgb/xproto"
)

// Geometry, known to the tests (console/e2e/harness/target.ts).
const (
	gridX, gridY, cell, columns = 40, 40, 24, 16
	barX, barY, barHeight, step = 40, 480, 24, 16
)

type event struct {
	Kind string `json:"kind"` // ready, key, button
	Code int    `json:"code"`
	Down bool   `json:"down"`
	X    int    `json:"x"`
	Y    int    `json:"y"`
	At   int64  `json:"at"` // Unix milliseconds
}

type target struct {
	conn   *xgb.Conn
	win    xproto.Window
	gc     xproto.Gcontext
	width  int
	height int
	wheel  int
	out    *json.Encoder
}

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "target:", err)
		os.Exit(1)
	}
}

func run() error {
	conn, err := xgb.NewConn()
	if err != nil {
		return fmt.Errorf("open display: %w", err)
	}
	defer conn.Close()
	t, err := open(conn)
	if err != nil {
		return err
	}
	go t.commands()
	for {
		ev, xerr := conn.WaitForEvent()
		if ev == nil && xerr == nil {
			return nil // the display is gone
		}
		t.handle(ev)
	}
}

func open(conn *xgb.Conn) (*target, error) {
	screen := xproto.Setup(conn).DefaultScreen(conn)
	win, err := xproto.NewWindowId(conn)
	if err != nil {
		return nil, err
	}
	gc, err := xproto.NewGcontextId(conn)
	if err != nil {
		return nil, err
	}
	w, h := screen.WidthInPixels, screen.HeightInPixels
	mask := uint32(xproto.EventMaskExposure | xproto.EventMaskKeyPress | xproto.EventMaskKeyRelease |
		xproto.EventMaskButtonPress | xproto.EventMaskButtonRelease | xproto.EventMaskStructureNotify)
	if err := xproto.CreateWindowChecked(conn, screen.RootDepth, win, screen.Root, 0, 0, w, h, 0,
		xproto.WindowClassInputOutput, screen.RootVisual,
		xproto.CwBackPixel|xproto.CwOverrideRedirect|xproto.CwEventMask,
		[]uint32{0x203040, 1, mask}).Check(); err != nil {
		return nil, fmt.Errorf("create window: %w", err)
	}
	if err := xproto.CreateGCChecked(conn, gc, xproto.Drawable(win), xproto.GcForeground|xproto.GcGraphicsExposures,
		[]uint32{0, 0}).Check(); err != nil {
		return nil, fmt.Errorf("create graphics context: %w", err)
	}
	xproto.MapWindow(conn, win)
	return &target{conn: conn, win: win, gc: gc, width: int(w), height: int(h), out: json.NewEncoder(os.Stdout)}, nil
}

func (t *target) handle(ev xgb.Event) {
	switch e := ev.(type) {
	case xproto.MapNotifyEvent:
		xproto.SetInputFocus(t.conn, xproto.InputFocusParent, t.win, xproto.TimeCurrentTime)
	case xproto.ExposeEvent:
		if e.Count == 0 {
			t.draw()
			t.say(event{Kind: "ready", X: t.width, Y: t.height})
		}
	case xproto.KeyPressEvent:
		t.key(int(e.Detail), true)
	case xproto.KeyReleaseEvent:
		t.key(int(e.Detail), false)
	case xproto.ButtonPressEvent:
		t.button(int(e.Detail), true, int(e.EventX), int(e.EventY))
	case xproto.ButtonReleaseEvent:
		t.button(int(e.Detail), false, int(e.EventX), int(e.EventY))
	}
}

func (t *target) say(e event) {
	e.At = time.Now().UnixMilli()
	_ = t.out.Encode(e)
}

// draw is the pattern: patches of colour, fine lines and a ramp of grey, so
// that a picture which is shifted, scaled or blurred is told from a true one.
func (t *target) draw() {
	t.wheel = 0
	t.fill(0, 0, t.width, t.height, 0x203040)
	colours := []uint32{0xffffff, 0xc0c000, 0x00c0c0, 0x00c000, 0xc000c0, 0xc00000, 0x0000c0, 0x101010}
	for i, c := range colours {
		t.fill(480+i*80, 40, 80, 160, c)
	}
	for i := range 64 {
		t.fill(480+i*10, 220, 10, 80, uint32(i*4)*0x010101)
	}
	for i := range 80 {
		t.fill(480+i*4, 320, 2, 120, 0xe0e0e0)
		t.fill(840, 320+i*2, 280, 1, uint32(0x404040*(1+i%3)))
	}
	for k := 8; k < 256; k++ {
		t.cell(k, 0x304050)
	}
}

func (t *target) cell(k int, colour uint32) {
	t.fill(gridX+k%columns*cell, gridY+k/columns*cell, cell-2, cell-2, colour)
}

func (t *target) key(k int, down bool) {
	colour := uint32(0x2040ff)
	if down {
		colour = 0x20e020
	}
	t.cell(k, colour)
	t.say(event{Kind: "key", Code: k, Down: down})
}

func (t *target) button(b int, down bool, x, y int) {
	colours := map[int]uint32{1: 0xff2020, 2: 0xffff20, 3: 0xff20ff}
	switch {
	case b >= 4 && b <= 7:
		if down {
			t.wheel = max(0, t.wheel+map[int]int{4: -1, 5: 1, 6: -1, 7: 1}[b])
			t.fill(barX, barY, 400, barHeight, 0x203040)
			t.fill(barX, barY, min(400, t.wheel*step), barHeight, 0xffa000)
		}
	case down:
		t.fill(x-16, y-16, 32, 32, colours[b])
	default:
		t.fill(x-6, y-6, 12, 12, 0xffffff)
	}
	t.say(event{Kind: "button", Code: b, Down: down, X: x, Y: y})
}

func (t *target) fill(x, y, w, h int, colour uint32) {
	xproto.ChangeGC(t.conn, t.gc, xproto.GcForeground, []uint32{colour})
	xproto.PolyFillRectangle(t.conn, xproto.Drawable(t.win), t.gc,
		[]xproto.Rectangle{{X: int16(x), Y: int16(y), Width: uint16(max(0, w)), Height: uint16(max(0, h))}})
}

func (t *target) commands() {
	in := bufio.NewScanner(os.Stdin)
	for in.Scan() {
		switch line := in.Text(); {
		case line == "clear":
			t.draw()
		case line == "quit":
			os.Exit(0)
		case strings.HasPrefix(line, "box "):
			var x, y, w, h int
			var colour uint32
			if _, err := fmt.Sscanf(line, "box %d %d %d %d %x", &x, &y, &w, &h, &colour); err == nil {
				t.fill(x, y, w, h, colour)
			}
		}
	}
	os.Exit(0) // the test is gone
}
