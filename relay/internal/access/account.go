package access

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"oriel/relay/internal/audit"
	"oriel/relay/internal/fault"
	"oriel/relay/internal/identifier"
	"oriel/relay/internal/notify/mail"
	"oriel/relay/internal/share"
	"oriel/relay/internal/store"
)

// SignIn is one browser in which a person is signed in.
type SignIn struct {
	ID                string // names it without giving the token away
	Address, Browser  string
	CreatedAt, SeenAt int64 // Unix milliseconds; seen is exact to a minute
}

// SignIns are the live ones of a person, the last seen first.
func (a *Access) SignIns(ctx context.Context, who Identity) ([]SignIn, error) {
	all, err := a.store.SignIns().Of(ctx, who.PersonID)
	if err != nil {
		return nil, fmt.Errorf("list sign-ins: %w", err)
	}
	var live []SignIn
	for _, in := range all {
		if !a.over(in.CreatedAt, in.SeenAt) {
			live = append(live, SignIn{in.ID, in.Address, in.Browser, in.CreatedAt, in.SeenAt})
		}
	}
	return live, nil
}

// EndSignIn ends one of a person's own sign-ins. Errors: store.ErrNotFound.
func (a *Access) EndSignIn(ctx context.Context, who Identity, id string) error {
	if err := a.store.SignIns().End(ctx, who.Actor().Did(audit.SignInEnded, "sign_in", id), who.PersonID, id); err != nil {
		return fmt.Errorf("end a sign-in: %w", err)
	}
	a.Announce(Change{SignInID: id})
	a.o.Log.Info("a sign-in was ended", "person", who.PersonID, "sign-in", id, "address", who.Address)
	return nil
}

// ChangePassword gives a person another password and ends their other
// sign-ins. A wrong current one counts as a try to sign in.
// Errors: ErrTries, ErrBusy, fault.Field.
func (a *Access) ChangePassword(ctx context.Context, who Identity, current, password string) error {
	if err := checkPassword(password); err != nil {
		return err
	}
	_, p, err := a.store.SignIns().ByID(ctx, who.SignInID)
	if errors.Is(err, store.ErrNotFound) { // it ended meanwhile, or is a key
		return ErrSignedOut
	}
	if err != nil {
		return fmt.Errorf("look up a sign-in: %w", err)
	}
	try, err := a.begin(ctx, identifier.ParseLogin(who.Email).Subject(), []store.Login{{Person: p}}, who.Client)
	if err != nil {
		a.wrongPassword(ctx, p, who.Client, err)
		return err
	}
	ok, err := a.hasher.check(ctx, normalize(current), p.PasswordHash, who.IP(), try.rank)
	if err != nil {
		return err
	}
	if !ok {
		a.o.Log.Info("change of a password refused", "person", p.ID, "address", who.Address)
		a.wrongPassword(ctx, p, who.Client, ErrCredentials)
		return fault.Field("current", "this is not your current password")
	}
	if err := a.store.Tries().TakeBack(ctx, try.back); err != nil {
		return fmt.Errorf("take back tries: %w", err)
	}
	encoded, err := a.hasher.hash(ctx, normalize(password), who.IP(), try.rank)
	if err != nil {
		return err
	}
	told := a.telling(who.Actor().Did(audit.PasswordChanged, "person", p.ID), who.Email, mail.PasswordChanged{At: time.UnixMilli(a.now()), From: who.Address})
	ended, err := a.store.People().SetPassword(ctx, told, p.ID, encoded, who.SignInID)
	if err != nil {
		return fmt.Errorf("change a password: %w", err)
	}
	a.Announce(Change{PersonID: p.ID})
	a.o.Log.Warn("a password was changed", "person", p.ID, "address", who.Address, "ended", len(ended))
	return nil
}

// mails reports whether this relay sends mail.
func (a *Access) mails() bool { return a.o.Mailer != nil && a.o.Mailer.Enabled() }

// telling is the entry with a mail to who is concerned, where mail is sent. An address
// that no mail can be sent to keeps nobody from changing anything.
func (a *Access) telling(e store.Entry, address string, what mail.Message) store.Entry {
	if !a.mails() || address == "" {
		return e
	}
	m, err := a.o.Mailer.Compose(mail.To{Address: address}, what)
	if err != nil {
		a.o.Log.Warn("nobody is told by mail", "action", e.Action, "err", err)
		return e
	}
	return e.Sending(m)
}

// NewRecoveryToken makes the token that gives the owner a new password; one
// made before is good no more. Errors: ErrNoOwner.
func (a *Access) NewRecoveryToken(ctx context.Context) (string, error) {
	text, hash := token()
	now := a.now()
	err := a.store.People().PutRecoveryToken(ctx, audit.Command.Did(audit.RecoveryMade, "relay", ""), hash, now, now+RecoveryTokenLifetime.Milliseconds())
	if errors.Is(err, store.ErrNotFound) {
		return "", ErrNoOwner
	}
	return text, err
}

// Recover uses the token up, gives the owner another password, ends all their
// sign-ins and signs them in. Errors: ErrRecovery,
// ErrTries, ErrBusy, fault.Field.
func (a *Access) Recover(ctx context.Context, token, password string, from Client) (Identity, *http.Cookie, error) {
	if _, err := a.count(ctx, a.addressLimits(from)); err != nil {
		return Identity{}, nil, err
	}
	hash := hashOf(token)
	if err := recoveryError(a.store.People().CheckRecoveryToken(ctx, hash, a.now())); err != nil {
		return Identity{}, nil, err
	}
	if err := checkPassword(password); err != nil {
		return Identity{}, nil, err
	}
	encoded, err := a.hasher.hash(ctx, normalize(password), from.IP(), share.Known)
	if err != nil {
		return Identity{}, nil, err
	}
	p, ended, err := a.store.People().Recover(ctx, audit.Person("", "", "", from.Address).Did(audit.PasswordRecovered, "person", ""), hash, a.now(), encoded)
	if err := recoveryError(err); err != nil {
		return Identity{}, nil, err
	}
	a.Announce(Change{PersonID: p.ID})
	a.o.Log.Warn("the owner's password was set anew with a link from the command line", "person", p.ID, "address", from.Address, "ended", len(ended))
	return a.letOwnerIn(ctx, p, from)
}

func recoveryError(err error) error {
	switch {
	case errors.Is(err, store.ErrNotFound):
		return ErrRecovery
	case err != nil:
		return fmt.Errorf("recover the owner's account: %w", err)
	}
	return nil
}
