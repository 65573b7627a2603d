// Package stream watches one desktop with one codec in one format for all its
// viewers: capture → convert → encode → send. It runs only while somebody watches.
//
//	hub := stream.NewHub(stream.Options{})
//	sub, err := hub.Subscribe(desk, encode.AV1, encode.I420, 0, track) // one encode for all who ask for the same
//	sub.RequestKeyFrame()                              // on PLI
//	sub.SetTarget(bits)                                // from the congestion estimate
//	sub.Prefer(stream.Speed, 30)                       // a preset, and a cap on pictures a second
//	sub.Close()
//
// Hub.Prepare makes the first picture while the peers still find each other, so
// that it is there when they have (Subscription.Start).
//
// # What moves a frame
//
// Damage does, and nothing else: the desktop is asked for its next picture only
// when a frame could be sent, so that what is captured is always the newest;
// there is no queue of pictures and none of frames. While the link is still
// busy with what was sent, or the cap (framerate.go) allows no frame yet, the
// question is simply asked later. Nothing changes → nothing is asked, nothing
// runs.
//
// When the picture stands still it is refined (refinement.go): encoded again in a few
// steps with finer quantizers, where it is coarse and nowhere else, in parts that
// hold up a change for less than a tenth of a second, until the encoder's own
// reconstruction differs nowhere that can be seen (encode.Error), then no more. What
// is soft becomes readable first. A change at any time goes first.
//
// # Where the parts are
//
// rate.go: the quantizer of each frame, so that no frame queues behind itself.
// congestion.go: the bandwidth estimator (package bwe) between pion and the wire.
// rtx.go, fec.go, taillossprobe.go: what is done about lost packets.
// preset.go: Speed, Balanced, Sharp and Auto, caps, and 4:4:4, a stream of its own.
// media.go: when a key frame is sent, and that no other is. With several viewers
// the slowest viewer's rate and the most economical preset are the stream's; a cap is
// one viewer's alone (Hub).
//
// # Where pion is
//
// This room is pion's door for media: Track (RTP), NewAPI (codecs, header
// extensions, NACK/RTX, FlexFEC, TWCC, congestion estimate), ChooseCodec, Feedback.
// agent/internal/session is its door for peers and data channels.
package stream

import (
	"context"
	"errors"
	"fmt"
	"image"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"oriel/agent/internal/desktop"
	"oriel/agent/internal/encode"
)

// ErrClosed: the stream, or the subscription, was closed.
var ErrClosed = errors.New("stream closed")

// Options of a Stream. The zero value works.
type Options struct {
	Format  encode.Format // of the picture; a Hub has it from who subscribes
	FPS     int           // cap; 0 means 60
	Target  int           // bits per second until a viewer's SetTarget; 0 means DefaultTarget
	Threads int           // of the encoder; 0 means by cores
	Logger  *slog.Logger  // nil: none
}

// Rates in bits per second.
const (
	DefaultTarget = 1_500_000 // the first picture fits a slow link, and is soon refined on a better one
	MinTarget     = 100_000
	MaxTarget     = 30_000_000
)

func (o Options) filled() Options {
	if o.FPS < 1 {
		o.FPS = 60
	}
	if o.Target < 1 {
		o.Target = DefaultTarget
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return o
}

// Frame is one encoded picture and how it came about. Sinks share Data and must
// not change it.
type Frame struct {
	Codec  encode.Codec
	Format encode.Format
	Data   []byte
	Key    bool
	Size   image.Point
	At     time.Time // of capture, or for a refined frame of encoding; later than the frame before

	Captured  time.Duration // reading the screen; 0 where the picture was there already
	Converted time.Duration // to the encoder's planes; 0 as for Captured
	Encoded   time.Duration
	Quantizer int     // 0 finest .. 63
	PSNR      float64 // of what changed, in decibel
	Refined   bool    // nothing changed: it is the same picture, finer
}

// Sink takes frames, in order, from one goroutine. WriteFrame may take its time:
// frames that come meanwhile are dropped and followed by a key frame. After an
// error the subscription is closed.
type Sink interface {
	WriteFrame(Frame) error
}

// Stream is one desktop watched with one codec in one format. All methods may be
// called from any goroutine.
type Stream struct {
	codec   encode.Codec
	options Options
	source  *source
	open    func() (encode.Encoder, error)
	wake    chan struct{} // capacity 1: something below changed
	stats   statistics
	inForce atomic.Uint32 // the Preset that the loop works by

	mu      sync.Mutex
	subs    map[*Subscription]struct{}
	wantKey keyReason
	late    int                // bits of kept frames that were sent and the loop has not heard of
	stop    context.CancelFunc // nil while nobody watches
	stopped chan struct{}      // closed when the last run ended
	failed  error              // why the stream cannot go on
	closed  bool
	most    int // pictures a second, whatever its viewers say; 0: no cap
}

type keyReason uint8

const (
	keyNone keyReason = iota
	keyJoin           // a viewer has nothing yet
	keyLost           // a viewer lost what was sent
)

// New makes a stream of its own. Use a Hub where one desktop may be watched
// with several codecs: a desktop has one reader.
func New(d desktop.Desktop, codec encode.Codec, o Options) *Stream {
	return newStream(newSource(d), codec, o)
}

func newStream(src *source, codec encode.Codec, o Options) *Stream {
	done := make(chan struct{})
	close(done)
	s := &Stream{codec: codec, options: o.filled(), source: src, wake: make(chan struct{}, 1), subs: map[*Subscription]struct{}{}, stopped: done}
	s.open = func() (encode.Encoder, error) {
		return encode.New(codec, encode.Config{Threads: o.Threads, Format: o.Format})
	}
	return s
}

// Codec is what the stream encodes to.
func (s *Stream) Codec() encode.Codec { return s.codec }

// Format is that of its pictures.
func (s *Stream) Format() encode.Format { return s.options.Format }

// Stats is the last second as it was.
func (s *Stream) Stats() Stats {
	st := s.stats.read(time.Now())
	st.Preset = Preset(s.inForce.Load())
	return st
}

// Subscribe starts to send to sink, with a key frame first. Errors: ErrClosed,
// what stopped the stream, errors.ErrUnsupported for the codec.
func (s *Stream) Subscribe(sink Sink) (*Subscription, error) { return s.subscribe(sink, false, nil) }

// Prepare is Subscribe for a sink that nobody can be reached through yet. Where
// nobody else watches, the first picture is made now and kept, and then nothing
// more, until Subscription.Start sends it. Where one was made for another who waits,
// it is that. Errors are Subscribe's.
func (s *Stream) Prepare(sink Sink) (*Subscription, error) { return s.subscribe(sink, true, nil) }

func (s *Stream) subscribe(sink Sink, held bool, onEnd func()) (*Subscription, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, ErrClosed
	}
	if s.failed != nil {
		return nil, s.failed
	}
	if s.stop == nil {
		enc, err := s.open()
		if err != nil {
			return nil, err
		}
		before, done := s.stopped, make(chan struct{})
		ctx, cancel := context.WithCancel(context.Background())
		s.stop, s.stopped = cancel, done
		go func() {
			defer close(done)
			<-before // a run that is just ending
			s.finish(newLoop(s, enc).run(ctx))
		}()
	}
	sub := newSubscription(s, sink, onEnd)
	sub.held = held
	if held {
		sub.kept = s.kept()
	}
	s.subs[sub] = struct{}{}
	if !held {
		s.wantKey = max(s.wantKey, keyJoin)
	}
	s.poke()
	return sub, nil
}

// kept is the picture that another waits for with, if there is one; mu is held.
func (s *Stream) kept() *Frame {
	for sub := range s.subs {
		if sub.held && sub.kept != nil {
			return sub.kept
		}
	}
	return nil
}

// finish is called when a run ends: err is nil when it was stopped.
func (s *Stream) finish(err error) {
	if err == nil {
		return
	}
	s.options.Logger.Warn("stream ended", "desktop", s.source.desktop.Name(), "codec", s.codec, "error", err)
	s.mu.Lock()
	s.failed = err
	subs := s.subs
	s.subs = map[*Subscription]struct{}{}
	if s.stop != nil {
		s.stop()
		s.stop = nil
	}
	s.mu.Unlock()
	for sub := range subs {
		sub.end(err)
		sub.release()
	}
}

// remove takes sub out and stops the run when it was the last.
func (s *Stream) remove(sub *Subscription) {
	s.mu.Lock()
	_, there := s.subs[sub]
	delete(s.subs, sub)
	var wait chan struct{}
	if there && len(s.subs) == 0 && s.stop != nil {
		s.stop()
		s.stop = nil
		wait = s.stopped
	}
	s.mu.Unlock()
	s.poke() // the slowest viewer may have left
	if wait != nil {
		<-wait
	}
}

// Close ends the stream and its subscriptions and waits for it.
func (s *Stream) Close() error {
	s.mu.Lock()
	s.closed = true
	subs := make([]*Subscription, 0, len(s.subs))
	for sub := range s.subs {
		subs = append(subs, sub)
	}
	wait := s.stopped
	s.mu.Unlock()
	for _, sub := range subs {
		sub.Close()
	}
	<-wait
	return nil
}

func (s *Stream) poke() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

func (s *Stream) requestKey(why keyReason) {
	s.mu.Lock()
	s.wantKey = max(s.wantKey, why)
	s.mu.Unlock()
	s.poke()
}

// start lets frames through to a subscription that was prepared.
func (s *Stream) start(sub *Subscription) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !sub.held {
		return
	}
	sub.held = false
	if kept := sub.kept; kept != nil {
		sub.kept = nil
		s.late += 8 * len(kept.Data)
		sub.offer(*kept)
	} else {
		s.wantKey = max(s.wantKey, keyJoin)
	}
	s.poke()
}

// allPrepared reports whether everybody who watches waits for Start, and has what is
// needed then. When it is not so, bits of what was kept may have been sent.
func (s *Stream) allPrepared() (rest bool, late int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	late, s.late = s.late, 0
	missing := false
	for sub := range s.subs {
		if !sub.held {
			return false, late
		}
		missing = missing || sub.kept == nil
	}
	if missing {
		s.wantKey = max(s.wantKey, keyJoin)
	}
	return !missing, late
}

// demand is what the viewers want now: the rate of the slowest, and whether that is
// a guess because of none is known what his link takes.
func (s *Stream) demand() (target int, guess bool, key keyReason) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for sub := range s.subs {
		if t := int(sub.target.Load()); t > 0 && (target == 0 || t < target) {
			target = t
		}
	}
	if guess = target == 0; guess {
		target = s.options.Target
	}
	return min(max(target, MinTarget/2), MaxTarget), guess, s.wantKey
}

func (s *Stream) prefer(sub *Subscription, p Preset, fps int) {
	s.mu.Lock()
	changed := sub.preset != p || sub.fps != fps
	sub.preset, sub.fps = p, fps
	s.mu.Unlock()
	if changed {
		s.poke()
	}
}

// limit is the hub's cap, which is that of the viewers it puts here: one of them who
// wants more has another stream, and until that begins changes nothing for the others.
func (s *Stream) limit(fps int) {
	s.mu.Lock()
	s.most = fps
	s.mu.Unlock()
	s.poke()
}

// effectiveSettings is how the viewers want it: the preset of the most economical, and the
// highest cap. A frame needs the one before it, so whoever wants fewer gets those of
// the others while a Hub has no stream of his own for him, and alone what he wants.
func (s *Stream) effectiveSettings() (p Preset, fps int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	p, fps = Sharp, s.options.FPS
	if s.most > 0 {
		fps = min(fps, s.most)
	}
	most := 0
	for sub := range s.subs {
		if sub.preset.economyRank() > p.economyRank() {
			p = sub.preset
		}
		if sub.fps == 0 {
			most = fps
		}
		most = max(most, sub.fps)
	}
	if most > 0 {
		fps = min(fps, most)
	}
	return p, fps
}

// send hands a frame to every viewer.
func (s *Stream) send(f Frame) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if f.Key {
		s.wantKey = keyNone
	}
	for sub := range s.subs {
		if sub.held {
			sub.kept = nil
			if f.Key {
				sub.kept = &f
			}
			continue
		}
		if !sub.offer(f) {
			s.wantKey = max(s.wantKey, keyLost)
			s.poke()
		}
	}
}

func (s *Stream) newEncoder() (encode.Encoder, error) {
	enc, err := s.open()
	if err != nil {
		return nil, fmt.Errorf("replace the encoder: %w", err)
	}
	return enc, nil
}
