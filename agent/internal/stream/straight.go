package stream

import (
	"fmt"
	"sync"

	"github.com/pion/interceptor"
	"github.com/pion/rtp"
)

// straight is a pacer that does not pace: the stream sends no more than the link
// takes, and a small frame must not wait. Unlike pion's own it also passes
// retransmissions, which come under an SSRC that was never added; with pion's
// they are lost without a word.
type straight struct {
	mu      sync.RWMutex
	writers map[uint32]interceptor.RTPWriter
	any     interceptor.RTPWriter
}

func (s *straight) AddStream(ssrc uint32, w interceptor.RTPWriter) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.writers == nil {
		s.writers = map[uint32]interceptor.RTPWriter{}
	}
	s.writers[ssrc] = w
	s.any = w
}

func (s *straight) Write(h *rtp.Header, payload []byte, a interceptor.Attributes) (int, error) {
	s.mu.RLock()
	w, ok := s.writers[h.SSRC]
	if !ok {
		w = s.any
	}
	s.mu.RUnlock()
	if w == nil {
		return 0, fmt.Errorf("no stream for SSRC %d", h.SSRC)
	}
	return w.Write(h, payload, a)
}

func (s *straight) SetTargetBitrate(int) {}

func (s *straight) Close() error { return nil }
