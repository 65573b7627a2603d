package stream

import (
	"sync"
)

// counter is a viewer that keeps what it gets.
type counter struct {
	mu  sync.Mutex
	got []Frame
}

func (c *counter) WriteFrame(f Frame) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.got = append(c.got, f)
	return nil
}

func (c *counter) frames() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.got)
}

func (c *counter) all() []Frame {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append([]Frame(nil), c.got...)
}

// relay passes frames on and loses as many as told.
type relay struct {
	to   Sink
	mu   sync.Mutex
	left int
	gone int
}

func (r *relay) lose(n int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.left = n
}

func (r *relay) lost() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.gone
}

func (r *relay) WriteFrame(f Frame) error {
	r.mu.Lock()
	if r.left > 0 {
		r.left--
		r.gone++
		r.mu.Unlock()
		return nil
	}
	r.mu.Unlock()
	return r.to.WriteFrame(f)
}

// settled reports whether nothing was sent for a while, as far as one can tell
// without knowing what the stream thinks: a second without a frame.
func settled(s *Stream) bool {
	st := s.Stats()
	return st.Frames > 0 && st.FPS == 0
}
