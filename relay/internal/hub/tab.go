package hub

import (
	"context"
	"errors"
	"net/http"
	"sync"

	"golang.org/x/time/rate"

	orielv1 "oriel/protocol/oriel/v1"
	"oriel/protocol/wire"
	"oriel/relay/internal/access"
	"oriel/relay/internal/broker"
	"oriel/relay/internal/fault"
	"oriel/relay/internal/fleet"
	"oriel/relay/internal/rights"
	"oriel/relay/internal/share"
	"oriel/relay/internal/store"
)

// tab is one tab of a console. It is the broker's Tab.
type tab struct {
	h    *Hub
	conn *wire.Conn
	id   string
	who  access.Identity
	seat *broker.Seat

	place *share.Place
	shown access.Visibility // the computers that it knows of; the feed's
	has   map[string]bool   // their ids, unless it may know of all; the feed's
	gone  int               // how often sessions went out of sight with their computer; the feed's
	tally tallied           // the feed's

	mu      sync.Mutex
	watch   watched           // protected by mu; what it asked for
	see     access.Visibility // protected by mu; computers that it may watch
	may     access.Offers     // protected by mu; and what it may do on each
	read    access.Visibility // protected by mu; and watch the sessions of
	operate bool              // protected by mu; may know what the relay lacks
}

func (t *tab) ID() string                { return t.id }
func (t *tab) Who() access.Identity      { return t.who }
func (t *tab) Send(m *orielv1.ToConsole) { _ = t.conn.Send(m) }

// Live takes over the WebSocket of a tab whose origin and sign-in were checked.
func (h *Hub) Live(w http.ResponseWriter, r *http.Request, who access.Identity) {
	if h.isDraining() {
		h.refuse(w, errDraining)
		return
	}
	if who.KeyID != "" {
		h.refuse(w, errKey)
		return
	}
	if !h.sit(who.PersonID) {
		h.refuse(w, errTabs)
		return
	}
	defer h.stand(who.PersonID)
	o := h.o.Wire
	o.MaxMessage, o.Queue = orielv1.MaxMessage, 4096
	conn, err := wire.Upgrade(w, r, o)
	if err != nil {
		return // answered
	}
	defer conn.Close()
	leave, ok := h.enter(conn)
	if !ok {
		_ = conn.CloseWith(wire.CloseGoingAway, "the relay is shutting down; connect again")
		return
	}
	defer leave()
	place := h.socket(who.IP(), conn)
	if place == nil {
		_ = conn.CloseWith(wire.CloseTryAgain, errNoPlaces.Error())
		return
	}
	defer place.Leave()
	t := &tab{h: h, conn: conn, id: store.NewID(), who: who, place: place}
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	if errors.Is(t.permissions(ctx), access.ErrSignedOut) {
		t.signOut(ctx)
		return
	}
	t.seat = h.o.Broker.Join(t)
	defer t.seat.Leave()
	servers, expires := t.seat.ICE()
	t.Send(&orielv1.ToConsole{Body: &orielv1.ToConsole_Welcome{Welcome: &orielv1.LiveWelcome{PersonId: who.PersonID,
		RelayVersion: h.o.Version, IceServers: servers, IceExpiresAt: expires, Now: h.o.Now().UnixMilli(),
		Capabilities: []orielv1.Capability{orielv1.Capability_CAPABILITY_CHANGE_SCOPES, orielv1.Capability_CAPABILITY_TOPICS}}}})
	h.mu.Lock()
	h.tabs[t] = true
	if len(h.health.GetFailing()) > 0 {
		t.tellHealth(h.health)
	}
	h.mu.Unlock()
	defer func() {
		h.mu.Lock()
		delete(h.tabs, t)
		h.mu.Unlock()
	}()
	// What was asked of other rooms ends with the connection.
	h.wait.Go(func() {
		select {
		case <-conn.Done():
			cancel()
		case <-ctx.Done():
		}
	})
	t.serve(ctx)
}

func (t *tab) serve(ctx context.Context) {
	limit := rate.NewLimiter(TabRate, burst)
	for {
		m := &orielv1.FromConsole{}
		if t.conn.Receive(m) != nil {
			return
		}
		t.place.Decide()
		if !limit.Allow() {
			_ = t.conn.CloseWith(wire.ClosePolicy, "too many messages")
			return
		}
		within, cancel := context.WithTimeout(ctx, dbWithin)
		if work := t.dispatch(within, m); work != nil {
			t.h.wait.Go(func() { work(ctx) })
		}
		cancel()
	}
}

// dispatch hands m to its room. work, if not nil, waits for a computer, and what the tab
// says next does not wait for that.
func (t *tab) dispatch(ctx context.Context, m *orielv1.FromConsole) (work func(context.Context)) {
	switch body := m.GetBody().(type) {
	case *orielv1.FromConsole_Watch:
		_ = t.permissions(ctx) // else those of before hold until the next recheck
		t.mu.Lock()
		t.watch = watching(body.Watch)
		unknown := t.watch.unknown
		t.mu.Unlock()
		t.h.feed.snapshot(t)
		if unknown {
			t.unimplemented(m.GetId())
		}
	case *orielv1.FromConsole_OpenSession:
		t.seat.Open(ctx, body.OpenSession, m.GetId())
	case *orielv1.FromConsole_PrepareSession:
		t.seat.Prepare(ctx, body.PrepareSession.GetComputerId())
	case *orielv1.FromConsole_Candidate:
		t.seat.Candidate(body.Candidate)
	case *orielv1.FromConsole_CloseSession:
		t.seat.Close(ctx, body.CloseSession.GetSessionId(), body.CloseSession.GetAttempt(), m.GetId())
	case *orielv1.FromConsole_AttachSession:
		t.seat.Attach(ctx, body.AttachSession.GetSessionId(), m.GetId())
	case *orielv1.FromConsole_ChangeScopes:
		return t.seat.Change(ctx, body.ChangeScopes, m.GetId())
	case *orielv1.FromConsole_RenewIce:
		if err := t.permissions(ctx); errors.Is(err, access.ErrSignedOut) {
			return nil // the next recheck closes it
		} else if err != nil {
			t.problem(m.GetId(), err)
			return nil
		}
		servers, expires := t.seat.ICE()
		t.Send(&orielv1.ToConsole{Body: &orielv1.ToConsole_IceServers{IceServers: &orielv1.IceServers{
			IceServers: servers, IceExpiresAt: expires}}})
	default:
		t.unimplemented(m.GetId())
	}
	return nil
}

// unimplemented answers what this relay does not know, of a tab that is newer than it:
// served by another node, or from before the relay was put back.
func (t *tab) unimplemented(ask uint32) {
	t.problem(ask, errUnknownAsk)
}

func (t *tab) problem(ask uint32, err error) {
	why := fault.Of(err)
	if why == fault.ErrInternal {
		t.h.o.Log.Error("tab", "err", err)
	}
	t.Send(&orielv1.ToConsole{Body: &orielv1.ToConsole_Problem{Problem: &orielv1.Problem{
		Code: why.Wire(), Detail: why.Error(), ReplyTo: ask}}})
}

var errUnknownAsk = fleet.ErrUnknownAsk.Saying("this relay does not know that; reload the page, or update the relay")

// watched is what a tab asked for.
type watched struct {
	computers, journal, shown, unknown bool
	ids                                []string // of the computers that are shown
}

func watching(m *orielv1.Watch) (w watched) {
	for _, topic := range m.Watches() {
		switch topic {
		case orielv1.Topic_TOPIC_COMPUTERS:
			w.computers = true
		case orielv1.Topic_TOPIC_JOURNAL:
			w.journal = true
		case orielv1.Topic_TOPIC_SHOWN:
			w.shown, w.ids = true, m.GetComputerIds()
		default:
			w.unknown = true
		}
	}
	return w
}

// permissions asks access anew. What changed of what it shows is sent anew. Its error
// is that of the last question that was not answered with yes or no:
// access.ErrSignedOut, or the database's.
func (t *tab) permissions(ctx context.Context) error {
	var failed error
	visible := func(what rights.Permission) access.Visibility {
		v, err := t.h.visible(ctx, t.who, what)
		failed = errors.Join(failed, err)
		return v
	}
	may := func(what rights.Permission) bool {
		err := t.h.o.Access.May(ctx, t.who, what, access.Organization)
		if err != nil && !errors.Is(err, access.ErrForbidden) {
			failed = errors.Join(failed, err)
		}
		return err == nil
	}
	see, read, operate := visible(rights.See), visible(rights.Journal), may(rights.RelayOperate)
	offers, err := t.h.o.Access.Offers(ctx, t.who)
	if failed = errors.Join(failed, err); failed != nil {
		return failed
	}
	t.mu.Lock()
	if (t.watch.computers || t.watch.journal || t.watch.shown) && (t.see.Key() != see.Key() || t.may.Key() != offers.Key() || t.read.Key() != read.Key()) {
		t.h.feed.snapshot(t)
	}
	retell := t.operate != operate
	t.see, t.may, t.read, t.operate = see, offers, read, operate
	t.mu.Unlock()
	if retell {
		t.h.retellHealth(t)
	}
	return nil
}

// seesGroups reports whether it matters to the tab which computers are in a group.
func (t *tab) seesGroups() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.see.Groups) > 0 || t.may.OnGroups()
}

// audience is what a tab asked for and may see; those with the same are told the same.
type audience struct {
	organization store.OrganizationID
	watched
	see, read access.Visibility
	may       access.Offers
}

func (t *tab) audience() audience {
	t.mu.Lock()
	defer t.mu.Unlock()
	return audience{t.who.Organization, t.watch, t.see, t.read, t.may}
}

func (t *tab) tellHealth(health *orielv1.RelayHealth) {
	t.mu.Lock()
	operate := t.operate
	t.mu.Unlock()
	if operate {
		t.Send(&orielv1.ToConsole{Body: &orielv1.ToConsole_RelayHealth{RelayHealth: health}})
	}
}

func (t *tab) signOut(ctx context.Context) {
	within, cancel := context.WithTimeout(ctx, dbWithin)
	defer cancel()
	t.Send(&orielv1.ToConsole{Body: &orielv1.ToConsole_SignedOut{SignedOut: &orielv1.SignedOut{Reason: t.h.o.Access.WhySignedOut(within, t.who)}}})
	_ = t.conn.CloseWith(wire.CloseSignedOut, "signed out")
}

func (h *Hub) sit(person string) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.people[person] >= MaxTabs {
		return false
	}
	h.people[person]++
	return true
}

func (h *Hub) stand(person string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.people[person]--; h.people[person] == 0 {
		delete(h.people, person)
	}
}
