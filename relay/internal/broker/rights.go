package broker

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	orielv1 "oriel/protocol/oriel/v1"
	"oriel/protocol/trust"
	"oriel/relay/internal/access"
	"oriel/relay/internal/fleet"
	"oriel/relay/internal/journal"
	"oriel/relay/internal/rights"
	"oriel/relay/internal/store"
)

// # What a session rests on
//
// A session also ends when what it rests on goes away: the sign-in that carries it,
// the person, the computer, or the right. A tab that only finds its session again
// (AttachSession) changes nothing of that; a new connection is carried by the sign-in
// of the tab that asked for it. Access is asked for each running session when
// anything of it changes anywhere, and each AskEvery besides, tab or no tab, each time
// from what the database has and not from what is remembered: not every change is
// announced (a sign-in gets too old; a row is removed on the command line). What the
// relay cannot say, because it is away or its database is, the lease of the grant ends:
// each report of an agent asks as well, and is answered with a renewal.
//
// What ends by the clock, because hours close, a grant runs out or a policy lets no session
// run longer, the relay says to the agent (ends_at) with each grant, supplement and renewal,
// as it is then; watch asks at that moment, so that both sides end it. Where watch finds
// another end than this node said last, of a session that a tab here has, it says so at
// once. The time of issue is taken before anything is read: of two words the newer knows
// no less.

// watch asks whether running sessions may go on, each Options.Ask and whenever
// something changed, until ctx ends.
func (b *Broker) watch(ctx context.Context) {
	tick, due := time.NewTicker(b.o.Ask), time.NewTimer(0)
	defer tick.Stop()
	defer due.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		case <-b.changed:
		case <-due.C:
		}
		b.endAllUnwritten(ctx)
		next, err := b.endForbidden(ctx)
		if err != nil && ctx.Err() == nil {
			b.o.Log.Warn("not asked whether sessions may go on", "err", err)
		}
		due.Stop()
		if !next.IsZero() {
			due.Reset(max(0, next.Sub(b.o.Now())))
		}
	}
}

// nudge has watch ask soon.
func (b *Broker) nudge() {
	select {
	case b.changed <- struct{}{}:
	default:
	}
}

// renew answers a report of a running session with the renewal of its lease, if
// it may go on, or ends it. While the database does not answer it does neither.
func (b *Broker) renew(ctx context.Context, e journal.Carried, reply func(*orielv1.ToAgent)) error {
	now := b.issued.next(b.o.Now())
	why := b.o.Access.Recheck(ctx, operator(e))
	var until time.Time
	if why == nil {
		until, why = b.ends(ctx, e, nil)
	}
	if there, _ := b.endUnwritten(ctx, e.Ref()); there {
		reply(endMessage(e.GetSessionId(), orielv1.EndReason_END_REASON_ENDED))
		return nil
	}
	if end, over := verdict(why); over {
		return b.endIfCarried(ctx, e, end)
	}
	if why != nil {
		return why
	}
	m, err := b.renewal(e, now, until)
	if err != nil {
		return err
	}
	reply(m)
	return nil
}

// renewal is the word that a session may go on until then.
func (b *Broker) renewal(e journal.Carried, now, until time.Time) (*orielv1.ToAgent, error) {
	signed, err := trust.SignRenewal(b.o.Signer, &orielv1.Renewal{SessionId: e.GetSessionId(), ComputerId: e.GetComputerId(),
		IssuedAt: now.UnixMilli(), EndsAt: endsAt(now, until)})
	return &orielv1.ToAgent{Body: &orielv1.ToAgent_Renewal{Renewal: signed}}, err
}

// endsAt is until as supplements and renewals say it, in which 0 would change nothing.
// Where no end is near, none comes before the horizon.
func endsAt(now, until time.Time) int64 {
	if until.IsZero() {
		until = now.Add(rights.Horizon)
	}
	return until.UnixMilli()
}

// readings are what one look at all sessions has read already.
type readings struct {
	allowed  map[basis]allowance
	policies map[store.OrganizationID]bool // whether it has some
}

// ends is until when a session may go on, if no change comes; zero: that is not near.
// known holds answers, and gets them; nil: all is read. Errors: those of verdict.
func (b *Broker) ends(ctx context.Context, e journal.Carried, known *readings) (time.Time, error) {
	on := basis{operator(e), e.Computer(), orielv1.Words(e.Now)}
	if known == nil {
		known = &readings{}
	}
	may, asked := known.allowed[on]
	if !asked {
		may = b.may(ctx, on.who, on.computer, e.Now, known.policies)
		if known.allowed != nil {
			known.allowed[on] = may
		}
	}
	if may.err != nil {
		return time.Time{}, may.err
	}
	until := earlier(may.until, may.policy.SessionEnd(e.GetStartedAt()))
	if !until.IsZero() && !until.After(b.o.Now()) {
		return time.Time{}, fmt.Errorf("%w: %w", errTimeUp, access.ErrForbidden.Saying("a policy of your organization lets no session run longer; open another"))
	}
	return until, nil
}

// earlier is the first of two moments; zero: it does not come.
func earlier(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}

// operator is who has a session, as far as the session tells.
func operator(e journal.Carried) access.Identity {
	return access.Identity{Organization: e.Organization, PersonID: e.GetOperatorId(), SignInID: e.SignInID}
}

// basis is what a session rests on.
type basis struct {
	who      access.Identity
	computer store.Ref
	scopes   string // words
}

// endForbidden ends the running sessions whose basis is gone, and says to agents where the
// end of another is not what they were told. A database that does not answer is no reason
// to end one. It returns the first moment at which one of the others is to end; zero: none
// is near.
func (b *Broker) endForbidden(ctx context.Context) (next time.Time, err error) {
	ctx, cancel := context.WithTimeout(ctx, 15*time.Second)
	defer cancel()
	now := b.issued.next(b.o.Now())
	running, err := b.o.Journal.AllRunning(ctx)
	if err != nil {
		return time.Time{}, err
	}
	operators := make([]access.Identity, len(running))
	for i, e := range running {
		operators[i] = operator(e)
	}
	if err := b.o.Access.Recheck(ctx, operators...); err != nil {
		return time.Time{}, err
	}
	known := &readings{make(map[basis]allowance), make(map[store.OrganizationID]bool)}
	var failed error
	for _, e := range running {
		until, why := b.ends(ctx, e, known)
		if why == nil {
			next = earlier(next, until)
			failed = errors.Join(failed, b.retell(e, now, until))
		}
		end, over := verdict(why)
		switch {
		case over:
			failed = errors.Join(failed, b.endIfCarried(ctx, e, end))
		case why != nil:
			failed = errors.Join(failed, why)
		}
	}
	return next, failed
}

// retell says to a session's agent until when it may go on, where a tab on this node has it
// and this node said something else last.
func (b *Broker) retell(e journal.Carried, now, until time.Time) error {
	b.mu.Lock()
	l := b.sessions[e.GetSessionId()]
	news := l != nil && l.told != nil && !l.told.Equal(until)
	b.mu.Unlock()
	if !news {
		return nil
	}
	m, err := b.renewal(e, now, until)
	if err == nil {
		err = b.o.Fleet.Tell(e.GetComputerId(), m)
	}
	if err == nil {
		b.toldEnd(e.GetSessionId(), until)
	}
	return err
}

// toldEnd notes what an agent was told of the end of a session.
func (b *Broker) toldEnd(session string, until time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if l := b.sessions[session]; l != nil {
		l.told = &until
	}
}

// endIfCarried ends a session, unless another sign-in than the one that was
// asked about has come to carry it meanwhile.
func (b *Broker) endIfCarried(ctx context.Context, e journal.Carried, end ending) error {
	running, err := b.o.Journal.Running(ctx, e.Organization, journal.Selection{SignInID: e.SignInID, ComputerID: e.GetComputerId()})
	if err != nil || !slices.ContainsFunc(running, func(r journal.Carried) bool { return r.GetSessionId() == e.GetSessionId() }) {
		return err
	}
	return b.end(ctx, e.Ref(), end.reason, end.code, end.detail)
}

// errTimeUp ends a session that has run for as long as a policy lets one.
var errTimeUp = errors.New("the session has run for as long as the policy allows")

// ErrGone ends the sessions of a computer that was removed or blocked. Its code tells such
// an end from one on somebody's word, from the journal.
var ErrGone = store.ErrNotFound.Saying("the computer was removed or blocked")

// ending is how a session ends and how that is said.
type ending struct {
	reason orielv1.EndReason
	code   orielv1.Code
	detail string
}

// verdict is whether err ends a session, and how.
func verdict(err error) (end ending, over bool) {
	const operator, ended, timeUp = orielv1.EndReason_END_REASON_OPERATOR, orielv1.EndReason_END_REASON_ENDED, orielv1.EndReason_END_REASON_TIME_UP
	switch {
	case errors.Is(err, access.ErrSignedOut):
		return ending{reason: operator, detail: "the operator signed out"}, true
	case errors.Is(err, errTimeUp):
		return ending{reason: timeUp, detail: "a policy of the organization lets no session run longer"}, true
	case access.TimeIsUp(err):
		return ending{reason: timeUp, detail: "the time in which the operator may do this is over"}, true
	case errors.Is(err, access.ErrForbidden):
		return ending{ended, errLost.Wire(), errLost.Error()}, true
	case errors.Is(err, store.ErrNotFound), errors.Is(err, fleet.ErrBlocked):
		return ending{ended, ErrGone.Wire(), ErrGone.Error()}, true
	}
	return ending{}, false
}
