package share

import (
	"container/list"
	"context"
	"errors"
	"log/slog"
	"net/netip"
	"sync"
)

// ErrBusy: one that waited gave its place to a newcomer.
var ErrBusy = errors.New("too many wait; try again in a moment")

// Queue lets a few work at once while others wait their turn. Those of one rank
// are served before those of the next; within each, networks (IPv4 /32,
// IPv6 /48) take turns, so that one that sends many waits for itself. Where a
// share or the whole of the waiting is full, the oldest of the undecided gives
// up its place; who works has decided.
type Queue struct {
	places *Places

	mu    sync.Mutex
	free  int          // protected by mu; nobody waits while there is one
	lines [ranks]turns // protected by mu
}

// Rank is who is served before whom.
type Rank int

// Ranks, the first to be served first.
const (
	Known Rank = iota // has been here before
	Fresh             // of a network that has hardly asked yet
	Rest              // of one that asks and asks
	ranks = iota
)

// NewQueue lets atOnce work. The bound is of those who work or wait.
func NewQueue(name string, atOnce int, b Bound, log *slog.Logger) *Queue {
	return &Queue{places: New(name, b, log), free: atOnce}
}

// turns are who waits, by network.
type turns struct {
	order list.List // of *line; the next network first
	lines map[netip.Prefix]*list.Element
}

type line struct {
	net     netip.Prefix
	waiting list.List // of chan struct{}
}

func turnOf(a netip.Addr) netip.Prefix {
	if all := networks(a); len(all) > 0 {
		return all[len(all)-1].prefix
	}
	return netip.Prefix{}
}

// join puts a waiter at the end of its network's line.
func (t *turns) join(net netip.Prefix, ready chan struct{}) (leave func()) {
	if t.lines == nil {
		t.lines = map[netip.Prefix]*list.Element{}
	}
	e := t.lines[net]
	if e == nil {
		e = t.order.PushBack(&line{net: net})
		t.lines[net] = e
	}
	l := e.Value.(*line)
	at := l.waiting.PushBack(ready)
	return func() {
		l.waiting.Remove(at)
		t.tidy(l)
	}
}

// next takes out who is to work now; nil: nobody waits.
func (t *turns) next() chan struct{} {
	e := t.order.Front()
	if e == nil {
		return nil
	}
	l := e.Value.(*line)
	ready := l.waiting.Remove(l.waiting.Front()).(chan struct{})
	t.order.MoveToBack(e)
	t.tidy(l)
	return ready
}

func (t *turns) tidy(l *line) {
	if e := t.lines[l.net]; l.waiting.Len() == 0 && e != nil && e.Value.(*line) == l {
		t.order.Remove(e)
		delete(t.lines, l.net)
	}
}

// Enter waits for a turn.
// leave ends its work. Errors: ErrBusy, ctx's.
func (q *Queue) Enter(ctx context.Context, a netip.Addr, rank Rank) (leave func(), err error) {
	out := make(chan struct{})
	place := q.places.Take(a, func() { close(out) })
	if place == nil {
		return nil, ErrBusy
	}
	ready := make(chan struct{})
	q.mu.Lock()
	var leaveLine func()
	if q.free > 0 {
		q.free--
		close(ready)
	} else {
		leaveLine = q.lines[rank].join(turnOf(a), ready)
	}
	q.mu.Unlock()
	select {
	case <-ready:
	case <-out:
		err = ErrBusy
	case <-ctx.Done():
		err = ctx.Err()
	}
	if err == nil && !place.Decide() {
		err = ErrBusy
	}
	done := sync.OnceFunc(func() {
		place.Leave()
		q.done()
	})
	if err == nil {
		return done, nil
	}
	q.mu.Lock()
	select {
	case <-ready: // its turn came meanwhile: the next one's
		q.mu.Unlock()
		done()
	default:
		leaveLine()
		q.mu.Unlock()
		place.Leave()
	}
	return nil, err
}

// done gives the turn to the next.
func (q *Queue) done() {
	q.mu.Lock()
	defer q.mu.Unlock()
	for i := range q.lines {
		if next := q.lines[i].next(); next != nil {
			close(next)
			return
		}
	}
	q.free++
}

// Places of who works or waits.
func (q *Queue) Places() *Places { return q.places }
