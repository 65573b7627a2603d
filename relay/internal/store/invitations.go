package store

import (
	"context"
	"strconv"

	"github.com/uptrace/bun"

	"oriel/relay/internal/page"
)

// MemberInvitation asks somebody to become a member, until it is taken up.
type MemberInvitation struct {
	bun.BaseModel `bun:"table:member_invitations,alias:mi"`

	ID           string `bun:",pk"`
	Organization OrganizationID
	Email        string // as it was written
	EmailKey     string // what is compared; one invitation of each in an organization
	Name         string
	Role         string
	TokenHash    []byte
	InvitedBy    string // person's id
	CreatedAt    int64
	ExpiresAt    int64
}

var invitationList = list[MemberInvitation]{id: "mi.id", text: "mi.name || ' ' || mi.email",
	idOf: func(i MemberInvitation) string { return i.ID },
	keys: map[string]listKey[MemberInvitation]{
		"email":      {column: "mi.email", text: func(i MemberInvitation) string { return i.Email }},
		"created_at": {column: "mi.created_at", number: func(i MemberInvitation) int64 { return i.CreatedAt }},
	}}

// List is a page of them, by email or created_at.
func (s MemberInvitations) List(ctx context.Context, r page.Request) (page.Page[MemberInvitation], error) {
	var all []MemberInvitation
	return invitationList.page(ctx, s.rows(s.db, &all), &all, r)
}

// Create adds one in the place of any other of the same address. Errors: ErrNotFound
// when there is no such role, ErrLimit, ErrQuota, fault.Field.
func (s MemberInvitations) Create(ctx context.Context, by Entry, i MemberInvitation) error {
	if err := bounded(text{"id", i.ID, MaxID}, text{"email", i.Email, MaxIdentifier}, text{"email", i.EmailKey, MaxIdentifier},
		text{"name", i.Name, MaxNameText}, text{"invited_by", i.InvitedBy, MaxID}); err != nil {
		return err
	}
	i.Organization = s.organization
	return s.inTurn(ctx, by, func(ctx context.Context, tx bun.Tx, by *Entry) error {
		if err := s.hasRole(ctx, tx, i.Role); err != nil {
			return err
		}
		r, err := s.remove(tx, (*MemberInvitation)(nil)).Where("email_key = ?", i.EmailKey).Exec(ctx)
		if err != nil {
			return err
		}
		if n, err := r.RowsAffected(); err != nil || n > 0 {
			*by = by.With("replaced", strconv.FormatInt(n, 10))
		}
		if err := s.insert(ctx, tx, QuotaInvitations, i.CreatedAt, &i, "created_at", i.CreatedAt); err != nil {
			return err
		}
		n, err := s.rows(tx, (*MemberInvitation)(nil)).Count(ctx)
		return limit(n, MaxInvitations, err)
	})
}

// Revoke takes one back. Errors: ErrNotFound.
func (s MemberInvitations) Revoke(ctx context.Context, by Entry, id string) error {
	return s.inTurn(ctx, by, func(ctx context.Context, tx bun.Tx, _ *Entry) error {
		return changed(s.remove(tx, (*MemberInvitation)(nil)).Where("id = ?", id).Exec(ctx))
	})
}

// Invitation is the one with a token of that hash that can be taken up now, in whichever
// organization. Errors: ErrNotFound.
func (s People) Invitation(ctx context.Context, hash []byte, now int64) (MemberInvitation, error) {
	var i MemberInvitation
	whole := s.wholeRelay("a token says whose it is once its row is found")
	return i, mapped(whole.db.NewSelect().Model(&i).Where("token_hash = ? AND expires_at > ?", hash, now).Scan(ctx))
}

// TakeUp uses an invitation up and makes a member of a person who is there. Errors:
// ErrNotFound for a wrong, used or expired token, and when the person or the role is
// gone; ErrConflict when they are a member already; ErrQuota, and the invitation stays.
func (s MemberInvitations) TakeUp(ctx context.Context, by Entry, hash []byte, now int64, person string) (MemberInvitation, error) {
	return s.takeUp(ctx, by, hash, now, func(context.Context, bun.Tx, MemberInvitation) (string, error) { return person, nil })
}

// SignUp is TakeUp by a new person, who gets the invitation's e-mail address; it is
// confirmed where the invitation came by mail. Errors: also ErrConflict when somebody
// has that address, fault.Field.
func (s MemberInvitations) SignUp(ctx context.Context, by Entry, hash []byte, now int64, p Person, mailed bool) (MemberInvitation, error) {
	return s.takeUp(ctx, by, hash, now, func(ctx context.Context, tx bun.Tx, i MemberInvitation) (string, error) {
		email := Identifier{Kind: Email, Key: i.EmailKey, Text: i.Email, CreatedAt: now}
		if mailed {
			email.VerifiedAt = now
		}
		return p.ID, s.addPerson(ctx, tx, p, email)
	})
}

func (s MemberInvitations) takeUp(ctx context.Context, by Entry, hash []byte, now int64,
	who func(ctx context.Context, tx bun.Tx, i MemberInvitation) (person string, err error)) (i MemberInvitation, err error) {
	err = s.inTurn(ctx, by, func(ctx context.Context, tx bun.Tx, by *Entry) error {
		if err := s.rows(tx, &i).Where("token_hash = ? AND expires_at > ?", hash, now).Scan(ctx); err != nil {
			return err
		}
		if err := changed(s.remove(tx, (*MemberInvitation)(nil)).Where("id = ?", i.ID).Exec(ctx)); err != nil {
			return err
		}
		person, err := who(ctx, tx, i)
		if err != nil {
			return err
		}
		*by = by.With("role", i.Role).With("invited_by", i.InvitedBy)
		return Members(s).add(ctx, tx, Member{PersonID: person, Role: i.Role, State: Active, CreatedAt: now})
	})
	return i, err
}
