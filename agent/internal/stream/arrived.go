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
	// hasty is how long after a silence ended a request may still be about the
	// silence: what ended it takes its time on a slow link. Where something did get
	// lost the peer asks again soon (Chromium each 200 ms).
	hasty = time.Second
	// givenUp is how often a packet is asked for before we take it for lost for
	// good, unless it is known to have come.
	givenUp = 5
	// A packet that was asked for so often, for so long, will not come: of the copies that
	// fit into that time on the slowest of ways, two were lost.
	mostAsks = 10
	longAsks = 1200 * time.Millisecond
	// asking bounds how many packets are remembered that were asked for.
	asking = 4096
)

// asks is how often a packet was asked for, and since when.
type asks struct {
	times int
	since time.Time
}

// arrived keeps what a peer says about what it received: whether the whole of
// what was sent is there.
type arrived struct {
	sent   uint16 // sequence number of the last packet
	at     time.Time
	ended  time.Time // when a silence last did before which everything had arrived
	seen   uint16    // the last that the peer reported
	known  bool      // it did
	tail   tail
	tells  bool            // the peer tells what came
	asked  map[uint16]asks // of those that have not come
	broken bool            // of more than can be remembered, since the last key frame
	first  uint16          // packet of the last key frame
	awaits bool            // it is not known to have come
}

// key forgets: a key frame, whose first packet this is, needs nothing that was before it.
func (a *arrived) key(first uint16) {
	clear(a.asked)
	a.broken = false
	a.first, a.awaits = first, true
}

func (a *arrived) packet(now time.Time, seq uint16) {
	if now.Sub(a.at) > silence && a.all() {
		a.ended = now
	}
	a.sent, a.at = seq, now
	a.tail.sent(seq)
}

// heard reports whether there was any sign that something came.
func (a *arrived) heard() bool { return a.tells || a.known }

// hear takes a packet of feedback about the stream ssrc.
func (a *arrived) hear(now time.Time, p rtcp.Packet, ssrc uint32) {
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

// news takes what the peer says of a packet.
func (a *arrived) news(n news) {
	a.tail.hear(n)
	if !n.came {
		return
	}
	delete(a.asked, n.number)
	a.tells = true
	a.awaits = a.awaits && n.number != a.first
}

// misses reports whether the peer has asked for a packet, or cannot know that it is missing.
func (a *arrived) misses(number uint16) bool {
	_, asked := a.asked[number]
	return asked || a.tail.lacks(number)
}

// lacks reports whether there is a packet that the peer needs and does not get. It asks for
// it each 100 ms, and for a key frame only after three seconds without a picture.
func (a *arrived) lacks(now time.Time) bool {
	for _, n := range a.asked {
		if n.times >= mostAsks && now.Sub(n.since) > longAsks {
			return true
		}
	}
	return false
}

func (a *arrived) reports(all []rtcp.ReceptionReport, ssrc uint32) {
	for _, r := range all {
		if r.SSRC == ssrc && r.LastSequenceNumber != 0 { // 0: nothing came yet
			a.seen, a.known = uint16(r.LastSequenceNumber), true
		}
	}
}

// whole reports whether nothing was sent for a while, or only just again, and the
// peer has it all.
func (a *arrived) whole(now time.Time) bool {
	return now.Sub(a.at) > silence && a.all() || now.Sub(a.ended) < hasty
}

// all is whether the peer has everything, by what it said. It asks for no packet again
// that was before the first it saw.
func (a *arrived) all() bool {
	if !a.tail.there() && (!a.known || a.seen != a.sent) || a.broken || a.tells && a.awaits {
		return false
	}
	for _, n := range a.asked {
		if n.times >= givenUp {
			return false
		}
	}
	return true
}
