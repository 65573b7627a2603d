package access

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"oriel/relay/internal/audit"
	"oriel/relay/internal/fault"
	"oriel/relay/internal/share"
	"oriel/relay/internal/store"
)

// Faults of who takes up an invitation to become a member.
var (
	ErrInvitation = fault.New(fault.Invitation, "this invitation was used, has expired or was replaced; ask who sent it for another one")
	ErrAccount    = fault.New(fault.AccountExists, "there is an account with this e-mail address already; sign in with it, and open the link again")
	ErrMember     = fault.New(fault.MemberAlready, "you are a member of this organization already")
)

// NewInvitationToken is a token's text, to be told once, and its hash, to be kept.
func NewInvitationToken() (text string, hash []byte) { return token() }

// Invited is what an invitation says to who has it.
type Invited struct {
	Organization string // name; may be empty
	By           string // name of who invites; empty: somebody on the relay's command line
	Email        string
	Name         string
}

// Invitation reads the one with that token, without using it up. It counts as a try of
// the address. Errors: ErrInvitation, ErrTries.
func (a *Access) Invitation(ctx context.Context, token string, from Client) (Invited, error) {
	if _, err := a.count(ctx, a.addressLimits(from)); err != nil {
		return Invited{}, err
	}
	i, err := a.store.People().Invitation(ctx, hashOf(token), a.now())
	if err != nil {
		return Invited{}, invitationError(err)
	}
	o, err := a.store.Organizations().Get(ctx, i.Organization)
	if err != nil {
		return Invited{}, fmt.Errorf("look up an organization: %w", err)
	}
	said := Invited{Organization: o.Name, Email: i.Email, Name: i.Name}
	by, err := a.store.People().Get(ctx, i.InvitedBy)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return Invited{}, fmt.Errorf("look up who invited: %w", err)
	}
	said.By = by.Name
	return said, nil
}

// Join uses an invitation up: it makes a person with its e-mail address, a member of its
// organization, and signs them in. The address is confirmed where this relay sends mail,
// because nobody else is told the link then. Errors: ErrInvitation, ErrAccount, ErrTries,
// ErrBusy, ErrStaffDomain, fault.Field (several joined).
func (a *Access) Join(ctx context.Context, token, name, password string, from Client) (Identity, *http.Cookie, error) {
	if _, err := a.count(ctx, a.addressLimits(from)); err != nil {
		return Identity{}, nil, err
	}
	hash := hashOf(token)
	i, err := a.store.People().Invitation(ctx, hash, a.now())
	if err != nil {
		return Identity{}, nil, invitationError(err)
	}
	if err := a.staysOut(ctx, i.Organization, "", i.EmailKey); err != nil {
		return Identity{}, nil, err
	}
	p, err := a.newPerson(ctx, name, password, from)
	if err != nil {
		return Identity{}, nil, err
	}
	by := audit.Person(p.ID, p.Name, "", from.Address).Did(audit.MemberJoined, "person", p.ID)
	if i, err = a.store.MemberInvitations(i.Organization).SignUp(ctx, by, hash, a.now(), p, a.mails()); err != nil {
		if errors.Is(err, store.ErrConflict) {
			err = ErrAccount
		}
		return Identity{}, nil, invitationError(err)
	}
	a.o.Log.Info("an invitation was taken up", "person", p.ID, "organization", i.Organization, "address", from.Address)
	return a.letIn(ctx, p, i.Organization, from)
}

// newPerson is one with that name and password, for who has proved a link. Errors: ErrBusy, fault.Field (several joined).
func (a *Access) newPerson(ctx context.Context, name, password string, from Client) (store.Person, error) {
	name = plain(name)
	if err := errors.Join(checkName("name", "write your name", name), checkPassword(password)); err != nil {
		return store.Person{}, err
	}
	encoded, err := a.hasher.hash(ctx, normalize(password), from.IP(), share.Known)
	return store.Person{ID: store.NewID(), Kind: store.PersonKind, Name: name, PasswordHash: encoded, State: store.Active, CreatedAt: a.now()}, err
}

// JoinAs uses an invitation up for who is signed in already, and has them be at work
// there. Errors: ErrInvitation, ErrMember, ErrStaffDomain, ErrTries.
func (a *Access) JoinAs(ctx context.Context, who Identity, token string) error {
	if _, err := a.count(ctx, a.addressLimits(who.Client)); err != nil {
		return err
	}
	hash := hashOf(token)
	i, err := a.store.People().Invitation(ctx, hash, a.now())
	if err == nil {
		err = a.staysOut(ctx, i.Organization, who.PersonID, "")
	}
	if err == nil {
		i, err = a.store.MemberInvitations(i.Organization).TakeUp(ctx, who.Actor().Did(audit.MemberJoined, "person", who.PersonID), hash, a.now(), who.PersonID)
	}
	if errors.Is(err, store.ErrConflict) {
		err = ErrMember
	}
	if err != nil {
		return invitationError(err)
	}
	a.Announce(Change{PersonID: who.PersonID})
	return a.SwitchOrganization(ctx, who, i.Organization)
}

func invitationError(err error) error {
	switch {
	case errors.Is(err, store.ErrNotFound):
		return ErrInvitation
	case errors.Is(err, ErrAccount), errors.Is(err, ErrMember), errors.Is(err, ErrStaffDomain):
		return err
	}
	return fmt.Errorf("take up an invitation: %w", err)
}
