package broker

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	orielv1 "oriel/protocol/oriel/v1"
	"oriel/relay/internal/access"
	"oriel/relay/internal/bus"
	"oriel/relay/internal/journal"
	"oriel/relay/internal/rights"
	"oriel/relay/internal/store"
)

// How scopes of ICE credentials begin; an agent's are of the session's id, a tab's of
// its sign-in's id and a ticket.
const (
	TicketScope  = "ticket/"
	SessionScope = "session/"
)

// Credit is whom ICE credentials were given to, and for what.
type Credit struct{ ID, Scope string }

// Over are those of all whose session has ended, on whichever node it was, or
// whose sign-in has ended or may connect to nothing any more, or whose ticket nobody
// used in time. A session that was only lost sight of is not over: its ends may see
// each other, and it comes back. What the database or the other nodes did not say is
// not over either, and is in the error.
func (b *Broker) Over(ctx context.Context, all []Credit) ([]Credit, error) {
	q := &question{b: b, signIns: make(map[access.Identity]error), sessions: make(map[string]error)}
	var over []Credit
	var failed error
	var signIns []access.Identity
	for _, c := range all {
		if signIn, _, ok := c.ticket(); ok {
			signIns = append(signIns, access.Identity{SignInID: signIn})
		}
	}
	if err := b.o.Access.Recheck(ctx, signIns...); err != nil {
		return nil, err
	}
	for _, c := range all {
		switch err := q.over(ctx, c); {
		case errors.Is(err, errCreditOver):
			over = append(over, c)
		default:
			failed = errors.Join(failed, err)
		}
	}
	return over, failed
}

var errCreditOver = errors.New("over")

// question asks for each sign-in and session once.
type question struct {
	b        *Broker
	signIns  map[access.Identity]error
	sessions map[string]error
	running  map[string]bool // nil: not asked yet
}

// over is errCreditOver, nil, or why nobody knows.
func (q *question) over(ctx context.Context, c Credit) error {
	if session, ok := strings.CutPrefix(c.Scope, SessionScope); ok {
		return q.session(ctx, session)
	}
	signIn, expires, ok := c.ticket()
	if !ok {
		return nil // another version's
	}
	if err := q.signIn(ctx, access.Identity{PersonID: c.ID, SignInID: signIn}); err != nil {
		return err
	}
	t, known := q.b.tickets.get(c)
	now := q.b.o.Now()
	switch {
	case t.session != "":
		return q.session(ctx, t.session)
	case now.Before(expires), known && now.Before(t.until):
		return nil
	}
	// Whose it is may have been said while this node did not hear the others.
	if err := q.b.o.Bus.Healthy(); err != nil {
		return err
	}
	if now.Sub(time.UnixMilli(q.b.united.Load())) < heldFor {
		return fmt.Errorf("%w: not for long enough", bus.ErrUnavailable)
	}
	return errCreditOver
}

func (q *question) signIn(ctx context.Context, who access.Identity) error {
	err, asked := q.signIns[who]
	if !asked {
		var to access.Visibility
		to, err = q.b.o.Access.Visible(ctx, who, rights.Connect)
		if errors.Is(err, access.ErrSignedOut) || err == nil && to.None() {
			err = errCreditOver
		}
		q.signIns[who] = err
	}
	return err
}

func (q *question) session(ctx context.Context, id string) error {
	if q.running == nil {
		list, err := q.b.o.Journal.AllRunning(ctx)
		if err != nil {
			return err
		}
		q.running = make(map[string]bool, len(list))
		for _, e := range list {
			q.running[e.GetSessionId()] = true
		}
	}
	if q.running[id] {
		return nil
	}
	err, asked := q.sessions[id]
	if !asked {
		var e journal.Carried
		e, err = q.b.o.Journal.Anyones(ctx, id)
		if errors.Is(err, store.ErrNotFound) || err == nil && e.GetEndedAt() != 0 && e.GetEndReason() != orielv1.EndReason_END_REASON_LOST {
			err = errCreditOver
		}
		q.sessions[id] = err
	}
	return err
}
