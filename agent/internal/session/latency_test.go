package session

import (
	"math"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"oriel/agent/internal/bwe"
	"oriel/agent/internal/stream"
	orielv1 "oriel/protocol/oriel/v1"
)

func TestDelaysAreMeans(t *testing.T) {
	var d latencyStats
	d.viewerReport(&orielv1.Seen{Frames: 1, WaitUs: 1})
	if d.means() != nil {
		t.Fatal("means of no pictures:", d.means())
	}
	d = latencyStats{}
	ms := time.Millisecond
	d.frame(stream.Frame{Captured: ms, Converted: 2 * ms, Encoded: 10 * ms})
	d.frame(stream.Frame{Captured: 3 * ms, Converted: 4 * ms, Encoded: 20 * ms})
	d.frame(stream.Frame{Encoded: 30 * ms})                  // its picture was there
	d.frame(stream.Frame{Encoded: time.Hour, Refined: true}) // nobody waits for it
	d.network(0, bwe.State{Queue: 2 * ms, Loss: 0.5})
	d.network(40*ms, bwe.State{Queue: 4 * ms, Loss: 2})
	d.viewerReport(&orielv1.Seen{Frames: 30, WaitUs: 1000, DecodeUs: 4000})
	d.viewerReport(&orielv1.Seen{Frames: 10, WaitUs: 5000, DecodeUs: 8000, ShownUs: 12000})
	want := &orielv1.Delays{Frames: 4, CaptureUs: 2000, ConvertUs: 3000, EncodeUs: 20000, QueueUs: 3000, RoundTripUs: 40000,
		LossPpm: 750_000, WaitUs: 2000, DecodeUs: 5000, ShownUs: 12000}
	if got := d.means(); !proto.Equal(got, want) {
		t.Errorf("got  %v\nwant %v", got, want)
	}
}

// Zero says that nothing was measured.
func TestDelaysOfAQuickMachine(t *testing.T) {
	var d latencyStats
	d.frame(stream.Frame{Captured: 400, Converted: 300, Encoded: 200})
	d.network(100, bwe.State{})
	want := &orielv1.Delays{Frames: 1, CaptureUs: 1, ConvertUs: 1, EncodeUs: 1, RoundTripUs: 1}
	if got := d.means(); !proto.Equal(got, want) {
		t.Errorf("got  %v\nwant %v", got, want)
	}
}

// What a viewer says is bounded, however much of it there is.
func TestDelaysOfALiar(t *testing.T) {
	var d latencyStats
	d.frame(stream.Frame{})
	for range 1_000_000 {
		d.viewerReport(&orielv1.Seen{Frames: math.MaxUint32, WaitUs: math.MaxUint32, DecodeUs: 1})
	}
	if got := d.means(); got.GetWaitUs() != longest || got.GetDecodeUs() != 1 || got.GetShownUs() != 0 {
		t.Error(got)
	}
}
