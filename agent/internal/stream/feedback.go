package stream

import (
	"time"

	"github.com/pion/rtcp"
)

// # Key frames
//
// The first picture of a stream, one for a viewer who joins, one for a PLI, one
// for a new size: no others. The first must fit the link: it may take a sixth of
// a second of it, is soft (encode.Params.Soft) when it would be much larger, by the
// model before it is encoded or by what came out, and is refined after. Where the link is
// not known it is soft unless it fits for sure: to find out costs as long as the picture. Requests
// are merged and answered at once when the last key frame is long past, else when
// it has had the time to arrive; an answer to a loss is at most half the size of
// what was lost. A browser also asks for one when it has seen nothing for three
// seconds; Feedback answers that only where something did get lost (arrived.go),
// or an idle screen would be sent for ever, and on a slow link become soft again.
// Before anything came it asks for nothing: then Track does.

// status is what a peer says about one packet.
type status struct {
	seq  uint16        // transport-wide sequence number
	came bool          // it arrived
	at   time.Duration // when, by the peer's clock; its zero means nothing
}

// reader turns transport-wide feedback into statuses
// (draft-holmer-rmcat-transport-wide-cc-extensions-01, §3.1). Nothing in it is
// trusted: the peer may send what it likes.
type reader struct {
	reference time.Duration // of the last feedback, unwrapped
	began     bool
	statuses  []status // reused
}

const (
	referenceUnit = 64 * time.Millisecond
	referenceWrap = 1 << 24
	mostStatuses  = remembered // more cannot be about what we still know
)

// read returns a status for each packet that f speaks of, as far as it makes
// sense. The slice is good until the next call.
func (r *reader) read(f *rtcp.TransportLayerCC) []status {
	r.statuses = r.statuses[:0]
	at := r.unwrap(f.ReferenceTime)
	seq, left := f.BaseSequenceNumber, min(int(f.PacketStatusCount), mostStatuses)
	deltas := f.RecvDeltas
	add := func(symbol uint16) bool {
		if left == 0 {
			return false
		}
		left--
		p := status{seq: seq}
		seq++
		if symbol == rtcp.TypeTCCPacketReceivedSmallDelta || symbol == rtcp.TypeTCCPacketReceivedLargeDelta {
			if len(deltas) == 0 {
				return false
			}
			at += time.Duration(deltas[0].Delta) * time.Microsecond
			deltas = deltas[1:]
			p.came, p.at = true, at
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
func (r *reader) unwrap(reference uint32) time.Duration {
	at := time.Duration(reference%referenceWrap) * referenceUnit
	if !r.began {
		r.began, r.reference = true, at
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
