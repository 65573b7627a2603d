package stream

import (
	"sync"
	"time"
)

// Stats is a stream in the last second, for the viewer's overlay.
type Stats struct {
	FPS       int           // frames sent
	Bits      int           // sent
	Captured  time.Duration // mean of reading a change
	Converted time.Duration // mean of converting it
	Encoded   time.Duration // mean
	Quantizer int           // of the last frame
	Frames    uint64        // since the stream was made
	Refined   uint64        // of those, ones that only refined
	Keys      uint64        // of those, key frames
	Preset    Preset        // in force: never Auto while somebody watches
}

type statistics struct {
	mu     sync.Mutex
	recent []sample
	total  Stats
}

type sample struct {
	at                           time.Time
	bits, quantizer              int
	captured, converted, encoded time.Duration
}

func (s *statistics) add(now time.Time, f Frame) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.trim(now)
	s.recent = append(s.recent, sample{now, 8 * len(f.Data), f.Quantizer, f.Captured, f.Converted, f.Encoded})
	s.total.Frames++
	s.total.Quantizer = f.Quantizer
	if f.Key {
		s.total.Keys++
	}
	if f.Refined {
		s.total.Refined++
	}
}

func (s *statistics) trim(now time.Time) {
	old := 0
	for old < len(s.recent) && now.Sub(s.recent[old].at) > time.Second {
		old++
	}
	s.recent = append(s.recent[:0], s.recent[old:]...)
}

func (s *statistics) read(now time.Time) Stats {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.trim(now)
	out := s.total
	captures := 0
	for _, r := range s.recent {
		out.FPS++
		out.Bits += r.bits
		out.Encoded += r.encoded
		if r.captured > 0 {
			out.Captured += r.captured
			out.Converted += r.converted
			captures++
		}
	}
	out.Encoded /= time.Duration(max(1, out.FPS))
	out.Captured /= time.Duration(max(1, captures))
	out.Converted /= time.Duration(max(1, captures))
	return out
}
