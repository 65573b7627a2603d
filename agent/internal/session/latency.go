package session

import (
	"sync"
	"time"

	"oriel/agent/internal/bwe"
	"oriel/agent/internal/stream"
	orielv1 "oriel/protocol/oriel/v1"
)

// latencyStats adds up how long a session's pictures took on their way, over all its
// peer connections, for the journal. The zero value is empty.
type latencyStats struct {
	mu                       sync.Mutex
	frames                   uint64 // sent
	capture, convert, encode mean
	queue, trip, loss        mean // of each second in which pictures went out; loss in a million
	waited, decoded, shown   mean // as the viewer says
}

// mean of microseconds.
type mean struct{ sum, count uint64 }

func (m *mean) add(value, count uint64) {
	m.sum += value * count
	m.count += count
}

func (m *mean) value() uint32 {
	return uint32(min((m.sum+m.count/2)/max(1, m.count), uint64(longest)))
}

// longest is more than any stage takes, and mostSeen more than the frames of one
// Seen: what goes beyond is not believed.
const (
	longest  = uint32(time.Minute / time.Microsecond)
	mostSeen = 1000
)

func micros(d time.Duration) uint64 { return uint64(min(max(0, d), time.Minute) / time.Microsecond) }

// took is micros of what was measured, which is never zero.
func took(d time.Duration) uint64 { return max(1, micros(d)) }

// frame counts a frame that was sent. Nobody waits for one that only refines, nor
// for reading a picture that was there already.
func (d *latencyStats) frame(f stream.Frame) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.frames++
	if f.Refined {
		return
	}
	d.encode.add(took(f.Encoded), 1)
	if f.Captured > 0 {
		d.capture.add(took(f.Captured), 1)
		d.convert.add(took(f.Converted), 1)
	}
}

// network takes how the network is; a trip of 0 is not known.
func (d *latencyStats) network(trip time.Duration, s bwe.State) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if trip > 0 {
		d.trip.add(took(trip), 1)
	}
	d.queue.add(micros(s.Queue), 1)
	d.loss.add(uint64(millionths(s.Loss)), 1)
}

// viewerReport takes the viewer's word.
func (d *latencyStats) viewerReport(s *orielv1.Seen) {
	frames := uint64(min(s.GetFrames(), mostSeen))
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, one := range []struct {
		of *mean
		us uint32
	}{{&d.waited, s.GetWaitUs()}, {&d.decoded, s.GetDecodeUs()}, {&d.shown, s.GetShownUs()}} {
		if one.us > 0 {
			one.of.add(uint64(min(one.us, longest)), frames)
		}
	}
}

// means is what there is to report: nil before the first frame.
func (d *latencyStats) means() *orielv1.Delays {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.frames == 0 {
		return nil
	}
	return &orielv1.Delays{
		Frames: d.frames, CaptureUs: d.capture.value(), ConvertUs: d.convert.value(), EncodeUs: d.encode.value(),
		QueueUs: d.queue.value(), RoundTripUs: d.trip.value(), LossPpm: d.loss.value(),
		WaitUs: d.waited.value(), DecodeUs: d.decoded.value(), ShownUs: d.shown.value(),
	}
}

func millionths(share float64) uint32 { return uint32(min(max(0, share), 1) * 1e6) }
