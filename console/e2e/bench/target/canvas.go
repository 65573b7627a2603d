package main

import (
	"fmt"
	"image"
	"os"
	"time"

	"github.com/jezek/xgb"
	"github.com/jezek/xgb/xproto"
)

// rect is a part of the screen.
type rect struct {
	X int `json:"x"`
	Y int `json:"y"`
	W int `json:"w"`
	H int `json:"h"`
}

const (
	cell       = 16
	codeWidth  = 24 * cell
	codeHeight = 2 * cell
)

var (
	content = rect{64, 64, 1280, 720}
	head    = rect{content.X, content.Y, codeWidth, codeHeight}
	tail    = rect{content.X + content.W - codeWidth, content.Y + content.H - codeHeight, codeWidth, codeHeight}
	block   = rect{content.X, content.Y + codeHeight, 256, 208}
	colours = []uint32{0xd03030, 0x30a030, 0x3050d0, 0xd0c030, 0xc040c0, 0x30b0b0, 0xe08020, 0x7040d0}
)

// cornerCounter is the counter of the constant code, whose time is 0.
const cornerCounter = 0xc0de

// canvas is the window over the whole screen and the picture of it that is
// drawn on: what is shown of it is shown by one request, so that nobody who
// captures the screen sees a half.
type canvas struct {
	conn          *xgb.Conn
	root          xproto.Window
	win           xproto.Window
	back          xproto.Drawable
	gc            xproto.Gcontext
	depth         byte
	width, height int
	corner        rect
	pages         map[string]xproto.Drawable // uploaded once, by name
	clip          []xproto.Drawable          // the video's pictures
}

func newCanvas(conn *xgb.Conn) (*canvas, error) {
	s := xproto.Setup(conn).DefaultScreen(conn)
	c := &canvas{conn: conn, root: s.Root, depth: s.RootDepth, pages: map[string]xproto.Drawable{},
		width: int(s.WidthInPixels), height: int(s.HeightInPixels)}
	c.corner = rect{c.width - 64 - codeWidth, c.height - 64 - codeHeight, codeWidth, codeHeight}
	var err error
	if c.win, err = xproto.NewWindowId(conn); err != nil {
		return nil, err
	}
	if c.gc, err = xproto.NewGcontextId(conn); err != nil {
		return nil, err
	}
	mask := uint32(xproto.EventMaskKeyPress | xproto.EventMaskButtonPress | xproto.EventMaskStructureNotify)
	// Without a background the server paints nothing of its own into the window.
	err = xproto.CreateWindowChecked(conn, c.depth, c.win, s.Root, 0, 0, s.WidthInPixels, s.HeightInPixels, 0,
		xproto.WindowClassInputOutput, s.RootVisual, xproto.CwOverrideRedirect|xproto.CwEventMask, []uint32{1, mask}).Check()
	if err != nil {
		return nil, fmt.Errorf("create window: %w", err)
	}
	xproto.CreateGC(conn, c.gc, xproto.Drawable(s.Root), xproto.GcGraphicsExposures, []uint32{0})
	c.back = c.pixmap(c.width, c.height)
	c.fill(rect{W: c.width, H: c.height}, 0x405060)
	if err := xproto.MapWindowChecked(conn, c.win).Check(); err != nil {
		return nil, fmt.Errorf("show window: %w", err)
	}
	c.show(rect{W: c.width, H: c.height})
	return c, nil
}

func (c *canvas) pixmap(w, h int) xproto.Drawable {
	p, _ := xproto.NewPixmapId(c.conn)
	xproto.CreatePixmap(c.conn, c.depth, p, xproto.Drawable(c.root), uint16(w), uint16(h))
	return xproto.Drawable(p)
}

// upload makes a pixmap of a picture, in pieces that fit into one request.
func (c *canvas) upload(m *image.RGBA) xproto.Drawable {
	w, h := m.Rect.Dx(), m.Rect.Dy()
	p := c.pixmap(w, h)
	rows := 200_000 / (4 * w)
	for y := 0; y < h; y += rows {
		c.put(p, m.SubImage(image.Rect(0, y, w, min(h, y+rows))).(*image.RGBA), 0, y)
	}
	return p
}

// put draws a small picture.
func (c *canvas) put(to xproto.Drawable, m *image.RGBA, x, y int) {
	w, h := m.Rect.Dx(), m.Rect.Dy()
	bgrx := make([]byte, 0, 4*w*h)
	for row := range h {
		line := m.Pix[row*m.Stride:][:4*w]
		for i := 0; i < len(line); i += 4 {
			bgrx = append(bgrx, line[i+2], line[i+1], line[i], 0)
		}
	}
	xproto.PutImage(c.conn, xproto.ImageFormatZPixmap, to, c.gc, uint16(w), uint16(h), int16(x), int16(y), 0, c.depth, bgrx)
}

func (c *canvas) fill(r rect, rgb uint32) {
	c.rectangles(rgb, xproto.Rectangle{X: int16(r.X), Y: int16(r.Y), Width: uint16(r.W), Height: uint16(r.H)})
}

func (c *canvas) rectangles(rgb uint32, list ...xproto.Rectangle) {
	xproto.ChangeGC(c.conn, c.gc, xproto.GcForeground, []uint32{rgb})
	xproto.PolyFillRectangle(c.conn, c.back, c.gc, list)
}

// copy draws a part of another picture at a place of ours.
func (c *canvas) copy(from xproto.Drawable, x, y int, to rect) {
	xproto.CopyArea(c.conn, from, c.back, c.gc, int16(x), int16(y), int16(to.X), int16(to.Y), uint16(to.W), uint16(to.H))
}

// show brings a part to the screen and says when.
func (c *canvas) show(r rect) float64 {
	xproto.CopyArea(c.conn, c.back, xproto.Drawable(c.win), c.gc,
		int16(r.X), int16(r.Y), int16(r.X), int16(r.Y), uint16(r.W), uint16(r.H))
	return float64(time.Now().UnixMicro()) / 1000
}

// save writes the pixels of a part, seen or not, as the X server has them.
func (c *canvas) save(r rect, file string) error {
	got, err := xproto.GetImage(c.conn, xproto.ImageFormatZPixmap, c.back,
		int16(r.X), int16(r.Y), uint16(r.W), uint16(r.H), 0xffffffff).Reply()
	if err != nil {
		return fmt.Errorf("read the picture: %w", err)
	}
	return os.WriteFile(file, got.Data, 0o600)
}

// check is how a code that was read wrongly is told from a true one.
func check(counter, ms uint32) uint32 {
	return ((counter+1)*0x9e3779b1 ^ (ms+1)*0x85ebca77) >> 20
}

// code draws the same code everywhere: by two clocks it would now and then be two.
func (c *canvas) code(counter int, everywhere ...rect) {
	ms := uint32(time.Now().UnixMilli()) & 0xfffff
	for _, at := range everywhere {
		c.drawCode(at, uint32(counter)&0xffff, ms)
	}
}

func (c *canvas) drawCode(at rect, counter, ms uint32) {
	bits := uint64(counter)<<32 | uint64(ms)<<12 | uint64(check(counter, ms))
	c.fill(at, 0)
	var white []xproto.Rectangle
	for i := range 48 {
		if bits>>(47-i)&1 != 0 {
			white = append(white, xproto.Rectangle{X: int16(at.X + i%24*cell), Y: int16(at.Y + i/24*cell), Width: cell, Height: cell})
		}
	}
	if len(white) > 0 {
		c.rectangles(0xffffff, white...)
	}
}
