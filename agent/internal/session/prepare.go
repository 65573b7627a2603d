package session

import (
	"sync"
	"time"

	"oriel/agent/internal/encode"
	"oriel/agent/internal/stream"
)

// expecting is how long a first picture is kept for a session that is about to be
// offered. The tab that a click opens takes 0.1 s until it offers, on a slow computer
// and a slow link seconds.
const expecting = 5 * time.Second

// expected is a session that is about to be offered.
type expected struct {
	came chan struct{} // closed when it was
	once sync.Once
}

// Prepare has the first picture made for a session that is about to be offered: what
// takes an encoder 30 to 100 ms is then done while the viewer's page is still on its
// way. It is what nearly every browser takes: the first codec, 4:2:0; who takes
// another has his own made as ever. Nothing is made where somebody watches already,
// and one at a time: whoever says this often only has one kept.
func (h *Host) Prepare() {
	h.mu.Lock()
	defer h.mu.Unlock()
	codecs := encode.Supported()
	if h.closed || h.screen == nil || h.expected != nil || len(h.sessions) > 0 || len(codecs) == 0 {
		return
	}
	e, s := &expected{came: make(chan struct{})}, h.screen
	h.expected = e
	h.wg.Go(func() {
		h.expect(s, codecs[0], e)
		h.mu.Lock()
		h.expected = nil
		h.mu.Unlock()
	})
}

// expect keeps the picture until the session has it, or nobody came.
func (h *Host) expect(s *screen, codec encode.Codec, e *expected) {
	s.watch(e, 0)
	defer s.unwatch(e)
	sub, err := h.hub.Prepare(s, codec, encode.I420, 0, nobody{})
	if err != nil {
		h.log.Debug("no picture ahead of a session", "error", err)
		return
	}
	late := time.NewTimer(h.o.timing.expecting)
	defer late.Stop()
	select {
	case <-e.came:
	case <-late.C:
	case <-sub.Done():
	case <-s.dead:
	case <-h.ctx.Done():
	}
	_ = sub.Close()
}

// came says that a session has what was made for it, if anything was.
func (h *Host) came() {
	h.mu.Lock()
	e := h.expected
	h.mu.Unlock()
	if e != nil {
		e.once.Do(func() { close(e.came) })
	}
}

// nobody is sent nothing: what is kept for it goes to the session.
type nobody struct{}

func (nobody) WriteFrame(stream.Frame) error { return nil }
