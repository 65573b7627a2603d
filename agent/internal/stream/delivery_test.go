package stream

import (
	"testing"
	"time"

	"github.com/pion/rtcp"

	"oriel/agent/internal/bwe"
	"oriel/agent/internal/encode"
)

func TestWhatArrived(t *testing.T) {
	const ssrc = 7
	report := func(ssrc, seq uint32) rtcp.Packet {
		return &rtcp.ReceiverReport{Reports: []rtcp.ReceptionReport{{SSRC: ssrc, LastSequenceNumber: seq}}}
	}
	nack := func(ssrc uint32, seq uint16) rtcp.Packet {
		return &rtcp.TransportLayerNack{MediaSSRC: ssrc, Nacks: rtcp.NackPairsFromSequenceNumbers([]uint16{seq})}
	}
	times := func(n int, p rtcp.Packet) (all []rtcp.Packet) {
		for range n {
			all = append(all, p)
		}
		return all
	}
	for name, c := range map[string]struct {
		heard []rtcp.Packet
		after time.Duration
		then  string // what was after that
		whole bool
	}{
		"everything, then silence":          {[]rtcp.Packet{report(ssrc, 3<<16|100)}, 3 * time.Second, "", true},
		"everything, just now":              {[]rtcp.Packet{report(ssrc, 3<<16|100)}, time.Second, "", false},
		"nothing heard":                     {nil, 3 * time.Second, "", false},
		"the end did not arrive":            {[]rtcp.Packet{report(ssrc, 99)}, 3 * time.Second, "", false},
		"another stream's report":           {[]rtcp.Packet{report(8, 100)}, 3 * time.Second, "", false},
		"a loss that was mended":            {append(times(2, nack(ssrc, 90)), report(ssrc, 100)), 3 * time.Second, "", true},
		"a loss that was not":               {append(times(5, nack(ssrc, 90)), report(ssrc, 100)), 3 * time.Second, "", false},
		"a loss that was mended at last":    {append(times(9, nack(ssrc, 90)), report(ssrc, 100)), 3 * time.Second, "it came", true},
		"not mended, but before a key":      {append(times(5, nack(ssrc, 90)), report(ssrc, 100)), 3 * time.Second, "a key frame", true},
		"another stream's loss":             {append(times(9, nack(8, 90)), report(ssrc, 100)), 3 * time.Second, "", true},
		"a report that comes with a report": {[]rtcp.Packet{&rtcp.SenderReport{Reports: []rtcp.ReceptionReport{{SSRC: ssrc, LastSequenceNumber: 100}}}}, 3 * time.Second, "", true},
	} {
		t.Run(name, func(t *testing.T) {
			var a deliveryTracker
			now := time.Unix(1000, 0)
			a.sentPacket(now, 100)
			for _, p := range c.heard {
				a.onRTCP(now, p, ssrc)
			}
			switch c.then {
			case "a key frame":
				a.onKeyFrame(101)
			case "it came":
				a.onResult(bwe.PacketResult{Number: 90, Received: true})
			}
			if got := a.complete(now.Add(c.after)); got != c.whole {
				t.Errorf("whole is %v", got)
			}
		})
	}
	// Numbers of packets that a hostile peer asks for stay few.
	var a deliveryTracker
	for seq := range 1 << 16 {
		a.onRTCP(time.Unix(1000, 0), nack(ssrc, uint16(seq)), ssrc)
	}
	if len(a.asked) > 5000 {
		t.Errorf("%d numbers kept", len(a.asked))
	}
	now := time.Unix(1000, 0)
	a.sentPacket(now, 100)
	if a.onRTCP(now, report(ssrc, 100), ssrc); a.complete(now.Add(time.Minute)) {
		t.Error("what was forgotten passes for arrived")
	}
}

// A request is impatience only where something was shown: the first picture may
// have arrived before the page had a place for it.
func TestFirstRequestsAreAnswered(t *testing.T) {
	track, err := NewTrack(encode.AV1, "a", "b")
	if err != nil {
		t.Fatal(err)
	}
	pli := []rtcp.Packet{&rtcp.PictureLossIndication{}}
	for frames, want := range map[int]bool{1: true, first: true, first + 1: false} {
		track.frames = frames
		track.delivery = deliveryTracker{known: true, at: time.Now().Add(-time.Minute)}
		if got := track.onRTCP(pli); got != want {
			t.Errorf("after %d frames that arrived: %v", frames, got)
		}
	}
}

// Impatience is not answered because the next picture is just on its way.
func TestImpatienceWhileTheNextIsOnItsWay(t *testing.T) {
	var a deliveryTracker
	now := time.Unix(1000, 0)
	a.sentPacket(now, 100)
	a.onRTCP(now, &rtcp.ReceiverReport{Reports: []rtcp.ReceptionReport{{SSRC: 7, LastSequenceNumber: 100}}}, 7)
	now = now.Add(3 * time.Second)
	a.sentPacket(now, 101)
	for after, want := range map[time.Duration]bool{200 * time.Millisecond: true, hasty: false} {
		if got := a.complete(now.Add(after)); got != want {
			t.Errorf("%v after the silence: whole is %v", after, got)
		}
	}
	now = now.Add(3 * time.Second) // and 101 did not arrive
	if a.sentPacket(now, 102); a.complete(now.Add(200 * time.Millisecond)) {
		t.Error("a loss before the silence passes for impatience")
	}
}
