package access

import (
	"context"
	"encoding/base64"
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
//
// Each has an id, so that none stands in a path or a log. One that is removed is told so by
// mail, as a person may not be who removed it.

// Faults of who adds an e-mail address.
var (
	ErrEmailLink = fault.New(fault.EmailLink, "this link was used, has expired or was replaced, or another account asked for it; sign in to the account that asked, and open the newest link or ask for another one there")
	ErrNoMail    = fault.New(fault.NoMailServer, "links are sent by mail, and this relay has no mail server; whoever runs it has to set smtp-host first")
)

// EmailAddress is one that a person signs in with, or that waits.
type EmailAddress struct {
	ID        string
	Email     string
	CreatedAt int64 // Unix milliseconds
	ExpiresAt int64 // of one that waits; 0: it is confirmed
	Last      bool  // nothing else is left to sign in with
}

// emailID is that of a confirmed address.
func emailID(key string) string {
	return base64.RawURLEncoding.EncodeToString(hashOf("e-mail address " + key)[:16])
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
			all = append(all, EmailAddress{ID: emailID(id.Key), Email: id.Text, CreatedAt: id.CreatedAt, Last: len(ids) == 1})
		}
	}
	for _, c := range waiting {
		all = append(all, EmailAddress{ID: c.ID, Email: c.Email, CreatedAt: c.CreatedAt, ExpiresAt: c.ExpiresAt})
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

// RemoveEmailAddress takes one of who's away. With a confirmed one nobody signs in any more,
// of one that waits the link is no good. Who is signed in stays so. Errors:
// store.ErrNotFound, store.ErrLastIdentifier.
func (a *Access) RemoveEmailAddress(ctx context.Context, who Identity, id string) error {
	ids, err := a.store.People().Identifiers(ctx, who.PersonID)
	if err != nil {
		return fmt.Errorf("look up identifiers: %w", err)
	}
	for _, one := range ids {
		if one.Kind == store.Email && emailID(one.Key) == id {
			return a.removeEmail(ctx, who, one)
		}
	}
	if err := a.store.Confirmations().TakeBack(ctx, who.Actor().Did(audit.EmailTakenBack, "email_address", id), who.PersonID, id); err != nil {
		return fmt.Errorf("take back an address: %w", err)
	}
	return nil
}

func (a *Access) removeEmail(ctx context.Context, who Identity, id store.Identifier) error {
	by := who.Actor().Did(audit.IdentifierRemoved, "person", who.PersonID, "kind", id.Kind, "key", id.Key)
	by = a.telling(by, id.Text, mail.EmailRemoved{At: time.UnixMilli(a.now()), From: who.Address})
	if err := a.store.People().RemoveIdentifier(ctx, by, id); err != nil {
		return fmt.Errorf("remove an address: %w", err)
	}
	a.Announce(Change{PersonID: who.PersonID}) // mails go to another one now
	a.o.Log.Warn("an e-mail address was removed", "person", who.PersonID, "address", who.Address)
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
	a.Announce(Change{PersonID: who.PersonID})
	return EmailAddress{ID: emailID(c.EmailKey), Email: c.Email, CreatedAt: now}, nil
}
