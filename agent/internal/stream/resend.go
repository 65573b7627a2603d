package stream

import (
	"encoding/binary"
	"slices"
	"sync"

	"github.com/pion/interceptor"
	"github.com/pion/rtcp"
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
// And it drops what is on its way, and what there is no room for.
type resend struct {
	interceptor.NoOp
	repeats func(number uint16, size int) bool
	track   *Track // nil: none
}

// repeatOf is the number in RTP that a packet of the stream ssrc has, or had when it is
// sent again (RFC 4588: the first two bytes).
func repeatOf(h *rtp.Header, payload []byte, ssrc uint32) (number uint16, again bool) {
	switch {
	case h.SSRC == ssrc:
		return h.SequenceNumber, false
	case len(payload) < 2:
		return h.SequenceNumber, true
	}
	return binary.BigEndian.Uint16(payload), true
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
		number, repeat := repeatOf(h, payload, ssrc)
		if repeat && (h.SSRC != parity || parity == 0) && !r.repeats(number, size) {
			return size, nil
		}
		own := h.Clone()
		if repeat && h.SSRC == again && len(payload) >= 2 {
			mu.Lock()
			was := sent[number%resendable]
			mu.Unlock()
			if types[was] == 0 {
				return size, nil // the viewer does not take it again
			}
			own.PayloadType = types[was]
		}
		return w.Write(&own, payload, a)
	})
}

// repeater makes pion's responder for one peer, which then sends again what the track asks
// for, as if the peer had.
type repeater struct {
	interceptor.Factory
	track *Track // nil: none
}

// NewInterceptor is for pion's registry.
func (r *repeater) NewInterceptor(id string) (interceptor.Interceptor, error) {
	responder, err := r.Factory.NewInterceptor(id)
	if err == nil && r.track != nil {
		r.track.onRepeat(func(ssrc uint32, numbers []uint16) { ask(responder, ssrc, numbers) })
	}
	return responder, err
}

// ask has an interceptor hear that a peer lacks packets. It sends them from a goroutine of
// its own.
func ask(i interceptor.Interceptor, ssrc uint32, numbers []uint16) {
	for some := range slices.Chunk(numbers, 250) { // as many as fit into a packet, however scattered
		nack := &rtcp.TransportLayerNack{MediaSSRC: ssrc, Nacks: rtcp.NackPairsFromSequenceNumbers(some)}
		raw, err := nack.Marshal()
		if err != nil {
			return
		}
		request := interceptor.RTCPReaderFunc(func(b []byte, a interceptor.Attributes) (int, interceptor.Attributes, error) {
			return copy(b, raw), a, nil
		})
		_, _, _ = i.BindRTCPReader(request).Read(make([]byte, len(raw)), nil)
	}
}
