package people

import (
	"context"
	"fmt"
	"time"

	"oriel/protocol/sanitize"
	"oriel/relay/internal/access"
	"oriel/relay/internal/audit"
	"oriel/relay/internal/fault"
	"oriel/relay/internal/page"
	"oriel/relay/internal/rights"
	"oriel/relay/internal/store"
)

// Bounds of approvals.
const (
	MaxReason = 512              // bytes
	AskedFor  = 24 * time.Hour   // who is not answered by then asks again
	MaxHold   = 24 * time.Hour   // the longest approval
	MinHold   = 15 * time.Minute // the shortest
)

// ErrNoApproval: nothing that the asker has would let them in once approved of.
var ErrNoApproval = fault.New(fault.NoApproval, "no approval would let you do this; ask an admin for access")

// Approval is a wish to use a grant that needs a second person, and the answer.
type Approval struct {
	ID        string     `json:"id"`
	Person    Ref        `json:"person" doc:"Who asks."`
	Computer  Ref        `json:"computer"`
	Reason    string     `json:"reason"`
	AskedAt   time.Time  `json:"asked_at"`
	Outcome   string     `json:"outcome" enum:"asked,approved,refused"`
	DecidedBy string     `json:"decided_by,omitempty"`
	DecidedAt *time.Time `json:"decided_at,omitempty"`
	Until     time.Time  `json:"until" doc:"Until when it is asked for, or holds."`
}

func approvalOf(a store.Approval) Approval {
	outcome := a.Outcome
	if outcome == "" {
		outcome = "asked"
	}
	return Approval{ID: a.ID, Person: Ref{"person", a.PersonID, a.PersonName}, Computer: Ref{"computer", a.ComputerID, a.ComputerName},
		Reason: a.Reason, AskedAt: at(a.AskedAt), Outcome: outcome, DecidedBy: a.DecidedBy, DecidedAt: when(a.DecidedAt), Until: at(a.UntilAt)}
}

// Approvals are a page of those: of one person, or all that are open.
func (p *People) Approvals(ctx context.Context, who access.Identity, own bool, r page.Request) (page.Page[Approval], error) {
	f := store.ApprovalFilter{Open: p.now()}
	if own {
		f = store.ApprovalFilter{PersonID: who.PersonID}
	}
	rows, err := p.o.Store.Approvals(who.Organization).List(ctx, f, r)
	return each(rows, err, approvalOf)
}

// Approval is one. Errors: store.ErrNotFound.
func (p *People) Approval(ctx context.Context, who access.Identity, id string) (Approval, error) {
	a, err := p.o.Store.Approvals(who.Organization).Get(ctx, id)
	if err != nil {
		return Approval{}, fmt.Errorf("look up an approval: %w", err)
	}
	return approvalOf(a), nil
}

// Ask asks for an approval to connect to a computer. Errors: ErrNoApproval,
// store.ErrLimit, fault.Field.
func (p *People) Ask(ctx context.Context, who access.Identity, computer, reason string) (Approval, error) {
	reason = sanitize.Line(reason, MaxReason)
	why, err := p.o.Access.Explain(ctx, who, who.PersonID, rights.Connect, access.Computer(computer))
	if err != nil {
		return Approval{}, err
	}
	grant := ""
	for _, m := range why.Missing {
		if m.Reason == rights.ReasonApproval && m.Grant != nil {
			grant = m.Grant.ID
		}
	}
	if grant == "" {
		return Approval{}, ErrNoApproval
	}
	row := store.Approval{ID: store.NewID(), GrantID: grant, PersonID: who.PersonID, ComputerID: computer, Reason: reason,
		AskedAt: p.now(), UntilAt: p.o.Now().Add(AskedFor).UnixMilli()}
	approvals := p.o.Store.Approvals(who.Organization)
	if err := approvals.Ask(ctx, who.Actor().Did(audit.ApprovalAsked, "approval", row.ID, "computer", computer, "reason", reason), row); err != nil {
		return Approval{}, fmt.Errorf("ask for an approval: %w", err)
	}
	return p.Approval(ctx, who, row.ID)
}

// Decide answers one; an approval holds for that long. Errors: ErrOwn for the asker and for keys,
// store.ErrNotFound, store.ErrConflict when it was answered or is over, fault.Field.
func (p *People) Decide(ctx context.Context, who access.Identity, id string, approve bool, hold time.Duration) (Approval, error) {
	a, err := p.o.Store.Approvals(who.Organization).Get(ctx, id)
	if err != nil {
		return Approval{}, fmt.Errorf("look up an approval: %w", err)
	}
	if a.PersonID == who.PersonID {
		return Approval{}, ErrOwn
	}
	if who.KeyID != "" { // which the asker may have made, for a service account
		return Approval{}, ErrOwn.Saying("a second person answers, signed in at the console; a key cannot")
	}
	outcome, what, until := store.NotAllowed, audit.ApprovalRefused, p.now()
	if approve {
		if hold < MinHold || hold > MaxHold {
			return Approval{}, fault.Field("minutes", "an approval holds for 15 minutes to a day")
		}
		outcome, what, until = store.Approved, audit.ApprovalGiven, p.o.Now().Add(hold).UnixMilli()
	}
	a, err = p.o.Store.Approvals(who.Organization).Decide(ctx, who.Actor().Did(what, "approval", id, "person", a.PersonID, "computer", a.ComputerID),
		id, who.PersonID, outcome, p.now(), until)
	if err != nil {
		return Approval{}, fmt.Errorf("answer an approval: %w", err)
	}
	p.done(who, a.PersonID, what)
	return p.Approval(ctx, who, id)
}
