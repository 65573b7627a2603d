package broker

import (
	"context"
	"time"

	orielv1 "oriel/protocol/oriel/v1"
	"oriel/relay/internal/access"
	"oriel/relay/internal/fleet"
	"oriel/relay/internal/policy"
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

// demand has g say what s does of times.
func demand(g *orielv1.Grant, s policy.Settings, e *orielv1.JournalEntry, now time.Time) {
	if s.LeaseMinutes != nil {
		if own := uint32(*s.LeaseMinutes * 60); g.LeaseSeconds == 0 || own < g.LeaseSeconds {
			g.LeaseSeconds = own
		}
	}
	if s.SessionMinutes != nil {
		began := now.UnixMilli()
		if e.GetStartedAt() != 0 {
			began = e.GetStartedAt()
		}
		if ends := began + int64(*s.SessionMinutes)*time.Minute.Milliseconds(); g.EndsAt == 0 || ends < g.EndsAt {
			g.EndsAt = ends
		}
	}
}
