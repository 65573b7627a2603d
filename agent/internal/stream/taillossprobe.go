package stream

import (
	"maps"
	"slices"
	"time"

	"oriel/agent/internal/bwe"
)

// tailLossProbe retransmits the end of a frame that is not acknowledged in time, as TCP
// does (RFC 8985). A receiver notices a loss by the next packet, so without it a loss at the
// end of a frame would stay until the screen changes again. With the end goes what is known
// to be lost and the peer cannot know: by a retransmission, or by FEC, it notices nothing
// (libwebrtc: NackRequester, where a packet is "recovered").
//
// The probe is no padding, which has a number among the packets of frames: libwebrtc holds the
// next frame back until it has that too (fec.go). At 300 kbit/s and 2 % loss padding was
// a third of all packets, parity does not guard it, and each that got lost cost 400 to
// 850 ms.
type tailLossProbe struct {
	some      bool
	highest   uint16          // highest packet received, retransmissions aside
	end       uint16          // last packet sent
	recovered map[uint16]bool // packets after highest whose retransmission was received
	lost      map[uint16]bool // packets after highest that were lost
	probes    int             // since end was sent
}

// maxProbes bounds the probes for one end; each time-out is twice the one before. After
// three seconds a browser asks for a key frame.
const maxProbes = 4

// sent records a packet of media.
func (t *tailLossProbe) sent(number uint16) {
	if !t.some {
		t.some, t.highest = true, number-1
	}
	t.end, t.probes = number, 0
}

// onResult takes the result of a packet.
func (t *tailLossProbe) onResult(n bwe.PacketResult) {
	switch {
	case !t.after(n.Number):
	case n.Received && n.RTX:
		note(&t.recovered, n.Number)
		delete(t.lost, n.Number)
	case n.Received:
		t.highest = n.Number
		known := func(number uint16, _ bool) bool { return !t.after(number) }
		maps.DeleteFunc(t.recovered, known)
		maps.DeleteFunc(t.lost, known)
	case !n.RTX && !t.recovered[n.Number]:
		note(&t.lost, n.Number)
	}
}

// after reports whether a packet was sent after the highest received.
func (t *tailLossProbe) after(number uint16) bool {
	return t.some && int16(number-t.highest) > 0 && int16(t.end-number) >= 0
}

func note(m *map[uint16]bool, number uint16) {
	if *m == nil || len(*m) >= asking {
		*m = map[uint16]bool{}
	}
	(*m)[number] = true
}

// unacked reports whether a packet is neither acknowledged nor known to the peer to be
// missing.
func (t *tailLossProbe) unacked(number uint16) bool {
	return t.after(number) && !t.recovered[number]
}

// acked reports whether every packet is acknowledged or already NACKed by the peer.
func (t *tailLossProbe) acked() bool {
	return t.some && int(t.end-t.highest) == len(t.recovered)
}

// probe returns the packets to retransmit at a time-out, and whether to set the next one.
func (t *tailLossProbe) probe() (again []uint16, more bool) {
	if t.acked() || t.probes == maxProbes || !t.some {
		return nil, false
	}
	t.probes++
	for number := range t.lost {
		if number != t.end {
			again = append(again, number)
		}
	}
	if !t.recovered[t.end] {
		again = append(again, t.end)
	}
	slices.Sort(again)
	return again, true
}

// timeout is the probe time-out after the end, or after the probe before. reported is the
// time that feedback takes.
func (t *tailLossProbe) timeout(reported time.Duration) time.Duration { return reported << t.probes }
