package stream

import (
	"maps"
	"slices"
	"time"
)

// news is what a peer says of one packet of a picture, or of a copy of it.
type news struct {
	number      uint16 // in RTP; of a copy that of the packet
	again, came bool
}

// tail sees to it that the end of what was sent arrives. A receiver notices a lost packet
// by the next one, so without it a loss at the end of a frame would stay until the screen
// changes again. When it is time that the peer has said what came, and it has not said that
// the end did, the end is sent again, and with it what is known to be lost and the peer
// cannot know: by a copy, or by parity, it notices nothing (libwebrtc: NackRequester, where
// a packet is "recovered").
//
// It is no padding, which has a number among the packets of frames: libwebrtc holds the
// next frame back until it has that too (parity.go). At 300 kbit/s and 2 % loss padding was
// a third of all packets, parity does not guard it, and each that got lost cost 400 to
// 850 ms.
type tail struct {
	some      bool
	high      uint16          // the highest that came by itself
	end       uint16          // the last that was sent
	recovered map[uint16]bool // after high: it came again
	lost      map[uint16]bool // after high: it did not come
	looks     int             // since the end was sent
}

// mostLooks is how often the end is looked after; each look is twice as long after the one
// before. After three seconds a browser asks for a key frame.
const mostLooks = 4

// sent notes a packet of a frame.
func (t *tail) sent(number uint16) {
	if !t.some {
		t.some, t.high = true, number-1
	}
	t.end, t.looks = number, 0
}

// hear takes what the peer says of a packet.
func (t *tail) hear(n news) {
	switch {
	case !t.after(n.number):
	case n.came && n.again:
		note(&t.recovered, n.number)
		delete(t.lost, n.number)
	case n.came:
		t.high = n.number
		known := func(number uint16, _ bool) bool { return !t.after(number) }
		maps.DeleteFunc(t.recovered, known)
		maps.DeleteFunc(t.lost, known)
	case !n.again && !t.recovered[n.number]:
		note(&t.lost, n.number)
	}
}

// after reports whether a packet was sent after the highest that came by itself.
func (t *tail) after(number uint16) bool {
	return t.some && int16(number-t.high) > 0 && int16(t.end-number) >= 0
}

func note(m *map[uint16]bool, number uint16) {
	if *m == nil || len(*m) >= asking {
		*m = map[uint16]bool{}
	}
	(*m)[number] = true
}

// lacks reports whether a packet that was sent is not known to have come, nor known to the
// peer to be missing.
func (t *tail) lacks(number uint16) bool {
	return t.after(number) && !t.recovered[number]
}

// there reports whether all is known to have come but what the peer knows to be missing.
func (t *tail) there() bool {
	return t.some && int(t.end-t.high) == len(t.recovered)
}

// look is what to send again now, when the peer has had the time to say what came, and
// whether to look once more: each time it has twice as long.
func (t *tail) look() (again []uint16, more bool) {
	if t.there() || t.looks == mostLooks || !t.some {
		return nil, false
	}
	t.looks++
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

// patience is how long after the end, or the look before, the next look is: reported is when
// the peer has said what came.
func (t *tail) patience(reported time.Duration) time.Duration { return reported << t.looks }
