package bwe

import (
	"time"

	"github.com/pion/rtcp"
)

// twccStatus is the peer's report about one packet.
type twccStatus struct {
	seq      uint16        // transport-wide sequence number
	received bool          // whether the packet arrived
	at       time.Duration // time of arrival by the peer's clock, whose zero means nothing
}

// twccParser turns transport-wide feedback into statuses
// (draft-holmer-rmcat-transport-wide-cc-extensions-01, §3.1). Nothing in it is
// trusted: the peer may send what it likes.
type twccParser struct {
	reference time.Duration // reference time of the last feedback, unwrapped
	started   bool
	statuses  []twccStatus // reused
}

const (
	referenceUnit = 64 * time.Millisecond
	referenceWrap = 1 << 24
	maxStatuses   = historySize // more cannot be about what we still know
)

// parse returns a status for each packet that f speaks of, as far as it makes
// sense. The slice is good until the next call.
func (r *twccParser) parse(f *rtcp.TransportLayerCC) []twccStatus {
	r.statuses = r.statuses[:0]
	at := r.unwrap(f.ReferenceTime)
	seq, left := f.BaseSequenceNumber, min(int(f.PacketStatusCount), maxStatuses)
	deltas := f.RecvDeltas
	add := func(symbol uint16) bool {
		if left == 0 {
			return false
		}
		left--
		p := twccStatus{seq: seq}
		seq++
		if symbol == rtcp.TypeTCCPacketReceivedSmallDelta || symbol == rtcp.TypeTCCPacketReceivedLargeDelta {
			if len(deltas) == 0 {
				return false
			}
			at += time.Duration(deltas[0].Delta) * time.Microsecond
			deltas = deltas[1:]
			p.received, p.at = true, at
		}
		r.statuses = append(r.statuses, p)
		return true
	}
	for _, c := range f.PacketChunks {
		switch c := c.(type) {
		case *rtcp.RunLengthChunk:
			for range c.RunLength {
				if !add(c.PacketStatusSymbol) {
					return r.statuses
				}
			}
		case *rtcp.StatusVectorChunk:
			for _, symbol := range c.SymbolList {
				if !add(symbol) {
					return r.statuses
				}
			}
		}
	}
	return r.statuses
}

// unwrap continues the reference time, which starts again every twelve days and
// may also go back a little.
func (r *twccParser) unwrap(reference uint32) time.Duration {
	at := time.Duration(reference%referenceWrap) * referenceUnit
	if !r.started {
		r.started, r.reference = true, at
		return at
	}
	const wrap = referenceWrap * referenceUnit
	step := (at - r.reference) % wrap
	switch {
	case step > wrap/2:
		step -= wrap
	case step < -wrap/2:
		step += wrap
	}
	r.reference += step
	return r.reference
}
