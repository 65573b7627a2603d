package broker

import (
	"context"
	"crypto/rand"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	orielv1 "oriel/protocol/oriel/v1"
	"oriel/relay/internal/access"
	"oriel/relay/internal/bus"
)

// # Tickets
//
// A tab has its ICE credentials before it has a session, or the click would wait for
// them. So they are of a ticket: good for TicketLife, one for each answer that names
// servers. OpenSession names the one that its peer connection uses, by the user name,
// and from then on the credentials are that session's and die with it. While the
// request waits, its node says again and again that the ticket is held; one that
// nobody says anything of is over when it expires.
//
// A ticket is part of a scope that also names the sign-in, and what a tab names is
// looked up under its own: nobody takes another's. Which session it is of every node
// remembers, for the node whose TURN it is must know; the bus says it when it begins
// and each sweep again.

// TicketLife is how long a ticket may be unused, and begins allocations.
const TicketLife = 2 * time.Minute

// skew is what the clocks of two nodes may differ by.
const skew = time.Minute

// Bounds of what a node remembers. A session has one ticket for each connection it
// has had; of older ones the connections are gone.
const (
	maxTicketsOfPerson  = 1024
	maxTicketsOfSession = 8
	maxTicketsOfMessage = 256
	heldFor             = 3 * sweepEvery
)

// newTicket says in itself until when it is good.
func newTicket(expires time.Time) string {
	return strconv.FormatInt(expires.Unix(), 10) + "-" + rand.Text()
}

// ticketOf is the credit of a tab that names the user name of its ICE credentials;
// false: it has none, one of another kind, or one that no node has made by now.
func ticketOf(who access.Identity, userName string, now time.Time) (Credit, bool) {
	_, ticket, ok := strings.Cut(userName, ":"+TicketScope)
	if ok {
		_, ticket, ok = strings.Cut(ticket, "/")
	}
	c := Credit{ID: who.PersonID, Scope: TicketScope + who.SignInID + "/" + ticket}
	_, expires, known := c.ticket()
	return c, ok && known && expires.Before(now.Add(TicketLife+skew))
}

// ticket takes a credit's scope apart.
func (c Credit) ticket() (signIn string, expires time.Time, ok bool) {
	rest, ok := strings.CutPrefix(c.Scope, TicketScope)
	if !ok || len(c.Scope) > 192 {
		return "", time.Time{}, false
	}
	signIn, ticket, _ := strings.Cut(rest, "/")
	seconds, random, _ := strings.Cut(ticket, "-")
	unix, err := strconv.ParseInt(seconds, 10, 64)
	return signIn, time.Unix(unix, 0), err == nil && signIn != "" && random != "" && !strings.ContainsAny(random, "/:-")
}

// tickets are those that sessions, or requests that wait, are known to have.
type tickets struct {
	mu        sync.Mutex
	all       map[Credit]*ticket  // protected by mu
	bySession map[string][]Credit // protected by mu; oldest first
	byPerson  map[string]int      // protected by mu
}

type ticket struct {
	session string    // empty: of a request that waits
	until   time.Time // for how long it is held, then
}

func newTickets() *tickets {
	return &tickets{all: make(map[Credit]*ticket), bySession: make(map[string][]Credit), byPerson: make(map[string]int)}
}

// note has c be of a session, or held until then. The first session counts.
func (t *tickets) note(c Credit, session string, until time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	one := t.all[c]
	switch {
	case one == nil && t.byPerson[c.ID] >= maxTicketsOfPerson:
		return
	case one == nil:
		one = &ticket{}
		t.all[c] = one
		t.byPerson[c.ID]++
	}
	if until.After(one.until) {
		one.until = until
	}
	if session == "" || one.session != "" {
		return
	}
	one.session = session
	of := append(t.bySession[session], c)
	if len(of) > maxTicketsOfSession {
		t.forget(of[0])
		of = slices.Clone(of[1:])
	}
	t.bySession[session] = of
}

// drop forgets c, unless a session has it: the request that had it waits no more.
func (t *tickets) drop(c Credit) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if one := t.all[c]; one != nil && one.session == "" {
		t.forget(c)
	}
}

// forget takes c out of all and byPerson; mu is held.
func (t *tickets) forget(c Credit) {
	if t.all[c] == nil {
		return
	}
	delete(t.all, c)
	if t.byPerson[c.ID]--; t.byPerson[c.ID] == 0 {
		delete(t.byPerson, c.ID)
	}
}

// get is what is known of c.
func (t *tickets) get(c Credit) (of ticket, known bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if one := t.all[c]; one != nil {
		return *one, true
	}
	return ticket{}, false
}

// old are those that expired before now.
func (t *tickets) old(now time.Time) (all []Credit) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for c := range t.all {
		if _, expires, _ := c.ticket(); expires.Before(now) {
			all = append(all, c)
		}
	}
	return all
}

// remove forgets those that are over. An expired ticket that is not known is over, too.
func (t *tickets) remove(over []Credit) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, c := range over {
		one := t.all[c]
		if one == nil {
			continue
		}
		t.forget(c)
		left := slices.DeleteFunc(slices.Clone(t.bySession[one.session]), func(of Credit) bool { return of == c })
		if t.bySession[one.session] = left; len(left) == 0 {
			delete(t.bySession, one.session)
		}
	}
}

// Loose reports whether c is a ticket that nothing is known to have.
func (b *Broker) Loose(c Credit) bool {
	if _, _, ok := c.ticket(); !ok {
		return false
	}
	_, known := b.tickets.get(c)
	return !known
}

// ICE are servers and new credentials for the tab.
func (s *Seat) ICE() (servers []*orielv1.IceServer, expiresAt int64) {
	who := s.tab.Who()
	expires := s.b.o.Now().Add(TicketLife)
	c := Credit{ID: who.PersonID, Scope: TicketScope + who.SignInID + "/" + newTicket(expires)}
	servers = s.b.o.ICE(c.ID, c.Scope, expires)
	if len(servers) == 0 {
		return nil, 0
	}
	s.ticket = c
	return servers, expires.UnixMilli()
}

// ticketFor is the ticket of the connection that m offers. A page from before
// 2026-11-30 does not name it, and uses the one that it was told last.
func (s *Seat) ticketFor(m *orielv1.OpenSession) (Credit, bool) {
	if m.GetIceUserName() == "" {
		return s.ticket, s.ticket != (Credit{})
	}
	return ticketOf(s.tab.Who(), m.GetIceUserName(), s.b.o.Now())
}

// holdTicket notes, here and on the other nodes, that r's ticket is of session, or that r
// waits with it.
func (b *Broker) holdTicket(r *request, session string) {
	if r.ticket != (Credit{}) {
		b.announceTickets([]*orielv1.BusTicket{b.noteTicket(r.ticket, session)})
	}
}

func (b *Broker) noteTicket(c Credit, session string) *orielv1.BusTicket {
	until := b.o.Now().Add(heldFor)
	b.tickets.note(c, session, until)
	return &orielv1.BusTicket{PersonId: c.ID, Scope: c.Scope, SessionId: session, Until: until.UnixMilli()}
}

// announceTickets tells the other nodes.
func (b *Broker) announceTickets(all []*orielv1.BusTicket) {
	for part := range slices.Chunk(all, maxTicketsOfMessage) {
		err := b.o.Bus.Publish(bus.Tickets, &orielv1.BusMessage{Body: &orielv1.BusMessage_Tickets{Tickets: &orielv1.BusTickets{Tickets: part}}})
		if err != nil {
			b.o.Log.Warn("nodes not told whose credentials are whose", "err", err)
			return // the next sweep says it again
		}
	}
}

func (b *Broker) takeTickets(m *orielv1.BusTickets) {
	for _, t := range m.GetTickets() {
		b.tickets.note(Credit{t.GetPersonId(), t.GetScope()}, t.GetSessionId(), time.UnixMilli(t.GetUntil()))
	}
}

// sweepTickets says again what the requests and sessions on this node have, and
// forgets what is over.
func (b *Broker) sweepTickets(ctx context.Context) {
	b.sayTickets()
	over, err := b.Over(ctx, b.tickets.old(b.o.Now()))
	if err != nil && ctx.Err() == nil {
		b.o.Log.Warn("not asked whose credentials are over", "err", err)
	}
	b.tickets.remove(over)
}

func (b *Broker) sayTickets() {
	held := make(map[Credit]string)
	b.mu.Lock()
	for r := range b.waiting {
		held[r.ticket] = ""
	}
	for _, l := range b.sessions {
		if l.request != nil && l.request.live == l {
			held[l.request.ticket] = l.ID
		}
	}
	b.mu.Unlock()
	delete(held, Credit{})
	var all []*orielv1.BusTicket
	for c, session := range held {
		all = append(all, b.noteTicket(c, session))
	}
	b.announceTickets(all)
}
