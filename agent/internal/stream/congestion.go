package stream

import (
	"slices"
	"sync"
	"time"

	"github.com/pion/interceptor"
	"github.com/pion/rtcp"
	"github.com/pion/rtp"

	"oriel/agent/internal/bwe"
)

// Congestion puts the bandwidth estimator of one peer (package bwe) between pion and the
// wire: it sees every packet of video leave, and the feedback about it (rtcpbuffer.go). The stream sends no more than the link takes, and a small frame
// must not wait, so only the end of a frame that turned out too large is paced (Track).
type Congestion struct {
	interceptor.NoOp
	publishing sync.Mutex // held while changed runs, so that its last call has the newest

	mu        sync.Mutex
	estimator *bwe.Estimator
	heard     bool // feedback has arrived
	changed   func(bitsPerSecond int)
	published int         // last argument of changed
	silence   *time.Timer // calls onSilence while packets are in flight
	running   bool        // silence is armed
	closed    bool

	track *Track // nil: none
}

// silenceCheck is the interval of checks while no feedback arrives.
const silenceCheck = 250 * time.Millisecond

func newEstimator(now time.Time, start int) *bwe.Estimator {
	return bwe.NewEstimator(now, bwe.Options{Start: start, Min: MinTarget, Max: MaxTarget})
}

func newCongestion(track *Track) *Congestion {
	c := &Congestion{track: track, estimator: newEstimator(time.Now(), DefaultTarget), published: DefaultTarget}
	if track != nil {
		track.pacerDelay, track.shouldProtect, track.feedbackDelay = c.pacerDelay, c.shouldProtect, c.feedbackDelay
	}
	return c
}

// NewInterceptor is for pion's registry: a Congestion belongs to one peer.
func (c *Congestion) NewInterceptor(string) (interceptor.Interceptor, error) { return c, nil }

// Target is the estimate in bits per second, from MinTarget to MaxTarget; 0: nothing
// is known yet.
func (c *Congestion) Target() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.known() {
		return 0
	}
	return c.estimator.MediaTarget()
}

// known reports whether the estimate is more than a guess; mu is held. Missing feedback
// is a sign, too.
func (c *Congestion) known() bool { return c.heard || c.estimator.Target() != DefaultTarget }

// State is for the statistics.
func (c *Congestion) State() bwe.State {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.estimator.State()
}

// OnChange calls f, from any goroutine but never twice at once, whenever the
// estimate changed, and when something is known, at once:
// congestion.OnChange(sub.SetTarget).
func (c *Congestion) OnChange(f func(bitsPerSecond int)) {
	c.publishing.Lock()
	defer c.publishing.Unlock()
	c.mu.Lock()
	c.changed, c.published = f, c.estimator.MediaTarget()
	target, known := c.published, c.known()
	c.mu.Unlock()
	if known {
		f(target)
	}
}

// publish calls changed where the target differs by a fiftieth or more.
func (c *Congestion) publish() {
	c.publishing.Lock()
	defer c.publishing.Unlock()
	c.mu.Lock()
	target, f := c.estimator.MediaTarget(), c.changed
	news := target - c.published
	if small := max(target, c.published) / 50; c.closed || f == nil || news == 0 || !c.known() ||
		news > -small && news < small && target != MinTarget && target != MaxTarget {
		c.mu.Unlock()
		return
	}
	c.published = target
	c.mu.Unlock()
	f(target)
}

// BindLocalStream sees packets leave, under the numbers of transport-wide
// feedback.
func (c *Congestion) BindLocalStream(info *interceptor.StreamInfo, w interceptor.RTPWriter) interceptor.RTPWriter {
	i := slices.IndexFunc(info.RTPHeaderExtensions, func(e interceptor.RTPHeaderExtension) bool { return e.URI == transportCC })
	if i < 0 {
		return w // the peer gives no such feedback
	}
	id, ssrc, parity := uint8(info.RTPHeaderExtensions[i].ID), info.SSRC, info.SSRCForwardErrorCorrection
	return interceptor.RTPWriterFunc(func(h *rtp.Header, payload []byte, a interceptor.Attributes) (int, error) {
		var number rtp.TransportCCExtension
		if err := number.Unmarshal(h.GetExtension(id)); err == nil {
			size := h.MarshalSize() + len(payload)
			switch was, again := originalNumber(h, payload, ssrc); {
			case h.SSRC == parity && parity != 0:
				c.sentFEC(number.TransportSequence, size)
			case again:
				c.sentRTX(number.TransportSequence, was, size)
			default:
				c.sent(number.TransportSequence, was, size, len(payload))
			}
		}
		return w.Write(h, payload, a)
	})
}

const transportCC = "http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01"

func (c *Congestion) sent(seq, number uint16, size, counted int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.estimator.Sent(time.Now(), seq, number, size, counted)
	c.watchSilence()
}

func (c *Congestion) sentRTX(seq, number uint16, size int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.estimator.SentRTX(time.Now(), seq, number, size)
	c.watchSilence()
}

func (c *Congestion) sentFEC(seq uint16, size int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.estimator.SentFEC(time.Now(), seq, size)
	c.watchSilence()
}

// watchSilence arms the check for missing feedback; mu is held.
func (c *Congestion) watchSilence() {
	if !c.running {
		c.wake(silenceCheck)
	}
}

// onFeedback takes transport-wide feedback. It is called by pion's reader of everything the
// peer sends, which must not wait for changed.
func (c *Congestion) onFeedback(f *rtcp.TransportLayerCC) {
	c.mu.Lock()
	all := slices.Clone(c.estimator.OnFeedback(time.Now(), f))
	if !c.heard && c.estimator.Heard() {
		c.heard, c.published = true, 0 // what was a guess is news even if it was right
	}
	c.wake(0)
	c.mu.Unlock()
	c.track.onResults(all) // which holds its own lock when it sends
}

// wake arms onSilence; mu is held.
func (c *Congestion) wake(after time.Duration) {
	if c.running = !c.closed; !c.running {
		return
	}
	if c.silence == nil {
		c.silence = time.AfterFunc(after, c.onSilence)
		return
	}
	c.silence.Reset(after)
}

// onSilence checks for missing feedback and publishes the target.
func (c *Congestion) onSilence() {
	c.mu.Lock()
	if c.running = c.estimator.Check(time.Now()); c.running {
		c.wake(silenceCheck)
	}
	c.mu.Unlock()
	c.publish()
}

// pacerDelay is how long the pacer holds the next packet of a frame.
func (c *Congestion) pacerDelay() time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.estimator.PacerDelay(time.Now())
}

// shouldProtect reports whether FEC pays for a frame of so many packets.
func (c *Congestion) shouldProtect(packets int) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.estimator.ShouldProtect(time.Now(), packets)
}

// feedbackDelay is the time from a packet's departure until feedback has reported it.
func (c *Congestion) feedbackDelay() time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.estimator.FeedbackDelay()
}

// allowRTX reports whether a packet, by its number in RTP, may be retransmitted.
func (c *Congestion) allowRTX(number uint16, size int) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.estimator.AllowRTX(time.Now(), number, size)
}

// Close is called by pion when the peer connection is closed.
func (c *Congestion) Close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closed = true
	if c.silence != nil {
		c.silence.Stop()
	}
	return nil
}
