package stream

import (
	"slices"
	"sync"
	"time"

	"github.com/pion/interceptor"
	"github.com/pion/rtcp"
	"github.com/pion/rtp"
)

// Congestion is the estimate of the way to one peer (estimate.go), put between
// pion and the wire: it sees every packet of video leave, and what the peer says
// about it (inbox.go). The stream sends no more than the link takes, and a small frame
// must not wait, so only the end of a frame that turned out too large is paced (Track).
type Congestion struct {
	interceptor.NoOp
	tell sync.Mutex // held while changed runs, so that the last it hears is the newest

	mu       sync.Mutex
	estimate *estimate
	heard    bool // the peer has said something about what it received
	changed  func(bitsPerSecond int)
	told     int         // what changed was last called with
	silence  *time.Timer // calls listen while something is on its way
	running  bool        // it will
	closed   bool

	track *Track // nil: none
}

// State is how the way to a peer is, for people.
type State struct {
	Target   int           // bits per second that may be sent
	Capacity int           // bits per second that the narrowest link carries, at least; 0: not known
	RTT      time.Duration // least of late, with the time that feedback waits at the peer (Chromium: up to 100 ms); 0: not known
	Queue    time.Duration // how long the last frame waited in queues before its first packet passed
	Loss     float64       // share of the packets of late, 0 to 1
}

// silenceCheck is how often a peer that says nothing is looked after.
const silenceCheck = 250 * time.Millisecond

func newCongestion(track *Track) *Congestion {
	c := &Congestion{track: track, estimate: newEstimate(time.Now(), DefaultTarget), told: DefaultTarget}
	if track != nil {
		track.hold, track.guards, track.reported = c.hold, c.guards, c.reported
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
	return c.estimate.forPictures()
}

// known is whether the estimate is more than a guess; mu is held. That nothing is
// heard says something too.
func (c *Congestion) known() bool { return c.heard || c.estimate.target() != DefaultTarget }

// State is for the statistics.
func (c *Congestion) State() State {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.estimate.state()
}

// OnChange calls f, from any goroutine but never twice at once, whenever the
// estimate changed, and when something is known, at once:
// congestion.OnChange(sub.SetTarget).
func (c *Congestion) OnChange(f func(bitsPerSecond int)) {
	c.tell.Lock()
	defer c.tell.Unlock()
	c.mu.Lock()
	c.changed, c.told = f, c.estimate.forPictures()
	target, known := c.told, c.known()
	c.mu.Unlock()
	if known {
		f(target)
	}
}

// publish says what is new. A fiftieth more or less is nothing.
func (c *Congestion) publish() {
	c.tell.Lock()
	defer c.tell.Unlock()
	c.mu.Lock()
	target, f := c.estimate.forPictures(), c.changed
	news := target - c.told
	if small := max(target, c.told) / 50; c.closed || f == nil || news == 0 || !c.known() ||
		news > -small && news < small && target != MinTarget && target != MaxTarget {
		c.mu.Unlock()
		return
	}
	c.told = target
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
			switch was, again := repeatOf(h, payload, ssrc); {
			case h.SSRC == parity && parity != 0:
				c.parity(number.TransportSequence, size)
			case again:
				c.repeated(number.TransportSequence, was, size)
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
	c.estimate.sent(time.Now(), seq, number, size, counted)
	c.attend()
}

func (c *Congestion) repeated(seq, number uint16, size int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.estimate.repeated(time.Now(), seq, number, size)
	c.attend()
}

func (c *Congestion) parity(seq uint16, size int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.estimate.parity(time.Now(), seq, size)
	c.attend()
}

// attend sees to it that a peer that says nothing is looked after; mu is held.
func (c *Congestion) attend() {
	if !c.running {
		c.wake(silenceCheck)
	}
}

// hear takes what the peer says. It is called by pion's reader of everything the
// peer sends, which must not wait for who hears of a change.
func (c *Congestion) hear(f *rtcp.TransportLayerCC) {
	c.mu.Lock()
	all := slices.Clone(c.estimate.feedback(time.Now(), f))
	if !c.heard && c.estimate.heard > 0 {
		c.heard, c.told = true, 0 // what was a guess is news even if it was right
	}
	c.wake(0)
	c.mu.Unlock()
	c.track.heard(all) // which holds its own lock when it sends
}

// wake has listen called; mu is held.
func (c *Congestion) wake(after time.Duration) {
	if c.running = !c.closed; !c.running {
		return
	}
	if c.silence == nil {
		c.silence = time.AfterFunc(after, c.listen)
		return
	}
	c.silence.Reset(after)
}

// listen looks after a peer that says nothing, and says what is new.
func (c *Congestion) listen() {
	c.mu.Lock()
	if c.running = c.estimate.check(time.Now()); c.running {
		c.wake(silenceCheck)
	}
	c.mu.Unlock()
	c.publish()
}

// hold is how long the next packet of a frame is to wait.
func (c *Congestion) hold() time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.estimate.hold(time.Now())
}

// guards is whether parity pays for a frame of so many packets.
func (c *Congestion) guards(packets int) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.estimate.guards(time.Now(), packets)
}

// reported is how long after a packet left the peer has said whether it came.
func (c *Congestion) reported() time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.estimate.reported()
}

// repeats is whether a packet, by its number in RTP, may be sent again.
func (c *Congestion) repeats(number uint16, size int) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.estimate.repeats(time.Now(), number, size)
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
