package stream

import (
	"time"

	"github.com/pion/rtcp"
)

const (
	// silence is how long nothing was sent before a request for a key frame may
	// be mere impatience: Chromium waits for a frame for three seconds, then
	// asks, and again three seconds after each answer.
	silence = 2 * time.Second
	// givenUp is how often a packet is asked for before we take it for lost for
	// good. libwebrtc stops at ten.
	givenUp = 5
)

// arrived keeps what a peer says about what it received: whether the whole of
// what was sent is there.
type arrived struct {
	sent   uint16 // sequence number of the last packet
	at     time.Time
	seen   uint16 // the last that the peer reported
	known  bool   // it did
	asked  map[uint16]int
	broken bool // a packet was asked for too often since the last key frame
}

// key forgets: a key frame needs nothing that was before it.
func (a *arrived) key() {
	clear(a.asked)
	a.broken = false
}

func (a *arrived) packet(now time.Time, seq uint16) { a.sent, a.at = seq, now }

// hear takes a packet of feedback about the stream ssrc.
func (a *arrived) hear(p rtcp.Packet, ssrc uint32) {
	switch p := p.(type) {
	case *rtcp.ReceiverReport:
		a.reports(p.Reports, ssrc)
	case *rtcp.SenderReport:
		a.reports(p.Reports, ssrc)
	case *rtcp.TransportLayerNack:
		if p.MediaSSRC != ssrc {
			return
		}
		if a.asked == nil || len(a.asked) > 4096 {
			a.asked = map[uint16]int{}
		}
		for _, pair := range p.Nacks {
			for _, seq := range pair.PacketList() {
				a.asked[seq]++
				a.broken = a.broken || a.asked[seq] >= givenUp
			}
		}
	}
}

func (a *arrived) reports(all []rtcp.ReceptionReport, ssrc uint32) {
	for _, r := range all {
		if r.SSRC == ssrc {
			a.seen, a.known = uint16(r.LastSequenceNumber), true
		}
	}
}

// whole reports whether nothing was sent for a while and the peer has it all.
func (a *arrived) whole(now time.Time) bool {
	return a.known && a.seen == a.sent && !a.broken && now.Sub(a.at) > silence
}
