package stream

import (
	"encoding/binary"
	"sync"

	"github.com/pion/interceptor"
	"github.com/pion/rtp"
)

// resendable is how many packets are kept to be sent again: a power of two.
const resendable = 2048

// resend stands before everything that pion's responder sends again.
//
// It gives each packet a header of its own: the responder hands out the one that
// it keeps, from a goroutine for each NACK, and the interceptors nearer to the
// wire write to it.
//
// It gives each packet the payload type that stands for its own: the responder
// knows only that of the format which the track was bound with, and what came
// again would go to the other decoder.
//
// And it drops what there is no room for.
type resend struct {
	interceptor.NoOp
	room  func(size int) bool
	track *Track // nil: none
}

// NewInterceptor is for pion's registry.
func (r *resend) NewInterceptor(string) (interceptor.Interceptor, error) { return r, nil }

// BindLocalStream puts resend before w.
func (r *resend) BindLocalStream(info *interceptor.StreamInfo, w interceptor.RTPWriter) interceptor.RTPWriter {
	ssrc, again, parity := info.SSRC, info.SSRCRetransmission, info.SSRCForwardErrorCorrection
	types := r.track.retransmissions()
	var mu sync.Mutex
	var sent [resendable]uint8 // payload types, by sequence number
	return interceptor.RTPWriterFunc(func(h *rtp.Header, payload []byte, a interceptor.Attributes) (int, error) {
		if h.SSRC == ssrc {
			mu.Lock()
			sent[h.SequenceNumber%resendable] = h.PayloadType
			mu.Unlock()
		}
		size := h.MarshalSize() + len(payload)
		if h.SSRC != ssrc && (h.SSRC != parity || parity == 0) && !r.room(size) {
			return size, nil
		}
		own := h.Clone()
		if h.SSRC != ssrc && h.SSRC == again && len(payload) >= 2 { // RFC 4588: first the number it had
			mu.Lock()
			was := sent[binary.BigEndian.Uint16(payload)%resendable]
			mu.Unlock()
			if types[was] == 0 {
				return size, nil // the viewer does not take it again
			}
			own.PayloadType = types[was]
		}
		return w.Write(&own, payload, a)
	})
}
