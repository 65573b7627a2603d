package session

import (
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/pion/webrtc/v4"

	"oriel/agent/internal/desktop"
	"oriel/agent/internal/stream"
	orielv1 "oriel/protocol/oriel/v1"
)

// video is one peer's picture: a track for the life of the peer connection,
// subscribed to the stream of whatever display there is.
type video struct {
	track      *stream.Track
	delays     *delays // the session's
	congestion *stream.Congestion
	frames     uint64 // of the stream when tellStats looked last; for it alone
	once       sync.Once
	reached    chan struct{} // closed when the viewer can be sent to

	mu      sync.Mutex
	sub     *stream.Subscription // nil while there is no display
	screen  *screen              // what sub is of
	maxBits int                  // the viewer's caps; 0: none
	maxFPS  int
	settled bool // told so
}

// addVideo puts the track in before the offer is set, so that it is answered.
func (p *peer) addVideo(pc *webrtc.PeerConnection, c *stream.Congestion) error {
	if p.codec == "" {
		return nil
	}
	track, err := stream.NewTrack(p.codec, "screen", "screen")
	if err != nil {
		return fmt.Errorf("video track: %w", err)
	}
	t, err := pc.AddTransceiverFromTrack(track, webrtc.RTPTransceiverInit{Direction: webrtc.RTPTransceiverDirectionSendonly})
	if err != nil {
		return fmt.Errorf("add video track: %w", err)
	}
	p.video = &video{track: track, delays: &p.s.delays, congestion: c, reached: make(chan struct{})}
	c.OnChange(func(int) { p.video.steer() })
	p.wg.Go(func() { stream.Feedback(t.Sender(), p.video.lost) })
	return nil
}

// WriteFrame sends a frame, and counts what it took. It makes v a stream.Sink.
func (v *video) WriteFrame(f stream.Frame) error {
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
	if v.sub != nil {
		v.sub.RequestKeyFrame()
	}
}

// steer tells the stream what the link, or the viewer's cap, takes.
func (v *video) steer() {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.sub == nil {
		return
	}
	bits := v.congestion.Target()
	if v.maxBits > 0 && (bits == 0 || bits > v.maxBits) {
		bits = v.maxBits
	}
	if bits > 0 {
		v.sub.SetTarget(bits)
	}
}

// setStream applies the viewer's caps.
func (p *peer) setStream(s *orielv1.StreamSettings) {
	v := p.video
	if v == nil {
		return
	}
	v.mu.Lock()
	v.maxBits = int(min(s.GetMaxKbps(), 1_000_000)) * 1000
	v.maxFPS = int(min(s.GetMaxFps(), 1000))
	if v.screen != nil {
		v.screen.watch(p, v.maxFPS)
	}
	v.mu.Unlock()
	v.steer()
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
		s, shown := p.s.h.display()
		if s == nil {
			select {
			case <-p.ctx.Done():
			case <-shown:
			}
			continue
		}
		began := time.Now()
		err := p.send(s)
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

// send sends one display's picture until it or the peer is gone.
func (p *peer) send(s *screen) error {
	v := p.video
	v.mu.Lock()
	s.watch(p, v.maxFPS)
	v.mu.Unlock()
	defer s.unwatch(p)
	sub, err := p.s.h.hub.Prepare(s, p.codec, v)
	if err != nil {
		if errors.Is(err, desktop.ErrClosed) {
			s.die()
		}
		return err
	}
	v.mu.Lock()
	v.sub, v.screen = sub, s
	v.mu.Unlock()
	v.steer()
	over := func(reached <-chan struct{}) bool {
		select {
		case <-reached:
			return false
		case <-p.ctx.Done():
		case <-s.dead:
		case <-sub.Done():
		}
		return true
	}
	if !over(v.reached) {
		sub.Start()
		over(nil)
	}
	v.mu.Lock()
	v.sub, v.screen = nil, nil
	v.mu.Unlock()
	// After this the stream does not touch the display for this viewer.
	_ = sub.Close()
	return sub.Err()
}

// tellStats reports the last second, while pictures flow and once after, and
// notes for the journal how the way was.
func (p *peer) tellStats() {
	v := p.video
	if v == nil {
		return
	}
	v.mu.Lock()
	sub := v.sub
	v.mu.Unlock()
	if sub == nil {
		return
	}
	st, way := sub.Stream().Stats(), v.congestion.State()
	still := st.FPS == 0
	if st.Frames != v.frames {
		v.frames = st.Frames
		v.delays.way(p.roundTrip(), way)
	}
	if p.crowded() {
		return
	}
	v.mu.Lock()
	again := still && v.settled
	v.settled = still
	v.mu.Unlock()
	if again {
		return
	}
	p.say(&orielv1.FromDesktop{Body: &orielv1.FromDesktop_Stats{Stats: &orielv1.Stats{
		Frames: uint32(st.FPS), Bytes: uint32(st.Bits / 8),
		CaptureUs: uint32(st.Captured.Microseconds()), ConvertUs: uint32(st.Converted.Microseconds()), EncodeUs: uint32(st.Encoded.Microseconds()),
		EstimateKbps: uint32(way.Target / 1000), Quantizer: uint32(st.Quantizer), Settled: still,
		QueueUs: uint32(micros(way.Queue)), LossPpm: millionths(way.Loss),
	}}})
}
