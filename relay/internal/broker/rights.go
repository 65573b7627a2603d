package broker

import (
	"context"
	"errors"
	"time"

	orielv1 "oriel/protocol/oriel/v1"
	"oriel/relay/internal/access"
	"oriel/relay/internal/fleet"
	"oriel/relay/internal/store"
)

// watch asks whether running sessions may go on, each Options.Ask and whenever
// something changed, until ctx ends.
func (b *Broker) watch(ctx context.Context, changed <-chan struct{}) {
	tick := time.NewTicker(b.o.Ask)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		case <-changed:
		}
		if err := b.endForbidden(ctx); err != nil && ctx.Err() == nil {
			b.o.Log.Warn("not asked whether sessions may go on", "err", err)
		}
	}
}

// basis is what a session rests on.
type basis struct {
	signIn, person, computer string
	mode                     orielv1.Mode
}

// endForbidden ends the running sessions whose basis is gone. A database that does
// not answer is no reason to end one.
func (b *Broker) endForbidden(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 15*time.Second)
	defer cancel()
	running, err := b.o.Journal.AllRunning(ctx)
	if err != nil {
		return err
	}
	asked := make(map[basis]error)
	var failed error
	for _, e := range running {
		on := basis{e.SignInID, e.GetOperatorId(), e.GetComputerId(), e.GetMode()}
		why, known := asked[on]
		if !known {
			_, why = b.may(ctx, access.Identity{PersonID: on.person, SignInID: on.signIn}, on.computer, on.mode)
			asked[on] = why
		}
		reason, detail, over := verdict(why)
		switch {
		case over:
			failed = errors.Join(failed, b.end(ctx, e.GetSessionId(), reason, 0, detail))
		case why != nil:
			failed = errors.Join(failed, why)
		}
	}
	return failed
}

// verdict is whether err ends a session, and how that is said.
func verdict(err error) (reason orielv1.EndReason, detail string, over bool) {
	switch {
	case errors.Is(err, access.ErrSignedOut):
		return orielv1.EndReason_END_REASON_OPERATOR, "the operator signed out", true
	case errors.Is(err, access.ErrForbidden):
		return orielv1.EndReason_END_REASON_ENDED, "the operator may not do this on this computer any more", true
	case errors.Is(err, store.ErrNotFound), errors.Is(err, fleet.ErrBlocked):
		return orielv1.EndReason_END_REASON_ENDED, "the computer was removed or blocked", true
	}
	return 0, "", false
}
