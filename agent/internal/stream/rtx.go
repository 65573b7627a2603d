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
// (bwe: Estimator.AllowRTX). What does not come for longer than a second a key frame answers,
// before the browser asks for one, which takes it three. Until the packet is there, a round
// trip later, its frame waits, and the next one with it: both come at once, and one is
// never seen. Where packets get lost by chance (two in the last seconds, and 0.3 % of
// them) and a round trip takes 25 ms or more, parity follows each frame of three packets
// or more: one packet for up to twelve, from which the viewer makes the one that is missing
// (fec.go). It takes an eighth of what leaves at seven packets a frame, and is kept
// free for. What it does not make good is sent again as ever. On a simulated link of
// 5 Mbit/s and 40 ms that loses 1 %, 6 to 8 % of the frames of a page that scrolls come
// together with another without parity, under 1 % with it (TestParityKeepsPicturesInTime).
// Of a letter, which is one packet or two, nothing follows that shows that it is missing:
// one loss of late is enough there for a packet of parity, however near
// the viewer is, as long as all parity takes less than a fifth of the rate. On the same link 1 %
// of the letters come late without, 3 of 7000 with it (TestLettersComeInTime).
//
// What the viewer cannot miss, because nothing follows it, is sent again where it is not
// heard of in time, and a copy that got lost at once (taillossprobe.go). At 300 kbit/s, 200 ms and 2 %
// a page that scrolls is never more than 0.75 s late (TestSlowLossyLinkStaysWithinASecond).

// rtxHistory is the number of packets kept for retransmission: a power of two.
const rtxHistory = 2048

// rtxGate passes or drops the retransmissions of pion's responder.
//
// Each packet gets a header of its own: the responder hands out the one that
// it keeps, from a goroutine for each NACK, and the interceptors nearer to the
// wire write to it.
//
// Each packet gets the RTX payload type that belongs to its own: the responder
// knows only that of the format which the track was bound with, and what came
// again would go to the other decoder.
//
// What is in flight already, or over the budget, is dropped.
type rtxGate struct {
	interceptor.NoOp
	allow func(number uint16, size int) bool
	track *Track // nil: none
}

// originalNumber is a packet's sequence number in the stream ssrc; of a retransmission that
// of the original (RFC 4588: the first two bytes).
func originalNumber(h *rtp.Header, payload []byte, ssrc uint32) (number uint16, again bool) {
	switch {
	case h.SSRC == ssrc:
		return h.SequenceNumber, false
	case len(payload) < 2:
		return h.SequenceNumber, true
	}
	return binary.BigEndian.Uint16(payload), true
}

// NewInterceptor is for pion's registry.
func (r *rtxGate) NewInterceptor(string) (interceptor.Interceptor, error) { return r, nil }

// BindLocalStream puts the gate before w.
func (r *rtxGate) BindLocalStream(info *interceptor.StreamInfo, w interceptor.RTPWriter) interceptor.RTPWriter {
	ssrc, again, parity := info.SSRC, info.SSRCRetransmission, info.SSRCForwardErrorCorrection
	types := r.track.retransmissions()
	var mu sync.Mutex
	var sent [rtxHistory]uint8 // payload types, by sequence number
	return interceptor.RTPWriterFunc(func(h *rtp.Header, payload []byte, a interceptor.Attributes) (int, error) {
		if h.SSRC == ssrc {
			mu.Lock()
			sent[h.SequenceNumber%rtxHistory] = h.PayloadType
			mu.Unlock()
		}
		size := h.MarshalSize() + len(payload)
		number, repeat := originalNumber(h, payload, ssrc)
		if repeat && (h.SSRC != parity || parity == 0) && !r.allow(number, size) {
			return size, nil
		}
		own := h.Clone()
		if repeat && h.SSRC == again && len(payload) >= 2 {
			mu.Lock()
			was := sent[number%rtxHistory]
			mu.Unlock()
			if types[was] == 0 {
				return size, nil // the viewer does not take it again
			}
			own.PayloadType = types[was]
		}
		return w.Write(&own, payload, a)
	})
}

// rtxResponder makes pion's responder for one peer, which then retransmits for the track as
// it does for the peer's NACKs.
type rtxResponder struct {
	interceptor.Factory
	track *Track // nil: none
}

// NewInterceptor is for pion's registry.
func (r *rtxResponder) NewInterceptor(id string) (interceptor.Interceptor, error) {
	responder, err := r.Factory.NewInterceptor(id)
	if err == nil && r.track != nil {
		r.track.onRetransmit(func(ssrc uint32, numbers []uint16) { ask(responder, ssrc, numbers) })
	}
	return responder, err
}

// ask hands a NACK to an interceptor, which answers it from a goroutine of its own.
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
