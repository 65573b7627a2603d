package stream

import (
	"sync"
	"sync/atomic"
)

// depth is how many frames may wait for one slow sink. It is not a queue to be
// late in: a frame too many drops them all.
const depth = 3

// Subscription is one viewer of a stream.
type Subscription struct {
	stream *Stream
	sink   Sink
	target atomic.Int64
	frames chan Frame
	done   chan struct{}
	ended  chan struct{} // closed when the sink will not be called again
	onEnd  func()        // the hub's; nil without one

	finish, forget sync.Once

	// protected by stream.mu
	preset  Preset
	fps     int    // cap; 0: none
	started bool   // has been given a key frame
	held    bool   // gets nothing until start
	kept    *Frame // what it gets then: a key frame that nothing has followed

	mu  sync.Mutex
	err error // protected by mu
}

func newSubscription(s *Stream, sink Sink, onEnd func()) *Subscription {
	sub := &Subscription{stream: s, sink: sink, onEnd: onEnd, frames: make(chan Frame, depth), done: make(chan struct{}), ended: make(chan struct{})}
	go sub.run()
	return sub
}

func (sub *Subscription) run() {
	defer close(sub.ended)
	for {
		select {
		case <-sub.done:
			return
		case f := <-sub.frames:
			if err := sub.sink.WriteFrame(f); err != nil {
				sub.close(err)
				return
			}
		}
	}
}

// offer gives a frame to the viewer; false: he is behind and needs a key frame.
// The stream's mu is held.
func (sub *Subscription) offer(f Frame) bool {
	if !sub.started && !f.Key {
		return true // it is on its way
	}
	select {
	case sub.frames <- f:
		sub.started = true
		return true
	default:
	}
	for { // what waits is old: drop it all
		select {
		case <-sub.frames:
			continue
		default:
		}
		break
	}
	sub.started = false
	if f.Key {
		sub.frames <- f
		sub.started = true
		return true
	}
	return false
}

// Start begins to send to a subscription that was made by Prepare. It may be
// called more than once.
func (sub *Subscription) Start() { sub.stream.start(sub) }

// Stream is what is subscribed to.
func (sub *Subscription) Stream() *Stream { return sub.stream }

// RequestKeyFrame asks for a key frame, because the viewer lost one (PLI, FIR).
// It may be called as often as one likes; the stream decides when to answer.
func (sub *Subscription) RequestKeyFrame() { sub.stream.requestKey(keyLost) }

// SetTarget says how many bits per second the way to this viewer takes.
func (sub *Subscription) SetTarget(bitsPerSecond int) {
	if old := sub.target.Swap(int64(bitsPerSecond)); old != int64(bitsPerSecond) {
		sub.stream.poke()
	}
}

// Prefer says which preset the viewer wants, and at most how many pictures a
// second (0: no cap). A stream's preset is the most economical of those who watch
// it, its cap the highest of theirs. Who wants another cap than they has a stream of
// his own from a Hub: see Hub.Suits.
func (sub *Subscription) Prefer(p Preset, fps int) { sub.stream.prefer(sub, p, fps) }

// Done is closed when no more frames will come: Close, an error of the sink, or
// the end of the stream.
func (sub *Subscription) Done() <-chan struct{} { return sub.done }

// Err is why, once Done is closed: nil after Close.
func (sub *Subscription) Err() error {
	sub.mu.Lock()
	defer sub.mu.Unlock()
	return sub.err
}

// Close ends the subscription. When it returns the sink is not called any more.
// Do not call it from WriteFrame. It may be called more than once.
func (sub *Subscription) Close() error {
	sub.close(nil)
	<-sub.ended
	return nil
}

func (sub *Subscription) close(err error) {
	sub.end(err)
	sub.stream.remove(sub)
	sub.release()
}

// end says that no more frames come.
func (sub *Subscription) end(err error) {
	sub.finish.Do(func() {
		sub.mu.Lock()
		sub.err = err
		sub.mu.Unlock()
		close(sub.done)
	})
}

// release tells the hub that the stream does not run for sub any more.
func (sub *Subscription) release() {
	if sub.onEnd != nil {
		sub.forget.Do(sub.onEnd)
	}
}
