package stream

import (
	"io"
	"testing"

	"github.com/pion/rtcp"
)

func TestInbox(t *testing.T) {
	heard := 0
	var factory func(byte, uint32) io.ReadWriteCloser
	setRTCPBuffers(&factory, func(*rtcp.TransportLayerCC) { heard++ })
	b := factory(2, 1)
	send := func(p rtcp.Packet) {
		t.Helper()
		raw, err := p.Marshal()
		if err == nil {
			_, err = b.Write(raw)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	feedback := &rtcp.TransportLayerCC{Header: rtcp.Header{Type: rtcp.TypeTransportSpecificFeedback, Count: rtcp.FormatTCC, Length: 5},
		PacketStatusCount: 1, PacketChunks: []rtcp.PacketStatusChunk{&rtcp.RunLengthChunk{RunLength: 1}}}
	for i := range 2 * rtcpBufferDepth {
		send(&rtcp.PictureLossIndication{MediaSSRC: uint32(i)})
		send(feedback)
	}
	if heard != 2*rtcpBufferDepth {
		t.Errorf("%d were heard", heard)
	}
	p := make([]byte, 100)
	for i := range rtcpBufferDepth {
		var got rtcp.PictureLossIndication
		if n, err := b.Read(p); err != nil || got.Unmarshal(p[:n]) != nil || got.MediaSSRC != uint32(i) {
			t.Fatalf("%d: %v, %+v", i, err, got)
		}
	}
	send(&rtcp.PictureLossIndication{})
	if _, err := b.Read(p[:5]); err != io.ErrShortBuffer {
		t.Errorf("too short: %v", err)
	}
	done := make(chan error)
	go func() {
		_, err := b.Read(p)
		done <- err
	}()
	b.Close()
	b.Close()
	if err := <-done; err != io.EOF {
		t.Errorf("after Close: %v", err)
	}
	if _, err := b.Write(p); err == nil {
		t.Error("written after Close")
	}
}
