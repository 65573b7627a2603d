package bwe

import (
	"math"
	"time"
)

// lossEstimator estimates random loss of late. Packets lost in a row count as one: FEC
// does not help there, and it is how a queue overflows.
type lossEstimator struct {
	all, lost float64 // each half as much after lossHalf
	at        time.Duration
	last      int64 // that was lost
	many      bool  // enough for FEC to pay
	some      bool  // enough for FEC of small frames
}

const (
	lossHalf = 10 * time.Second
	// lossPays is the share of packets at which parity begins to pay, one frame of seven in
	// fifty, and lossMany how many of the last seconds say so. It ends at a third and a fifth.
	lossPays = 0.003
	lossMany = 1.5 // one alone may be chance
	lossSome = 0.5 // but is enough for what takes little
)

// packet takes the status of packet n.
func (l *lossEstimator) packet(n int64, lost bool) {
	l.all++
	if !lost {
		return
	}
	if n-l.last > 1 {
		l.lost++
	}
	l.last = max(l.last, n)
}

// judge updates many and some.
func (l *lossEstimator) judge(now time.Duration) {
	if d := now - l.at; d > 0 {
		fade := math.Exp2(-d.Seconds() / lossHalf.Seconds())
		l.all, l.lost, l.at = l.all*fade, l.lost*fade, now
	}
	l.many, l.some = l.pays(l.many, lossMany), l.pays(l.some, lossSome)
}

// pays reports whether loss is such that FEC pays, or still does.
func (l *lossEstimator) pays(still bool, many float64) bool {
	if still {
		return l.lost > many/5 && l.lost > l.all*lossPays/3
	}
	return l.lost > many && l.lost > l.all*lossPays
}
