package stream

import (
	"fmt"
	"sync"
	"time"

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
	bits    meter
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
	s.bits.add(time.Now(), 8*(h.MarshalSize()+len(payload)))
	return w.Write(h, payload, a)
}

func (s *straight) SetTargetBitrate(int) {}

func (s *straight) Close() error { return nil }

// ownHeaders gives every packet that is sent again a header of its own. pion's
// responder hands out the one that it keeps, from a goroutine for each NACK, and
// the interceptors nearer to the wire write to it.
type ownHeaders struct{ interceptor.NoOp }

func (ownHeaders) NewInterceptor(string) (interceptor.Interceptor, error) { return &ownHeaders{}, nil }

func (*ownHeaders) BindLocalStream(_ *interceptor.StreamInfo, w interceptor.RTPWriter) interceptor.RTPWriter {
	return interceptor.RTPWriterFunc(func(h *rtp.Header, payload []byte, a interceptor.Attributes) (int, error) {
		own := h.Clone()
		return w.Write(&own, payload, a)
	})
}

// meter counts what was sent in the last half second, in tenths of it.
type meter struct {
	mu    sync.Mutex
	slots [10]int
	at    int64 // number of the newest slot
}

const slot = 50 * time.Millisecond

func (m *meter) add(now time.Time, bits int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.turn(now)
	m.slots[m.at%int64(len(m.slots))] += bits
}

// rate is in bits per second.
func (m *meter) rate(now time.Time) int {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.turn(now)
	sum := 0
	for _, bits := range m.slots {
		sum += bits
	}
	return sum * int(time.Second/slot) / len(m.slots)
}

func (m *meter) turn(now time.Time) {
	at := now.UnixNano() / int64(slot)
	for i := max(m.at+1, at-int64(len(m.slots))+1); i <= at; i++ {
		m.slots[i%int64(len(m.slots))] = 0
	}
	m.at = max(m.at, at)
}
