package stream

import (
	"fmt"
	"math"
	"sync"
	"time"

	"github.com/pion/rtcp"
	"github.com/pion/rtp"
	"github.com/pion/rtp/codecs"
	"github.com/pion/webrtc/v4"

	"oriel/agent/internal/encode"
)

const (
	playoutDelayURI = "http://www.webrtc.org/experiments/rtp-hdrext/playout-delay"
	clockRate       = 90000
	// mtu of an RTP packet: with its header extensions, SRTP and TURN it stays
	// below the 1280 bytes that every IPv6 path carries.
	mtu = 1180
)

// Track is a Sink that sends frames to one peer. Two rules keep the viewer's
// picture young: a frame's RTP time is its own capture time
// (webrtc.TrackLocalStaticSample adds a duration after the frame, so that
// irregular frames carry their predecessor's time and the jitter buffer grows to
// a second), and every packet carries the playout-delay extension 0/0.
//
// A third rule keeps it whole: after the last frame of a burst come two packets
// of padding, 30 and 150 ms later. A receiver notices a lost packet by the next
// one, so without them a loss at the end of a frame would stay until the screen
// changes again. Not after the first: libwebrtc forgets padding that arrives before
// its first whole frame, and then waits for ever for the packet between that frame
// and the next (seen with Chromium 156, where the first key frame lost a packet).
// Until then a browser asks for a key frame every 200 ms anyway.
//
// One Track belongs to one peer connection.
type Track struct {
	*webrtc.TrackLocalStaticRTP
	codec encode.Codec

	mu         sync.Mutex
	packetizer rtp.Packetizer
	first      time.Time // capture time of the first frame
	ticks      int64     // of the last, since first
	delayID    uint8     // of the playout-delay extension; 0: not negotiated, or not bound
	bound      bool
	ssrc       uint32 // of the binding
	arrived    arrived
	frames     int         // sent since it was bound
	probe      *time.Timer // runs after the last frame
	probes     int         // still to send
}

// NewTrack makes a video track; id and streamID are what the viewer sees.
func NewTrack(codec encode.Codec, id, streamID string) (*Track, error) {
	var payloader rtp.Payloader
	switch codec {
	case encode.AV1:
		payloader = &codecs.AV1Payloader{}
	case encode.VP9:
		payloader = &codecs.VP9Payloader{}
	case encode.VP8:
		// Without picture ids: pion leaves the first frame without one, and
		// Chromium then finds no beginning to those that have.
		payloader = &codecs.VP8Payloader{}
	default:
		return nil, fmt.Errorf("no RTP payload for codec %q", codec)
	}
	local, err := webrtc.NewTrackLocalStaticRTP(capability(codec), id, streamID)
	if err != nil {
		return nil, err
	}
	// Payload type and SSRC are set by the binding.
	return &Track{TrackLocalStaticRTP: local, codec: codec,
		packetizer: rtp.NewPacketizer(mtu, 0, 0, payloader, rtp.NewRandomSequencer(), clockRate)}, nil
}

// Bind is called by the peer connection when the track is negotiated.
func (t *Track) Bind(ctx webrtc.TrackLocalContext) (webrtc.RTPCodecParameters, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.bound {
		return webrtc.RTPCodecParameters{}, fmt.Errorf("track %s is bound to another peer", t.ID())
	}
	p, err := t.TrackLocalStaticRTP.Bind(ctx)
	if err != nil {
		return p, err
	}
	t.bound, t.ssrc, t.arrived, t.frames = true, uint32(ctx.SSRC()), arrived{}, 0
	for _, e := range ctx.HeaderExtensions() {
		if e.URI == playoutDelayURI {
			t.delayID = uint8(e.ID)
		}
	}
	return p, nil
}

// Unbind is called by the peer connection when the track goes.
func (t *Track) Unbind(ctx webrtc.TrackLocalContext) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if err := t.TrackLocalStaticRTP.Unbind(ctx); err != nil {
		return err
	}
	t.bound, t.delayID, t.probes = false, 0, 0
	if t.probe != nil {
		t.probe.Stop()
	}
	return nil
}

// WriteFrame sends a frame. Before the track is bound it is dropped, as the
// network would: the viewer asks for a key frame.
func (t *Track) WriteFrame(f Frame) error {
	if f.Codec != t.codec {
		return fmt.Errorf("frame of %s on a track of %s", f.Codec, t.codec)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.first.IsZero() {
		t.first = f.At
	}
	ticks := int64(math.Round(f.At.Sub(t.first).Seconds() * clockRate))
	t.packetizer.SkipSamples(uint32(ticks - t.ticks)) // wraps, as RTP time does
	t.ticks = ticks
	if f.Key {
		t.arrived.key()
	}
	if err := t.write(t.packetizer.Packetize(f.Data, 0)); err != nil {
		return err
	}
	if !t.bound {
		return nil
	}
	if t.frames++; t.frames > 1 {
		t.probes = len(probeAfter)
		t.schedule()
	}
	return nil
}

// write sends packets; mu is held.
func (t *Track) write(packets []*rtp.Packet) error {
	now := time.Now()
	for _, p := range packets {
		t.arrived.packet(now, p.SequenceNumber)
		if t.delayID != 0 {
			if err := p.SetExtension(t.delayID, []byte{0, 0, 0}); err != nil {
				return fmt.Errorf("playout delay: %w", err)
			}
		}
		if err := t.WriteRTP(p); err != nil {
			return fmt.Errorf("send video: %w", err)
		}
	}
	return nil
}

// first is how many frames may arrive whole and yet be shown to nobody: Chromium
// drops what it decodes before the page has given the track to an element, and
// asks once more when it has.
const first = 2

// hear takes feedback and reports whether it says that the viewer needs a key
// frame.
func (t *Track) hear(packets []rtcp.Packet) (lost bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, p := range packets {
		t.arrived.hear(p, t.ssrc)
		switch p.(type) {
		case *rtcp.PictureLossIndication, *rtcp.FullIntraRequest:
			lost = true
		}
	}
	return lost && (t.frames <= first || !t.arrived.whole(time.Now()))
}

// probeAfter is when padding follows the last frame, each after the one before.
var probeAfter = [...]time.Duration{30 * time.Millisecond, 120 * time.Millisecond}

// schedule starts the wait for the next probe; mu is held.
func (t *Track) schedule() {
	if t.probes == 0 {
		return
	}
	wait := probeAfter[len(probeAfter)-t.probes]
	if t.probe == nil {
		t.probe = time.AfterFunc(wait, t.pad)
		return
	}
	t.probe.Reset(wait)
}

func (t *Track) pad() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.bound || t.probes == 0 {
		return
	}
	t.probes--
	packets := t.packetizer.GeneratePadding(1)
	packets[0].Header.PaddingSize = 1
	if t.write(packets) != nil {
		return // the next frame says so
	}
	t.schedule()
}
