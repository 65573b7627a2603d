package people

import (
	"cmp"
	"context"
	"fmt"
	"net/url"
	"time"

	"oriel/relay/internal/access"
	"oriel/relay/internal/audit"
	"oriel/relay/internal/identifier"
	"oriel/relay/internal/notify/mail"
	"oriel/relay/internal/page"
	"oriel/relay/internal/store"
)

// InvitationLifetime is how long a link is good.
const InvitationLifetime = 7 * 24 * time.Hour

// Invitation asks somebody to become a member.
type Invitation struct {
	ID        string    `json:"id"`
	Email     string    `json:"email"`
	Name      string    `json:"name" doc:"How they are addressed; may be empty."`
	Role      string    `json:"role" doc:"Id of the role that they get."`
	CreatedAt time.Time `json:"created_at"`
	ExpiresAt time.Time `json:"expires_at"`
}

// NewInvitation has what is told only once.
type NewInvitation struct {
	Invitation
	Link string `json:"link" doc:"To hand over, told this once. Empty: it was sent by mail, and nobody else is told."`
}

func invitationOf(i store.MemberInvitation) Invitation {
	return Invitation{ID: i.ID, Email: i.Email, Name: i.Name, Role: i.Role, CreatedAt: at(i.CreatedAt), ExpiresAt: at(i.ExpiresAt)}
}

// Invitations are a page of those that nobody has taken up.
func (p *People) Invitations(ctx context.Context, who access.Identity, r page.Request) (page.Page[Invitation], error) {
	rows, err := p.o.Store.MemberInvitations(who.Organization).List(ctx, r)
	return each(rows, err, invitationOf)
}

// Invite asks somebody to become a member, in the place of an earlier invitation of the
// same address. Whether that address has an account is told to nobody. Errors: ErrGives,
// access.ErrStaffDomain, store.ErrLimit, fault.Field.
func (p *People) Invite(ctx context.Context, who access.Identity, email, name, role string) (NewInvitation, error) {
	key, err := identifier.Check(identifier.Email, "email", email)
	if err != nil {
		return NewInvitation{}, err
	}
	relay, err := p.o.Store.Relay().Settings(ctx)
	if err != nil {
		return NewInvitation{}, fmt.Errorf("look up the relay's settings: %w", err)
	}
	if who.Organization != store.FirstOrganization && identifier.IsOf(key, relay.StaffDomains) {
		return NewInvitation{}, access.ErrStaffDomain
	}
	if name != "" {
		if name, err = nameOf("name", name); err != nil {
			return NewInvitation{}, err
		}
	}
	r, err := p.role(ctx, who.Organization, "role", role)
	if err == nil {
		err = p.mayGive(ctx, who, r.Permissions, access.Organization)
	}
	if err != nil {
		return NewInvitation{}, err
	}
	o, err := p.o.Store.Organizations().Get(ctx, who.Organization)
	if err != nil {
		return NewInvitation{}, fmt.Errorf("look up an organization: %w", err)
	}
	text, hash := access.NewInvitationToken()
	now := p.o.Now()
	row := store.MemberInvitation{ID: store.NewID(), Email: email, EmailKey: key, Name: name, Role: role, TokenHash: hash, InvitedBy: who.PersonID,
		CreatedAt: now.UnixMilli(), ExpiresAt: now.Add(InvitationLifetime).UnixMilli()}
	link := p.o.PublicURL + "/join#" + text
	by := who.Actor().Did(audit.MemberInvited, "invitation", row.ID, "email", email, "role", role)
	mailed := p.mails()
	if mailed {
		m, err := p.o.Mailer.Compose(mail.To{Address: email}, mail.MemberInvited{Link: link, By: who.Name, Organization: cmp.Or(o.Name, p.host()), Until: now.Add(InvitationLifetime)})
		if err != nil {
			return NewInvitation{}, err
		}
		by = by.Sending(m)
	}
	if err := p.o.Store.MemberInvitations(who.Organization).Create(ctx, by, row); err != nil {
		return NewInvitation{}, fmt.Errorf("invite somebody: %w", err)
	}
	made := NewInvitation{Invitation: invitationOf(row), Link: link}
	if mailed {
		made.Link = ""
	}
	return made, nil
}

// host is where the relay is, which is true also of an organization without a name.
func (p *People) host() string {
	u, err := url.Parse(p.o.PublicURL)
	if err != nil {
		return ""
	}
	return u.Host
}

// RevokeInvitation makes a link useless. Errors: store.ErrNotFound.
func (p *People) RevokeInvitation(ctx context.Context, who access.Identity, id string) error {
	if err := p.o.Store.MemberInvitations(who.Organization).Revoke(ctx, who.Actor().Did(audit.InvitationRevoked, "invitation", id), id); err != nil {
		return fmt.Errorf("take back an invitation: %w", err)
	}
	return nil
}
