package broker

import (
	"context"
	"errors"
	"strings"

	orielv1 "oriel/protocol/oriel/v1"
	"oriel/relay/internal/access"
	"oriel/relay/internal/store"
)

// How scopes of ICE credentials begin; an id follows. A tab has its credentials
// before it has a session, so they are its sign-in's.
const (
	SignInScope  = "sign-in/"
	SessionScope = "session/"
)

// Credit is whom ICE credentials were given to, and for what.
type Credit struct{ ID, Scope string }

// Over are those of all whose session has ended, on whichever node it was, or
// whose sign-in has ended or may connect to nothing any more. A session that was
// only lost sight of is not over: its ends may see each other, and it comes back.
// What the database did not say is not over either, and is in the error.
func (b *Broker) Over(ctx context.Context, all []Credit) ([]Credit, error) {
	var over []Credit
	var failed error
	var running map[string]bool // asked for once
	var signIns []string
	for _, c := range all {
		if signIn, ok := strings.CutPrefix(c.Scope, SignInScope); ok {
			signIns = append(signIns, signIn)
		}
	}
	if err := b.o.Access.Recheck(ctx, signIns...); err != nil {
		return nil, err
	}
	for _, c := range all {
		if signIn, ok := strings.CutPrefix(c.Scope, SignInScope); ok {
			who := access.Identity{PersonID: c.ID, SignInID: signIn}
			switch err := b.o.Access.May(ctx, who, access.Connect, access.Computer("")); {
			case errors.Is(err, access.ErrSignedOut), errors.Is(err, access.ErrForbidden):
				over = append(over, c)
			default:
				failed = errors.Join(failed, err)
			}
			continue
		}
		session, ok := strings.CutPrefix(c.Scope, SessionScope)
		if !ok {
			continue // another version's
		}
		if running == nil {
			list, err := b.o.Journal.AllRunning(ctx)
			if err != nil {
				return over, errors.Join(failed, err)
			}
			running = make(map[string]bool, len(list))
			for _, e := range list {
				running[e.GetSessionId()] = true
			}
		}
		if running[session] {
			continue
		}
		switch e, err := b.o.Journal.Get(ctx, session); {
		case errors.Is(err, store.ErrNotFound), err == nil && e.GetEndedAt() != 0 && e.GetEndReason() != orielv1.EndReason_END_REASON_LOST:
			over = append(over, c)
		case err != nil:
			failed = errors.Join(failed, err)
		}
	}
	return over, failed
}
