package stream

import (
	"fmt"

	"github.com/pion/interceptor/pkg/flexfec"
	"github.com/pion/rtp"
)

const (
	// fecGroupSize is the most packets that one of FEC protects. Where two of those are
	// lost they need NACKs: one group in 150 at 1 %. The shortest header, of 20
	// bytes, has room for 15.
	fecGroupSize    = 12
	fecPayloadType  = 49                       // payload type, as Chromium has it
	fecRepairWindow = "repair-window=10000000" // in µs; there must be one, and libwebrtc does not look
)

// fecEncoder makes forward error correction for frames where NACKs take too long: packets
// of FlexFEC in a stream of their own, each the exclusive or of up to fecGroupSize others (draft-ietf-payload-flexible-fec-scheme-03, §4.2 and 6.2, which
// Chromium takes, and offers without being asked).
//
// The parity of ULPFEC in RED (RFC 5109, 2198), which more browsers know, shares the numbers
// of the frames' packets. When it gets lost itself that is a gap like any other, and where
// frames have no picture ids (AV1, and VP8 as we send it) libwebrtc holds the next frame
// back until the gap is closed (rtp_seq_num_only_ref_finder.cc). Its own sender uses none
// where there are no picture ids, but NACK (rtp_video_sender.cc).
type fecEncoder struct {
	encoder *flexfec.FlexEncoder03
	ssrc    uint32
	kind    uint8 // payload type
	wide    uint8 // id of the extension with transport-wide numbers; 0: there is none
}

func newFecEncoder(ssrc uint32, kind, wide uint8) *fecEncoder {
	return &fecEncoder{encoder: flexfec.NewFlexEncoder03(kind, ssrc), ssrc: ssrc, kind: kind, wide: wide}
}

// encode makes the FEC of a frame's packets, which have everything they leave with but the
// transport-wide number. They get that nearer to the wire, and for parity it is zero on
// both sides (libwebrtc: RtpPacket::ZeroMutableExtensions). numbers are for what is made.
func (p *fecEncoder) encode(packets []*rtp.Packet, numbers rtp.Sequencer) (made []*rtp.Packet, err error) {
	all := make([]rtp.Packet, len(packets))
	for i, packet := range packets {
		all[i] = rtp.Packet{Header: packet.Header.Clone(), Payload: packet.Payload}
		if p.wide == 0 {
			continue
		}
		if err := all[i].SetExtension(p.wide, []byte{0, 0}); err != nil {
			return nil, fmt.Errorf("parity: %w", err)
		}
	}
	groups := (len(all) + fecGroupSize - 1) / fecGroupSize
	for g := range groups {
		group := all[g*len(all)/groups : (g+1)*len(all)/groups]
		for _, q := range p.encoder.EncodeFec(group, 1) {
			made = append(made, &rtp.Packet{Payload: q.Payload, Header: rtp.Header{Version: 2, PayloadType: p.kind,
				SequenceNumber: numbers.NextSequenceNumber(), Timestamp: packets[0].Timestamp, SSRC: p.ssrc}})
		}
	}
	return made, nil
}
