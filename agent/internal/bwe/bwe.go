// Package bwe is bandwidth estimation: how many bits per second the way to one peer
// takes, by transport-wide congestion control (TWCC,
// draft-holmer-rmcat-transport-wide-cc-extensions-01).
//
//	e := bwe.NewEstimator(now, bwe.Options{Start: 1_500_000, Min: 100_000, Max: 30_000_000})
//	e.Sent(now, seq, number, size, counted) // each packet that leaves
//	results := e.OnFeedback(now, f)         // each feedback that arrives
//	e.Target()                              // what may be sent
//
// # Rules
//
//   - Time is an argument of every call: there is no clock, no timer and no goroutine here.
//     Calls are in the order of time, one at a time.
//   - Nothing in feedback is trusted (FuzzFeedback). What is kept is bounded: 8192 packets,
//     128 trains, 2048 retransmissions.
//   - The rate never falls because little was sent.
//
// # Where the parts are
//
// twcc.go: feedback as statuses. history.go: the packets sent, and their status. train.go:
// the capacity, from packet trains and their dispersion. loss.go: random loss, which
// decides about FEC. estimator.go: the rate, its back-off, and budgets for retransmissions
// and the pacer.
//
// The simulated network that holds all of it to what a person sees lies with its sender
// (agent/internal/stream, TestWays): it needs what is sent as much as what is estimated.
package bwe

import "time"

// Options of an Estimator, in bits per second. All are required.
type Options struct {
	Start    int // the guess to begin with
	Min, Max int // of Target
}

// State is the estimate for the statistics.
type State struct {
	Target   int           // send rate in force, in bits per second
	Capacity int           // of the narrowest link, at least, in bits per second; 0: not known
	RTT      time.Duration // least of late, with the wait of feedback at the peer (Chromium: up to 100 ms); 0: not known
	Queue    time.Duration // queueing delay of the last frame's first packet
	Loss     float64       // share of the packets lost of late, 0 to 1
	FEC      float64       // share of the rate that FEC took in the last second, 0 to 1
}

// PacketResult is the delivery of one packet of media, or of a retransmission of it.
type PacketResult struct {
	Number   uint16 // in RTP; of a retransmission that of the original
	RTX      bool   // a retransmission
	Received bool   // false: lost, or late
}

// MinFECPackets is the least packets of a frame that is no letter. What is typed has one
// or two: FEC takes as much again or half, of little, and when the last is lost nothing
// follows by which the viewer would notice.
const MinFECPackets = 3
