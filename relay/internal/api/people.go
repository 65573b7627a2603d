package api

import (
	"context"
	"net/http"

	"oriel/relay/internal/access"
	"oriel/relay/internal/identifier"
	"oriel/relay/internal/people"
)

// Person is who is signed in.
type Person struct {
	ID           string              `json:"id"`
	Name         string              `json:"name"`
	Email        string              `json:"email" doc:"Empty where there is none."`
	Role         string              `json:"role" doc:"Id of the role in this organization."`
	Organization people.Organization `json:"organization" doc:"That the sign-in is in."`
	Permissions  []string            `json:"permissions" nullable:"false" doc:"On the whole organization; grants may give more on parts of it."`
}

// person is the answer to who asks.
func (a *API) person(ctx context.Context, who access.Identity) (*personOut, error) {
	o, err := a.o.People.Organization(ctx, who)
	if err != nil {
		return nil, err
	}
	may, err := a.o.Access.Permissions(ctx, who)
	return &personOut{Person{ID: who.PersonID, Name: who.Name, Email: who.Email, Role: who.Role, Organization: o, Permissions: may.Words()}}, err
}

type nothingIn struct{}

type personOut struct{ Body Person }

type cookieOut struct {
	SetCookie http.Cookie `header:"Set-Cookie"`
}

// SignedIn is who signed in, and where this relay wants to be opened: a browser
// that keeps no cookie of an https relay is told where it would.
type SignedIn struct {
	Person
	PublicURL string `json:"public_url" doc:"The relay's public address; sign-ins are kept there."`
}

type signedInOut struct {
	SetCookie []http.Cookie `header:"Set-Cookie"`
	Body      SignedIn
}

type signInIn struct {
	Body struct {
		Login        string `json:"login" maxLength:"287" doc:"An e-mail address, a user name or a number of the organization's; also as login:organization."`
		Organization string `json:"organization,omitempty" maxLength:"32" doc:"Code of the organization that is meant."`
		Password     string `json:"password" format:"password" maxLength:"1024"`
	}
}

type ownerIn struct {
	Body struct {
		Token    string `json:"token" maxLength:"128" doc:"From the owner's link."`
		Name     string `json:"name" maxLength:"128"`
		Email    string `json:"email" maxLength:"254"`
		Password string `json:"password" format:"password" maxLength:"1024" doc:"At least 10 characters."`

		Organization string `json:"organization,omitempty" maxLength:"128" doc:"What the first organization is called, as those read who are invited to it; absent: it has no name yet."`
	}
}

func (a *API) people() {
	of := tag("people")
	operation(a, "POST", "/sign-in", "signIn", "Sign in. Sets the cookie that names the sign-in, and one by which the relay knows this browser later. Wrong passwords are counted for the account and for the address; too many are answered 429 with the time to wait.", a.signIn, of, open)
	operation(a, "POST", "/sign-out", "signOut", "Sign out. Ends the sign-in that asks, and the live connections and sessions of it.", a.signOut, of)
	operation(a, "GET", "/me", "me", "Tell who is signed in.", a.me, of)
	operation(a, "POST", "/owner", "createOwner", "Make the first owner. Takes the one-time token of the link that the relay prints at its first start, and signs the owner in.", a.createOwner, of, open)
}

func (a *API) signIn(ctx context.Context, in *signInIn) (*signedInOut, error) {
	from := a.o.Access.Client(callerOf(ctx).r)
	who, c, err := a.o.Access.SignIn(ctx, identifier.In(in.Body.Login, in.Body.Organization), in.Body.Password, from)
	return a.signedIn(ctx, who, c, err)
}

func (a *API) createOwner(ctx context.Context, in *ownerIn) (*signedInOut, error) {
	from := a.o.Access.Client(callerOf(ctx).r)
	b := in.Body
	who, c, err := a.o.Access.CreateOwner(ctx, b.Token, access.NewOwner{Name: b.Name, Email: b.Email, Password: b.Password, Organization: b.Organization}, from)
	return a.signedIn(ctx, who, c, err)
}

// signedIn answers one that has just signed in, and makes their browser known.
func (a *API) signedIn(ctx context.Context, who access.Identity, session *http.Cookie, err error) (*signedInOut, error) {
	if err != nil {
		return nil, err
	}
	device, err := a.o.Access.DeviceCookie(ctx, who)
	if err != nil {
		return nil, err
	}
	p, err := a.person(ctx, who)
	if err != nil {
		return nil, err
	}
	return &signedInOut{[]http.Cookie{*session, *device}, SignedIn{p.Body, a.o.Relay.PublicURL()}}, nil
}

func (a *API) signOut(ctx context.Context, _ *nothingIn) (*cookieOut, error) {
	if _, err := a.requireOwn(ctx); err != nil {
		return nil, err
	}
	c, err := a.o.Access.SignOut(callerOf(ctx).r)
	if err != nil {
		return nil, err
	}
	return &cookieOut{*c}, nil
}

func (a *API) me(ctx context.Context, _ *nothingIn) (*personOut, error) {
	who, err := a.requireOwn(ctx)
	if err != nil {
		return nil, err
	}
	return a.person(ctx, who)
}
