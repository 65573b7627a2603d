package session

import (
	"fmt"
	"log/slog"
	"sync"
	"time"

	orielv1 "oriel/protocol/oriel/v1"
)

// session is one operator's session. Its peer connections come and go; run is
// the one goroutine that decides when it is over.
type session struct {
	h        *Host
	id       string
	operator string // the id of who opened it
	issued   int64  // protected by mu; the newest grant or supplement, by the relay's clock
	log      *slog.Logger
	wake     chan struct{} // capacity 1: run looks again
	over     chan struct{} // closed by the first end
	wg       sync.WaitGroup
	latency  latencyStats

	mu             sync.Mutex
	next           *peer // whose answer is being made
	peer           *peer // whose answer was sent
	ending         *orielv1.SessionEnded
	connectedAt    time.Time // the first time
	deadline       time.Time // zero while connected
	sent, received uint64    // by peer connections that are gone

	told      *peer // what the last report was about; by run only
	toldOf    orielv1.Path
	toldCodec string
}

func newSession(h *Host, id string, g *orielv1.Grant) *session {
	return &session{
		h: h, id: id, operator: g.GetOperator().GetId(),
		log:      h.log.With("session", id),
		wake:     make(chan struct{}, 1),
		over:     make(chan struct{}),
		deadline: time.Now().Add(h.o.timing.connect),
	}
}

// offer begins to answer an offer, in a goroutine of its own. A newer offer
// overtakes one that is still being answered. Errors: errStale, of a grant that is
// older than what is in force.
func (s *session) offer(o *orielv1.Offer, g *orielv1.Grant) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.ending != nil:
		return nil
	case g.GetIssuedAt() < s.issued:
		return errStale
	}
	s.issued = g.GetIssuedAt()
	p := newPeer(s, o.GetAttempt(), g)
	s.next = p
	s.wg.Go(func() { s.answer(p, o) })
	return nil
}

func (s *session) answer(p *peer, o *orielv1.Offer) {
	answer, err := p.answer(o)
	s.mu.Lock()
	if s.ending != nil || s.next != p {
		s.mu.Unlock()
		p.close(nil)
		return
	}
	s.next = nil
	old := s.peer
	if err != nil {
		s.mu.Unlock()
		p.close(nil)
		r := refusalOf(err)
		s.log.Warn("offer not answered", "attempt", p.attempt, "error", err)
		if old == nil {
			s.end(r.reason, r.code, r.detail)
			return
		}
		s.h.send(&orielv1.SessionEnded{
			SessionId: s.id, Attempt: max(1, p.attempt), Reason: r.reason, Code: r.code, Detail: r.detail, EndedAt: time.Now().UnixMilli(),
		})
		return
	}
	s.peer = p
	s.deadline = time.Now().Add(s.h.o.timing.connect)
	if old != nil {
		sent, received := old.bytes()
		s.sent, s.received = s.sent+sent, s.received+received
	}
	s.mu.Unlock()
	if old != nil {
		s.log.Info("peer connection replaced", "attempt", p.attempt, "was", old.attempt)
		old.close(nil)
	}
	s.h.send(answer)
	p.answered()
	s.poke()
}

// candidate hands a candidate to the peer connection that it is for.
func (s *session) candidate(c *orielv1.Candidate) {
	s.mu.Lock()
	var to *peer
	for _, p := range []*peer{s.next, s.peer} {
		if p != nil && p.attempt == c.GetAttempt() && to == nil {
			to = p
		}
	}
	s.mu.Unlock()
	if to != nil {
		to.candidate(c)
	}
}

// end ends the session, once; it does not block.
func (s *session) end(reason orielv1.EndReason, code orielv1.Code, detail string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.endLocked(reason, code, detail)
}

func (s *session) endLocked(reason orielv1.EndReason, code orielv1.Code, detail string) { // mu is held
	if s.ending != nil {
		return
	}
	s.ending = &orielv1.SessionEnded{
		SessionId: s.id, Reason: reason, Code: code, Detail: detail, EndedAt: time.Now().UnixMilli(),
	}
	close(s.over)
}

// connected and lost are said by the peer connections.
func (s *session) connected(p *peer) {
	s.mu.Lock()
	if s.peer == p {
		s.deadline = time.Time{}
		if s.connectedAt.IsZero() {
			s.connectedAt = time.Now()
		}
	}
	s.mu.Unlock()
	s.poke()
}

func (s *session) lost(p *peer) {
	s.mu.Lock()
	if s.peer == p && s.deadline.IsZero() {
		s.deadline = time.Now().Add(s.h.o.timing.lost)
	}
	s.mu.Unlock()
	s.poke()
}

func (s *session) poke() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// current is the peer connection in use, nil where there is none.
func (s *session) current() *peer {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.peer
}

// stateChanged has the viewer sent what changed.
func (s *session) stateChanged() {
	if p := s.current(); p != nil {
		p.stateChanged()
	}
}

func (s *session) run() {
	report := time.NewTicker(s.h.o.timing.report)
	defer report.Stop()
	for {
		due := false
		select {
		case <-s.over:
			s.finish()
			return
		case <-s.wake:
		case <-report.C:
			due = true
		case <-s.late():
			s.tooLate()
			continue
		}
		s.report(due)
	}
}

// late fires when the deadline has passed.
func (s *session) late() <-chan time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.deadline.IsZero() {
		return nil
	}
	return time.After(time.Until(s.deadline))
}

func (s *session) tooLate() {
	s.mu.Lock()
	passed := !s.deadline.IsZero() && !time.Now().Before(s.deadline)
	never := s.connectedAt.IsZero()
	s.mu.Unlock()
	switch {
	case !passed:
	case never:
		s.end(orielv1.EndReason_END_REASON_TIMEOUT, orielv1.Code_CODE_UNAVAILABLE,
			fmt.Sprintf("no connection came about within %v", s.h.o.timing.connect))
	default:
		s.end(orielv1.EndReason_END_REASON_NETWORK, orielv1.Code_CODE_UNAVAILABLE,
			"the connection was lost and did not come back")
	}
}

// report tells the relay how the session goes: when it is due, and whenever the
// path or the codec is another.
func (s *session) report(due bool) {
	s.mu.Lock()
	p, since := s.peer, s.connectedAt
	sent, received := s.sent, s.received
	s.mu.Unlock()
	if p == nil || since.IsZero() || !p.isConnected() {
		return
	}
	path, codec := p.path(), p.sends()
	if p == s.told && path == s.toldOf && codec == s.toldCodec && !due {
		return
	}
	s.told, s.toldOf, s.toldCodec = p, path, codec
	more, less := p.bytes()
	s.log.Info("session runs", "path", path.String(), "codec", codec, "sent", sent+more, "received", received+less)
	s.h.send(&orielv1.SessionReport{
		SessionId: s.id, Path: path, Codec: codec, ConnectedAt: since.UnixMilli(),
		BytesSent: sent + more, BytesReceived: received + less, Delays: s.latency.means(),
	})
}

// finish says that the session is over, within a moment whatever the desktop
// and the viewer do, and then puts everything away.
func (s *session) finish() {
	s.h.remove(s)
	s.mu.Lock()
	p, end := s.peer, s.ending
	end.BytesSent, end.BytesReceived = s.sent, s.received
	s.mu.Unlock()
	if p != nil {
		sent, received := p.bytes()
		end.BytesSent += sent
		end.BytesReceived += received
		p.releaseWithin()
	}
	end.Delays = s.latency.means()
	s.log.Info("session ended", "reason", end.GetReason().String(), "code", end.GetCode().String(), "detail", end.GetDetail())
	s.h.send(end)
	if p != nil {
		p.close(&orielv1.Bye{Reason: end.GetReason(), Code: end.GetCode(), Detail: end.GetDetail()})
	}
	s.wg.Wait()
}
