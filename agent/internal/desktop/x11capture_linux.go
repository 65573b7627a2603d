package desktop

import (
	"context"
	"errors"
	"fmt"
	"image"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jezek/xgb/damage"
	"github.com/jezek/xgb/shm"
	"github.com/jezek/xgb/xfixes"
	"github.com/jezek/xgb/xproto"
)

// capture keeps the picture. There are two buffers of the screen's size, in one
// segment that the X server writes to: frame is the picture that was returned
// last, spare takes what is read. A small damage is read into spare, compared,
// and what differs copied to frame; a large one is read whole, compared, and
// the buffers change places. Comparing costs about as much as reading and saves
// an encode whenever a program draws what was there already, as most do.
type capture struct {
	bases atomic.Pointer[bases]

	mu     sync.Mutex    // held by Next
	damage damage.Damage // 0 without DAMAGE
	region xfixes.Region // 0 without XFIXES
	format format

	lookout lookout
	shared  atomic.Bool // seg is not nil, for whoever does not hold mu

	size         image.Point
	seg          *segment // nil without MIT-SHM
	frame, spare buffer
	converted    []byte // of a screen that is not 8 bits a colour
	boxes        []image.Rectangle
}

// buffer is pixels and, in shared memory, where they begin there.
type buffer struct {
	pix    []byte
	offset uint32
}

func (d *x11) startCapture() error {
	k := &d.capture
	c := d.eye.Conn
	var err error
	if k.format, err = screenFormat(d.eye); err != nil {
		return err
	}
	if d.eye.has("XFIXES") {
		if k.region, err = xfixes.NewRegionId(c); err != nil {
			return err
		}
		if err := xfixes.CreateRegionChecked(c, k.region, nil).Check(); err != nil {
			return err
		}
	}
	if d.eye.has("DAMAGE") {
		if k.damage, err = damage.NewDamageId(c); err != nil {
			return err
		}
		// "Non-empty": one event, then silence until we have taken the damage. A
		// Desktop that nobody looks at costs nothing, however busy the screen is.
		if err := damage.CreateChecked(c, k.damage, xproto.Drawable(d.eye.root), damage.ReportLevelNonEmpty).Check(); err != nil {
			return err
		}
	}
	k.lookout.polls.Store(k.damage == 0)
	d.all.Store(true)
	return d.resize()
}

// Next: see Desktop. A frozen X server holds it until Close, whatever ctx says.
func (d *x11) Next(ctx context.Context) (Picture, error) {
	k := &d.capture
	k.mu.Lock()
	defer k.mu.Unlock()
	d.pointer.watched.Add(1)
	defer d.pointer.watched.Add(-1)
	timer := time.NewTimer(k.lookout.wait(time.Now()))
	defer timer.Stop()
	for {
		if d.isClosed() {
			k.release()
			return Picture{}, ErrClosed
		}
		if err := ctx.Err(); err != nil {
			return Picture{}, err
		}
		if d.resized.Swap(false) {
			if err := d.resize(); err != nil {
				if err = d.fault(err); err != nil {
					return Picture{}, err
				}
				continue
			}
		}
		at := time.Now()
		var dirty []image.Rectangle
		var err error
		switch {
		case d.all.Swap(false):
			d.damaged.Store(false)
			k.lookout.looked = at
			dirty, err = d.readAll()
		case d.damaged.Swap(false):
			dirty, err = d.readDamage()
		case k.lookout.wait(at) <= 0:
			dirty, err = d.look(at)
		default:
			timer.Reset(k.lookout.wait(at))
			select {
			case <-ctx.Done():
			case <-d.closing:
			case <-d.wake:
			case <-timer.C:
			}
			continue
		}
		if err != nil {
			if err = d.fault(err); err != nil {
				return Picture{}, err
			}
			continue
		}
		if len(dirty) > 0 {
			k.lookout.busy(at)
			return Picture{Pix: k.frame.pix, Stride: k.size.X * 4, Size: k.size, Dirty: dirty, At: at}, nil
		}
	}
}

// fault decides what an error of a read means: the end, or a screen that has
// changed its size between our asking and the server's answering.
func (d *x11) fault(err error) error {
	if d.isClosed() || isClosedError(err) {
		return ErrClosed
	}
	geometry, gerr := xproto.GetGeometry(d.eye.Conn, xproto.Drawable(d.eye.root)).Reply()
	if gerr != nil {
		return ErrClosed
	}
	if image.Pt(int(geometry.Width), int(geometry.Height)) == d.capture.size {
		return fmt.Errorf("read screen: %w", err)
	}
	d.resized.Store(true)
	return nil
}

// resize makes buffers for the root window's size as it is now.
func (d *x11) resize() error {
	k := &d.capture
	geometry, err := xproto.GetGeometry(d.eye.Conn, xproto.Drawable(d.eye.root)).Reply()
	if err != nil {
		return err
	}
	size := image.Pt(int(geometry.Width), int(geometry.Height))
	if size == k.size {
		return nil
	}
	bytes := size.X * size.Y * 4
	if k.seg != nil {
		shm.Detach(d.eye.Conn, k.seg.id)
	}
	k.release()
	if d.eye.has("MIT-SHM") && k.format.native {
		if k.seg, err = attach(d.eye, 2*bytes); err != nil {
			// A server elsewhere, in another namespace, or one that runs as somebody else.
			d.log.Info("no shared memory with the x server", "desktop", d.name, "error", err)
		}
	}
	if k.seg != nil {
		k.frame = buffer{pix: k.seg.mem.data[:bytes:bytes]}
		k.spare = buffer{pix: k.seg.mem.data[bytes : 2*bytes : 2*bytes], offset: uint32(bytes)}
	} else {
		k.frame = buffer{pix: make([]byte, bytes)}
		k.spare = buffer{}
	}
	k.shared.Store(k.seg != nil)
	k.size = size
	d.size.Store(&size)
	d.all.Store(true)
	d.pointer.stir()
	return nil
}

// release gives the buffers back; nobody may look at a picture any more.
func (k *capture) release() {
	if k.seg != nil {
		k.seg.end.Stop()
		k.seg.mem.unmap()
		k.seg = nil
	}
	k.frame, k.spare, k.size = buffer{}, buffer{}, image.Point{}
}

func (d *x11) readAll() ([]image.Rectangle, error) {
	k := &d.capture
	// First forget the damage, then read: what is drawn in between is read
	// now and reported again, never lost.
	if k.damage != 0 {
		damage.Subtract(d.eye.Conn, k.damage, 0, 0)
	}
	all := image.Rectangle{Max: k.size}
	if k.seg != nil {
		if err := d.readShared([]image.Rectangle{all}, k.frame.offset); err != nil {
			d.all.Store(true)
			return nil, err
		}
		return []image.Rectangle{all}, nil
	}
	if err := d.readBands(all, func(v view) {
		diff(nil, k.whole(k.frame), v, true)
	}); err != nil {
		d.all.Store(true)
		return nil, err
	}
	return []image.Rectangle{all}, nil
}

func (d *x11) readDamage() ([]image.Rectangle, error) {
	k := &d.capture
	all := image.Rectangle{Max: k.size}
	damage.Subtract(d.eye.Conn, k.damage, 0, k.region)
	if k.region == 0 {
		return d.compare([]image.Rectangle{all})
	}
	reply, err := xfixes.FetchRegion(d.eye.Conn, k.region).Reply()
	if err != nil {
		return nil, err
	}
	rects := make([]image.Rectangle, 0, len(reply.Rectangles))
	for _, r := range reply.Rectangles {
		q := image.Rect(int(r.X), int(r.Y), int(r.X)+int(r.Width), int(r.Y)+int(r.Height)).Intersect(all)
		if !q.Empty() {
			rects = append(rects, q)
		}
	}
	return d.compare(coalesce(rects, maxDirty))
}

// compare reads rectangles and brings frame up to date; what differed is dirty.
func (d *x11) compare(rects []image.Rectangle) (dirty []image.Rectangle, err error) {
	k := &d.capture
	all := image.Rectangle{Max: k.size}
	total := 0
	for _, r := range rects {
		total += area(r)
	}
	boxes := k.boxes[:0]
	switch {
	case total == 0:
		return nil, nil
	case k.seg == nil:
		for _, r := range rects {
			if err = d.readBands(r, func(v view) { boxes = diff(boxes, k.whole(k.frame), v, true) }); err != nil {
				break
			}
		}
	case total > area(all)/2:
		if err = d.readShared([]image.Rectangle{all}, k.spare.offset); err != nil {
			break
		}
		if boxes = diff(boxes, k.whole(k.frame), k.whole(k.spare), false); len(boxes) > 0 {
			k.frame, k.spare = k.spare, k.frame
		}
	default:
		if err = d.readShared(rects, k.spare.offset); err != nil {
			break
		}
		from := 0
		for _, r := range rects {
			boxes = diff(boxes, k.whole(k.frame), view{pix: k.spare.pix[from:], stride: r.Dx() * 4, at: r}, true)
			from += area(r) * 4
		}
	}
	if err != nil {
		// What was taken from the server must not be lost.
		d.all.Store(true)
		return nil, err
	}
	k.boxes = boxes
	if len(boxes) == 0 {
		return nil, nil
	}
	return append([]image.Rectangle(nil), coalesce(boxes, maxDirty)...), nil
}

func (k *capture) whole(b buffer) view {
	return view{pix: b.pix, stride: k.size.X * 4, at: image.Rectangle{Max: k.size}}
}

// readShared has the server write rectangles, each packed, one after another,
// from offset on. All are asked for before the first answer is awaited.
func (d *x11) readShared(rects []image.Rectangle, offset uint32) error {
	k := &d.capture
	cookies := make([]shm.GetImageCookie, len(rects))
	for i, r := range rects {
		cookies[i] = shm.GetImage(d.eye.Conn, xproto.Drawable(d.eye.root),
			int16(r.Min.X), int16(r.Min.Y), uint16(r.Dx()), uint16(r.Dy()),
			0xffffffff, xproto.ImageFormatZPixmap, k.seg.id, offset)
		offset += uint32(area(r) * 4)
	}
	var err error
	for _, cookie := range cookies {
		if _, e := cookie.Reply(); e != nil {
			err = e
		}
	}
	return err
}

// readBands reads a rectangle through the connection, in bands of at most 4 MB.
func (d *x11) readBands(r image.Rectangle, each func(view)) error {
	k := &d.capture
	rows := max(1, (4<<20)/(r.Dx()*4))
	for y := r.Min.Y; y < r.Max.Y; y += rows {
		band := image.Rect(r.Min.X, y, r.Max.X, min(y+rows, r.Max.Y))
		reply, err := xproto.GetImage(d.eye.Conn, xproto.ImageFormatZPixmap, xproto.Drawable(d.eye.root),
			int16(band.Min.X), int16(band.Min.Y), uint16(band.Dx()), uint16(band.Dy()), 0xffffffff).Reply()
		if err != nil {
			return err
		}
		pix, err := k.format.convert(&k.converted, reply.Data, band.Dx(), band.Dy())
		if err != nil {
			return err
		}
		each(view{pix: pix, stride: band.Dx() * 4, at: band})
	}
	return nil
}

func (d *x11) isClosed() bool {
	select {
	case <-d.closing:
		return true
	default:
		return false
	}
}

// isClosedError tells the end of the connection from an answer of the server.
func isClosedError(err error) bool {
	var x interface{ SequenceId() uint16 } // what every X error has
	return !errors.As(err, &x)
}
