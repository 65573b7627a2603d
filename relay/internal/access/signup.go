package access

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"oriel/relay/internal/audit"
	"oriel/relay/internal/fault"
	"oriel/relay/internal/identifier"
	"oriel/relay/internal/notify/mail"
	"oriel/relay/internal/share"
	"oriel/relay/internal/store"
)

// # Signing up
//
// Where the relay's operator opened it, anybody may make an account: they give an
// e-mail address and what their organization is to be called, get a link by mail, and
// choose name and password behind it. The account owns an organization of its own; into
// another one leads an invitation alone.
//
// Nobody learns by the answer or its time whether an address has an account: what is
// written is the same, and only the mail is another.

// ConfirmationLifetime is how long the link to an e-mail address is good.
const ConfirmationLifetime = time.Hour

// Faults of who signs up.
var (
	ErrSignUpClosed = fault.New(fault.SignUpClosed, "nobody can sign up at this relay now; ask somebody who uses it for an invitation")
	ErrSignUpLink   = fault.New(fault.SignUpLink, "this link was used or has expired; sign up again for another one, or sign in if you have an account")
	ErrStaffDomain  = fault.New(fault.StaffDomain, "addresses of this domain are for the people who run this relay, and are nobody's in other organizations; use another one")
)

// SignUpOpen reports whether anybody may sign up: it was opened, and mail is sent.
func (a *Access) SignUpOpen(ctx context.Context) (bool, error) {
	s, err := a.settings(ctx)
	return s.SignUp && a.mails(), err
}

func (a *Access) settings(ctx context.Context) (store.RelaySettings, error) {
	s, err := a.store.Relay().Settings(ctx)
	if err != nil {
		err = fmt.Errorf("look up the relay's settings: %w", err)
	}
	return s, err
}

// signingUp says ErrSignUpClosed where nobody may, and ErrStaffDomain to that address.
func (a *Access) signingUp(ctx context.Context, emailKey string) error {
	s, err := a.settings(ctx)
	switch {
	case err != nil:
		return err
	case !s.SignUp || !a.mails():
		return ErrSignUpClosed
	case identifier.IsOf(emailKey, s.StaffDomains):
		return ErrStaffDomain
	}
	return nil
}

// staysOut says ErrStaffDomain to who would become a member of an organization other than
// the first with an address of the staff: somebody new with that address or, where they
// are there, one who is no member of the first.
func (a *Access) staysOut(ctx context.Context, o store.OrganizationID, person, emailKey string) error {
	s, err := a.settings(ctx)
	if err != nil || o == store.FirstOrganization || len(s.StaffDomains) == 0 {
		return err
	}
	staff := identifier.IsOf(emailKey, s.StaffDomains)
	if person != "" {
		ids, err := a.store.People().Identifiers(ctx, person)
		if err != nil {
			return fmt.Errorf("look up identifiers: %w", err)
		}
		staff = slices.ContainsFunc(ids, func(id store.Identifier) bool {
			return id.Kind == store.Email && identifier.IsOf(id.Key, s.StaffDomains)
		})
		if in, err := a.isStaff(ctx, person); err != nil || in {
			return err
		}
	}
	if staff {
		return ErrStaffDomain
	}
	return nil
}

// isStaff reports whether somebody is a member of the first organization.
func (a *Access) isStaff(ctx context.Context, person string) (bool, error) {
	_, err := a.store.Members(store.FirstOrganization).Get(ctx, person)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return false, fmt.Errorf("look up a member: %w", err)
	}
	return err == nil, nil
}

// AskSignUp sends a link to who wants an account with an organization of that name, or to
// who has one already a mail that says so. After Limits.MailsToOne none is sent, in the
// same words. Errors: ErrSignUpClosed, ErrStaffDomain, ErrTries, fault.Field (several
// joined).
func (a *Access) AskSignUp(ctx context.Context, email, organization string, from Client) error {
	email, organization = strings.TrimSpace(email), plain(organization)
	key, err := identifier.Check(identifier.Email, "email", email)
	if err := errors.Join(err, checkName("organization", "write what your organization is called", organization)); err != nil {
		return err
	}
	if err := a.signingUp(ctx, key); err != nil {
		return err
	}
	c, m, more, err := a.newConfirmation(ctx, email, key, from, "sign-up",
		func(link string, until time.Time) mail.Message { return mail.SignUpConfirm{Link: link, Until: until} },
		mail.SignUpKnown{Link: a.o.Mailer.Link("sign-in", "")})
	if err != nil || !more {
		return err
	}
	c.Called = organization
	by := audit.Person("", "", "", from.Address).Did(audit.SignUpAsked, "sign_up", c.ID, "email", email, "name", organization)
	if err := a.store.Confirmations().Wait(ctx, by.Sending(m), c); err != nil {
		return fmt.Errorf("have an address confirmed: %w", err)
	}
	a.o.Log.Info("somebody signs up", "address", from.Address)
	return nil
}

// newConfirmation is one of an address that is to wait, and the mail with its link to a page; where
// the address is an account's, the mail says known instead, and the token is told to nobody. more
// is false where the address has had enough mails. Errors: ErrTries.
func (a *Access) newConfirmation(ctx context.Context, email, key string, from Client, page string, ask func(link string, until time.Time) mail.Message, known mail.Message) (c store.Confirmation, m store.Mail, more bool, err error) {
	if more, err = a.countMail(ctx, key, from); err != nil {
		return c, m, false, err
	}
	_, err = a.store.People().ByIdentifier(ctx, store.Email, "", key)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return c, m, false, fmt.Errorf("look up an account: %w", err)
	}
	text, hash := token()
	until := a.o.Now().Add(ConfirmationLifetime)
	said := ask(a.o.Mailer.Link(page, text), until)
	if err == nil {
		said = known
	}
	c = store.Confirmation{ID: store.NewID(), TokenHash: hash, Email: email, EmailKey: key, CreatedAt: a.now(), ExpiresAt: until.UnixMilli()}
	m, err = a.o.Mailer.Compose(mail.To{Address: email}, said)
	return c, m, more, err
}

// countMail counts a mail that a stranger has sent to an e-mail address; more is false
// where it has had enough of them. Errors: ErrTries.
func (a *Access) countMail(ctx context.Context, emailKey string, from Client) (more bool, err error) {
	limits := map[string]int{}
	for network, limit := range share.Subjects(from.IP(), max(a.o.Limits.SignUps/10, 1)) {
		limits["sign-up:"+network] = limit
	}
	// Apart and first: a network that is locked must not use up what there is for all.
	if _, err := a.count(ctx, limits); err != nil {
		return false, err
	}
	one := "mail:" + hex.EncodeToString(hashOf(emailKey))
	counts, err := a.count(ctx, map[string]int{"sign-ups": a.o.Limits.SignUps, one: 0})
	return counts[one].Count <= int64(a.o.Limits.MailsToOne), err
}

// SigningUp is what the link of who signs up says to who has it.
type SigningUp struct{ Email, Organization string }

// SigningUp reads the link with that token, without using it up. It counts as a try of
// the address. Errors: ErrSignUpLink, ErrSignUpClosed, ErrStaffDomain, ErrTries.
func (a *Access) SigningUp(ctx context.Context, token string, from Client) (SigningUp, error) {
	c, err := a.confirmation(ctx, token, from)
	return SigningUp{c.Email, c.Called}, err
}

func (a *Access) confirmation(ctx context.Context, token string, from Client) (store.Confirmation, error) {
	if _, err := a.count(ctx, a.addressLimits(from)); err != nil {
		return store.Confirmation{}, err
	}
	c, err := a.store.Confirmations().Find(ctx, hashOf(token), a.now())
	if err != nil || c.PersonID != "" {
		return store.Confirmation{}, signUpError(err)
	}
	return c, a.signingUp(ctx, c.EmailKey)
}

// SignUp uses the link up: it makes a person with its e-mail address, confirmed, and an
// organization that they own, and signs them in. Errors: as SigningUp; ErrAccount,
// ErrBusy, fault.Field (several joined).
func (a *Access) SignUp(ctx context.Context, token, name, password string, from Client) (Identity, *http.Cookie, error) {
	c, err := a.confirmation(ctx, token, from)
	if err != nil {
		return Identity{}, nil, err
	}
	p, err := a.newPerson(ctx, name, password, from)
	if err != nil {
		return Identity{}, nil, err
	}
	o := store.Organization{ID: store.OrganizationID(store.NewID()), Name: c.Called, Code: identifier.NewCode(c.Called), CreatedAt: p.CreatedAt}
	by := audit.Person(p.ID, p.Name, "", from.Address).Did(audit.SignedUp, "person", p.ID, "email", c.Email, "organization", string(o.ID), "name", o.Name)
	if err := a.store.Confirmations().SignUp(ctx, by, hashOf(token), a.now(), p, o); err != nil {
		if errors.Is(err, store.ErrConflict) {
			err = ErrAccount
		}
		return Identity{}, nil, signUpError(err)
	}
	a.o.Log.Info("somebody signed up", "person", p.ID, "organization", o.ID, "address", from.Address)
	return a.letIn(ctx, p, o.ID, from)
}

func signUpError(err error) error {
	switch {
	case err == nil, errors.Is(err, store.ErrNotFound):
		return ErrSignUpLink
	case errors.Is(err, ErrAccount):
		return err
	}
	return fmt.Errorf("sign up: %w", err)
}
