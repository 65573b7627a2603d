package access

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"

	"oriel/protocol/sanitize"
	"oriel/relay/internal/audit"
	"oriel/relay/internal/fault"
	"oriel/relay/internal/identifier"
	"oriel/relay/internal/store"
)

// Bounds of what a person types.
const (
	MinPassword = 10   // characters
	MaxPassword = 1024 // bytes
	MaxName     = 128  // bytes
)

// letIn makes a sign-in of p in an organization.
func (a *Access) letIn(ctx context.Context, p store.Person, o store.OrganizationID, from Client) (Identity, *http.Cookie, error) {
	text, hash := token()
	in := store.SignIn{TokenHash: hash, ID: store.NewID(), PersonID: p.ID, Organization: o, Address: from.Address,
		Browser: from.Browser, CreatedAt: a.now(), SeenAt: a.now()}
	err := a.store.SignIns().Add(ctx, audit.Person(p.ID, p.Name, in.ID, from.Address).Did(audit.SignedIn, "sign_in", in.ID, "browser", from.Browser), in, p.PasswordHash)
	if errors.Is(err, store.ErrNotFound) { // another password was set since this one was compared
		return Identity{}, nil, ErrCredentials
	}
	if err != nil {
		return Identity{}, nil, fmt.Errorf("remember a sign-in: %w", err)
	}
	a.o.Log.Info("signed in", "person", p.ID, "address", from.Address)
	read, err := a.store.SignIns().AuthorityOf(ctx, in.ID, in.CreatedAt)
	if err != nil {
		return Identity{}, nil, fmt.Errorf("look up a sign-in: %w", err)
	}
	g := authorityOf(read, a.o.Now())
	if !g.admits(from) {
		out := audit.Person(p.ID, p.Name, in.ID, from.Address).Did(audit.SignInEnded, "sign_in", in.ID, "why", "address")
		if _, err := a.store.SignIns().Remove(ctx, out, hash); err != nil {
			return Identity{}, nil, fmt.Errorf("end a sign-in: %w", err)
		}
		return Identity{}, nil, notFrom(from)
	}
	return g.identity(from), a.cookie(SessionCookie, text, a.o.Absolute), nil
}

// letOwnerIn makes a sign-in of who owns the relay, in the organization that it began with.
func (a *Access) letOwnerIn(ctx context.Context, p store.Person, from Client) (Identity, *http.Cookie, error) {
	return a.letIn(ctx, p, store.FirstOrganization, from)
}

// SignOut ends the sign-in of r and returns the cookie that removes it.
func (a *Access) SignOut(r *http.Request) (*http.Cookie, error) {
	if c, err := r.Cookie(a.cookieName(SessionCookie)); err == nil && len(c.Value) <= maxToken {
		who, err := a.Identify(r)
		if err != nil { // too old, or gone
			who = Identity{Client: a.Client(r)}
		}
		id, err := a.store.SignIns().Remove(r.Context(), who.Actor().Did(audit.SignInEnded, "sign_in", who.SignInID), hashOf(c.Value))
		if err != nil && !errors.Is(err, store.ErrNotFound) {
			return nil, fmt.Errorf("end a sign-in: %w", err)
		}
		if err == nil {
			a.Announce(Change{SignInID: id})
		}
	}
	return a.cookie(SessionCookie, "", 0), nil
}

// NewOwnerToken makes the token that makes the first owner; one made before is
// good no more. Errors: ErrOwnerExists.
func (a *Access) NewOwnerToken(ctx context.Context) (string, error) {
	text, hash := token()
	now := a.now()
	err := a.store.People().PutOwnerToken(ctx, audit.Command.Did(audit.OwnerLinkMade, "relay", ""), hash, now, now+OwnerTokenLifetime.Milliseconds())
	if errors.Is(err, store.ErrConflict) {
		return "", ErrOwnerExists
	}
	return text, err
}

// HasOwner reports whether somebody owns this relay yet.
func (a *Access) HasOwner(ctx context.Context) (bool, error) { return a.store.People().HasOwner(ctx) }

// NewOwner is what the first person says.
type NewOwner struct {
	Name, Email, Password string
	Organization          string // what the first organization is called; empty: as it is
}

// CreateOwner uses the token up, adds the first person, names the organization and signs
// them in. Errors: ErrOwnerToken, ErrOwnerExists, ErrTries, ErrBusy, and fault.Field
// (several joined) for what was typed.
func (a *Access) CreateOwner(ctx context.Context, token string, o NewOwner, from Client) (Identity, *http.Cookie, error) {
	if _, err := a.count(ctx, a.addressLimits(from)); err != nil {
		return Identity{}, nil, err
	}
	hash := hashOf(token)
	if err := ownerError(a.store.People().CheckOwnerToken(ctx, hash, a.now())); err != nil {
		return Identity{}, nil, err
	}
	email, organization := strings.TrimSpace(o.Email), plain(o.Organization)
	key, wrong := identifier.Check(identifier.Email, "email", email)
	if organization != "" {
		wrong = errors.Join(wrong, checkName("organization", "", organization))
	}
	if wrong != nil {
		wrong = errors.Join(checkName("name", "write your name", plain(o.Name)), wrong, checkPassword(o.Password))
		return Identity{}, nil, wrong
	}
	p, err := a.newPerson(ctx, o.Name, o.Password, from)
	if err != nil {
		return Identity{}, nil, err
	}
	now := p.CreatedAt
	by := store.Identifier{Kind: store.Email, Key: key, Text: email, VerifiedAt: now, CreatedAt: now}
	made := audit.Person(p.ID, p.Name, "", from.Address).Did(audit.OwnerMade, "person", p.ID, "organization_name", organization)
	if err := ownerError(a.store.People().CreateOwner(ctx, made, hash, now, p, by, organization)); err != nil {
		return Identity{}, nil, err
	}
	a.o.Log.Info("the owner's account was made", "person", p.ID, "address", from.Address)
	return a.letOwnerIn(ctx, p, from)
}

func ownerError(err error) error {
	switch {
	case errors.Is(err, store.ErrNotFound):
		return ErrOwnerToken
	case errors.Is(err, store.ErrConflict):
		return ErrOwnerExists
	case err != nil:
		return fmt.Errorf("make the owner: %w", err)
	}
	return nil
}

// normalize makes the same password of what different keyboards send for it.
func normalize(password string) string {
	if len(password) > MaxPassword {
		return "" // hashed, and nobody's
	}
	return norm.NFC.String(password)
}

// plain is a name as it is kept.
func plain(name string) string { return strings.TrimSpace(norm.NFC.String(name)) }

// checkName says what is wrong with a name; ask is said where there is none.
func checkName(field, ask, name string) error {
	switch {
	case name == "":
		return fault.Field(field, ask)
	case len(name) > MaxName:
		return fault.Field(field, fmt.Sprintf("a name has at most %d bytes", MaxName))
	case !sanitize.Printable(name):
		return fault.Field(field, "this name has characters that cannot be shown")
	}
	return nil
}

func checkPassword(password string) error {
	switch {
	case !utf8.ValidString(password):
		return fault.Field("password", "a password is text in UTF-8")
	case len(password) > MaxPassword:
		return fault.Field("password", fmt.Sprintf("a password has at most %d bytes", MaxPassword))
	case utf8.RuneCountInString(norm.NFC.String(password)) < MinPassword:
		return fault.Field("password", fmt.Sprintf("a password has at least %d characters", MinPassword))
	}
	return nil
}
