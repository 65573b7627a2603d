package access

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"oriel/relay/internal/audit"
	"oriel/relay/internal/fault"
	"oriel/relay/internal/identifier"
	"oriel/relay/internal/notify/mail"
	"oriel/relay/internal/store"
)

// # More e-mail addresses
//
// A person may sign in with several. One more waits until its owner follows a link that is
// sent there, signed in as the person who asked; until then it is nobody's, and several may
// wait for the same one. As with signing up, nobody learns by the answer or by what waits
// whether an address is that of another account: only the mail says so.

// Faults of who adds an e-mail address.
var (
	ErrEmailLink = fault.New(fault.EmailLink, "this link was used, has expired or was replaced, or another account asked for it; sign in to the account that asked, and open the newest link or ask for another one there")
	ErrNoMail    = fault.New(fault.NoMailServer, "links are sent by mail, and this relay has no mail server; whoever runs it has to set smtp-host first")
)

// EmailAddress is one that a person signs in with, or that waits.
type EmailAddress struct {
	ID        string // of one that waits
	Email     string
	CreatedAt int64 // Unix milliseconds
	ExpiresAt int64 // of one that waits; 0: it is confirmed
}

// EmailAddresses are a person's, those that wait last.
func (a *Access) EmailAddresses(ctx context.Context, who Identity) ([]EmailAddress, error) {
	ids, err := a.store.People().Identifiers(ctx, who.PersonID)
	if err != nil {
		return nil, fmt.Errorf("look up identifiers: %w", err)
	}
	waiting, err := a.store.Confirmations().Of(ctx, who.PersonID, a.now())
	if err != nil {
		return nil, fmt.Errorf("look up addresses that wait: %w", err)
	}
	var all []EmailAddress
	for _, id := range ids {
		if id.Kind == store.Email {
			all = append(all, EmailAddress{Email: id.Text, CreatedAt: id.CreatedAt})
		}
	}
	for _, c := range waiting {
		all = append(all, EmailAddress{c.ID, c.Email, c.CreatedAt, c.ExpiresAt})
	}
	return all, nil
}

// AskEmailAddress has an address wait for who, and sends a link there or, where it is that
// of another account, a mail that says so. Asking once more replaces the link. After
// Limits.MailsToOne none is sent, and nothing changes, in the same words. Errors: ErrNoMail,
// ErrStaffDomain, ErrTries, store.ErrLimit, fault.Field.
func (a *Access) AskEmailAddress(ctx context.Context, who Identity, email string) error {
	email = strings.TrimSpace(email)
	key, err := identifier.Check(identifier.Email, "email", email)
	if err != nil {
		return err
	}
	if !a.mails() {
		return ErrNoMail
	}
	if err := a.staffOnly(ctx, who.PersonID, key); err != nil {
		return err
	}
	ids, err := a.store.People().Identifiers(ctx, who.PersonID)
	if err != nil {
		return fmt.Errorf("look up identifiers: %w", err)
	}
	if slices.ContainsFunc(ids, func(id store.Identifier) bool { return id.Kind == store.Email && id.Key == key }) {
		return fault.Field("email", "this is one of your addresses already")
	}
	c, m, more, err := a.newConfirmation(ctx, email, key, who.Client, "email",
		func(link string, until time.Time) mail.Message { return mail.EmailConfirm{Link: link, Until: until} }, mail.EmailKnown{})
	if err != nil || !more {
		return err
	}
	c.PersonID = who.PersonID
	// In the first organization's audit, and so in its list of mails: an admin of another one
	// would read there which kind was sent.
	by := who.Actor().Did(audit.EmailAsked, "email_address", c.ID, "email", email)
	if err := a.store.Confirmations().Wait(ctx, by.Sending(m), c); err != nil {
		return fmt.Errorf("have an address confirmed: %w", err)
	}
	a.o.Log.Info("somebody adds an e-mail address", "person", who.PersonID, "address", who.Address)
	return nil
}

// staffOnly says ErrStaffDomain where an address is of the staff and a person is not.
func (a *Access) staffOnly(ctx context.Context, person, emailKey string) error {
	s, err := a.settings(ctx)
	if err != nil || !identifier.IsOf(emailKey, s.StaffDomains) {
		return err
	}
	staff, err := a.isStaff(ctx, person)
	if err == nil && !staff {
		err = ErrStaffDomain
	}
	return err
}

// TakeBackEmailAddress has one of who's wait no more: its link is no good. Errors:
// store.ErrNotFound.
func (a *Access) TakeBackEmailAddress(ctx context.Context, who Identity, id string) error {
	if err := a.store.Confirmations().TakeBack(ctx, who.Actor().Did(audit.EmailTakenBack, "email_address", id), who.PersonID, id); err != nil {
		return fmt.Errorf("take back an address: %w", err)
	}
	return nil
}

// ConfirmEmailAddress uses the link up: who signs in with that address from then on. It
// counts as a try of the address. Errors: ErrEmailLink, ErrAccount, ErrStaffDomain,
// ErrTries, store.ErrLimit.
func (a *Access) ConfirmEmailAddress(ctx context.Context, who Identity, token string) (EmailAddress, error) {
	if _, err := a.count(ctx, a.addressLimits(who.Client)); err != nil {
		return EmailAddress{}, err
	}
	now := a.now()
	c, err := a.store.Confirmations().Find(ctx, hashOf(token), now)
	if errors.Is(err, store.ErrNotFound) || err == nil && c.PersonID != who.PersonID {
		return EmailAddress{}, ErrEmailLink
	}
	if err != nil {
		return EmailAddress{}, fmt.Errorf("look up an address that waits: %w", err)
	}
	if err := a.staffOnly(ctx, who.PersonID, c.EmailKey); err != nil {
		return EmailAddress{}, err
	}
	by := who.Actor().Did(audit.IdentifierAdded, "person", who.PersonID, "kind", store.Email, "text", c.Email)
	switch err := a.store.Confirmations().Confirm(ctx, by, who.PersonID, hashOf(token), now); {
	case errors.Is(err, store.ErrNotFound):
		return EmailAddress{}, ErrEmailLink
	case errors.Is(err, store.ErrConflict):
		return EmailAddress{}, ErrAccount.Saying("there is another account with this e-mail address by now; sign in with that, or add another address")
	case err != nil:
		return EmailAddress{}, fmt.Errorf("confirm an address: %w", err)
	}
	a.o.Log.Info("an e-mail address was confirmed", "person", who.PersonID, "address", who.Address)
	return EmailAddress{Email: c.Email, CreatedAt: now}, nil
}
