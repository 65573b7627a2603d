//go:build cgo

package stream

import (
	"image"
	"sync"
	"testing"
	"time"

	"github.com/pion/interceptor"
	"github.com/pion/rtp"

	"oriel/agent/internal/encode"
)

// thief takes one packet when it is told to, and every copy of it.
type thief struct {
	interceptor.NoOp
	mu     sync.Mutex
	armed  bool
	number uint16
	taken  int // with the copies
}

func (r *thief) NewInterceptor(string) (interceptor.Interceptor, error) { return r, nil }

func (r *thief) BindLocalStream(info *interceptor.StreamInfo, w interceptor.RTPWriter) interceptor.RTPWriter {
	return interceptor.RTPWriterFunc(func(h *rtp.Header, payload []byte, a interceptor.Attributes) (int, error) {
		number, again := originalNumber(h, payload, info.SSRC)
		r.mu.Lock()
		defer r.mu.Unlock()
		if r.armed && !again {
			r.armed, r.number, r.taken = false, number, 1
			return len(payload), nil
		}
		if r.taken > 0 && again && number == r.number {
			r.taken++
			return len(payload), nil
		}
		return w.Write(h, payload, a)
	})
}

// Chromium asks for a packet that it lacks ten times a second, and after three for a key
// frame. It has one before that.
func TestChromiumGoesOnWithoutAPacket(t *testing.T) {
	d := newScript(image.Pt(640, 400))
	s := New(d, encode.AV1, Options{})
	defer s.Close()
	r := &thief{}
	b := browse(t, s, d, nil, r)
	b.until("the first picture")
	before := b.now
	r.mu.Lock()
	r.armed = true
	r.mu.Unlock()
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		for tick := time.NewTicker(50 * time.Millisecond); ; {
			select {
			case <-stop:
				tick.Stop()
				return
			case <-tick.C:
				d.key()
			}
		}
	}()
	eventually(t, "pictures after the packet that never came", func() bool {
		b.now = <-b.shown
		return b.now.KeyFramesDecoded > before.KeyFramesDecoded
	})
	close(stop)
	<-stopped
	b.until("the newest picture")
	r.mu.Lock()
	defer r.mu.Unlock()
	if b.now.PliCount != before.PliCount || r.taken < 2 {
		t.Errorf("%d copies taken; before %+v, then %+v", r.taken, before, b.now)
	}
	t.Logf("%d copies taken; %+v", r.taken, b.now)
}

// cutter takes all packets of a frame but the first, by themselves; what is sent again comes.
type cutter struct {
	interceptor.NoOp
	mu            sync.Mutex
	armed, inside bool // and inside a frame
	taken, copies int
}

func (r *cutter) NewInterceptor(string) (interceptor.Interceptor, error) { return r, nil }

func (r *cutter) BindLocalStream(info *interceptor.StreamInfo, w interceptor.RTPWriter) interceptor.RTPWriter {
	return interceptor.RTPWriterFunc(func(h *rtp.Header, payload []byte, a interceptor.Attributes) (int, error) {
		_, again := originalNumber(h, payload, info.SSRC)
		r.mu.Lock()
		defer r.mu.Unlock()
		switch {
		case !r.armed:
		case again:
			r.copies++
		case r.inside || h.Marker: // a frame of one packet too
			r.inside = !h.Marker
			r.taken++
			return len(payload), nil
		default:
			r.inside = !h.Marker
		}
		return w.Write(h, payload, a)
	})
}

// Nothing follows the last frame by which Chromium would notice that its end is missing, and a
// copy does not tell it either. It gets all of it, and needs no key frame.
func TestChromiumGetsTheEnd(t *testing.T) {
	d := newScript(image.Pt(640, 400))
	s := New(d, encode.AV1, Options{})
	defer s.Close()
	r := &cutter{}
	b := browse(t, s, d, nil, r)
	b.until("the first picture")
	d.page()
	b.until("another page")
	eventually(t, "it is as good as it will be", func() bool { b.now = <-b.shown; return settled(s) })
	before := b.now
	r.mu.Lock()
	r.armed = true
	r.mu.Unlock()
	for range 5 {
		d.page()
		b.until("a page whose end was lost")
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.taken < 10 || r.copies < r.taken/2 || b.now.PliCount != before.PliCount || b.now.KeyFramesDecoded != before.KeyFramesDecoded {
		t.Errorf("%d packets taken, %d copies; before %+v, then %+v", r.taken, r.copies, before, b.now)
	}
	t.Logf("%d packets taken, %d copies; %+v", r.taken, r.copies, b.now)
}
