package bwe

import (
	"testing"
	"time"

	"github.com/pion/interceptor/pkg/twcc"
	"github.com/pion/rtcp"
)

const ms = time.Millisecond

var bounds = Options{Start: 1_500_000, Min: 100_000, Max: 30_000_000}

func TestReadFeedback(t *testing.T) {
	recorder := twcc.NewRecorder(1)
	at := map[uint16]time.Duration{65533: 0, 65534: 250 * time.Microsecond, 0: 3 * ms, 1: 90 * ms, 5: 80 * ms, 60: 9 * time.Second}
	for _, seq := range []uint16{65533, 65534, 0, 1, 5, 60} {
		recorder.Record(2, seq, (time.Hour + at[seq]).Microseconds())
	}
	var r twccParser
	came := map[uint16]time.Duration{}
	lost := 0
	for _, p := range recorder.BuildFeedbackPacket() {
		for _, s := range r.parse(p.(*rtcp.TransportLayerCC)) {
			if s.received {
				came[s.seq] = s.at - time.Hour
			} else {
				lost++
			}
		}
	}
	for seq, want := range at {
		if got, ok := came[seq]; !ok || got != want {
			t.Errorf("%d came at %v, %v; want %v", seq, got, ok, want)
		}
	}
	if lost != 1+3+54 { // 65535, 2 to 4, 6 to 59
		t.Errorf("%d are missing", lost)
	}
}

func TestReferenceTimeWraps(t *testing.T) {
	var r twccParser
	for i, c := range []struct {
		reference uint32
		want      time.Duration // since the first
	}{{1<<24 - 2, 0}, {1<<24 - 1, 64 * ms}, {1, 192 * ms}, {1<<24 - 1, 64 * ms}, {0, 128 * ms}, {1 << 22, 1<<22*64*ms + 128*ms}} {
		if got := r.unwrap(c.reference) - (1<<24-2)*64*ms; got != c.want {
			t.Errorf("%d: %v, want %v", i, got, c.want)
		}
	}
}

// A peer may send what it likes.
func FuzzFeedback(f *testing.F) {
	recorder := twcc.NewRecorder(1)
	for i := range uint16(40) {
		recorder.Record(2, i*3, int64(i)*700)
	}
	for _, p := range recorder.BuildFeedbackPacket() {
		raw, err := p.Marshal()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(raw, uint16(0))
	}
	f.Add([]byte{0x8f, 205, 0, 5, 0, 0, 0, 1, 0, 0, 0, 2, 0xff, 0xff, 0, 9, 0x80, 0, 0, 1, 0xbf, 0xff, 0x80, 0}, uint16(65530))
	f.Fuzz(func(t *testing.T, raw []byte, first uint16) {
		packets, err := rtcp.Unmarshal(raw)
		if err != nil {
			return
		}
		now := time.Unix(1000, 0)
		e := NewEstimator(now, bounds)
		for i := range uint16(100) {
			e.Sent(now, first+i, first+i, 1200, 1150)
			now = now.Add(time.Duration(i%7) * ms)
		}
		for range 2 {
			for _, p := range packets {
				if p, ok := p.(*rtcp.TransportLayerCC); ok {
					e.OnFeedback(now, p)
				}
			}
			now = now.Add(100 * ms)
			if got := e.Target(); got < bounds.Min || got > bounds.Max {
				t.Fatalf("the target is %d", got)
			}
			if s := e.State(); s.Loss < 0 || s.Loss > 1 {
				t.Fatalf("%+v", s)
			}
		}
		for i := range uint16(50) { // and goes on
			e.Sent(now, first+100+i, first+i, 1200, 0)
			now = now.Add(50 * ms)
			e.Check(now)
			e.AllowRTX(now, 7, 1200)
		}
		if e.history.inFlight < 0 {
			t.Fatalf("%.0f bits are on their way", e.history.inFlight)
		}
	})
}
