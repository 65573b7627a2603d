package stream

import (
	"encoding/binary"
	"slices"
	"sync"

	"github.com/pion/interceptor"
	"github.com/pion/rtcp"
	"github.com/pion/rtp"
)

// # Loss
//
// A lost packet is sent again when the viewer asks for it, once for each loss: a browser
// asks each 100 ms until it came, and on a slow link as many copies would fill it
// (estimate.repeats). What does not come for longer than a second a key frame answers,
// before the browser asks for one, which takes it three. Until the packet is there, a round
// trip later, its frame waits, and the next one with it: both come at once, and one is
// never seen. Where packets get lost by chance (two in the last seconds, and 0.3 % of
// them) and a round trip takes 25 ms or more, parity follows each frame of three packets
// or more: one packet for up to twelve, from which the viewer makes the one that is missing
// (parity.go). It takes an eighth of what leaves at seven packets a frame, and is kept
// free for. What it does not make good is sent again as ever. On a simulated link of
// 5 Mbit/s and 40 ms that loses 1 %, 6 to 8 % of the frames of a page that scrolls come
// together with another without parity, under 1 % with it (TestParityKeepsPicturesInTime).
// Of a letter, which is one packet or two, nothing follows that shows that it is missing:
// one loss of late is enough there for a packet of parity, however near
// the viewer is, as long as all parity takes less than a fifth of the rate. On the same link 1 %
// of the letters come late without, 3 of 7000 with it (TestLettersComeInTime).
//
// What the viewer cannot miss, because nothing follows it, is sent again where it is not
// heard of in time, and a copy that got lost at once (tail.go). At 300 kbit/s, 200 ms and 2 %
// a page that scrolls is never more than 0.75 s late (TestSlowLossyLinkStaysWithinASecond).

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
