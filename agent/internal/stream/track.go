package stream

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/pion/rtcp"
	"github.com/pion/rtp"
	"github.com/pion/rtp/codecs"
	"github.com/pion/webrtc/v4"

	"oriel/agent/internal/bwe"
	"oriel/agent/internal/encode"
)

const (
	playoutDelayURI = "http://www.webrtc.org/experiments/rtp-hdrext/playout-delay"
	clockRate       = 90000
	// mtu of an RTP packet: with its header extensions, SRTP and TURN it stays
	// below the 1280 bytes that every IPv6 path carries, and so does its parity, which is
	// 28 bytes longer.
	mtu = 1170
)

// Track is a Sink that sends frames to one peer. Two rules keep the viewer's
// picture young: a frame's RTP time is its own capture time
// (webrtc.TrackLocalStaticSample adds a duration after the frame, so that
// irregular frames carry their predecessor's time and the jitter buffer grows to
// a second), and every packet carries the playout-delay extension 0/0.
//
// A third rule keeps it whole: the end of a frame is probed (tailLossProbe). Not the
// first frame's, for which a browser asks every 200 ms until it has it.
//
// But it asks for nothing before anything came at all, and what is sent as soon as the
// connection is up may get lost as a whole, it seems because the other side has not its
// keys yet (seen with a busy Chromium 156: one still screen in fifty stayed without a
// picture for good, and its track muted). So as long as nothing is heard from a peer the stream is asked for another
// key frame, after unheard and then ever more rarely.
//
// A frame leaves at once, but for what would stand in the link's queue for too long
// (Estimator.PacerDelay): that follows at the link's rate.
//
// One codec in two formats is one Track: each goes out under the payload type
// that was negotiated for it, by which a browser knows which decoder takes it
// (webrtc.TrackLocalStaticRTP knows one). A format begins with a key frame.
//
// One Track belongs to one peer connection.
type Track struct {
	codec         encode.Codec
	id, streamID  string
	pacerDelay    func() time.Duration   // of the next packet; nil: none
	shouldProtect func(packets int) bool // whether FEC pays for a frame of so many; nil: never
	feedbackDelay func() time.Duration   // time from departure until feedback has reported a packet; nil: not known

	order sync.Mutex // held while a frame is written

	mu           sync.Mutex
	writing      bool          // a frame, some of which may wait
	gone         chan struct{} // closed when it is bound no more
	packetizer   rtp.Packetizer
	first        time.Time // capture time of the first frame
	ticks        int64     // of the last, since first
	delayID      uint8     // of the playout-delay extension; 0: not negotiated, or not bound
	bound        string    // the binding's id; empty: none
	writer       webrtc.TrackLocalWriter
	ssrc         uint32
	types        map[encode.Format]uint8 // payload types of the binding
	rtxTypes     map[uint8]uint8         // of RTX, by the payload type of the original
	fec          *fecEncoder             // nil: not negotiated
	fecNumbers   rtp.Sequencer           // of FEC, also of the next binding's: one stream, one key
	format       encode.Format           // of the last frame
	delivery     deliveryTracker
	frames       int                                 // sent since it was bound
	probeTimer   *time.Timer                         // runs the probe time-out after a frame
	retransmit   func(ssrc uint32, numbers []uint16) // nil: nobody does
	lost         func()                              // asks the stream for a key frame; nil: nobody to ask
	silenceTimer *time.Timer                         // runs while the peer has shown no sign
	silenceLimit time.Duration                       // of silenceTimer
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
	// Payload type and SSRC are the binding's.
	return &Track{codec: codec, id: id, streamID: streamID, fecNumbers: rtp.NewRandomSequencer(),
		packetizer: rtp.NewPacketizer(mtu, 0, 0, payloader, rtp.NewRandomSequencer(), clockRate)}, nil
}

// ID, StreamID, RID and Kind are for the peer connection.
func (t *Track) ID() string { return t.id }

// StreamID is that of the desktop.
func (t *Track) StreamID() string { return t.streamID }

// RID is empty: there is one encoding at a time.
func (t *Track) RID() string { return "" }

// Kind is video.
func (t *Track) Kind() webrtc.RTPCodecType { return webrtc.RTPCodecTypeVideo }

// Bind is called by the peer connection when the track is negotiated. 4:2:0 must
// be, 4:4:4 may.
func (t *Track) Bind(ctx webrtc.TrackLocalContext) (webrtc.RTPCodecParameters, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.bound != "" {
		return webrtc.RTPCodecParameters{}, fmt.Errorf("track %s is bound to another peer", t.ID())
	}
	var plain, fec webrtc.RTPCodecParameters
	types, again := map[encode.Format]uint8{}, map[uint8]uint8{}
	for _, c := range ctx.CodecParameters() {
		name := strings.TrimPrefix(strings.ToLower(c.MimeType), "video/")
		if apt, err := strconv.ParseUint(value(c.SDPFmtpLine, "apt", ""), 10, 8); name == "rtx" && err == nil {
			again[uint8(apt)] = uint8(c.PayloadType)
			continue
		}
		if name == "flexfec-03" {
			fec = c
			continue
		}
		p := payloadOf(name, c.SDPFmtpLine)
		if p == nil || p.codec != t.codec || types[p.format] != 0 {
			continue
		}
		types[p.format] = uint8(c.PayloadType)
		if p.format == encode.I420 {
			plain = c
		}
	}
	if plain.PayloadType == 0 {
		return plain, webrtc.ErrUnsupportedCodec
	}
	t.bound, t.writer, t.ssrc, t.types, t.rtxTypes = ctx.ID(), ctx.WriteStream(), uint32(ctx.SSRC()), types, again
	t.gone = make(chan struct{})
	t.delivery, t.frames, t.format = deliveryTracker{}, 0, encode.I420
	var wide uint8
	for _, e := range ctx.HeaderExtensions() {
		switch e.URI {
		case playoutDelayURI:
			t.delayID = uint8(e.ID)
		case transportCC:
			wide = uint8(e.ID)
		}
	}
	t.fec = nil
	if ssrc := uint32(ctx.SSRCForwardErrorCorrection()); ssrc != 0 && fec.PayloadType != 0 {
		t.fec = newFecEncoder(ssrc, uint8(fec.PayloadType), wide)
	}
	return plain, nil
}

// Unbind is called by the peer connection when the track goes.
func (t *Track) Unbind(ctx webrtc.TrackLocalContext) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.bound != ctx.ID() {
		return webrtc.ErrUnbindFailed
	}
	t.bound, t.writer, t.delayID = "", nil, 0
	close(t.gone)
	for _, timer := range []*time.Timer{t.probeTimer, t.silenceTimer} {
		if timer != nil {
			timer.Stop()
		}
	}
	return nil
}

// retransmissions is the payload type of RTX for each that is bound. t may be nil.
func (t *Track) retransmissions() (types [256]uint8) {
	if t == nil {
		return types
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	for of, again := range t.rtxTypes {
		types[of] = again
	}
	return types
}

// WriteFrame sends a frame. Before the track is bound it is dropped, as the
// network would: the viewer asks for a key frame.
func (t *Track) WriteFrame(f Frame) error {
	if f.Codec != t.codec {
		return fmt.Errorf("frame of %s on a track of %s", f.Codec, t.codec)
	}
	t.order.Lock()
	defer t.order.Unlock()
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.bound != "" && t.types[f.Format] == 0 {
		return fmt.Errorf("frame of %s in a format that the viewer does not take", f.Codec)
	}
	if t.first.IsZero() {
		t.first = f.At
	}
	ticks := int64(math.Round(f.At.Sub(t.first).Seconds() * clockRate))
	if t.frames > 0 {
		// The picture that another stream begins with may be older than the
		// last of the one before; two frames must not share a time.
		ticks = max(ticks, t.ticks+clockRate/2000)
	}
	t.format = f.Format
	t.packetizer.SkipSamples(uint32(ticks - t.ticks)) // wraps, as RTP time does
	t.ticks = ticks
	packets := t.packetizer.Packetize(f.Data, 0)
	if f.Key && len(packets) > 0 {
		t.delivery.onKeyFrame(packets[0].SequenceNumber)
	}
	t.writing = true
	err := t.write(packets)
	if err == nil {
		err = t.protect(packets)
	}
	t.writing = false
	if err != nil {
		return err
	}
	if t.silenceTimer == nil {
		t.silenceLimit = firstSilence
		t.silenceTimer = time.AfterFunc(t.silenceLimit, t.onSilence)
	}
	if t.bound == "" {
		return nil
	}
	if t.frames++; t.frames > 1 && t.feedbackDelay != nil {
		t.scheduleProbe()
	}
	return nil
}

// write sends packets; mu is held, but not while the pacer holds some.
func (t *Track) write(packets []*rtp.Packet) error {
	for _, p := range packets {
		t.pace()
		if t.bound == "" {
			return nil
		}
		t.delivery.sentPacket(time.Now(), p.SequenceNumber)
		if t.delayID != 0 {
			if err := p.SetExtension(t.delayID, []byte{0, 0, 0}); err != nil {
				return fmt.Errorf("playout delay: %w", err)
			}
		}
		p.SSRC, p.PayloadType = t.ssrc, t.types[t.format]
		if _, err := t.writer.WriteRTP(&p.Header, p.Payload); err != nil {
			return fmt.Errorf("send video: %w", err)
		}
	}
	return nil
}

// protect sends a frame's FEC where that pays; mu is held, but not while the pacer holds
// packets.
func (t *Track) protect(packets []*rtp.Packet) error {
	if t.bound == "" || t.fec == nil || t.shouldProtect == nil || len(packets) == 0 || !t.shouldProtect(len(packets)) {
		return nil
	}
	made, err := t.fec.encode(packets, t.fecNumbers)
	if err != nil {
		return err
	}
	for _, p := range made {
		t.pace()
		if t.bound == "" {
			return nil
		}
		if _, err := t.writer.WriteRTP(&p.Header, p.Payload); err != nil {
			return fmt.Errorf("send parity: %w", err)
		}
	}
	return nil
}

// pace is the pacer: it waits while the link's queue is full; mu is held, but not
// meanwhile.
func (t *Track) pace() {
	for t.bound != "" && t.pacerDelay != nil {
		wait := t.pacerDelay()
		if wait <= 0 {
			return
		}
		gone := t.gone
		t.mu.Unlock()
		timer := time.NewTimer(min(wait, maxPace)) // the link may have become faster
		select {
		case <-timer.C:
		case <-gone:
			timer.Stop()
		}
		t.mu.Lock()
	}
}

// maxPace is the longest wait of the pacer before it looks at the rate anew.
const maxPace = 20 * time.Millisecond

// first is how many frames may arrive whole and yet be shown to nobody: Chromium
// drops what it decodes before the page has given the track to an element, and
// asks once more when it has.
const first = 2

// onRTCP takes RTCP and reports whether the viewer needs a key frame.
func (t *Track) onRTCP(packets []rtcp.Packet) (lost bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, p := range packets {
		t.delivery.onRTCP(time.Now(), p, t.ssrc)
		switch p.(type) {
		case *rtcp.PictureLossIndication, *rtcp.FullIntraRequest:
			lost = true
		}
	}
	return lost && (t.frames <= first || !t.delivery.complete(time.Now()))
}

// onResults takes the results of packets. A lost retransmission is repeated at once: the
// peer's NACK comes each 100 ms, and takes half a round trip. Where a packet will not arrive
// any more a key frame is asked for. t may be nil.
func (t *Track) onResults(all []bwe.PacketResult) {
	if t == nil || len(all) == 0 {
		return
	}
	t.mu.Lock()
	var again []uint16
	for _, n := range all {
		t.delivery.onResult(n)
		if n.RTX && !n.Received && t.delivery.misses(n.Number) {
			again = append(again, n.Number)
		}
	}
	repeat, ssrc, lost := t.retransmit, t.ssrc, t.lost
	if !t.delivery.givenUp(time.Now()) {
		lost = nil
	}
	t.mu.Unlock()
	if len(again) > 0 && repeat != nil {
		repeat(ssrc, again)
	}
	if lost != nil {
		lost()
	}
}

// firstSilence is how long the peer may show no sign of the first frame: a round trip on a
// slow link, and the 100 ms until a browser sends feedback. Each wait after it is twice as
// long, up to maxSilence.
const (
	firstSilence = 700 * time.Millisecond
	maxSilence   = 4 * time.Second
)

// onSilence asks for a key frame where the peer has shown no sign of any packet.
func (t *Track) onSilence() {
	t.mu.Lock()
	lost := t.lost
	if lost == nil || t.delivery.heardOf() {
		t.mu.Unlock()
		return
	}
	t.silenceLimit = min(2*t.silenceLimit, maxSilence)
	t.silenceTimer.Reset(t.silenceLimit)
	t.mu.Unlock()
	lost()
}

// onLost sets what asks for a key frame; nil: nobody is to be asked any more.
func (t *Track) onLost(lost func()) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.lost = lost
}

// onRetransmit sets what retransmits packets, by their numbers.
func (t *Track) onRetransmit(repeat func(ssrc uint32, numbers []uint16)) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.retransmit = repeat
}

// scheduleProbe sets the probe time-out; mu is held.
func (t *Track) scheduleProbe() {
	wait := t.delivery.tail.timeout(t.feedbackDelay())
	if t.probeTimer == nil {
		t.probeTimer = time.AfterFunc(wait, t.probeTail)
		return
	}
	t.probeTimer.Reset(wait)
}

// probeTail retransmits the end where it is not acknowledged.
func (t *Track) probeTail() {
	t.mu.Lock()
	if t.bound == "" || t.writing { // the frame has its own
		t.mu.Unlock()
		return
	}
	again, more := t.delivery.tail.probe()
	if more {
		t.scheduleProbe()
	}
	repeat, ssrc := t.retransmit, t.ssrc
	t.mu.Unlock()
	if len(again) > 0 && repeat != nil {
		repeat(ssrc, again)
	}
}
