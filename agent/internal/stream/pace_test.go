package stream

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/pion/rtp"
	"github.com/pion/webrtc/v4"

	"oriel/agent/internal/encode"
)

// wire is what a Track is bound to: it notes when packets leave, and tells c.
type wire struct {
	webrtc.TrackLocalContext
	c    *Congestion
	sent []departure
}

// departure is one packet that left.
type departure struct {
	at    time.Time
	bytes int
}

func (*wire) ID() string                                                    { return "wire" }
func (*wire) SSRC() webrtc.SSRC                                             { return 7 }
func (*wire) SSRCForwardErrorCorrection() webrtc.SSRC                       { return 0 }
func (w *wire) WriteStream() webrtc.TrackLocalWriter                        { return w }
func (*wire) HeaderExtensions() (none []webrtc.RTPHeaderExtensionParameter) { return none }
func (*wire) CodecParameters() []webrtc.RTPCodecParameters {
	p := payloadOf("AV1", "")
	return []webrtc.RTPCodecParameters{{RTPCodecCapability: p.capability(), PayloadType: p.number}}
}
func (w *wire) Write(b []byte) (int, error) { return len(b), nil }

func (w *wire) WriteRTP(h *rtp.Header, payload []byte) (int, error) {
	size := h.MarshalSize() + len(payload)
	w.c.sent(uint16(len(w.sent)), h.SequenceNumber, size, len(payload))
	w.sent = append(w.sent, departure{time.Now(), size})
	return size, nil
}

// The end of a frame that turned out too large waits here, and is not lost in a short
// queue; what is small does not wait, nor does anything for a peer that is gone.
func TestTooLargeAFrameIsPaced(t *testing.T) {
	const rate = 270_000.0
	for name, c := range map[string]struct {
		bytes  int
		paced  bool
		unbind bool
	}{
		"a letter":          {300, false, false},
		"what fits":         {5_000, false, false},
		"too large":         {20_000, true, false},
		"too large, and no": {20_000, true, true},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				track, err := NewTrack(encode.AV1, "a", "b")
				if err != nil {
					t.Fatal(err)
				}
				w := &wire{c: newCongestion(track)}
				defer w.c.Close()
				w.c.estimator = newEstimator(time.Now(), rate)
				if _, err := track.Bind(w); err != nil {
					t.Fatal(err)
				}
				began := time.Now()
				if c.unbind {
					time.AfterFunc(100*time.Millisecond, func() { _ = track.Unbind(w) })
				} else {
					defer func() { _ = track.Unbind(w) }()
				}
				// A frame of one OBU, so that it is in order to be cut into packets.
				data := make([]byte, c.bytes)
				data[0] = 6 << 3
				if err := track.WriteFrame(Frame{Codec: encode.AV1, Data: data, Key: true, At: began}); err != nil {
					t.Fatal(err)
				}
				took := time.Since(began)
				if c.unbind {
					if took > 150*time.Millisecond {
						t.Errorf("it went on for %v", took)
					}
					return
				}
				if (took > 0) != c.paced {
					t.Errorf("it took %v", took)
				}
				// The link, with a queue of 250 ms.
				var free time.Duration // since the first left
				for i, p := range w.sent {
					left := p.at.Sub(w.sent[0].at)
					free = max(free, left)
					if wait := free - left; wait > 250*time.Millisecond {
						t.Fatalf("packet %d of %d would wait %v", i, len(w.sent), wait)
					}
					free += time.Duration(8 * float64(p.bytes) / rate * float64(time.Second))
				}
				if took > free {
					t.Errorf("it took %v though the link takes it in %v", took, free)
				}
			})
		})
	}
}
