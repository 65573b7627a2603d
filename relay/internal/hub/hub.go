// Package hub is the agents and the consoles' tabs that are connected to this
// node: it lets them in, reads what they say, hands it to the room it is for,
// and brings them what the bus has for them.
//
// # Agents
//
// The upgrade names a machine key, and a token when it is not enrolled (else
// 401, and 403 when it is blocked). The agent then signs the relay's challenge
// with that key, over TLS together with the connection's exporter (RFC 5705,
// when TLS ends in this process), so that nobody can pass the proof on. Then
// Welcome, or Refused with a code. The node listens on agent.<computer> for as
// long as the connection stands, and closes it when the computer has a newer
// one, on whichever node (close code 4001).
//
// # Tabs
//
// Origin and sign-in are checked before. A tab is told what it watches: a
// snapshot, then what changed, collected for Gather, so that a change shows
// within two seconds and many changes cost one message each. It is closed when
// its sign-in ends (SignedOut, close code 4002): at once when that is said,
// within RecheckEvery otherwise. Of other organizations than its person's it hears nothing.
// Of a list of any length it names the computers that its page shows, and hears of those,
// and how many there are (shown.go).
//
// A tab is told of a thing in the messages of the .proto, and REST in JSON. Two shapes
// stay because JSON costs a tab more than twice the bytes, and being told an id and
// asking for the rest 200 times the relay's work (BenchmarkShapes in package api). The
// message is the source of both: a room makes it of its row, and package api, which is
// held to have each of its fields, fills its JSON from it.
//
// # Bounds
//
// Messages keep the bounds of the .proto; an agent sends at most AgentRate, a
// tab TabRate messages a second on average; a slow peer is dropped rather than
// waited for (package wire). MaxTabs a person. Agents that have not proved
// themselves and WebSockets of both kinds have places by address (package
// share); a tab is undecided until its first message. One machine key greets
// once at a time from an address: who connects anew has lost the connection
// before. From another address it may, or whoever knows a computer's public key
// could keep the computer out.
package hub

import (
	"context"
	"crypto/ed25519"
	"errors"
	"log/slog"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/protobuf/proto"

	orielv1 "oriel/protocol/oriel/v1"
	"oriel/protocol/trust"
	"oriel/protocol/wire"
	"oriel/relay/internal/access"
	"oriel/relay/internal/broker"
	"oriel/relay/internal/bus"
	"oriel/relay/internal/fault"
	"oriel/relay/internal/fleet"
	"oriel/relay/internal/journal"
	"oriel/relay/internal/policy"
	"oriel/relay/internal/rights"
	"oriel/relay/internal/share"
	"oriel/relay/internal/store"
)

// Bounds and times.
const (
	AgentRate    = 30 // messages a second
	TabRate      = 30
	burst        = 300
	MaxTabs      = 64
	greetWithin  = 15 * time.Second
	Gather       = 250 * time.Millisecond
	TallyEvery   = time.Second // at the most, for one tab and all computers
	RecheckEvery = 4 * time.Second
	// dbWithin bounds what one message may cost.
	dbWithin = 15 * time.Second
)

// Options of New; all are needed but Version, Relays, PreviewSeconds, Log,
// Now, Wire and Recheck.
type Options struct {
	Bus      *bus.Bus
	Fleet    *fleet.Fleet
	Journal  *journal.Journal
	Broker   *broker.Broker
	Access   *access.Access
	Policies *policy.Policies
	RelayKey ed25519.PublicKey
	Signer   trust.Signer

	Succession ed25519.PublicKey   // that agents pin; nil: none
	Rotations  []*orielv1.Rotation // how RelayKey follows older ones

	Version        string          // of the relay
	Relays         func() []string // addresses for agents, in order; nil: none are named
	PreviewSeconds uint32          // 0: no previews
	Log            *slog.Logger
	Now            func() time.Time
	Wire           wire.Options
	Recheck        time.Duration // 0: RecheckEvery
	Bounds         Bounds
}

// Bounds of connections. The zero value fits a relay whose people and computers
// are in a few offices, each behind one address.
type Bounds struct {
	Greetings share.Bound // agents not proved yet; 0: 2048, and 256 an address
	Sockets   share.Bound // WebSockets of agents and tabs; 0: 32768, and 8192 an address
}

// Hub is this node's connections. Its methods may be called from any goroutine.
type Hub struct {
	o         Options
	greetings *share.Places
	sockets   *share.Places
	feed      *feed
	visible   func(context.Context, access.Identity, rights.Permission) (access.Visibility, error) // access.Visible
	wait      sync.WaitGroup                                                                       // of connections and what they started
	moved     atomic.Bool                                                                          // computers may be in other groups than before

	mu       sync.Mutex
	draining bool                  // protected by mu
	agents   map[*agent]bool       // protected by mu
	tabs     map[*tab]bool         // protected by mu
	conns    map[*wire.Conn]func() // protected by mu; every connection, and how to close it
	people   map[string]int        // protected by mu; tabs by person
	health   *orielv1.RelayHealth  // protected by mu; what was said last, never nil
	greets   map[greeter]*greeting // protected by mu; agents that are being greeted

	instructs instructs
}

// New makes a Hub. Connections are served at once; what tabs watch and the end
// of sign-ins need Run.
func New(o Options) *Hub {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Relays == nil {
		o.Relays = func() []string { return nil }
	}
	if o.Recheck == 0 {
		o.Recheck = RecheckEvery
	}
	o.Wire.Refuse = func(w http.ResponseWriter, _ error) { fault.Write(w, errUpgrade) }
	b := &o.Bounds
	setDefault(&b.Greetings, 2048, 256)
	setDefault(&b.Sockets, 32768, 8192)
	return &Hub{o: o, greetings: share.New("greetings", b.Greetings, o.Log), sockets: share.New("sockets", b.Sockets, o.Log), feed: newFeed(), visible: o.Access.Visible,
		greets: make(map[greeter]*greeting), agents: make(map[*agent]bool), tabs: make(map[*tab]bool), conns: make(map[*wire.Conn]func()), people: make(map[string]int), health: &orielv1.RelayHealth{},
		instructs: instructs{wake: make(chan struct{}, 1), of: make(map[store.OrganizationID]bool)}}
}

func setDefault(b *share.Bound, all, address int) {
	if b.Address == 0 {
		b.Address = address
	}
	if b.All == 0 {
		b.All = max(all, b.Address)
	}
}

// Places of this hub by the name of their bound, for metrics.
func (h *Hub) Places() map[string]*share.Places {
	return map[string]*share.Places{"greetings": h.greetings, "sockets": h.sockets}
}

// Run brings tabs what they watch, and sees sign-ins end, until ctx ends.
func (h *Hub) Run(ctx context.Context) error {
	for _, s := range []struct {
		subject string
		fn      func(*orielv1.BusMessage)
	}{
		{bus.FleetChanged, func(m *orielv1.BusMessage) {
			c, what := m.GetFleetChanged(), changed
			switch {
			case c.GetRemoved():
				what = removed
			case c.GetPicture():
				what = pictured
			}
			h.feed.computers(store.OrganizationID(c.GetOrganization()), what, c.GetComputerIds()...)
		}},
		{bus.JournalChanged, func(m *orielv1.BusMessage) {
			c := m.GetJournalChanged()
			h.feed.session(store.OrganizationID(c.GetOrganization()), c.GetSessionId(), c.GetComputerId())
		}},
	} {
		sub, err := h.o.Bus.Subscribe(s.subject, func(m *orielv1.BusMessage, _ bus.Reply) { s.fn(m) })
		if err != nil {
			return err
		}
		defer sub.Close()
	}
	// What was announced while the bus was away is lost: show all of it anew.
	h.o.Bus.OnReconnect(func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		for t := range h.tabs {
			h.feed.snapshot(t)
		}
	})
	var wg sync.WaitGroup
	defer wg.Wait()
	changed := make(chan struct{}, 1)
	h.o.Access.OnChange(func(c access.Change) {
		h.policiesChanged(c)
		if c.SignInID == "" && c.PersonID == "" {
			h.moved.Store(true)
		}
		select {
		case changed <- struct{}{}:
		default:
		}
	})
	wg.Go(func() { h.recheck(ctx, changed) })
	wg.Go(func() { h.instructAll(ctx) })
	h.runFeed(ctx)
	return nil
}

// SetHealth has those know who operate the relay what this node lacks.
func (h *Hub) SetHealth(health *orielv1.RelayHealth) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if proto.Equal(h.health, health) {
		return
	}
	h.health = health
	for t := range h.tabs {
		t.tellHealth(health)
	}
}

// retellHealth tells t what it may know by now of what this node lacks: all, or nothing.
func (h *Hub) retellHealth(t *tab) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if !h.tabs[t] {
		return // it is told as it comes
	}
	t.mu.Lock()
	operate := t.operate
	t.mu.Unlock()
	health := h.health
	if !operate {
		health = &orielv1.RelayHealth{}
	}
	t.Send(&orielv1.ToConsole{Body: &orielv1.ToConsole_RelayHealth{RelayHealth: health}})
}

// Stats are plain numbers for metrics.
type Stats struct{ Agents, Tabs int }

// Stats of this moment.
func (h *Hub) Stats() Stats {
	h.mu.Lock()
	defer h.mu.Unlock()
	return Stats{len(h.agents), len(h.tabs)}
}

// enter counts a connection in, unless the node drains. leave is for its end.
func (h *Hub) enter(c *wire.Conn) (leave func(), ok bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.draining {
		return nil, false
	}
	h.wait.Add(1)
	h.conns[c] = func() { _ = c.CloseWith(wire.CloseGoingAway, "the relay is shutting down; connect again") }
	return func() {
		h.mu.Lock()
		delete(h.conns, c)
		h.mu.Unlock()
		h.wait.Done()
	}, true
}

func (h *Hub) isDraining() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.draining
}

// Drain takes nobody in any more, sends everybody elsewhere (close code 1001)
// and waits until they are gone. Sessions go on. It is safe to call twice.
func (h *Hub) Drain(ctx context.Context) error {
	h.mu.Lock()
	h.draining = true
	var closing sync.WaitGroup
	for _, c := range h.conns {
		closing.Go(c)
	}
	h.mu.Unlock()
	done := make(chan struct{})
	go func() {
		closing.Wait()
		h.wait.Wait()
		close(done)
	}()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return errors.New("drain: some connections did not end in time")
	}
}

// recheck asks anew what each tab may, when something of it changed and each
// Options.Recheck: a sign-in may end without a word, too old or removed.
func (h *Hub) recheck(ctx context.Context, changed <-chan struct{}) {
	tick := time.NewTicker(h.o.Recheck)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		case <-changed:
		}
		moved := h.moved.Swap(false)
		h.mu.Lock()
		all := make([]*tab, 0, len(h.tabs))
		people := make([]access.Identity, 0, len(h.tabs))
		for t := range h.tabs {
			all, people = append(all, t), append(people, t.who)
		}
		h.mu.Unlock()
		within, cancel := context.WithTimeout(ctx, dbWithin)
		if err := h.o.Access.Recheck(within, people...); err != nil && ctx.Err() == nil {
			h.o.Log.Warn("not asked what tabs may", "err", err)
		}
		for _, t := range all {
			if errors.Is(t.permissions(within), access.ErrSignedOut) {
				h.wait.Go(func() { t.signOut(ctx) })
			}
			if moved && t.seesGroups() {
				h.feed.snapshot(t)
			}
		}
		cancel()
	}
}

// Faults of connections.
var (
	errDraining = fault.New(fault.Draining, "the relay is shutting down; try again in a moment")
	errKey      = access.ErrForbidden.Saying("an API key opens no sessions and watches nothing; sign in for that")
	errTabs     = fault.New(fault.TooManyTabs, "too many windows at once; close some")
	errUpgrade  = fault.New(fault.NoUpgrade, "only WebSockets are answered here; if a proxy stands in front of the relay, have it pass upgrades on")
)

// refuse answers a handshake that does not become a connection.
func (h *Hub) refuse(w http.ResponseWriter, err error) {
	why := fault.Of(err)
	if why == fault.ErrInternal {
		h.o.Log.Error("connection not taken", "err", err)
	}
	if why.Status() == http.StatusUnauthorized {
		w.Header().Set("WWW-Authenticate", "Oriel")
	}
	fault.Write(w, err)
}
