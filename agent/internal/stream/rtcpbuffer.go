package stream

import (
	"io"
	"sync"

	"github.com/pion/rtcp"
)

// rtcpBuffer keeps what arrives for one SSRC until pion reads it.
//
// It is ours because of transport-wide feedback. That is about no SSRC, but has
// to name one, and Chromium names that of the packet it received last. When it
// was one that was sent again, pion knows no reader and throws the feedback
// away: one for nearly every lost packet. Here it is taken whatever it names,
// and at once.
type rtcpBuffer struct {
	feedback func(*rtcp.TransportLayerCC)
	arrived  chan struct{} // capacity 1
	closed   chan struct{}
	once     sync.Once

	mu      sync.Mutex
	packets [][]byte // at most rtcpBufferDepth
}

// rtcpBufferDepth bounds the packets that wait.
const rtcpBufferDepth = 64

// setRTCPBuffers sets pion's BufferFactory, whose first parameter, RTP or RTCP, has a
// type that only pion needs to name.
func setRTCPBuffers[T any](factory *func(T, uint32) io.ReadWriteCloser, feedback func(*rtcp.TransportLayerCC)) {
	*factory = func(T, uint32) io.ReadWriteCloser {
		return &rtcpBuffer{feedback: feedback, arrived: make(chan struct{}, 1), closed: make(chan struct{})}
	}
}

// Write takes one packet. One too many is dropped, as the network would.
func (b *rtcpBuffer) Write(packet []byte) (int, error) {
	select {
	case <-b.closed:
		return 0, io.ErrClosedPipe
	default:
	}
	var h rtcp.Header
	if h.Unmarshal(packet) == nil && h.Type == rtcp.TypeTransportSpecificFeedback && h.Count == rtcp.FormatTCC {
		var f rtcp.TransportLayerCC
		if f.Unmarshal(packet) == nil {
			b.feedback(&f)
			return len(packet), nil
		}
	}
	b.mu.Lock()
	if len(b.packets) < rtcpBufferDepth {
		b.packets = append(b.packets, append([]byte(nil), packet...))
	}
	b.mu.Unlock()
	select {
	case b.arrived <- struct{}{}:
	default:
	}
	return len(packet), nil
}

// Read returns one packet; io.EOF after Close.
func (b *rtcpBuffer) Read(p []byte) (int, error) {
	for {
		b.mu.Lock()
		if len(b.packets) > 0 {
			packet := b.packets[0]
			b.packets = b.packets[1:]
			b.mu.Unlock()
			if n := copy(p, packet); n < len(packet) {
				return n, io.ErrShortBuffer
			}
			return len(packet), nil
		}
		b.mu.Unlock()
		select {
		case <-b.arrived:
		case <-b.closed:
			return 0, io.EOF
		}
	}
}

// Close ends Read. It may be called more than once.
func (b *rtcpBuffer) Close() error {
	b.once.Do(func() { close(b.closed) })
	return nil
}
