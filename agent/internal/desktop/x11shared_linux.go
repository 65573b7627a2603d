package desktop

import (
	"crypto/rand"
	"errors"
	"fmt"
	"runtime"

	"github.com/jezek/xgb/shm"
	"github.com/jezek/xgb/xproto"
	"golang.org/x/sys/unix"
)

// segment is shared memory. It outlives its Desktop as long as somebody may
// still look at the last picture: it is unmapped by the call of Next that says
// ErrClosed, by a change of size (inside Next, too), or by the collector.
type segment struct {
	id  shm.Seg
	mem *mapping
	end runtime.Cleanup
}

type mapping struct{ data []byte }

func (m *mapping) unmap() {
	if m.data != nil {
		_ = unix.SysvShmDetach(m.data)
		m.data = nil
	}
}

// errNotShared: the server has other memory than ours by that number.
var errNotShared = errors.New("the X server's memory of that number is not ours: it runs in another namespace or on another machine")

// attach makes a segment that the server of c writes to.
func attach(c *xconn, bytes int) (*segment, error) {
	id, err := unix.SysvShmGet(unix.IPC_PRIVATE, bytes, unix.IPC_CREAT|0o600)
	if err != nil {
		return nil, fmt.Errorf("get shared memory: %w", err)
	}
	// Marked at once: it goes when the last of us two does, even by a crash.
	defer unix.SysvShmCtl(id, unix.IPC_RMID, nil)
	data, err := unix.SysvShmAttach(id, 0, 0)
	if err != nil {
		return nil, fmt.Errorf("attach shared memory: %w", err)
	}
	s := &segment{mem: &mapping{data: data}}
	if s.id, err = shm.NewSegId(c.Conn); err == nil {
		err = shm.AttachChecked(c.Conn, s.id, uint32(id), false).Check()
	}
	if err == nil {
		if err = s.prove(c); err != nil {
			shm.Detach(c.Conn, s.id)
		}
	}
	if err != nil {
		s.mem.unmap()
		return nil, fmt.Errorf("x server attaches shared memory: %w", err)
	}
	s.end = runtime.AddCleanup(s, (*mapping).unmap, s.mem)
	return s, nil
}

// prove has the server show what it finds in the segment: a number means another
// segment in another namespace (a container's) or on another machine, and what
// is read into that is lost. So it comes before anything that the server writes.
// The number stays proven for as long as we have the segment.
func (s *segment) prove(c *xconn) error {
	const pixels = 64
	mark := s.mem.data[:4*pixels]
	rand.Read(mark)
	pixmap, err := xproto.NewPixmapId(c.Conn)
	if err != nil {
		return err
	}
	gc, err := xproto.NewGcontextId(c.Conn)
	if err != nil {
		return err
	}
	depth, drawable := c.screen.RootDepth, xproto.Drawable(pixmap)
	if err := xproto.CreatePixmapChecked(c.Conn, depth, pixmap, xproto.Drawable(c.root), pixels, 1).Check(); err != nil {
		return err
	}
	defer xproto.FreePixmap(c.Conn, pixmap)
	if err := xproto.CreateGCChecked(c.Conn, gc, drawable, 0, nil).Check(); err != nil {
		return err
	}
	defer xproto.FreeGC(c.Conn, gc)
	if err := shm.PutImageChecked(c.Conn, drawable, gc, pixels, 1, 0, 0, pixels, 1, 0, 0,
		depth, xproto.ImageFormatZPixmap, 0, s.id, 0).Check(); err != nil {
		return err
	}
	shown, err := xproto.GetImage(c.Conn, xproto.ImageFormatZPixmap, drawable, 0, 0, pixels, 1, 0xffffffff).Reply()
	if err != nil {
		return err
	}
	if len(shown.Data) < len(mark) {
		return errNotShared
	}
	for i := range mark {
		if i%4 != 3 && mark[i] != shown.Data[i] { // the fourth is whatever the server likes
			return errNotShared
		}
	}
	return nil
}
