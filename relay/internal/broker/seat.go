package broker

import (
	"context"
	"errors"
	"time"

	"google.golang.org/protobuf/proto"

	orielv1 "oriel/protocol/oriel/v1"
	"oriel/relay/internal/access"
	"oriel/relay/internal/bus"
	"oriel/relay/internal/fault"
	"oriel/relay/internal/journal"
	"oriel/relay/internal/rights"
	"oriel/relay/internal/store"
)

// # Announcing
//
// A page in which somebody presses on a link says PrepareSession, before the tab that
// opens can say anything. Whoever may connect has it passed on to the computer, which
// makes its first picture meanwhile. Nothing is kept of it here, and nothing is
// answered: what is wrong is said to OpenSession.

// Tab is a console's tab. Send does not block.
type Tab interface {
	ID() string
	Who() access.Identity
	Send(*orielv1.ToConsole)
}

// Seat is a tab's place at the broker. Its methods are called one at a time,
// by who reads from the tab.
type Seat struct {
	b        *Broker
	tab      Tab
	ticket   Credit              // that it was told last
	requests map[uint32]*request // protected by b.mu; by attempt, as long as their session is this seat's
	left     bool                // protected by b.mu
}

// live is a session whose tab is, or just was, on this node.
type live struct {
	store.Ref // of the session
	computer  store.Ref
	ready     chan struct{} // closed when sub is there
	sub       *bus.Subscription

	// Protected by Broker.mu.
	held
	told  *time.Time  // until when the agent knows that it may go on; nil: this node said nothing of that
	seat  *Seat       // nil: the tab is gone, TabGrace runs
	grace *time.Timer // while seat is nil
}

// held is what a tab has of a session.
type held struct {
	attempt uint32   // of the peer connection that counts
	any     bool     // attached: the attempt is not known
	request *request // that the attempt came by; nil: attached
}

// resumed reports whether the attempt replaces one that another sign-in may carry.
func (h held) resumed() bool { return h.request != nil && h.request.session != "" }

// Join gives a tab its seat. Leave is to be called when the tab is gone.
func (b *Broker) Join(t Tab) *Seat {
	return &Seat{b: b, tab: t, requests: make(map[uint32]*request)}
}

func (s *Seat) problem(ask, attempt uint32, session string, err error) {
	why := fault.Of(err)
	if why == fault.ErrInternal {
		s.b.o.Log.Error("session", "session", session, "err", err)
	}
	s.tab.Send(&orielv1.ToConsole{Body: &orielv1.ToConsole_Problem{Problem: &orielv1.Problem{
		Attempt: attempt, SessionId: session, Code: why.Wire(), Detail: why.Error(), ReplyTo: ask}}})
}

// Candidate passes a candidate on to the computer, or keeps it until the
// request that it belongs to is forwarded. One that belongs to nothing of this
// tab's is dropped.
func (s *Seat) Candidate(c *orielv1.Candidate) {
	s.b.mu.Lock()
	var l *live
	r := s.requests[c.GetAttempt()]
	if id := c.GetSessionId(); id != "" {
		if l = s.b.sessions[id]; l != nil && (l.seat != s || !l.any && l.attempt != c.GetAttempt()) {
			l = nil
		}
		if r != nil && r.live != l {
			r = nil
		}
	} else if r != nil {
		l = r.live
	}
	if r != nil && (r.live == nil || r.grant != nil) && len(r.early) < MaxCandidates {
		r.early = append(r.early, proto.CloneOf(c))
	}
	s.b.mu.Unlock()
	if l != nil {
		s.b.candidate(l, c)
	}
}

func (b *Broker) candidate(l *live, c *orielv1.Candidate) {
	c = proto.CloneOf(c)
	c.SessionId = l.ID
	b.tell(l.computer.ID, &orielv1.ToAgent{Body: &orielv1.ToAgent_Candidate{Candidate: c}})
}

// Close ends a session of this person: the operator's disconnect. Without a
// session it takes back the request of that attempt.
func (s *Seat) Close(ctx context.Context, session string, attempt, ask uint32) {
	if session == "" {
		if session = s.withdraw(attempt); session == "" {
			return
		}
	}
	e, err := s.own(ctx, session)
	if err == nil {
		err = s.b.end(ctx, e.Ref(), orielv1.EndReason_END_REASON_OPERATOR, 0, "")
	}
	if err != nil && !errors.Is(err, store.ErrEnded) {
		s.problem(ask, 0, session, err)
	}
}

// withdraw takes a request back, or returns the session that it became.
func (s *Seat) withdraw(attempt uint32) (session string) {
	s.b.mu.Lock()
	defer s.b.mu.Unlock()
	r := s.requests[attempt]
	if r == nil {
		return ""
	}
	if r.live != nil {
		return r.live.ID
	}
	delete(s.b.waiting, r) // whoever tries it just now ends what comes of it
	delete(s.requests, attempt)
	return ""
}

// own is the running session of that id, if it is this person's. Errors:
// store.ErrEnded, and store.ErrNotFound also for another person's.
func (s *Seat) own(ctx context.Context, session string) (journal.Carried, error) {
	e, err := s.b.o.Journal.Find(ctx, s.tab.Who().Of(session))
	switch {
	case err != nil:
		return journal.Carried{}, err
	case e.GetOperatorId() != s.tab.Who().PersonID:
		return journal.Carried{}, store.ErrNotFound
	case e.GetEndedAt() != 0:
		return e, store.ErrEnded
	}
	return e, nil
}

// Attach lets a running session of this person find its tab again.
func (s *Seat) Attach(ctx context.Context, session string, ask uint32) {
	e, err := s.own(ctx, session)
	if errors.Is(err, store.ErrEnded) {
		s.tab.Send(endedMessage(e.JournalEntry))
		return
	}
	if err == nil {
		err = s.b.o.Access.Require(ctx, s.tab.Who(), rights.Connect, access.Computer(e.GetComputerId()))
	}
	if err == nil {
		_, err = s.b.hold(s, e, held{any: true})
	}
	if err != nil {
		s.problem(ask, 0, session, err)
	}
}

// hold makes the session that of seat s, whoever had it before.
func (b *Broker) hold(s *Seat, e journal.Carried, h held) (*live, error) {
	subject, err := bus.Session(e.GetSessionId())
	if err != nil {
		return nil, store.ErrNotFound
	}
	l := &live{Ref: e.Ref(), computer: e.Computer(), seat: s, held: h, ready: make(chan struct{})}
	if l.sub, err = b.o.Bus.Subscribe(subject, func(m *orielv1.BusMessage, _ bus.Reply) { b.fromBus(l, m.GetSession()) }); err != nil {
		return nil, err
	}
	close(l.ready)
	b.mu.Lock()
	before := b.sessions[l.ID]
	b.sessions[l.ID] = l
	var other *Seat
	if before != nil {
		other = before.seat
		before.seat = nil
		before.stop()
	}
	for number, r := range s.requests {
		if r.live != nil && r.live.ID == l.ID && number != h.attempt {
			delete(s.requests, number)
		}
	}
	left := s.left
	b.mu.Unlock()
	if before != nil {
		before.sub.Close()
	}
	if other != nil && other != s {
		other.taken(l.ID)
	}
	err = b.o.Bus.Publish(subject, &orielv1.BusMessage{Body: &orielv1.BusMessage_Session{Session: &orielv1.BusSession{
		ComputerId: l.computer.ID, Body: &orielv1.BusSession_Taken{Taken: &orielv1.BusTaken{Tab: s.tab.ID()}}}}})
	if err != nil {
		b.drop(l)
		return nil, err
	}
	if h.request == nil || h.resumed() {
		b.attend(l.Ref, true)
	}
	if left { // it went while this was under way
		b.abandon(l)
	}
	return l, nil
}

// attend notes whether a tab has a session.
func (b *Broker) attend(session store.Ref, yes bool) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	if err := b.o.Journal.Attend(ctx, session, yes); err != nil {
		b.o.Log.Warn("not noted whether a tab has a session", "session", session.ID, "err", err)
	}
}

func (s *Seat) taken(session string) {
	s.tab.Send(&orielv1.ToConsole{Body: &orielv1.ToConsole_Problem{Problem: &orielv1.Problem{
		SessionId: session, Code: errMoved.Wire(), Detail: errMoved.Error()}}})
}

// stop ends the grace timer; Broker.mu is held.
func (l *live) stop() {
	if l.grace != nil {
		l.grace.Stop()
		l.grace = nil
	}
}

// drop forgets that l is here; it says nothing about the session.
func (b *Broker) drop(l *live) {
	b.mu.Lock()
	b.forget(l)
	b.mu.Unlock()
	l.sub.Close()
}

// forget takes l out of what is known; b.mu is held.
func (b *Broker) forget(l *live) {
	if b.sessions[l.ID] == l {
		delete(b.sessions, l.ID)
	}
	l.stop()
	if l.seat != nil {
		for number, r := range l.seat.requests {
			if r.live == l {
				delete(l.seat.requests, number)
			}
		}
		l.seat = nil
	}
}

// Leave gives the seat up: the tab's connection ended.
func (s *Seat) Leave() {
	b := s.b
	b.mu.Lock()
	s.left = true
	for r := range b.waiting {
		if r.seat == s {
			delete(b.waiting, r)
		}
	}
	var mine []*live
	for _, l := range b.sessions {
		if l.seat == s {
			mine = append(mine, l)
		}
	}
	b.mu.Unlock()
	for _, l := range mine {
		b.abandon(l)
	}
}

// abandon lets a session go on without its tab for a while.
func (b *Broker) abandon(l *live) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.sessions[l.ID] != l {
		return
	}
	l.seat = nil
	l.stop()
	l.grace = time.AfterFunc(b.o.Grace, func() { b.graceOver(l) })
}

func (b *Broker) graceOver(l *live) {
	b.mu.Lock()
	current := b.sessions[l.ID] == l && l.seat == nil
	b.mu.Unlock()
	if !current {
		return
	}
	b.drop(l)
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	e, err := b.o.Journal.Get(ctx, l.Ref)
	if err == nil && e.GetEndedAt() == 0 && e.GetConnectedAt() == 0 {
		err = b.end(ctx, l.Ref, orielv1.EndReason_END_REASON_TIMEOUT, 0, "the operator's window was closed before the session connected")
	} else if err == nil && e.GetEndedAt() == 0 {
		b.attend(l.Ref, false)
	}
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		b.o.Log.Warn("session of a tab that is gone", "session", l.ID, "err", err)
	}
}

// Close lets go of all sessions on this node without ending one: the node
// stops, and their tabs will find another.
func (b *Broker) Close() {
	b.mu.Lock()
	var all []*live
	for _, l := range b.sessions {
		all = append(all, l)
	}
	clear(b.waiting)
	b.mu.Unlock()
	for _, l := range all {
		b.drop(l)
	}
}
