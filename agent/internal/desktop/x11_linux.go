package desktop

import (
	"bytes"
	"fmt"
	"image"
	"log/slog"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jezek/xgb/damage"
	"github.com/jezek/xgb/randr"
	"github.com/jezek/xgb/xfixes"
	"github.com/jezek/xgb/xproto"
	"github.com/jezek/xgb/xtest"

	"oriel/protocol/sanitize"
)

// x11 is an X display. It has two connections: what one asks for (pictures,
// cursors) never holds up what the other injects, and a program that grabs the
// server stops the first only.
type x11 struct {
	name    string
	log     *slog.Logger
	eye     *xconn
	hand    *xconn
	capture capture
	pointer pointer
	input   input

	size atomic.Pointer[image.Point]
	wake chan struct{} // capacity 1: one of the three below was set

	all     atomic.Bool // everything is dirty
	damaged atomic.Bool // the server has damage for us
	resized atomic.Bool // the root window may have another size

	mu      sync.Mutex    // protects the closing of closing and every running.Go
	closing chan struct{} // closed by Close and by the end of a connection
	running sync.WaitGroup

	ending  chan struct{} // closed when Close begins: Text stops where it is
	endOnce sync.Once
}

func openNative(o Options) (Desktop, error) {
	display := o.Display
	if display == "" {
		display = os.Getenv("DISPLAY")
	}
	d := &x11{
		name:    "x11 " + display,
		log:     o.Logger,
		wake:    make(chan struct{}, 1),
		closing: make(chan struct{}),
		ending:  make(chan struct{}),
	}
	d.pointer.init()
	d.input.text.pinger.pong = make(chan uint32, 4)
	// Until eye is set, events are those of our own requests below.
	var err error
	if d.eye, err = dialX(display, o.XAuthority, o.OwnServer, d.event); err != nil {
		return nil, err
	}
	if d.hand, err = dialX(display, o.XAuthority, o.OwnServer, d.inputEvent); err != nil {
		d.eye.hangUp()
		<-d.eye.closed
		return nil, err
	}
	if err := d.start(); err != nil {
		d.shut()
		d.running.Wait()
		d.capture.release()
		return nil, fmt.Errorf("open display %s: %w", sanitize.Line(display, 200), err)
	}
	return d, nil
}

// start asks for everything that both connections need.
func (d *x11) start() error {
	d.run(func() { d.hangUpWith(d.eye) })
	d.run(func() { d.hangUpWith(d.hand) })
	for _, name := range []string{"XFIXES", "DAMAGE", "RANDR", "XInputExtension", "MIT-SHM", "XWAYLAND"} {
		d.eye.use(name)
	}
	d.hand.use("XTEST")
	d.hand.use("XKEYBOARD")
	if d.eye.isXwayland() {
		return ErrWayland
	}
	d.publishEvents()

	c, root := d.eye.Conn, d.eye.root
	if d.eye.has("XFIXES") {
		if _, err := xfixes.QueryVersion(c, 5, 0).Reply(); err != nil {
			return err
		}
	}
	if d.eye.has("DAMAGE") {
		if _, err := damage.QueryVersion(c, 1, 1).Reply(); err != nil {
			return err
		}
	}
	if err := xproto.ChangeWindowAttributesChecked(c, root, xproto.CwEventMask,
		[]uint32{xproto.EventMaskStructureNotify}).Check(); err != nil {
		return err
	}
	if d.eye.has("RANDR") {
		if _, err := randr.QueryVersion(c, 1, 3).Reply(); err == nil {
			randr.SelectInput(c, root, randr.NotifyMaskScreenChange)
		}
	}
	if err := d.startCapture(); err != nil {
		return err
	}
	if err := d.startPointer(); err != nil {
		return err
	}
	return d.startInput()
}

// isXwayland asks the server itself: its surroundings may say anything. Those
// before version 23 have no extension of their own, but outputs of that name.
func (c *xconn) isXwayland() bool {
	if c.has("XWAYLAND") {
		return true
	}
	if !c.has("RANDR") {
		return false
	}
	if _, err := randr.QueryVersion(c.Conn, 1, 3).Reply(); err != nil {
		return false
	}
	screen, err := randr.GetScreenResourcesCurrent(c.Conn, c.root).Reply()
	if err != nil {
		return false
	}
	for _, output := range screen.Outputs[:min(len(screen.Outputs), maxOutputs)] {
		info, err := randr.GetOutputInfo(c.Conn, output, screen.ConfigTimestamp).Reply()
		if err == nil && bytes.HasPrefix(info.Name, []byte("XWAYLAND")) {
			return true
		}
	}
	return false
}

// maxOutputs bounds the outputs whose names are looked at.
const maxOutputs = 32

// Lacks: see Desktop. Without RANDR nothing is missing but changes of size.
func (d *x11) Lacks() (l Lacks) {
	if !d.hand.has("XTEST") {
		l |= LacksInput
	}
	if d.capture.lookout.polls.Load() {
		l |= LacksDamage
	}
	if !d.eye.has("XFIXES") {
		l |= LacksPointerShape
	}
	if !d.capture.shared.Load() {
		l |= LacksSharedMemory
	}
	return l
}

// hangUpWith ends the Desktop with one of its connections.
func (d *x11) hangUpWith(c *xconn) {
	select {
	case <-c.closed:
		d.log.Info("x server gone", "desktop", d.name)
	case <-d.closing:
	}
	d.shut()
	<-c.closed
}

// shut closes both connections and wakes everybody who waits.
func (d *x11) shut() {
	d.mu.Lock()
	defer d.mu.Unlock()
	if !d.isClosed() {
		close(d.closing)
		d.eye.hangUp()
		d.hand.hangUp()
	}
}

// run starts a goroutine that Close waits for, unless it is too late.
func (d *x11) run(f func()) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if !d.isClosed() {
		d.running.Go(f)
	}
}

// grace is how long Close waits for a server that does not answer.
const grace = 2 * time.Second

func (d *x11) Close() error {
	d.endOnce.Do(func() { close(d.ending) })
	if !d.isClosed() {
		done := make(chan struct{})
		go func() {
			defer close(done)
			d.ReleaseAll()
			d.closeText()
			d.RestoreLocks()
			d.hand.Sync()
		}()
		select {
		case <-done:
		case <-d.closing:
		case <-time.After(grace):
			d.log.Warn("x server does not answer; closing without releasing keys", "desktop", d.name)
		}
		// What is still asking gets an error from the closed connection.
		d.shut()
		<-done
	}
	d.running.Wait()
	return nil
}

func (d *x11) Name() string      { return d.name }
func (d *x11) Size() image.Point { return *d.size.Load() }

// Refresh makes the coming Next return at once with everything dirty.
func (d *x11) Refresh() {
	d.all.Store(true)
	d.poke()
}

func (d *x11) poke() {
	select {
	case d.wake <- struct{}{}:
	default:
	}
}

// bases are the event numbers of one server.
type bases struct{ damage, xfixes, randr byte }

// publishEvents: the extensions are known; events are only asked for after this.
func (d *x11) publishEvents() {
	b := &bases{damage: 0xff, xfixes: 0xff, randr: 0xff}
	if e, ok := d.eye.ext["DAMAGE"]; ok {
		b.damage = e.event + damage.Notify
	}
	if e, ok := d.eye.ext["XFIXES"]; ok {
		b.xfixes = e.event + xfixes.CursorNotify
	}
	if e, ok := d.eye.ext["RANDR"]; ok {
		b.randr = e.event + randr.ScreenChangeNotify
	}
	d.capture.bases.Store(b)
}

// event is called from the connection's reader: it only sets flags.
func (d *x11) event(ev []byte) {
	b := d.capture.bases.Load()
	if b == nil {
		return
	}
	switch kind := ev[0] & 0x7f; kind {
	case b.damage:
		d.damaged.Store(true)
		d.poke()
		d.pointer.stir()
	case b.xfixes:
		d.pointer.reshaped.Store(true)
		d.pointer.poke()
	case xproto.MappingNotify:
		// The hand, which uses the keyboard extension, is not told of keyboards.
		d.input.remapped.Store(true)
	case b.randr, xproto.ConfigureNotify:
		d.resized.Store(true)
		d.poke()
	case genericEvent:
		d.pointer.poke() // only raw motion was asked for
	}
}

const genericEvent = 35

func (d *x11) fake(kind, detail byte, root xproto.Window, p image.Point) {
	xtest.FakeInput(d.hand.Conn, kind, detail, 0, root, int16(p.X), int16(p.Y), 0)
}
