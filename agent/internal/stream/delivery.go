package stream

import (
	"time"

	"github.com/pion/rtcp"

	"oriel/agent/internal/bwe"
)

const (
	// silence is how long nothing was sent before a request for a key frame may
	// be mere impatience: Chromium waits for a frame for three seconds, then
	// asks, and again three seconds after each answer.
	silence = 2 * time.Second
	// hasty is how long after a silence ended a request may still be about the
	// silence: what ended it takes its time on a slow link. Where something did get
	// lost the peer asks again soon (Chromium each 200 ms).
	hasty = time.Second
	// maxAsks is the number of NACKs after which a packet counts as lost for good,
	// unless it is acknowledged.
	maxAsks = 5
	// A packet with so many NACKs over so long will not arrive: of the retransmissions
	// that fit into that time on the slowest of ways, two were lost.
	hopelessAsks  = 10
	hopelessAfter = 1200 * time.Millisecond
	// asking bounds the packets with NACKs that are remembered.
	asking = 4096
)

// asks counts the NACKs for a packet, and since when.
type asks struct {
	times int
	since time.Time
}

// deliveryTracker tells whether a peer has received all packets of media, by its
// reports, its NACKs and transport-wide feedback.
type deliveryTracker struct {
	sent   uint16 // sequence number of the last packet sent
	at     time.Time
	ended  time.Time // end of the last silence before which everything was acknowledged
	seen   uint16    // highest sequence number in the peer's reports
	known  bool      // whether the peer reported one
	tail   tailLossProbe
	tells  bool            // the peer gives transport-wide feedback
	asked  map[uint16]asks // packets with a NACK that are not acknowledged
	broken bool            // more had a NACK since the last key frame than can be remembered
	first  uint16          // first packet of the last key frame
	awaits bool            // first is not acknowledged
}

// onKeyFrame forgets what was before: a key frame needs nothing of it.
func (a *deliveryTracker) onKeyFrame(first uint16) {
	clear(a.asked)
	a.broken = false
	a.first, a.awaits = first, true
}

func (a *deliveryTracker) sentPacket(now time.Time, seq uint16) {
	if now.Sub(a.at) > silence && a.acked() {
		a.ended = now
	}
	a.sent, a.at = seq, now
	a.tail.sent(seq)
}

// heardOf reports whether the peer has shown any sign of a packet.
func (a *deliveryTracker) heardOf() bool { return a.tells || a.known }

// onRTCP takes a packet of RTCP about the stream ssrc.
func (a *deliveryTracker) onRTCP(now time.Time, p rtcp.Packet, ssrc uint32) {
	switch p := p.(type) {
	case *rtcp.ReceiverReport:
		a.reports(p.Reports, ssrc)
	case *rtcp.SenderReport:
		a.reports(p.Reports, ssrc)
	case *rtcp.TransportLayerNack:
		if p.MediaSSRC != ssrc {
			return
		}
		if a.asked == nil || len(a.asked) > asking {
			a.broken = a.asked != nil
			a.asked = map[uint16]asks{}
		}
		for _, pair := range p.Nacks {
			for _, seq := range pair.PacketList() {
				before, known := a.asked[seq]
				if !known {
					before.since = now
				}
				a.asked[seq] = asks{before.times + 1, before.since}
			}
		}
	}
}

// onResult takes the result of a packet.
func (a *deliveryTracker) onResult(n bwe.PacketResult) {
	a.tail.onResult(n)
	if !n.Received {
		return
	}
	delete(a.asked, n.Number)
	a.tells = true
	a.awaits = a.awaits && n.Number != a.first
}

// misses reports whether the peer has sent a NACK for a packet, or cannot know that it is
// missing.
func (a *deliveryTracker) misses(number uint16) bool {
	_, asked := a.asked[number]
	return asked || a.tail.unacked(number)
}

// givenUp reports whether a packet that the peer needs will not arrive any more. A browser
// repeats its NACK each 100 ms, and asks for a key frame after three seconds only.
func (a *deliveryTracker) givenUp(now time.Time) bool {
	for _, n := range a.asked {
		if n.times >= hopelessAsks && now.Sub(n.since) > hopelessAfter {
			return true
		}
	}
	return false
}

func (a *deliveryTracker) reports(all []rtcp.ReceptionReport, ssrc uint32) {
	for _, r := range all {
		if r.SSRC == ssrc && r.LastSequenceNumber != 0 { // 0: nothing came yet
			a.seen, a.known = uint16(r.LastSequenceNumber), true
		}
	}
}

// complete reports whether nothing was sent for a while, or only just again, and
// everything before is acknowledged.
func (a *deliveryTracker) complete(now time.Time) bool {
	return now.Sub(a.at) > silence && a.acked() || now.Sub(a.ended) < hasty
}

// acked reports whether every packet is acknowledged or repaired. A peer sends no NACK for
// packets before the first it received.
func (a *deliveryTracker) acked() bool {
	if !a.tail.acked() && (!a.known || a.seen != a.sent) || a.broken || a.tells && a.awaits {
		return false
	}
	for _, n := range a.asked {
		if n.times >= maxAsks {
			return false
		}
	}
	return true
}
