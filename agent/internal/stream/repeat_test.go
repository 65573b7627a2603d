package stream

import (
	"testing"
	"time"

	"github.com/pion/rtcp"

	"oriel/agent/internal/bwe"
	"oriel/agent/internal/encode"
)

// A slow link that stands still for a moment loses what its queue has no place for. Each of
// that is sent again once: Chromium asks three times and more until it came, and as many
// copies would fill the link for seconds, in which it gives up.
func TestEachLossTakesOneCopy(t *testing.T) {
	for stall, most := range map[time.Duration]time.Duration{
		300 * time.Millisecond: 1100 * time.Millisecond,
		500 * time.Millisecond: 1400 * time.Millisecond,
	} {
		lost, copies := 0, 0
		var behind time.Duration
		for seed := range uint64(20) {
			w := newSimulatedNetwork(t, 1e6, 50*time.Millisecond, seed)
			w.content = scrolling
			w.at(10*time.Second+time.Duration(seed)*7*time.Millisecond, func() { w.busy = w.now + stall })
			w.run(30 * time.Second)
			lost, copies, behind = lost+w.lost, copies+w.copies, max(behind, w.behind())
		}
		if t.Logf("%v: %d lost, %d copies, %v behind", stall, lost, copies, behind); lost < 100 || 10*copies > 11*lost || behind > most {
			t.Errorf("a link that stands still for %v: %d copies of %d that were lost, %v behind", stall, copies, lost, behind)
		}
	}
}

// A browser that lacks a packet asks for a key frame after three seconds without a picture.
// It gets one before.
func TestPacketThatDoesNotComeIsAnsweredByAKeyFrame(t *testing.T) {
	track, err := NewTrack(encode.AV1, "a", "b")
	if err != nil {
		t.Fatal(err)
	}
	requests := 0
	track.onLost(func() { requests++ })
	ask := func(since time.Duration, times int) {
		nack := &rtcp.TransportLayerNack{Nacks: rtcp.NackPairsFromSequenceNumbers([]uint16{90})}
		for range times {
			track.delivery.onRTCP(time.Now().Add(-since), nack, 0)
		}
	}
	for _, c := range []struct {
		what  string
		since time.Duration
		times int
		came  uint16
		want  int
	}{
		{"asks for it for long, but not often", 2 * time.Second, hopelessAsks - 1, 91, 0},
		{"asks for it once more", 0, 1, 91, 1},
		{"has it at last", 0, 1, 90, 1},
		{"asks for it anew, often, but not for long", time.Second, 2 * hopelessAsks, 91, 1},
	} {
		ask(c.since, c.times)
		track.onResults([]bwe.PacketResult{{Number: c.came, Received: true}})
		if requests != c.want {
			t.Errorf("a peer that %s: %d key frames, not %d", c.what, requests, c.want)
		}
	}
	track.delivery.onKeyFrame(100)
	ask(2*time.Second, hopelessAsks)
	track.delivery.onKeyFrame(101)
	if track.onResults([]bwe.PacketResult{{Number: 101, Received: true}}); requests != 1 {
		t.Error("what was before a key frame is missed")
	}
}
