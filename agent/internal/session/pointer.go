package session

import (
	"sync"

	"github.com/pion/webrtc/v4"

	orielv1 "oriel/protocol/oriel/v1"
)

// pointer is the newest move of one viewer that is not done yet. There is room
// for one: a desktop that is late goes straight to where the pointer is now.
type pointer struct {
	wake chan struct{} // capacity 1

	mu      sync.Mutex
	seen    bool
	seq     uint32 // the newest seen
	waiting *orielv1.PointerMove
}

// newer compares numbers that may wrap around.
func newer(a, b uint32) bool { return int32(a-b) > 0 }

// put keeps a move unless a newer one was seen.
func (p *pointer) put(m *orielv1.PointerMove) {
	p.mu.Lock()
	if p.seen && !newer(m.GetSeq(), p.seq) {
		p.mu.Unlock()
		return
	}
	p.seen, p.seq, p.waiting = true, m.GetSeq(), m
	p.mu.Unlock()
	select {
	case p.wake <- struct{}{}:
	default:
	}
}

// overtake drops every move older than a click's.
func (p *pointer) overtake(seq uint32) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.seen && !newer(seq, p.seq) {
		return
	}
	p.seen, p.seq, p.waiting = true, seq, nil
}

func (p *pointer) take() *orielv1.PointerMove {
	p.mu.Lock()
	defer p.mu.Unlock()
	m := p.waiting
	p.waiting = nil
	return m
}

// onPointer takes one message of the lossy channel. A malformed one is dropped
// and counted: on this channel a message may be lost anyway.
func (p *peer) onPointer(raw webrtc.DataChannelMessage) {
	m := &orielv1.PointerMove{}
	if raw.IsString || len(raw.Data) > maxPointer || orielv1.Decode(raw.Data, m) != nil {
		p.drop()
		return
	}
	if p.allowed(orielv1.Scope_SCOPE_CONTROL) {
		p.pointer.put(m)
	}
}

// movePointer does the moves until the peer is closed.
func (p *peer) movePointer() {
	for {
		select {
		case <-p.ctx.Done():
			return
		case <-p.pointer.wake:
		}
		if m := p.pointer.take(); m != nil {
			if err := p.s.h.input.move(&p.holder, m.GetX(), m.GetY()); err != nil {
				p.s.log.Debug("move refused by the desktop", "attempt", p.attempt, "error", err)
			}
		}
	}
}

// drop counts a message that is of no use.
func (p *peer) drop() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.dropped++
}
