package broker

import (
	"context"
	"slices"
	"sync/atomic"
	"time"

	orielv1 "oriel/protocol/oriel/v1"
	"oriel/protocol/trust"
	"oriel/relay/internal/access"
	"oriel/relay/internal/fleet"
	"oriel/relay/internal/journal"
	"oriel/relay/internal/rights"
)

// # Scopes
//
// A session may do what its scopes say. A tab names all that it wants, and is granted
// all of it or nothing. It can ask for more while the session runs, or give some back:
// access is required anew, the row is written, and a supplement to the grant goes to the
// agent, which enforces it. Before more is done the row says so; of less it says so once
// the agent has answered. Whether there is a picture at all is settled when the session
// is opened.
//
// A computer may take long to answer, and its tab's other words do not wait for that: one
// change is under way for each session, which only the tab that has it may begin, and the
// newest of those that it asks for meanwhile follows. A grant
// that is signed meanwhile gives nothing that the change takes away. Grants and supplements
// of a node are all issued at different times, so that an agent knows which is the newer.

// permissions are what each scope needs. One that is not here this relay does not know.
var permissions = map[orielv1.Scope]rights.Permission{
	orielv1.Scope_SCOPE_VIEW:            rights.Connect,
	orielv1.Scope_SCOPE_CONTROL:         rights.Control,
	orielv1.Scope_SCOPE_CLIPBOARD_READ:  rights.ClipboardRead,
	orielv1.Scope_SCOPE_CLIPBOARD_WRITE: rights.ClipboardWrite,
	orielv1.Scope_SCOPE_FILES_READ:      rights.FilesRead,
	orielv1.Scope_SCOPE_FILES_WRITE:     rights.FilesWrite,
	orielv1.Scope_SCOPE_TERMINAL:        rights.Terminal,
	orielv1.Scope_SCOPE_SOUND:           rights.Sound,
	orielv1.Scope_SCOPE_POWER:           rights.Power,
	orielv1.Scope_SCOPE_RECORDING:       rights.Recording,
	orielv1.Scope_SCOPE_FORWARD:         rights.Forward,
}

// needs are the permissions for a session with those scopes; whatever it is for, its
// operator has to be allowed to connect. Errors: errScopes, errUnknownScope.
func needs(scopes []orielv1.Scope) (rights.Permission, error) {
	all := rights.Connect
	for _, s := range scopes {
		p, known := permissions[s]
		if !known {
			return 0, errUnknownScope
		}
		all |= p
	}
	if len(scopes) == 0 {
		return 0, errScopes
	}
	return all, nil
}

// served reports whether a computer's agent can have a session with those scopes.
// Errors: errOldAgent.
func served(c fleet.Record, scopes []orielv1.Scope) error {
	for _, s := range scopes {
		if !orielv1.Serves(c.Capabilities, s) {
			return errOldAgent
		}
	}
	return nil
}

// changeWithin bounds a change of scopes: what an agent may take to answer, and the rows.
const changeWithin = 30 * time.Second

// change is one ChangeScopes.
type change struct {
	seat   *Seat
	ask    uint32
	wanted []orielv1.Scope
	needs  rights.Permission
	next   *change // protected by Broker.mu; what is to follow it, the newest only
}

// Change gives a running session of this tab other scopes. What comes of it the agent
// tells the viewer; what is wrong is a Problem. What it returns does the work, waits for
// the computer and is to be called elsewhere, once; nil: nothing is left to do.
func (s *Seat) Change(ctx context.Context, m *orielv1.ChangeScopes, ask uint32) (work func(context.Context)) {
	session := m.GetSessionId()
	c := &change{seat: s, ask: ask, wanted: orielv1.SortScopes(m.GetWanted())}
	var err error
	first := false
	if c.needs, err = needs(c.wanted); err == nil {
		first, err = s.b.beginChange(ctx, session, c)
	}
	if err != nil {
		s.problem(ask, 0, session, err)
	}
	if !first {
		return nil
	}
	return func(ctx context.Context) {
		for ; c != nil; c = s.b.endChange(session, c) {
			within, cancel := context.WithTimeout(ctx, changeWithin)
			if err := s.change(within, session, c); err != nil {
				s.problem(c.ask, 0, session, err)
			}
			cancel()
		}
	}
}

// beginChange notes that a session is about to have other scopes, or lets c follow the
// change of it that is under way. Errors: errChanging, and those of a session that is not
// its tab's.
func (b *Broker) beginChange(ctx context.Context, session string, c *change) (first bool, err error) {
	b.mu.Lock()
	l, before := b.sessions[session], b.changing[session]
	mine := l != nil && l.seat == c.seat
	var instead *change // of which c is done
	switch {
	case !mine:
	case before == nil:
		b.changing[session] = c
	case before.seat == c.seat:
		instead, before.next = before.next, c
	}
	b.mu.Unlock()
	switch {
	case instead != nil:
		c.seat.problem(instead.ask, 0, session, errChanging)
		return false, nil
	case mine && before != nil && before.seat != c.seat:
		return false, errChanging
	case mine:
		return before == nil, nil
	}
	if _, err := c.seat.own(ctx, session); err != nil {
		return false, err
	}
	return false, errMoved
}

// endChange is what follows c, nil where nothing does.
func (b *Broker) endChange(session string, c *change) (next *change) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.changing[session] = c.next; c.next == nil {
		delete(b.changing, session)
	}
	return c.next
}

// left are those of scopes that a session has, and goes on to have after the change of it
// that is under way.
func (b *Broker) left(e journal.Carried, scopes []orielv1.Scope) []orielv1.Scope {
	b.mu.Lock()
	c := b.changing[e.GetSessionId()]
	b.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(scopes), func(s orielv1.Scope) bool {
		return !slices.Contains(e.Now, s) || c != nil && !slices.Contains(c.wanted, s)
	})
}

func (s *Seat) change(ctx context.Context, session string, c *change) error {
	wanted := c.wanted
	e, err := s.own(ctx, session)
	if err != nil {
		return err
	}
	if err := s.b.o.Access.Require(ctx, s.tab.Who(), c.needs, access.Computer(e.GetComputerId())); err != nil {
		return err
	}
	record, err := s.b.o.Fleet.Record(ctx, e.Computer())
	if err == nil {
		err = served(record, wanted)
	}
	if err == nil {
		_, err = s.b.demanded(ctx, fleet.Opening{Record: record, Policies: true}, wanted)
	}
	if err != nil {
		return err
	}
	view := orielv1.Scope_SCOPE_VIEW
	switch {
	case slices.Contains(wanted, view) != slices.Contains(e.Now, view):
		return errPicture
	case !slices.Contains(record.Capabilities, orielv1.Capability_CAPABILITY_SUPPLEMENTS):
		return errOldAgent
	}
	// Also where the row says so already: the agent may never have heard of it.
	return s.supplement(ctx, e, wanted)
}

// supplement has the agent take other scopes for a session.
func (s *Seat) supplement(ctx context.Context, e journal.Carried, wanted []orielv1.Scope) error {
	b, by := s.b, s.tab.Who().Actor()
	now := b.issued.next(b.o.Now())
	e.Now = wanted
	until, err := b.ends(ctx, e, nil)
	if err != nil {
		return err
	}
	if err := b.o.Journal.AddScopes(ctx, by, e.Ref(), wanted); err != nil {
		return err
	}
	signed, err := trust.SignSupplement(b.o.Signer, &orielv1.Supplement{SessionId: e.GetSessionId(), ComputerId: e.GetComputerId(),
		Scopes: wanted, IssuedAt: now.UnixMilli(), ExpiresAt: now.Add(trust.GrantLifetime).UnixMilli(), EndsAt: endsAt(now, until)})
	if err == nil {
		err = b.o.Fleet.Ask(ctx, e.GetComputerId(), &orielv1.ToAgent{Body: &orielv1.ToAgent_Supplement{Supplement: signed}}, true)
	}
	if err != nil { // it may have got there: the row goes on to say what the session could have
		return err
	}
	b.toldEnd(e.GetSessionId(), until)
	b.nudge()
	if !s.supplemented(e.GetSessionId(), wanted) {
		return nil // another tab has it, whose change may be the newer one: the row says no less than is so
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	return b.o.Journal.SetScopes(ctx, by, e.Ref(), wanted)
}

// supplemented notes that those scopes are in force for a session, also on the connection
// that is being made. It reports whether the session is still this tab's, or nobody's.
func (s *Seat) supplemented(session string, wanted []orielv1.Scope) bool {
	s.b.mu.Lock()
	defer s.b.mu.Unlock()
	l := s.b.sessions[session]
	if l == nil || l.seat != nil && l.seat != s {
		return false
	}
	if r := l.request; r != nil && r.grant != nil {
		r.scopes, r.fewer = wanted, false
	}
	return true
}

// issue is the time of the newest grant or supplement of this node, in Unix milliseconds:
// of a session an agent takes none that is older than the one before.
type issue struct{ last atomic.Int64 }

func (i *issue) next(now time.Time) time.Time {
	for {
		last := i.last.Load()
		at := max(now.UnixMilli(), last+1)
		if i.last.CompareAndSwap(last, at) {
			return time.UnixMilli(at)
		}
	}
}
