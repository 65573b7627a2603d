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

// Change gives a running session of this person other scopes. What comes of it the agent
// tells the viewer; what is wrong is a Problem.
func (s *Seat) Change(ctx context.Context, m *orielv1.ChangeScopes, ask uint32) {
	if err := s.change(ctx, m.GetSessionId(), orielv1.SortScopes(m.GetWanted())); err != nil {
		s.problem(ask, 0, m.GetSessionId(), err)
	}
}

func (s *Seat) change(ctx context.Context, session string, wanted []orielv1.Scope) error {
	permission, err := needs(wanted)
	if err != nil {
		return err
	}
	e, err := s.own(ctx, session)
	if err != nil {
		return err
	}
	if err := s.b.o.Access.Require(ctx, s.tab.Who(), permission, access.Computer(e.GetComputerId())); err != nil {
		return err
	}
	c, err := s.b.o.Fleet.Record(ctx, e.Computer())
	if err == nil {
		err = served(c, wanted)
	}
	if err != nil {
		return err
	}
	view := orielv1.Scope_SCOPE_VIEW
	switch {
	case slices.Contains(wanted, view) != slices.Contains(e.Now, view):
		return errPicture
	case !slices.Contains(c.Capabilities, orielv1.Capability_CAPABILITY_SUPPLEMENTS):
		return errOldAgent
	}
	// Also where the row says so already: the agent may never have heard of it.
	return s.b.supplement(ctx, e, wanted)
}

// supplement has the agent take other scopes for a session.
func (b *Broker) supplement(ctx context.Context, e journal.Carried, wanted []orielv1.Scope) error {
	both := orielv1.SortScopes(slices.Concat(e.Now, wanted))
	if !slices.Equal(both, e.Now) {
		if err := b.o.Journal.SetScopes(ctx, e.Ref(), both); err != nil {
			return err
		}
	}
	now := b.issued.next(b.o.Now())
	signed, err := trust.SignSupplement(b.o.Signer, &orielv1.Supplement{SessionId: e.GetSessionId(), ComputerId: e.GetComputerId(),
		Scopes: wanted, IssuedAt: now.UnixMilli(), ExpiresAt: now.Add(trust.GrantLifetime).UnixMilli()})
	if err == nil {
		err = b.o.Fleet.Ask(ctx, e.GetComputerId(), &orielv1.ToAgent{Body: &orielv1.ToAgent_Supplement{Supplement: signed}}, true)
	}
	if err != nil { // it may have got there: the row goes on to say what the session could have
		return err
	}
	return b.o.Journal.SetScopes(ctx, e.Ref(), wanted)
}

// issue is the time of the newest supplement of this node, in Unix milliseconds: an
// agent takes none that is not newer than the one before.
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
