// Package broker brings an operator's tab and a computer's agent together and
// ends what they have: it decides whether a session may be, writes it down,
// signs the grant, and carries offer, answer and candidates. It never sees a
// picture or a key.
//
// # Opening
//
// A tab says OpenSession. The broker asks access for all that the session is to do
// (scopes.go), looks whether the computer is there, writes the journal's row,
// and only then forwards anything: a grant for this computer and for the DTLS
// certificate that the tab's SDP names, good for a minute and once. One statement
// reads, one writes, one request on the bus carries the offer (count_test.go). If the
// computer is not there, the tab is told that it waits, and the request is
// kept until the tab leaves; the grant is made anew when the computer comes,
// and access is asked again. OpenSession with the id of a running session of
// the same person goes on with that session over a new peer connection: same
// row, the scopes that it has or fewer, new grant.
//
// # Carrying
//
// The node that holds the tab holds the session: it listens on session.<id>,
// and the agent's node passes there what the agent says, with the computer's
// id. A message is passed on only between the session's own tab and its own
// computer, and, where it belongs to one peer connection (attempt), only to
// that one. What a tab says is checked against what this node knows of its
// sessions, what an agent says against the journal's rows of its computer.
//
// A tab that goes leaves the session to go on for TabGrace, in which it may
// come back with AttachSession, here or on another node. After it a session
// that never connected ends; one that did is left to the agent's reports,
// which need no tab.
//
// # Ending
//
// Whoever ends a session, the row is ended first (once), then both sides are
// told. An agent that was away learns it when it comes back: it says which
// sessions it runs, is told to end those that are over, and rows of it that it
// does not run any more are ended as LOST. A session also ends when what it rests
// on goes away (rights.go).
//
// Bounds: MaxWaiting requests a tab, MaxSessions running sessions a person, of which
// only those count elsewhere that a tab has (what an agent alone says makes nobody busy),
// MaxCandidates early candidates a request.
package broker

import (
	"context"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	orielv1 "oriel/protocol/oriel/v1"
	"oriel/protocol/trust"
	"oriel/relay/internal/access"
	"oriel/relay/internal/bus"
	"oriel/relay/internal/fault"
	"oriel/relay/internal/fleet"
	"oriel/relay/internal/journal"
	"oriel/relay/internal/policy"
	"oriel/relay/internal/store"
)

// Bounds and times. A lease outlasts many of the agents' reports, which come each
// 30 s, and a restart of the relay.
const (
	Lease         = 15 * time.Minute
	MaxWaiting    = 8
	MaxSessions   = 64
	MaxCandidates = 64
	TabGrace      = 30 * time.Second
	AskEvery      = 4 * time.Second
)

// Options of New; all are needed but ICE, Log, Now and the times.
type Options struct {
	Bus      *bus.Bus
	Fleet    *fleet.Fleet
	Journal  *journal.Journal
	Access   *access.Access
	Policies *policy.Policies
	Signer   trust.Signer // of the relay's key
	// ICE gives servers, with credentials that count against id (a person's or a
	// computer's), die with scope (TicketScope, SessionScope), and begin allocations
	// until expires; nil: none.
	ICE   func(id, scope string, expires time.Time) []*orielv1.IceServer
	Log   *slog.Logger
	Now   func() time.Time
	Grace time.Duration // 0: TabGrace
	Ask   time.Duration // whether running sessions may go on; 0: AskEvery
	Lease time.Duration // for how long agents let a session run without a renewal; 0: Lease
}

// Broker is the live sessions whose tabs are on this node. Its methods may be
// called from any goroutine.
type Broker struct {
	o       Options
	retry   chan store.Ref // computers that came, for Run
	changed chan struct{}  // what sessions rest on did, for watch

	tickets *tickets
	united  atomic.Int64 // since when the bus is there, in Unix milliseconds
	issued  issue

	mu       sync.Mutex
	waiting  map[*request]bool  // protected by mu; true while it is being tried
	sessions map[string]*live   // protected by mu; by session id
	changing map[string]*change // protected by mu; what is under way, by session id
	// Ends that both sides know, but for which the disk had no room; by session id.
	unwritten map[string]journal.Carried // protected by mu
}

// New makes a Broker. It works while Run does.
func New(o Options) *Broker {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Grace == 0 {
		o.Grace = TabGrace
	}
	if o.Ask == 0 {
		o.Ask = AskEvery
	}
	if o.Lease == 0 {
		o.Lease = Lease
	}
	if o.ICE == nil {
		o.ICE = func(string, string, time.Time) []*orielv1.IceServer { return nil }
	}
	return &Broker{o: o, retry: make(chan store.Ref, 1024), changed: make(chan struct{}, 1), tickets: newTickets(),
		waiting: make(map[*request]bool), sessions: make(map[string]*live), changing: make(map[string]*change),
		unwritten: make(map[string]journal.Carried)}
}

// How often Run looks by itself, besides being told.
const (
	retryEvery = 5 * time.Second
	sweepEvery = 20 * time.Second
)

// Run forwards waiting requests when their computer comes, and ends sessions
// that nothing is heard of, until ctx ends.
func (b *Broker) Run(ctx context.Context) error {
	removed := make(chan store.Ref, 256)
	sub, err := b.o.Bus.Subscribe(bus.FleetChanged, func(m *orielv1.BusMessage, _ bus.Reply) {
		o := store.OrganizationID(m.GetFleetChanged().GetOrganization())
		for _, id := range m.GetFleetChanged().GetComputerIds() {
			computer, to := o.Ref(id), b.retry
			if m.GetFleetChanged().GetRemoved() {
				to = removed
			} else if !b.awaited(computer) {
				continue
			}
			select {
			case to <- computer:
			default: // the next tick, or the sweep, finds it
			}
		}
	})
	if err != nil {
		return err
	}
	defer sub.Close()
	b.o.Access.OnChange(func(access.Change) { b.nudge() })
	lost, err := b.o.Bus.Subscribe(bus.AgentLost, func(m *orielv1.BusMessage, _ bus.Reply) { b.agentLost(m.GetAgentLost().GetComputerId()) })
	if err != nil {
		return err
	}
	defer lost.Close()
	tickets, err := b.o.Bus.Subscribe(bus.Tickets, func(m *orielv1.BusMessage, _ bus.Reply) { b.takeTickets(m.GetTickets()) })
	if err != nil {
		return err
	}
	defer tickets.Close()
	var wg sync.WaitGroup
	defer wg.Wait()
	wg.Go(func() { b.watch(ctx) })
	back := make(chan struct{}, 1)
	b.united.Store(b.o.Now().UnixMilli())
	b.o.Bus.OnReconnect(func() {
		b.united.Store(b.o.Now().UnixMilli())
		select {
		case back <- struct{}{}:
		default:
		}
	})
	retry, sweep := time.NewTicker(retryEvery), time.NewTicker(sweepEvery)
	defer retry.Stop()
	defer sweep.Stop()
	sweeping := make(chan struct{}, 1)
	for {
		select {
		case <-ctx.Done():
			return nil
		case computer := <-b.retry:
			for _, r := range b.idle(computer) {
				wg.Go(func() { b.try(ctx, r) })
			}
		case computer := <-removed:
			wg.Go(func() {
				if err := b.EndComputer(ctx, computer, ErrGone.Wire(), ErrGone.Error(), nil); err != nil {
					b.o.Log.Warn("sessions of a removed computer", "computer", computer.ID, "err", err)
				}
			})
		case <-back: // what was announced meanwhile is lost
			b.sayTickets()
			for _, r := range b.idle(anyComputer) {
				wg.Go(func() { b.try(ctx, r) })
			}
		case <-retry.C:
			for _, r := range b.idle(anyComputer) {
				wg.Go(func() { b.try(ctx, r) })
			}
		case <-sweep.C:
			select {
			case sweeping <- struct{}{}:
				wg.Go(func() { b.sweep(ctx); b.sweepTickets(ctx); <-sweeping })
			default: // the one before is not done
			}
		}
	}
}

// awaited reports whether a request waits for that computer.
func (b *Broker) awaited(computer store.Ref) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	for r := range b.waiting {
		if r.computer == computer {
			return true
		}
	}
	return false
}

// anyComputer is none in particular.
var anyComputer store.Ref

// idle are the requests for a computer (or anyComputer) that nobody tries now.
func (b *Broker) idle(computer store.Ref) []*request {
	b.mu.Lock()
	defer b.mu.Unlock()
	var all []*request
	for r, busy := range b.waiting {
		if !busy && (computer == anyComputer || r.computer == computer) {
			all = append(all, r)
		}
	}
	return all
}

func (b *Broker) sweep(ctx context.Context) {
	over, err := b.o.Journal.Sweep(ctx)
	if err != nil && ctx.Err() == nil {
		b.o.Log.Warn("sweep of sessions failed", "err", err)
	}
	for _, e := range over {
		b.announceEnd(e)
	}
}

// Faults of sessions.
var (
	errTicket       = fault.New(fault.TicketUsed, "this connection was used for another session; a new one is made")
	errBusy         = fault.New(fault.TooManySessions, "too many sessions at once; end one and try again")
	errScopes       = fault.New(fault.SessionScopes, "say what the session is for: to view, to control")
	errMore         = access.ErrForbidden.Saying("this session may not do that; ask for it while it runs, or open another")
	errLost         = access.ErrForbidden.Saying("the operator may not do this on this computer any more")
	errChanging     = fault.New(fault.SessionChanging, "something else was asked of this session meanwhile")
	errPicture      = errScopes.Saying("the picture cannot be given or taken away while a session runs; open another")
	errUnknownScope = fleet.ErrUnknownAsk.Saying("this relay cannot do that yet; update it")
	errOldAgent     = fleet.ErrUnknownAsk.Saying("this computer's agent cannot do that yet; update the agent")
	errOffer        = fault.New(fault.Offer, "the browser's offer has no usable certificate fingerprint; reload the page and try again")
	errMoved        = fault.New(fault.SessionMoved, "this session goes on in another window")
	// errAnswer ends a session whose agent answers with what no viewer would take.
	errAnswer = fault.New(fault.BadAnswer, "the computer's answer cannot be read; update its agent")
)
