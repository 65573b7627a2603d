package bwe

import (
	"slices"
	"testing"
	"time"

	"github.com/pion/rtcp"
)

// Rule: results are of packets of media only: the numbers of FEC are another stream's.
func TestFECIsNoMedia(t *testing.T) {
	e := NewEstimator(time.Unix(1000, 0), bounds)
	now := e.began
	e.Sent(now, 0, 100, 1000, 950)
	e.SentFEC(now, 1, 1000)
	e.Sent(now, 2, 101, 1000, 950)
	if e.unacked != 8*2900 || e.queueBits != 8*3000 {
		t.Errorf("the link owes %.0f bits, %.0f of them of pictures and parity", e.queueBits, e.unacked)
	}
	f := &rtcp.TransportLayerCC{PacketStatusCount: 3, PacketChunks: []rtcp.PacketStatusChunk{
		&rtcp.RunLengthChunk{PacketStatusSymbol: rtcp.TypeTCCPacketReceivedSmallDelta, RunLength: 3}}}
	for range 3 {
		f.RecvDeltas = append(f.RecvDeltas, &rtcp.RecvDelta{Type: rtcp.TypeTCCPacketReceivedSmallDelta, Delta: 250})
	}
	if got, want := e.OnFeedback(now.Add(50*ms), f), []PacketResult{{Number: 100, Received: true}, {Number: 101, Received: true}}; !slices.Equal(got, want) {
		t.Errorf("news are %v, not %v", got, want)
	}
}
