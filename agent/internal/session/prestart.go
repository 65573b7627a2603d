package session

import (
	"sync"
	"time"

	"oriel/agent/internal/encode"
	"oriel/agent/internal/stream"
)

// prestartFor is how long a first picture waits for an announced session. The tab that a click opens takes 0.1 s until it offers, on a slow computer
// and a slow link seconds.
const prestartFor = 5 * time.Second

// prestart is a session that is about to be offered.
type prestart struct {
	claimed chan struct{} // closed by claimPrestart
	once    sync.Once
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
	if h.closed || h.display == nil || h.prestart != nil || len(h.sessions) > 0 || len(codecs) == 0 {
		return
	}
	e, s := &prestart{claimed: make(chan struct{})}, h.display
	h.prestart = e
	h.wg.Go(func() {
		h.keepPrestart(s, codecs[0], e)
		h.mu.Lock()
		h.prestart = nil
		h.mu.Unlock()
	})
}

// keepPrestart keeps the first picture until the session claims it, or the time is up.
func (h *Host) keepPrestart(s *display, codec encode.Codec, e *prestart) {
	s.watch(e, 0)
	defer s.unwatch(e)
	sub, err := h.hub.Prepare(s, codec, encode.I420, 0, discard{})
	if err != nil {
		h.log.Debug("no picture ahead of a session", "error", err)
		return
	}
	late := time.NewTimer(h.o.timing.prestart)
	defer late.Stop()
	select {
	case <-e.claimed:
	case <-late.C:
	case <-sub.Done():
	case <-s.dead:
	case <-h.ctx.Done():
	}
	_ = sub.Close()
}

// claimPrestart ends the prestart: a session has its picture, or needs none.
func (h *Host) claimPrestart() {
	h.mu.Lock()
	e := h.prestart
	h.mu.Unlock()
	if e != nil {
		e.once.Do(func() { close(e.claimed) })
	}
}

// discard is the sink of a prestart: it is sent nothing, what is kept goes to the session.
type discard struct{}

func (discard) WriteFrame(stream.Frame) error { return nil }
