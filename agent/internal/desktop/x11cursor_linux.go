package desktop

import (
	"errors"
	"image"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jezek/xgb"
	"github.com/jezek/xgb/xfixes"
	"github.com/jezek/xgb/xproto"
)

// pointer follows the cursor. Its shape comes with XFixes events. Its place has
// no event that a bystander may have, so: raw motion of the X Input Extension
// says that a device moved (and XTEST's moves count as such), and a program that
// warps the pointer is noticed by asking, ten times a second for a while after
// anything happened on the screen and every three seconds while somebody waits in
// Next. Nothing is asked while nobody has called CursorChanged or nobody watches.
type pointer struct {
	changed chan struct{} // capacity 1
	wake    chan struct{} // capacity 1: something happened
	watched atomic.Int32  // callers in Next
	idle    atomic.Bool   // the watcher would like to hear of damage

	reshaped atomic.Bool // the shape is to be fetched
	start    sync.Once

	mu     sync.Mutex // held while asking the server, too: answers stay in order
	cursor Cursor
}

const (
	followPause = 8 * time.Millisecond   // a mouse reports up to 1,000 times a second
	busyPoll    = 100 * time.Millisecond // after something happened
	busyFor     = 2 * time.Second
	calmPoll    = 3 * time.Second
)

func (p *pointer) init() {
	p.changed = make(chan struct{}, 1)
	p.wake = make(chan struct{}, 1)
}

func (p *pointer) poke() {
	select {
	case p.wake <- struct{}{}:
	default:
	}
}

// stir is poke for what may come with a motion but need not: damage.
func (p *pointer) stir() {
	if p.idle.CompareAndSwap(true, false) {
		p.poke()
	}
}

func (d *x11) startPointer() error {
	if !d.eye.has("XFIXES") {
		// Its shape is unknown, but there is one.
		d.pointer.cursor = Cursor{Serial: 1, Visible: true}
		return nil
	}
	err := xfixes.SelectCursorInputChecked(d.eye.Conn, d.eye.root, xfixes.CursorNotifyMaskDisplayCursor).Check()
	d.pointer.reshaped.Store(true)
	return err
}

func (d *x11) Cursor() Cursor {
	d.refreshCursor()
	d.pointer.mu.Lock()
	defer d.pointer.mu.Unlock()
	return d.pointer.cursor
}

func (d *x11) CursorChanged() <-chan struct{} {
	d.pointer.start.Do(func() {
		if d.isClosed() {
			return
		}
		d.selectRawMotion()
		d.run(d.followPointer)
	})
	return d.pointer.changed
}

// selectRawMotion asks for XI_RawMotion of all master devices on the root window.
func (d *x11) selectRawMotion() {
	const (
		queryVersion = 47
		selectEvents = 46
		rawMotion    = 17
		allMasters   = 1
	)
	version := make([]byte, 8)
	xgb.Put16(version[4:], 2)
	xgb.Put16(version[6:], 2)
	if _, err := d.eye.request("XInputExtension", queryVersion, version, true); err != nil {
		return
	}
	sel := make([]byte, 20)
	xgb.Put32(sel[4:], uint32(d.eye.root))
	xgb.Put16(sel[8:], 1) // one mask
	xgb.Put16(sel[12:], allMasters)
	xgb.Put16(sel[14:], 1) // of one word
	xgb.Put32(sel[16:], 1<<rawMotion)
	if _, err := d.eye.request("XInputExtension", selectEvents, sel, false); err != nil && !isClosedError(err) {
		d.log.Info("no raw motion from the x server; the pointer is polled", "desktop", d.name)
	}
}

func (d *x11) followPointer() {
	p := &d.pointer
	timer := time.NewTimer(0)
	defer timer.Stop()
	last := time.Now()
	for {
		moved := d.refreshCursor()
		now := time.Now()
		if moved {
			last = now
		}
		wait := time.Duration(-1)
		switch {
		case now.Sub(last) < busyFor:
			wait = busyPoll
		case p.watched.Load() > 0:
			wait = calmPoll
		}
		p.idle.Store(wait != busyPoll)
		var tick <-chan time.Time
		if wait > 0 {
			timer.Reset(wait)
			tick = timer.C
		}
		select {
		case <-d.closing:
			return
		case <-tick:
			continue
		case <-p.wake:
			last = time.Now()
		}
		// At most one question in followPause; the wake that comes meanwhile stays.
		timer.Reset(followPause)
		select {
		case <-d.closing:
			return
		case <-timer.C:
		}
	}
}

// refreshCursor asks the server and tells the reader if anything is new.
func (d *x11) refreshCursor() bool {
	p := &d.pointer
	p.mu.Lock()
	defer p.mu.Unlock()
	if d.isClosed() {
		return false
	}
	was := p.cursor
	if p.reshaped.Swap(false) {
		reply, err := xfixes.GetCursorImage(d.eye.Conn).Reply()
		if err == nil {
			err = p.reshape(reply)
		}
		if err != nil && !isClosedError(err) {
			d.log.Debug("cursor image", "desktop", d.name, "error", err)
		}
	}
	if q, err := xproto.QueryPointer(d.eye.Conn, d.eye.root).Reply(); err == nil && q.SameScreen {
		p.cursor.Position = image.Pt(int(q.RootX), int(q.RootY))
	}
	if p.cursor.Position == was.Position && p.cursor.Serial == was.Serial {
		return false
	}
	p.tell()
	return true
}

func (p *pointer) tell() {
	select {
	case p.changed <- struct{}{}:
	default:
	}
}

func (p *pointer) reshape(r *xfixes.GetCursorImageReply) error {
	shape, hot, visible, err := cursorShape(r.CursorImage, int(r.Width), int(r.Height), image.Pt(int(r.Xhot), int(r.Yhot)))
	if err != nil {
		return err
	}
	p.cursor.Shape, p.cursor.Hot, p.cursor.Visible = shape, hot, visible
	p.cursor.Serial++
	return nil
}

// maxCursor is the largest side of a Cursor's Shape.
const maxCursor = 256

// cursorShape makes an image of pixels as XFixes gives them: one word a pixel,
// alpha in the highest byte, premultiplied. One larger than maxCursor is made
// smaller. A cursor with nothing to see is how programs hide it.
func cursorShape(argb []uint32, w, h int, hot image.Point) (shape *image.RGBA, at image.Point, visible bool, err error) {
	if w < 1 || h < 1 || w > 1<<14 || h > 1<<14 || len(argb) < w*h {
		return nil, image.Point{}, false, errors.New("the X server sent a broken cursor")
	}
	step := (max(w, h) + maxCursor - 1) / maxCursor
	sw, sh := (w+step-1)/step, (h+step-1)/step
	shape = image.NewRGBA(image.Rect(0, 0, sw, sh))
	for y := range sh {
		for x := range sw {
			px := argb[y*step*w+x*step]
			a := byte(px >> 24)
			o := shape.PixOffset(x, y)
			// A broken theme may hold colours above alpha; image.RGBA must not.
			shape.Pix[o+0] = min(byte(px>>16), a)
			shape.Pix[o+1] = min(byte(px>>8), a)
			shape.Pix[o+2] = min(byte(px), a)
			shape.Pix[o+3] = a
			visible = visible || a != 0
		}
	}
	at = image.Pt(min(max(hot.X, 0)/step, sw-1), min(max(hot.Y, 0)/step, sh-1))
	return shape, at, visible, nil
}
