package bwe

import (
	"cmp"
	"slices"
	"time"
)

// train is the packets of one frame: they leave at once, so that how far apart
// they arrive is how fast the narrowest piece of the way is. That works for the
// first frame, for one after an idle hour, and needs no padding.
//
// What comes of it is not a rate but bounds of one. A receiver that slept shows
// as a gap in the middle, which must not be taken for a slow link; what it reads
// afterwards at once must not be taken for a fast one; and where packets are
// late at random by as much as the train is long, it says little.
type train struct {
	first, last int64         // packets
	startedAt   time.Duration // when the first left
	endedAt     time.Duration // when the last did
	busy        time.Duration // how long the link was still busy with what was sent before

	queueDelay time.Duration // of the first packet in queues, less own; valid when known
	at         time.Duration // when it arrived, by the peer's clock
	known      bool

	bits    float64 // of the packets that were reported
	packets int     // those
	lost    int     // of those, that did not arrive

	low, high float64 // bits per second; high 0: not measured
	weight    int     // 0: not measured
}

const (
	// trainGap ends a train: more than a goroutine needs to send a packet, less
	// than there is between two frames at 60 per second.
	trainGap = 3 * time.Millisecond
	// tick is the resolution of arrival times.
	tick = 250 * time.Microsecond
	// maxTrain is how many packets a train may have, so that measuring stays
	// cheap: 600 kB.
	maxTrain = 512
	// unbounded is the high of a train that shows no limit.
	unbounded = 1e12
)

// measure brings the bounds up to date. base is the least delay of a packet that
// was seen; scratch is reused.
func (t *train) measure(f *sendHistory, base time.Duration, scratch []*sentPacket) []*sentPacket {
	came := scratch[:0]
	t.bits, t.packets, t.lost = 0, 0, 0
	for n := t.first; n <= t.last; n++ {
		p := f.get(n)
		if p == nil || p.status == statusUnknown {
			continue
		}
		t.packets++
		t.bits += p.bits()
		if p.status == statusLost {
			t.lost++
			continue
		}
		came = append(came, p)
	}
	if p := f.get(t.first); p != nil && p.status == statusReceived {
		t.queueDelay, t.at, t.known = p.receivedAt-p.sentAt-base-t.busy, p.receivedAt, true
	}
	t.low, t.high, t.weight = 0, 0, 0
	if len(came) < 3 {
		return came
	}
	left, right := came[0].sentAt, came[0].sentAt
	for _, p := range came {
		left, right = min(left, p.sentAt), max(right, p.sentAt)
	}
	slices.SortStableFunc(came, func(a, b *sentPacket) int { return cmp.Compare(a.receivedAt, b.receivedAt) })
	length, sent := came[len(came)-1].receivedAt-came[0].receivedAt, right-left
	if grown := length - sent; grown < max(2*time.Millisecond, sent/4) {
		// It arrived as fast as it left: the link is at least so fast, unless the
		// packets had waited and were then read at once.
		if waited := came[0].receivedAt - came[0].sentAt - base; waited <= 10*time.Millisecond && grown > -2*time.Millisecond {
			var bits float64
			for _, p := range came[1:] {
				bits += p.bits()
			}
			t.low, t.high, t.weight = bits/(max(length, sent)+2*tick).Seconds(), unbounded, 1
			if len(came) >= 20 {
				t.weight = 3
			}
		}
		return came
	}
	// Packets that came together with the first say nothing: they may have waited
	// to be read.
	together := 1
	for together < len(came) && came[together].receivedAt-came[together-1].receivedAt <= tick {
		together++
	}
	came = came[together-1:]
	if len(came) < 3 {
		return came
	}
	bits, uneven, clumps, gap := fit(came)
	stall := max(0, gap-2*length/time.Duration(clumps-1))
	// A few packets may lie on a line by chance.
	doubt := tick + uneven + 4*uneven/time.Duration(max(1, clumps-2))
	t.low, t.high, t.weight = bits/(length+doubt).Seconds(), unbounded, 1
	if sure := length - stall - doubt; sure > 0 {
		t.high = bits / sure.Seconds()
	}
	if clumps >= 8 && length >= max(20*time.Millisecond, 4*doubt) {
		t.weight = 3
	}
	return came
}

// fit lays a line through when packets arrived over the bits up to them. It
// returns the bits after the first, the distance between the latest and the
// earliest arrival, each against the line, how many times of arrival there are
// and the longest gap between two.
func fit(came []*sentPacket) (bits float64, uneven time.Duration, clumps int, gap time.Duration) {
	clumps = 1
	var sx, sy, sxx, sxy float64
	x := 0.0
	for i, p := range came {
		if i > 0 {
			x += p.bits()
			step := p.receivedAt - came[i-1].receivedAt
			gap = max(gap, step)
			if step > tick {
				clumps++
			}
		}
		y := float64(p.receivedAt - came[0].receivedAt)
		sx, sy, sxx, sxy = sx+x, sy+y, sxx+x*x, sxy+x*y
	}
	bits = x
	n := float64(len(came))
	slope := (n*sxy - sx*sy) / max(n*sxx-sx*sx, 1)
	rest := (sy - slope*sx) / n
	early, late := 0.0, 0.0
	x = 0
	for i, p := range came {
		if i > 0 {
			x += p.bits()
		}
		d := float64(p.receivedAt-came[0].receivedAt) - slope*x - rest
		early, late = min(early, d), max(late, d)
	}
	return bits, time.Duration(late - early), clumps, gap
}
