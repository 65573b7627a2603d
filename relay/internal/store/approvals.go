package store

import (
	"context"

	"github.com/uptrace/bun"

	"oriel/relay/internal/page"
)

// Outcomes of an Approval; empty: it is open.
const (
	Approved   = "approved"
	NotAllowed = "refused"
)

// Approval is a person's wish to use a grant that needs a second one, and the answer.
type Approval struct {
	bun.BaseModel `bun:"table:approvals,alias:a"`

	Organization OrganizationID `bun:",pk"`
	ID           string         `bun:",pk"`
	GrantID      string
	PersonID     string
	ComputerID   string
	Reason       string
	AskedAt      int64
	DecidedBy    string // person's id
	DecidedAt    int64  // 0: not yet
	Outcome      string
	UntilAt      int64 // until when it is asked for, or holds

	PersonName   string `bun:",scanonly"`
	ComputerName string `bun:",scanonly"`
}

// ApprovalFilter says which; its zero value means all.
type ApprovalFilter struct {
	PersonID string // who asked; empty: anybody
	Open     int64  // only those that nobody answered and that end after this; 0: also others
}

var approvalList = list[Approval]{id: "a.id", text: "p.name || ' ' || COALESCE(NULLIF(c.name, ''), c.host_name, '') || ' ' || a.reason",
	idOf: func(a Approval) string { return a.ID },
	keys: map[string]listKey[Approval]{
		"asked_at": {column: "a.asked_at", number: func(a Approval) int64 { return a.AskedAt }},
	}}

func (s Approvals) approvals(db bun.IDB, into any) *bun.SelectQuery {
	return s.rows(db, into).ColumnExpr("a.*").ColumnExpr("p.name AS person_name").
		ColumnExpr("COALESCE(NULLIF(c.name, ''), c.host_name, '') AS computer_name").
		Join("JOIN people AS p ON p.id = a.person_id").
		Join("LEFT JOIN computers AS c ON c.organization = a.organization AND c.id = a.computer_id")
}

// List is a page of those, by asked_at.
func (s Approvals) List(ctx context.Context, f ApprovalFilter, r page.Request) (page.Page[Approval], error) {
	var all []Approval
	q := s.approvals(s.db, &all)
	if f.PersonID != "" {
		q = q.Where("a.person_id = ?", f.PersonID)
	}
	if f.Open != 0 {
		q = q.Where("a.outcome = '' AND a.until_at > ?", f.Open)
	}
	return approvalList.page(ctx, q, &all, r)
}

// Get is one. Errors: ErrNotFound.
func (s Approvals) Get(ctx context.Context, id string) (Approval, error) {
	var a Approval
	return a, mapped(s.approvals(s.db, &a).Where("a.id = ?", id).Scan(ctx))
}

// Ask adds one that is open. Those of the person that are over by then go. Errors:
// ErrNotFound when the organization has no such grant that needs it, member or computer;
// ErrLimit, fault.Field.
func (s Approvals) Ask(ctx context.Context, by Entry, a Approval) error {
	if err := bounded(text{"id", a.ID, MaxID}, text{"reason", a.Reason, MaxReason}); err != nil {
		return err
	}
	a.Organization, a.DecidedBy, a.DecidedAt, a.Outcome = s.organization, "", 0, ""
	return s.inTurn(ctx, by, func(ctx context.Context, tx bun.Tx, _ *Entry) error {
		var g Grant
		if err := s.rows(tx, &g).Where("id = ? AND approval = ?", a.GrantID, true).Scan(ctx); err != nil {
			return err
		}
		if err := s.needs(ctx, tx, (*Computer)(nil), a.ComputerID); err != nil {
			return err
		}
		if _, err := Members(s).find(ctx, tx, a.PersonID); err != nil {
			return err
		}
		if _, err := s.remove(tx, (*Approval)(nil)).Where("person_id = ? AND until_at <= ?", a.PersonID, a.AskedAt).Exec(ctx); err != nil {
			return err
		}
		if _, err := tx.NewInsert().Model(&a).Exec(ctx); err != nil {
			return err
		}
		n, err := s.rows(tx, (*Approval)(nil)).Where("person_id = ?", a.PersonID).Count(ctx)
		return limit(n, MaxApprovals, err)
	})
}

// Decide answers one, until then. Errors: ErrNotFound, ErrConflict when it was answered
// or is over, or when it is the asker who decides.
func (s Approvals) Decide(ctx context.Context, by Entry, id, person, outcome string, now, until int64) (a Approval, err error) {
	if err := oneOf("outcome", outcome, Approved, NotAllowed); err != nil {
		return a, err
	}
	err = s.inTurn(ctx, by, func(ctx context.Context, tx bun.Tx, by *Entry) error {
		if err := s.needs(ctx, tx, (*Approval)(nil), id); err != nil {
			return err
		}
		r, err := s.update(tx, (*Approval)(nil)).Set("outcome = ?", outcome).Set("decided_by = ?", person).Set("decided_at = ?", now).
			Set("until_at = ?", until).Where("id = ? AND outcome = '' AND until_at > ? AND person_id <> ?", id, now, person).Exec(ctx)
		if err != nil {
			return err
		}
		if n, err := r.RowsAffected(); err != nil || n == 0 {
			return conflictIf(n == 0, err)
		}
		*by = by.With("outcome", outcome)
		return s.rows(tx, &a).Where("id = ?", id).Scan(ctx)
	})
	return a, err
}

// Withdraw takes back what a person asked for or was given. Errors: ErrNotFound.
func (s Approvals) Withdraw(ctx context.Context, by Entry, id, person string) error {
	return s.inTurn(ctx, by, func(ctx context.Context, tx bun.Tx, _ *Entry) error {
		return changed(s.remove(tx, (*Approval)(nil)).Where("id = ? AND person_id = ?", id, person).Exec(ctx))
	})
}
