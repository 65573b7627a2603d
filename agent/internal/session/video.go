package session

import (
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/pion/webrtc/v4"
	"google.golang.org/protobuf/proto"

	"oriel/agent/internal/desktop"
	"oriel/agent/internal/encode"
	"oriel/agent/internal/stream"
	orielv1 "oriel/protocol/oriel/v1"
)

// # The picture a viewer asks for
//
// StreamSettings may come at any time and are brought within bounds: a preset that
// is not known is Auto, caps are clamped. Sharp is the stream in 4:4:4, where the
// offer has it (Ready.full_chroma), else Balanced; another format is another
// stream into the same track, and until its first key frame the one before goes
// on. Stats say what is in force and what is sent, SessionReport names the codec
// that is ("AV1 4:4:4"). Where 4:4:4 fails the session goes on without. Refresh is
// answered by a key frame: the viewer has shown nothing yet.

// video is one peer's picture: a track for the life of the peer connection,
// subscribed to the stream of whatever display there is, in the format that the
// viewer's preset asks for and with his cap on pictures. Another format, or a cap
// that others do not have, is another stream: until its first key frame is there
// the track goes on with the one before.
type video struct {
	track      *stream.Track
	delays     *latencyStats // the session's
	congestion *stream.Congestion
	frames     uint64 // of the stream when tellStats looked last; for it alone
	once       sync.Once
	reached    chan struct{} // closed when the viewer can be sent to
	asked      chan struct{} // capacity 1: another stream may be what the viewer wants

	sending sync.Mutex  // held while a frame is written, so that none of an old stream follows a new one's
	sink    *streamSink // whose frames go out; protected by sending

	mu       sync.Mutex
	subs     []*stream.Subscription // to the picture that is shown, and the one that is to come; none while there is no display
	screen   *display               // what they are of
	full     bool                   // 4:4:4 is possible, as far as is known
	settings settings
	settled  *orielv1.Stats // last sent to the viewer, but for the figures
	told     time.Time      // when
}

// settings is what the viewer asks for, within bounds. The zero value is what
// counts until it does.
type settings struct {
	preset stream.Preset
	bits   int // a second; 0: no cap
	fps    int // 0: no cap
}

// Bounds of the caps. What a stream makes of them has bounds of its own.
const (
	mostKbps = 1_000_000
	mostFPS  = 1000
)

func settingsOf(s *orielv1.StreamSettings) settings {
	out := settings{bits: int(min(s.GetMaxKbps(), mostKbps)) * 1000, fps: int(min(s.GetMaxFps(), mostFPS))}
	switch s.GetPreset() {
	case orielv1.Preset_PRESET_SPEED:
		out.preset = stream.Speed
	case orielv1.Preset_PRESET_BALANCED:
		out.preset = stream.Balanced
	case orielv1.Preset_PRESET_SHARP:
		out.preset = stream.Sharp
	}
	return out
}

var presetNames = map[stream.Preset]orielv1.Preset{
	stream.Speed: orielv1.Preset_PRESET_SPEED, stream.Balanced: orielv1.Preset_PRESET_BALANCED, stream.Sharp: orielv1.Preset_PRESET_SHARP,
}

// streamSink is the sink of one stream of a video.
type streamSink struct {
	v     *video
	begun chan struct{} // closed with the first frame
	over  bool          // another one has taken its place; protected by sending
}

// newTrack makes what the offer's codec goes out on; nil without SCOPE_VIEW.
func (p *peer) newTrack() (*stream.Track, error) {
	if p.codec == "" {
		return nil, nil
	}
	track, err := stream.NewTrack(p.codec, "screen", "screen")
	if err != nil {
		return nil, fmt.Errorf("video track: %w", err)
	}
	return track, nil
}

// addVideo puts the track in before the offer is set, so that it is answered.
func (p *peer) addVideo(pc *webrtc.PeerConnection, track *stream.Track, c *stream.Congestion) error {
	if track == nil {
		return nil
	}
	t, err := pc.AddTransceiverFromTrack(track, webrtc.RTPTransceiverInit{Direction: webrtc.RTPTransceiverDirectionSendonly})
	if err != nil {
		return fmt.Errorf("add video track: %w", err)
	}
	p.video = &video{track: track, delays: &p.s.latency, congestion: c, full: p.full, reached: make(chan struct{}), asked: make(chan struct{}, 1)}
	c.OnChange(func(int) { p.video.steer() })
	p.wg.Go(func() { stream.Feedback(t.Sender(), p.video.lost) })
	return nil
}

// WriteFrame sends a frame, and counts what it took. It makes o a stream.Sink,
// whose first frame is a key frame.
func (o *streamSink) WriteFrame(f stream.Frame) error {
	v := o.v
	v.sending.Lock()
	defer v.sending.Unlock()
	if o.over {
		return nil
	}
	if v.sink != o {
		if v.sink != nil {
			v.sink.over = true
		}
		v.sink = o
		close(o.begun)
	}
	err := v.track.WriteFrame(f)
	if err == nil {
		v.delays.frame(f)
	}
	return err
}

// lost asks for a key frame.
func (v *video) lost() {
	v.mu.Lock()
	defer v.mu.Unlock()
	if len(v.subs) > 0 {
		v.subs[0].RequestKeyFrame()
	}
}

// steer tells the stream what the viewer wants and what the link, or the viewer's
// cap, takes.
func (v *video) steer() {
	v.mu.Lock()
	defer v.mu.Unlock()
	bits := v.congestion.Target()
	if most := v.settings.bits; most > 0 && (bits == 0 || bits > most) {
		bits = most
	}
	for _, sub := range v.subs {
		preset := v.settings.preset
		if preset == stream.Sharp && sub.Stream().Format() != encode.I444 {
			preset = stream.Balanced
		}
		sub.Prefer(preset, v.settings.fps)
		if bits > 0 {
			sub.SetTarget(bits)
		}
	}
}

// kind is which stream the viewer wants and can have: its format, and the cap on its
// pictures a second.
func (v *video) kind() (f encode.Format, fps int) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.settings.preset == stream.Sharp && v.full {
		return encode.I444, v.settings.fps
	}
	return encode.I420, v.settings.fps
}

// setStream applies the viewer's settings.
func (p *peer) setStream(s *orielv1.StreamSettings) {
	v := p.video
	if v == nil {
		return
	}
	v.mu.Lock()
	v.settings = settingsOf(s)
	if v.screen != nil {
		v.screen.watch(p, v.settings.fps)
	}
	v.mu.Unlock()
	v.steer()
	v.again()
}

// again has watchDisplay look whether the stream is the one that the viewer wants.
func (v *video) again() {
	select {
	case v.asked <- struct{}{}:
	default:
	}
}

// prepare has the first picture made while the peers find each other.
func (p *peer) prepare() {
	if p.video == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.closed {
		p.wg.Go(func() { p.guard(p.follow) })
	}
}

// watch begins to send the picture; the peer is connected.
func (p *peer) watch() {
	if p.video != nil {
		p.video.once.Do(func() { close(p.video.reached) })
	}
}

// follow sends the picture of whatever display there is until the peer is
// closed.
func (p *peer) follow() {
	for tries := 0; p.ctx.Err() == nil; {
		s, shown := p.s.h.displayAndChange()
		if s == nil {
			select {
			case <-p.ctx.Done():
			case <-shown:
			}
			continue
		}
		began := time.Now()
		err := p.watchDisplay(s)
		if p.ctx.Err() != nil {
			return
		}
		select {
		case <-s.dead:
			// Another one, or none, is about to be shown.
			select {
			case <-p.ctx.Done():
			case <-shown:
			}
			continue
		default:
		}
		if time.Since(began) > 10*time.Second {
			tries = 0
		}
		if tries++; tries > 3 {
			p.s.log.Error("the video failed", "attempt", p.attempt, "error", err)
			p.s.end(orielv1.EndReason_END_REASON_FAILED, orielv1.Code_CODE_INTERNAL,
				"the picture cannot be encoded; the agent's log says why")
			return
		}
		p.s.log.Warn("the video broke off, trying again", "attempt", p.attempt, "error", err)
	}
}

// watchDisplay sends one display's picture until it or the peer is gone.
func (p *peer) watchDisplay(s *display) error {
	v := p.video
	v.mu.Lock()
	s.watch(p, v.settings.fps)
	v.mu.Unlock()
	defer s.unwatch(p)
	sub, _, err := p.subscribe(s, p.s.h.hub.Prepare)
	p.s.h.claimPrestart() // the picture that was made for this is in sub
	if err != nil {
		return err
	}
	defer func() {
		v.show(nil)
		// After this the stream does not touch the display for this viewer.
		_ = sub.Close()
	}()
	v.show(s, sub)
	over := func(news, failed <-chan struct{}) bool {
		select {
		case <-news:
			return false
		case <-failed:
			return false
		case <-p.ctx.Done():
		case <-s.dead:
		case <-sub.Done():
		}
		return true
	}
	for started := v.reached; !over(started, nil); started = v.asked {
		sub.Start()
		format, fps := v.kind()
		if p.s.h.hub.Suits(sub, format, fps) {
			continue
		}
		next, begun, err := p.subscribe(s, p.s.h.hub.Subscribe)
		if err != nil { // what is shown goes on
			p.s.log.Warn("no other stream", "attempt", p.attempt, "codec", p.codec, "error", err)
			v.cannot(p, format, err)
			continue
		}
		v.show(s, sub, next)
		gone := over(begun, next.Done())
		select {
		case <-begun:
			sub, next = next, sub
			v.again() // the place that the old one leaves may be what was wanted
		default:
		}
		v.show(s, sub)
		_ = next.Close()
		if gone {
			break
		}
		if err := next.Err(); err != nil {
			v.cannot(p, next.Stream().Format(), err)
		}
		p.s.poke() // what is sent is another codec to the journal
	}
	if err := sub.Err(); err != nil && !errors.Is(err, desktop.ErrClosed) {
		v.cannot(p, sub.Stream().Format(), err)
	}
	return sub.Err()
}

// subscribe asks the hub for the stream that the viewer wants; begun is closed when its
// first frame goes out.
func (p *peer) subscribe(s *display, ask func(desktop.Desktop, encode.Codec, encode.Format, int, stream.Sink) (*stream.Subscription, error)) (sub *stream.Subscription, begun <-chan struct{}, err error) {
	o := &streamSink{v: p.video, begun: make(chan struct{})}
	format, fps := p.video.kind()
	if sub, err = ask(s, p.codec, format, fps, o); errors.Is(err, desktop.ErrClosed) {
		s.die()
	}
	return sub, o.begun, err
}

// show makes subs those that are steered; the first is the one that is shown.
func (v *video) show(s *display, subs ...*stream.Subscription) {
	v.mu.Lock()
	v.subs, v.screen = subs, s
	v.mu.Unlock()
	v.steer()
}

// cannot goes without 4:4:4 where that fails.
func (v *video) cannot(p *peer, f encode.Format, err error) {
	if f != encode.I444 {
		return
	}
	p.s.log.Warn("no 4:4:4", "attempt", p.attempt, "codec", p.codec, "error", err)
	v.mu.Lock()
	v.full = false
	v.mu.Unlock()
}

// sends is the codec of the picture that is shown, as people read it.
func (p *peer) sends() string {
	if v := p.video; v != nil {
		v.mu.Lock()
		defer v.mu.Unlock()
		if len(v.subs) > 0 && v.subs[0].Stream().Format() == encode.I444 {
			return string(p.codec) + " 4:4:4"
		}
	}
	return string(p.codec)
}

// Of somebody who types the figures would be a tenth of all bytes, and hardly change.
const (
	fewPictures = 10 // in a second
	fewStats    = 10*time.Second - 100*time.Millisecond
)

// pushStats reports the last second, while pictures flow and once after, and
// notes for the journal how the way was.
func (p *peer) pushStats() {
	v := p.video
	if v == nil {
		return
	}
	v.mu.Lock()
	if len(v.subs) == 0 {
		v.mu.Unlock()
		return
	}
	sub := v.subs[0]
	v.mu.Unlock()
	st, way := sub.Stream().Stats(), v.congestion.State()
	still := st.FPS == 0
	if st.Frames != v.frames {
		v.frames = st.Frames
		v.delays.network(p.roundTrip(), way)
	}
	if p.congested() {
		return
	}
	now := &orielv1.Stats{Settled: still, FullChroma: sub.Stream().Format() == encode.I444, Preset: presetNames[st.Preset]}
	v.mu.Lock()
	same := proto.Equal(now, v.settled)
	again := same && (still || st.FPS < fewPictures && time.Since(v.told) < fewStats)
	if !again {
		v.settled, v.told = proto.CloneOf(now), time.Now()
	}
	v.mu.Unlock()
	if again {
		return
	}
	now.Frames, now.Bytes, now.Quantizer = uint32(st.FPS), uint32(st.Bits/8), uint32(st.Quantizer)
	now.CaptureUs, now.ConvertUs, now.EncodeUs = uint32(st.Captured.Microseconds()), uint32(st.Converted.Microseconds()), uint32(st.Encoded.Microseconds())
	now.EstimateKbps, now.QueueUs, now.LossPpm = uint32(way.Target/1000), uint32(micros(way.Queue)), millionths(way.Loss)
	p.send(&orielv1.FromDesktop{Body: &orielv1.FromDesktop_Stats{Stats: now}})
}
