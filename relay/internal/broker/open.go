package broker

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"time"

	"google.golang.org/protobuf/proto"

	orielv1 "oriel/protocol/oriel/v1"
	"oriel/protocol/sanitize"
	"oriel/protocol/trust"
	"oriel/relay/internal/access"
	"oriel/relay/internal/bus"
	"oriel/relay/internal/fault"
	"oriel/relay/internal/fleet"
	"oriel/relay/internal/journal"
	"oriel/relay/internal/policy"
	"oriel/relay/internal/rights"
	"oriel/relay/internal/store"
)

// request is one OpenSession.
type request struct {
	seat        *Seat
	attempt     uint32
	computer    store.Ref
	ask         uint32 // FromConsole.id
	scopes      []orielv1.Scope
	needs       rights.Permission
	sdp         string
	fingerprint []byte
	session     string         // to go on with; empty: a new one
	fewer       bool           // scopes than the session has; the row says so once the agent has answered
	ticket      Credit         // of the tab's ICE credentials; zero: none
	first       *fleet.Opening // as the request came, for its first try; nil: read anew

	// Protected by Broker.mu.
	told  bool                 // that it waits
	apart bool                 // told that the computer is connected to a node out of reach
	again bool                 // the computer came while it was being tried
	early []*orielv1.Candidate // until the answer
	live  *live                // once it is forwarded
	grant *orielv1.Grant       // once it is forwarded, until the answer
	anew  bool                 // the grant was signed a second time
}

// Open opens a session, or goes on with one. What comes of it the tab is told:
// SessionOpened, SessionWaiting or Problem.
func (s *Seat) Open(ctx context.Context, m *orielv1.OpenSession, ask uint32) {
	r := &request{seat: s, ask: ask, attempt: m.GetAttempt(), computer: s.tab.Who().Of(m.GetComputerId()), scopes: m.Asks(),
		sdp: m.GetSdp(), session: m.GetSessionId()}
	if c, ok := s.ticketFor(m); ok {
		r.ticket = c
		defer s.sendICE() // for the next
	}
	if err := s.accept(ctx, r); err != nil {
		s.problem(r.ask, r.attempt, r.session, err)
		return
	}
	s.b.try(ctx, r)
}

// sendICE names the servers anew, after the ticket before was used.
func (s *Seat) sendICE() {
	servers, expires := s.ICE()
	s.tab.Send(&orielv1.ToConsole{Body: &orielv1.ToConsole_IceServers{IceServers: &orielv1.IceServers{IceServers: servers, IceExpiresAt: expires}}})
}

// Prepare tells a computer that a session of this person with it is about to be
// opened, if it may be. What is wrong the tab is told when it opens one.
func (s *Seat) Prepare(ctx context.Context, computer string) {
	who := s.tab.Who()
	if s.b.o.Access.May(ctx, who, rights.Connect, access.Computer(computer)) != nil {
		return
	}
	if _, err := s.b.o.Fleet.Record(ctx, who.Of(computer)); err != nil {
		return // of another organization, perhaps
	}
	s.b.tell(computer, &orielv1.ToAgent{Body: &orielv1.ToAgent_Prepare{Prepare: &orielv1.Prepare{}}})
}

// accept checks what can be checked now, and lets r wait.
func (s *Seat) accept(ctx context.Context, r *request) (err error) {
	b := s.b
	if r.needs, err = needs(r.scopes); err != nil {
		return err
	}
	if of, _ := b.tickets.get(r.ticket); of.session != "" && of.session != r.session {
		return errTicket
	}
	if r.sdp, r.fingerprint, err = trust.SealOwn(r.sdp); err != nil {
		return fmt.Errorf("%w: %w", errOffer, err)
	}
	if err := b.o.Access.Require(ctx, s.tab.Who(), r.needs, access.Computer(r.computer.ID)); err != nil {
		return err
	}
	first, err := b.o.Fleet.Opening(ctx, r.computer, s.tab.Who().PersonID)
	if err == nil {
		err = served(first.Record, r.scopes)
	}
	if err == nil {
		_, err = b.demanded(ctx, first, r.scopes)
	}
	if err != nil {
		return err
	}
	if r.session == "" && first.Running >= MaxSessions {
		return errBusy
	}
	r.first = &first
	b.mu.Lock()
	defer b.mu.Unlock()
	if s.left {
		return store.ErrNotFound
	}
	mine := 0
	for w := range b.waiting {
		if w.seat != s {
			continue
		}
		if w.computer == r.computer || w.attempt == r.attempt { // the newer one counts
			delete(b.waiting, w)
			delete(s.requests, w.attempt)
			b.tickets.drop(w.ticket)
			continue
		}
		mine++
	}
	if mine >= MaxWaiting || len(s.requests) >= MaxWaiting+MaxSessions {
		return errBusy
	}
	b.waiting[r] = false
	s.requests[r.attempt] = r
	return nil
}

// allowed asks access whether what was required as the request came still holds
// as it is forwarded, which may be much later, and knows the computer.
func (b *Broker) allowed(ctx context.Context, r *request) (fleet.Opening, error) {
	who := r.seat.tab.Who()
	if err := b.o.Access.May(ctx, who, r.needs, access.Computer(r.computer.ID)); err != nil {
		return fleet.Opening{}, err
	}
	o, err := b.o.Fleet.Opening(ctx, r.computer, who.PersonID)
	if err == nil {
		err = served(o.Record, r.scopes)
	}
	if err == nil {
		_, err = b.demanded(ctx, o, r.scopes)
	}
	return o, err
}

// allowance is what somebody may have with a computer.
type allowance struct {
	until  time.Time       // by their rights, if no change comes; zero: that is not near
	policy policy.Settings // of the computer
	err    error           // none
}

// may is the question of every session while it runs. some knows of which organizations
// there are policies, and learns it; nil: they are read.
func (b *Broker) may(ctx context.Context, who access.Identity, computer store.Ref, scopes []orielv1.Scope, some map[store.OrganizationID]bool) (a allowance) {
	permission, err := needs(scopes)
	if err == nil {
		a.until, err = b.o.Access.MayUntil(ctx, who, permission, access.Computer(computer.ID))
	}
	if err != nil {
		return allowance{err: err}
	}
	c, err := b.o.Fleet.Record(ctx, computer)
	if err == nil && c.Blocked {
		err = fleet.ErrBlocked
	}
	if err == nil {
		a.policy, err = b.policyOf(ctx, computer, some)
	}
	a.err = err
	return a
}

// try forwards r if its computer is there, or leaves it waiting. One goroutine
// at a time works on a request.
func (b *Broker) try(ctx context.Context, r *request) {
	b.mu.Lock()
	if busy, waits := b.waiting[r]; busy || !waits {
		r.again = true
		b.mu.Unlock()
		return
	}
	b.waiting[r] = true
	b.mu.Unlock()
	for {
		err := b.attempt(ctx, r)
		apart := errors.Is(err, fleet.ErrOffline) && b.connected(ctx, r.computer)
		b.mu.Lock()
		_, waits := b.waiting[r]
		if !waits || !errors.Is(err, fleet.ErrOffline) {
			delete(b.waiting, r)
			if err != nil && r.seat.requests[r.attempt] == r {
				delete(r.seat.requests, r.attempt)
			}
			l := r.live
			b.mu.Unlock()
			switch {
			case err != nil && waits:
				r.seat.problem(r.ask, r.attempt, r.session, err)
			case err == nil && !waits && r.session == "":
				b.unwanted(ctx, l)
			}
			return
		}
		// Not there. Once it is noted that r waits, the computer may have come
		// unnoticed: look once more then, and whenever it came meanwhile.
		first := !r.told
		once, news := (first || r.again) && ctx.Err() == nil, first || apart != r.apart
		r.told, r.again, r.apart = true, false, apart
		if !once {
			b.waiting[r] = false
		}
		b.mu.Unlock()
		if first {
			b.holdTicket(r, "")
		}
		if news {
			r.seat.tab.Send(&orielv1.ToConsole{Body: &orielv1.ToConsole_SessionWaiting{
				SessionWaiting: &orielv1.SessionWaiting{Attempt: r.attempt, ComputerId: r.computer.ID, Unreachable: apart}}})
		}
		if !once {
			return
		}
	}
}

// connected reports whether the list shows a computer as connected, though
// nobody answered for it.
func (b *Broker) connected(ctx context.Context, computer store.Ref) bool {
	c, err := b.o.Fleet.Get(ctx, computer)
	return err == nil && (c.GetStatus() == orielv1.Computer_STATUS_ONLINE || c.GetStatus() == orielv1.Computer_STATUS_IN_SESSION)
}

// unwanted ends a session whose tab left, or asked anew, while it was opened.
func (b *Broker) unwanted(ctx context.Context, l *live) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	if err := b.end(ctx, l.Ref, orielv1.EndReason_END_REASON_OPERATOR, 0, ""); err != nil {
		b.o.Log.Warn("session not ended", "session", l.ID, "err", err)
	}
}

// attempt forwards r now. Errors: fleet.ErrOffline when the computer is not
// there; any other ends the request.
func (b *Broker) attempt(ctx context.Context, r *request) error {
	computer, err := b.reach(ctx, r)
	if err != nil {
		return err
	}
	e, err := b.begin(ctx, r, computer.Record)
	if err != nil {
		return err
	}
	l, err := b.hold(r.seat, e, held{attempt: r.attempt, request: r})
	if err != nil {
		return b.failed(ctx, r, e, nil, err)
	}
	g := b.grant(r, e.JournalEntry, computer.Record, b.issued.next(b.o.Now()))
	if err := b.limit(ctx, r, g, computer, e.JournalEntry); err != nil {
		return b.failed(ctx, r, e, l, err)
	}
	b.mu.Lock()
	r.grant = g
	b.mu.Unlock()
	// Told first, because the answer may be quick.
	r.seat.tab.Send(&orielv1.ToConsole{Body: &orielv1.ToConsole_SessionOpened{SessionOpened: &orielv1.SessionOpened{
		SessionId: l.ID, Attempt: r.attempt, ComputerKey: computer.Key, Nonce: g.GetNonce(), Scopes: g.GetScopes(), KnownKey: computer.KnownKey}}})
	if err := b.offer(ctx, r, l.ID, g); err != nil {
		return b.failed(ctx, r, e, l, away(err))
	}
	b.mu.Lock()
	early := slices.Clone(r.early)
	r.live = l
	if b.sessions[l.ID] != l && r.seat.requests[r.attempt] == r { // it ended meanwhile
		delete(r.seat.requests, r.attempt)
	}
	b.mu.Unlock()
	b.holdTicket(r, l.ID) // of one that nobody was offered it would be over
	for _, c := range early {
		b.candidate(l, c)
	}
	return nil
}

// reach knows the computer of r and that it is there. The first time presence vouches
// for it, so that nothing but the offer travels; where it does not, and later, when it
// may have been wrong, the computer is asked. Errors: fleet.ErrOffline.
func (b *Broker) reach(ctx context.Context, r *request) (fleet.Opening, error) {
	first := r.first
	r.first = nil
	if first != nil && first.Online && b.o.Bus.Healthy() == nil {
		return *first, nil
	}
	if err := b.o.Fleet.Ask(ctx, r.computer.ID, nil, false); err != nil {
		return fleet.Opening{}, away(err)
	}
	return b.allowed(ctx, r)
}

// away is ErrOffline for what keeps this node from a computer: as far as it can tell now.
func away(err error) error {
	if errors.Is(err, fleet.ErrNoAnswer) || errors.Is(err, bus.ErrUnavailable) {
		return fleet.ErrOffline
	}
	return err
}

// agentICELife is how long an agent's credentials begin allocations; it gets new
// ones with every offer.
const agentICELife = time.Hour

// offer signs g and forwards r with it.
func (b *Broker) offer(ctx context.Context, r *request, session string, g *orielv1.Grant) error {
	signed, err := trust.SignGrant(b.o.Signer, g)
	if err != nil {
		return err
	}
	servers := b.o.ICE(r.computer.ID, SessionScope+session, b.o.Now().Add(agentICELife))
	return b.o.Fleet.Ask(ctx, r.computer.ID, &orielv1.ToAgent{Body: &orielv1.ToAgent_Offer{Offer: &orielv1.Offer{
		SessionId: session, Grant: signed, Sdp: r.sdp, IceServers: servers, Attempt: r.attempt}}}, false)
}

// untimely answers an agent that refused l's grant for its times, which it had
// in a suspend, or by a clock that it has set right meanwhile: once, the same
// grant is signed again, with fresh times and without what the session has not any
// more, before a person hears of it. The nonce stays, so that only one of the two can
// be used. It reports whether it was.
func (b *Broker) untimely(l *live, attempt uint32) bool {
	b.mu.Lock()
	r := l.request
	if l.seat == nil || r == nil || l.attempt != attempt || r.grant == nil || r.anew {
		b.mu.Unlock()
		return false
	}
	r.anew = true
	g, early := proto.CloneOf(r.grant), slices.Clone(r.early)
	b.mu.Unlock()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	now := b.issued.next(b.o.Now())
	g.IssuedAt, g.ExpiresAt = now.UnixMilli(), now.Add(trust.GrantLifetime).UnixMilli()
	computer, err := b.allowed(ctx, r)
	var e journal.Carried
	if err == nil {
		e, err = b.narrow(ctx, r, g)
	}
	if err == nil {
		err = b.limit(ctx, r, g, computer, e.JournalEntry)
	}
	if err == nil {
		err = b.offer(ctx, r, l.ID, g)
	}
	if err != nil {
		b.o.Log.Warn("grant not made anew", "session", l.ID, "err", err)
		return false
	}
	b.o.Log.Info("grant made anew: the computer took the first for untimely", "session", l.ID, "computer", l.computer.ID)
	for _, c := range early { // the agent had nothing to keep them for
		b.candidate(l, c)
	}
	return true
}

// narrow takes out of g what the session does not have any more. Errors: those of
// Seat.own, errMore where nothing is left.
func (b *Broker) narrow(ctx context.Context, r *request, g *orielv1.Grant) (journal.Carried, error) {
	e, err := r.seat.own(ctx, g.GetSessionId())
	if err != nil {
		return e, err
	}
	scopes := b.left(e, g.GetScopes())
	if len(scopes) == 0 {
		return e, errMore
	}
	g.SetScopes(scopes)
	b.mu.Lock()
	defer b.mu.Unlock()
	r.scopes, r.fewer = scopes, r.session != "" && len(scopes) < len(e.Now)
	return e, nil
}

// begin is the session's row: a new one, or the one to go on with.
func (b *Broker) begin(ctx context.Context, r *request, c fleet.Record) (journal.Carried, error) {
	if r.session == "" {
		return b.o.Journal.Begin(ctx, journal.Start{Computer: c.Ref, ComputerName: c.Name, Operator: r.seat.tab.Who(), Scopes: r.scopes})
	}
	e, err := r.seat.own(ctx, r.session)
	if err != nil {
		return journal.Carried{}, err
	}
	if e.Computer() != r.computer {
		return journal.Carried{}, store.ErrNotFound
	}
	if len(b.left(e, r.scopes)) < len(r.scopes) {
		return journal.Carried{}, errMore
	}
	r.fewer = len(r.scopes) < len(e.Now)
	return e, nil
}

// failed takes back what was begun. A new session's row is ended, so that the
// next try begins another; one that was to go on stays.
func (b *Broker) failed(ctx context.Context, r *request, e journal.Carried, l *live, err error) error {
	if l != nil {
		b.mu.Lock()
		if b.sessions[l.ID] == l {
			delete(b.sessions, l.ID)
		}
		l.stop()
		b.mu.Unlock()
		l.sub.Close()
	}
	if r.session == "" {
		reason, code := orielv1.EndReason_END_REASON_OFFLINE, orielv1.Code_CODE_UNSPECIFIED
		if !errors.Is(err, fleet.ErrOffline) {
			reason = orielv1.EndReason_END_REASON_FAILED
			code = fault.Of(err).Wire()
		}
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
		defer cancel()
		if _, _, err := b.o.Journal.End(ctx, e.Ref(), reason, code, ""); err != nil {
			b.o.Log.Warn("session not ended", "session", e.GetSessionId(), "err", err)
		}
		// It may have got there although no receipt came back.
		b.tell(r.computer.ID, endMessage(e.GetSessionId(), reason))
	}
	return err
}

func (b *Broker) grant(r *request, e *orielv1.JournalEntry, c fleet.Record, now time.Time) *orielv1.Grant {
	nonce := make([]byte, 16)
	_, _ = rand.Read(nonce) // never fails
	who := r.seat.tab.Who()
	g := &orielv1.Grant{
		SessionId:    e.GetSessionId(),
		Nonce:        nonce,
		ComputerId:   c.ID,
		ComputerKey:  c.Key,
		Operator:     &orielv1.Operator{Id: who.PersonID, Name: sanitize.Line(who.Name, 256), Address: who.Address},
		IssuedAt:     now.UnixMilli(),
		ExpiresAt:    now.Add(trust.GrantLifetime).UnixMilli(),
		Fingerprint:  r.fingerprint,
		Organization: &orielv1.Organization{Id: string(c.Organization)},
	}
	g.SetScopes(r.scopes)
	return g
}
