package session

import (
	"context"
	"fmt"
	"slices"
	"sync"

	"github.com/pion/webrtc/v4"

	"oriel/agent/internal/channel"
	orielv1 "oriel/protocol/oriel/v1"
)

// channelProtocol is the subprotocol all channels are opened with.
const channelProtocol = "oriel.v1"

const (
	maxChannels = 16 // of the registered kinds, open at a time
	// maxStreams is how many data channels there may be at a time, ours and those that
	// are refused and not closed by the viewer yet included. Who has more open than any
	// viewer of ours ends the session.
	maxStreams = 64
	maxLabel   = 64 // bytes
)

// The channels that are the session's own. They are no kinds of package channel: a move
// replaces an older one instead of waiting for it, a burst of keys slows its viewer down
// instead of ending the channel, and the end of control releases what is held.
const (
	labelControl = "control"
	labelPointer = "pointer"
	labelAgain   = "again"
)

// registry is the kinds of channel that a viewer may open beside the session's own. They
// run where the peer connection lives, which is the desktop's process: nothing of them
// passes the pipe to the service.
type registry map[string]channel.Channel

// newRegistry panics for kinds that cannot be told apart, as http.ServeMux does.
func newRegistry(kinds []channel.Channel) registry {
	r := make(registry)
	for _, k := range kinds {
		l := k.Label()
		if l == "" || len(l) > maxLabel || r[l] != nil || l == labelControl || l == labelPointer || l == labelAgain {
			panic(fmt.Sprintf("session: channel label %q is taken, empty or too long", l))
		}
		r[l] = k
	}
	return r
}

// knows reports whether anything here does what a scope is about.
func (r registry) knows(s orielv1.Scope) bool {
	if s == orielv1.Scope_SCOPE_VIEW || s == orielv1.Scope_SCOPE_CONTROL {
		return true
	}
	for _, k := range r {
		if slices.Contains(k.Scopes(), s) {
			return true
		}
	}
	return false
}

// channels is the data channels that one peer connection has open.
type channels struct {
	mu      sync.Mutex
	streams int                                 // all
	serving map[*opened]context.CancelCauseFunc // of registered kinds
	refused int
}

// opened is one channel of a registered kind.
type opened struct {
	kind channel.Channel
	dc   *webrtc.DataChannel
}

// missing is the first scope that a kind needs and the session does not have.
func (p *peer) missing(k channel.Channel) (orielv1.Scope, bool) {
	for _, s := range k.Scopes() {
		if !p.may(s) {
			return s, true
		}
	}
	return 0, false
}

// lacking is why a kind may not be open without a scope.
func lacking(s orielv1.Scope) *channel.Fault {
	return &channel.Fault{Code: orielv1.Code_CODE_SCOPE, Scope: s,
		Detail: "this session does not have the right to that; ask who manages this computer for it"}
}

// room is how much each channel may have under way.
func (c *channels) room() uint64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return channel.Room(len(c.serving))
}

// logRefused writes one line about all that were refused: a viewer may open many.
func (c *channels) logRefused(p *peer) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.refused > 0 {
		p.s.log.Warn("channels refused", "attempt", p.attempt, "count", c.refused)
	}
}

// pipe is a detached data channel.
type pipe struct {
	*webrtc.DataChannel
	reader interface {
		ReadDataChannel(b []byte) (int, bool, error)
	}
}

func (p pipe) ReadDataChannel(b []byte) (int, bool, error) { return p.reader.ReadDataChannel(b) }

// channel takes a data channel that the viewer opened. Its label is whatever the viewer
// likes: it is looked up and nothing else. A channel counts, and has a place, from when it
// is open.
func (p *peer) channel(dc *webrtc.DataChannel) {
	if !p.authenticated() {
		return
	}
	dc.OnOpen(func() { // before, it cannot be detached
		p.mu.Lock()
		defer p.mu.Unlock()
		if p.closed {
			return
		}
		raw, err := dc.DetachWithDeadline()
		if err != nil {
			p.s.log.Error("data channel not taken", "attempt", p.attempt, "error", err)
			return
		}
		p.wg.Go(func() { p.guard(func() { p.serve(pipe{dc, raw}) }) })
	})
}

// serve serves an open channel until the viewer has closed it.
func (p *peer) serve(d pipe) {
	c := &p.channels
	c.mu.Lock()
	c.streams++
	n := c.streams
	c.mu.Unlock()
	defer func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.streams--
	}()
	if n > maxStreams {
		p.releaseAll(true)
		p.s.end(orielv1.EndReason_END_REASON_FAILED, orielv1.Code_CODE_INVALID, "the viewer opened too many channels")
		return
	}
	serve := p.own(d.DataChannel)
	if serve == nil {
		serve = p.kind(d.DataChannel)
	}
	serve(d)
}

// own is how one of the session's own channels is served, nil where it is none.
func (p *peer) own(dc *webrtc.DataChannel) func(pipe) {
	if dc.Protocol() != channelProtocol {
		return nil
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	switch l := dc.Label(); {
	case l == labelControl && p.control == nil && dc.Ordered():
		p.control = dc
		return func(d pipe) {
			p.wg.Go(func() { p.guard(p.stateSync) })
			p.listen(d, p.onControl)
			// A viewer that cannot be heard any more holds nothing.
			p.releaseAll(true)
			p.s.lost(p)
		}
	case l == labelPointer && p.moves == nil:
		p.moves = dc
		return func(d pipe) {
			p.wg.Go(func() { p.guard(p.movePointer) })
			p.listen(d, p.onPointer)
		}
	case l == labelAgain && p.redundant == nil:
		p.redundant = dc
		return func(d pipe) { p.listen(d, p.onRedundant) }
	}
	return nil
}

// listen hands on what comes until the viewer closes the channel. It is the channel's
// reader that acts, so that a slow desktop slows down the viewer who uses it and nobody
// else. The bytes are the next message's when take returns.
func (p *peer) listen(d pipe, take func(webrtc.DataChannelMessage)) {
	buf := make([]byte, channel.MaxMessage)
	for {
		n, text, err := d.ReadDataChannel(buf)
		if err != nil {
			if n > 0 { // longer than any message is
				p.refuseMessage()
			}
			return
		}
		p.guard(func() { take(webrtc.DataChannelMessage{Data: buf[:n], IsString: text}) })
	}
}

// kind is how a channel of a registered kind is served: by the kind, or with the reason
// why not.
func (p *peer) kind(dc *webrtc.DataChannel) func(pipe) {
	k := p.s.h.kinds[dc.Label()]
	ctx, leave, why := p.admit(k, dc)
	if why != nil {
		return func(d pipe) { channel.Refuse(d, why) }
	}
	return func(d pipe) {
		defer leave()
		channel.Serve(ctx, k, d, channel.Options{Room: p.channels.room, May: p.may, Logger: p.s.log})
	}
}

// admit gives a channel its place, or says why it has none. A scope that is taken away
// ends ctx.
func (p *peer) admit(k channel.Channel, dc *webrtc.DataChannel) (ctx context.Context, leave func(), why *channel.Fault) {
	c := &p.channels
	c.mu.Lock()
	defer c.mu.Unlock()
	defer func() {
		if why != nil {
			c.refused++
		}
	}()
	if k == nil || dc.Protocol() != channelProtocol {
		return nil, nil, &channel.Fault{Code: orielv1.Code_CODE_UNIMPLEMENTED,
			Detail: "this computer's agent cannot do that; update it"}
	}
	if !dc.Ordered() || dc.MaxRetransmits() != nil || dc.MaxPacketLifeTime() != nil {
		return nil, nil, &channel.Fault{Code: orielv1.Code_CODE_INVALID,
			Detail: "the channel was opened in a way that may lose data; reload the page"}
	}
	if s, lacks := p.missing(k); lacks {
		return nil, nil, lacking(s)
	}
	if len(c.serving) >= maxChannels {
		return nil, nil, &channel.Fault{Code: orielv1.Code_CODE_BUSY,
			Detail: fmt.Sprintf("%d things are open in this session already; close one first", maxChannels)}
	}
	ctx, end := context.WithCancelCause(p.ctx)
	o := &opened{k, dc}
	if c.serving == nil {
		c.serving = make(map[*opened]context.CancelCauseFunc)
	}
	c.serving[o] = end
	return ctx, func() {
		end(nil)
		c.mu.Lock()
		defer c.mu.Unlock()
		delete(c.serving, o)
	}, nil
}

// endLacking ends the channels whose scopes the session does not have any more.
func (p *peer) endLacking() {
	c := &p.channels
	c.mu.Lock()
	defer c.mu.Unlock()
	for o, end := range c.serving {
		if s, lacks := p.missing(o.kind); lacks {
			end(lacking(s))
		}
	}
}
