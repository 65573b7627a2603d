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
// A third rule keeps it whole: the end of what was sent is looked after (tail). Not the
// first frame's, for which a browser asks every 200 ms until it has it.
//
// But it asks for nothing before anything came at all, and what is sent as soon as the
// connection is up may get lost as a whole, it seems because the other side has not its
// keys yet (seen with a busy Chromium 156: one still screen in fifty stayed without a
// picture for good, and its track muted). So as long as nothing is heard from a peer the stream is asked for another
// key frame, after unheard and then ever more rarely.
//
// A frame leaves at once, but for what would stand in the link's queue for too long
// (estimate.hold): that follows at the link's rate.
//
// One codec in two formats is one Track: each goes out under the payload type
// that was negotiated for it, by which a browser knows which decoder takes it
// (webrtc.TrackLocalStaticRTP knows one). A format begins with a key frame.
//
// One Track belongs to one peer connection.
type Track struct {
	codec        encode.Codec
	id, streamID string
	hold         func() time.Duration   // how long the next packet is to wait; nil: not at all
	guards       func(packets int) bool // whether parity pays for a frame of so many; nil: never
	reported     func() time.Duration   // how long after a packet left the peer has said whether it came; nil: nobody knows

	order sync.Mutex // held while a frame is written

	mu         sync.Mutex
	writing    bool          // a frame, some of which may wait
	gone       chan struct{} // closed when it is bound no more
	packetizer rtp.Packetizer
	first      time.Time // capture time of the first frame
	ticks      int64     // of the last, since first
	delayID    uint8     // of the playout-delay extension; 0: not negotiated, or not bound
	bound      string    // the binding's id; empty: none
	writer     webrtc.TrackLocalWriter
	ssrc       uint32
	types      map[encode.Format]uint8 // payload types of the binding
	again      map[uint8]uint8         // and of what is sent again, for each
	parity     *parity                 // nil: not negotiated
	numbers    rtp.Sequencer           // of its packets, also of the next binding's: one stream, one key
	format     encode.Format           // of the last frame
	arrived    arrived
	frames     int                                 // sent since it was bound
	look       *time.Timer                         // runs after the last frame
	repeat     func(ssrc uint32, numbers []uint16) // sends again; nil: nobody does
	lost       func()                              // asks the stream for a key frame; nil: nobody to ask
	deaf       *time.Timer                         // runs while nothing was heard from the peer
	patience   time.Duration                       // of deaf
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
	return &Track{codec: codec, id: id, streamID: streamID, numbers: rtp.NewRandomSequencer(),
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
	t.bound, t.writer, t.ssrc, t.types, t.again = ctx.ID(), ctx.WriteStream(), uint32(ctx.SSRC()), types, again
	t.gone = make(chan struct{})
	t.arrived, t.frames, t.format = arrived{}, 0, encode.I420
	var wide uint8
	for _, e := range ctx.HeaderExtensions() {
		switch e.URI {
		case playoutDelayURI:
			t.delayID = uint8(e.ID)
		case transportCC:
			wide = uint8(e.ID)
		}
	}
	t.parity = nil
	if ssrc := uint32(ctx.SSRCForwardErrorCorrection()); ssrc != 0 && fec.PayloadType != 0 {
		t.parity = newParity(ssrc, uint8(fec.PayloadType), wide)
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
	for _, timer := range []*time.Timer{t.look, t.deaf} {
		if timer != nil {
			timer.Stop()
		}
	}
	return nil
}

// retransmissions is the payload type of what is sent again, for each that is
// bound. t may be nil.
func (t *Track) retransmissions() (types [256]uint8) {
	if t == nil {
		return types
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	for of, again := range t.again {
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
		t.arrived.key(packets[0].SequenceNumber)
	}
	t.writing = true
	err := t.write(packets)
	if err == nil {
		err = t.guard(packets)
	}
	t.writing = false
	if err != nil {
		return err
	}
	if t.deaf == nil {
		t.patience = unheard
		t.deaf = time.AfterFunc(t.patience, t.doubt)
	}
	if t.bound == "" {
		return nil
	}
	if t.frames++; t.frames > 1 && t.reported != nil {
		t.schedule()
	}
	return nil
}

// write sends packets; mu is held, but not while some of them wait.
func (t *Track) write(packets []*rtp.Packet) error {
	for _, p := range packets {
		t.pace()
		if t.bound == "" {
			return nil
		}
		t.arrived.packet(time.Now(), p.SequenceNumber)
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

// guard sends what stands in for one of a frame's packets, where that pays; mu is held,
// but not while some of it waits.
func (t *Track) guard(packets []*rtp.Packet) error {
	if t.bound == "" || t.parity == nil || t.guards == nil || len(packets) == 0 || !t.guards(len(packets)) {
		return nil
	}
	made, err := t.parity.of(packets, t.numbers)
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

// pace waits until the link's queue has room; mu is held, but not meanwhile.
func (t *Track) pace() {
	for t.bound != "" && t.hold != nil {
		wait := t.hold()
		if wait <= 0 {
			return
		}
		gone := t.gone
		t.mu.Unlock()
		timer := time.NewTimer(min(wait, longestPace)) // the link may have become faster
		select {
		case <-timer.C:
		case <-gone:
			timer.Stop()
		}
		t.mu.Lock()
	}
}

// longestPace is how long the link's rate is taken for what it was.
const longestPace = 20 * time.Millisecond

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
		t.arrived.hear(time.Now(), p, t.ssrc)
		switch p.(type) {
		case *rtcp.PictureLossIndication, *rtcp.FullIntraRequest:
			lost = true
		}
	}
	return lost && (t.frames <= first || !t.arrived.whole(time.Now()))
}

// heard takes what the peer says of packets. A copy that got lost too is sent again at once:
// the peer asks for it each 100 ms, and each time that is on its way for half a round trip.
// Where one will not come any more a key frame is asked for. t may be nil.
func (t *Track) heard(all []news) {
	if t == nil || len(all) == 0 {
		return
	}
	t.mu.Lock()
	var again []uint16
	for _, n := range all {
		t.arrived.news(n)
		if n.again && !n.came && t.arrived.misses(n.number) {
			again = append(again, n.number)
		}
	}
	repeat, ssrc, lost := t.repeat, t.ssrc, t.lost
	if !t.arrived.lacks(time.Now()) {
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

// unheard is how long the first frame may take to be heard of: there and back on a slow
// link, and the 100 ms after which a browser speaks of what came. Then twice as long, and
// so on, up to so often as mostUnheard.
const (
	unheard     = 700 * time.Millisecond
	mostUnheard = 4 * time.Second
)

// doubt asks for a key frame where there was no sign that anything came.
func (t *Track) doubt() {
	t.mu.Lock()
	lost := t.lost
	if lost == nil || t.arrived.heard() {
		t.mu.Unlock()
		return
	}
	t.patience = min(2*t.patience, mostUnheard)
	t.deaf.Reset(t.patience)
	t.mu.Unlock()
	lost()
}

// onLost sets what asks for a key frame; nil: nobody is to be asked any more.
func (t *Track) onLost(lost func()) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.lost = lost
}

// onRepeat sets what sends packets again, by their numbers.
func (t *Track) onRepeat(repeat func(ssrc uint32, numbers []uint16)) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.repeat = repeat
}

// schedule starts the wait for the next look at the tail; mu is held.
func (t *Track) schedule() {
	wait := t.arrived.tail.patience(t.reported())
	if t.look == nil {
		t.look = time.AfterFunc(wait, t.lookAfter)
		return
	}
	t.look.Reset(wait)
}

// lookAfter sends the end again where it may not have come.
func (t *Track) lookAfter() {
	t.mu.Lock()
	if t.bound == "" || t.writing { // the frame has its own
		t.mu.Unlock()
		return
	}
	again, more := t.arrived.tail.look()
	if more {
		t.schedule()
	}
	repeat, ssrc := t.repeat, t.ssrc
	t.mu.Unlock()
	if len(again) > 0 && repeat != nil {
		repeat(ssrc, again)
	}
}
