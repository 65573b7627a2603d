package broker

import (
	"context"
	"time"

	orielv1 "oriel/protocol/oriel/v1"
	"oriel/relay/internal/access"
	"oriel/relay/internal/fleet"
	"oriel/relay/internal/policy"
	"oriel/relay/internal/store"
)

// # Policies
//
// What a computer's policy does not let a session do is refused here, before the computer
// is asked, so that the operator is told; the agent, which has the same policy, enforces
// it. Hours are the agent's alone, for they are by its clock.

// demanded is what the policies say that hold for a computer. Errors: access.ErrForbidden
// where a session may not have one of those scopes.
func (b *Broker) demanded(ctx context.Context, c fleet.Opening, scopes []orielv1.Scope) (policy.Settings, error) {
	if !c.Policies {
		return policy.Settings{}, nil
	}
	e, err := b.o.Policies.For(ctx, c.Ref)
	if err != nil {
		return policy.Settings{}, err
	}
	switch s := e.ForbiddenScope(scopes); s {
	case 0:
		return e.Settings, nil
	case orielv1.Scope_SCOPE_CONTROL:
		return e.Settings, access.ErrForbidden.Saying("a policy of your organization lets this computer be watched only; open it to watch")
	default:
		return e.Settings, access.ErrForbidden.Saying("a policy of your organization does not allow this with the computer (" + orielv1.Word(s) + "); ask an admin to change it")
	}
}

// policyOf is what the policies say that hold for a computer. some knows of which
// organizations there are any, and learns it; nil: they are read.
func (b *Broker) policyOf(ctx context.Context, computer store.Ref, some map[store.OrganizationID]bool) (policy.Settings, error) {
	if some != nil {
		has, known := some[computer.Organization]
		if !known {
			var err error
			if has, err = b.o.Policies.Any(ctx, computer.Organization); err != nil {
				return policy.Settings{}, err
			}
			some[computer.Organization] = has
		}
		if !has {
			return policy.Settings{}, nil
		}
	}
	e, err := b.o.Policies.For(ctx, computer)
	return e.Settings, err
}

// limit has a grant say how long the session may run: as its operator's rights and the
// computer's policies are after the time of its issue.
func (b *Broker) limit(ctx context.Context, r *request, g *orielv1.Grant, computer fleet.Opening, e *orielv1.JournalEntry) error {
	until, err := b.o.Access.MayUntil(ctx, r.seat.tab.Who(), r.needs, access.Computer(r.computer.ID))
	if err != nil {
		return err
	}
	s, err := b.demanded(ctx, computer, r.scopes)
	if err != nil {
		return err
	}
	lease := b.o.Lease // in whole seconds, as config checks it
	if s.LeaseMinutes != nil {
		lease = min(lease, time.Duration(*s.LeaseMinutes)*time.Minute)
	}
	began := g.GetIssuedAt()
	if e.GetStartedAt() != 0 {
		began = e.GetStartedAt()
	}
	g.LeaseSeconds, g.EndsAt = uint32(lease/time.Second), 0
	if until = earlier(until, s.SessionEnd(began)); !until.IsZero() {
		g.EndsAt = until.UnixMilli()
		b.nudge()
	}
	b.toldEnd(g.GetSessionId(), until)
	return nil
}
