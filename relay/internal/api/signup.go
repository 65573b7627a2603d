package api

import (
	"context"
	"net/http"
	"time"

	"oriel/relay/internal/access"
)

// SignUp is whether anybody may make an account.
type SignUp struct {
	Open    bool `json:"open" doc:"Without it an invitation is needed."`
	Minutes int  `json:"minutes" doc:"How long the link is good that is sent."`
}

type signUpOut struct{ Body SignUp }

type askSignUpIn struct {
	Body struct {
		Email        string `json:"email" maxLength:"254"`
		Organization string `json:"organization" maxLength:"128" doc:"What the organization is to be called that the new account owns."`
	}
}

// LinkSent is the answer to who has a link sent, whoever they are.
type LinkSent struct {
	Minutes int `json:"minutes" doc:"How long the link is good."`
}

type linkSentOut struct{ Body LinkSent }

var linkSent = &linkSentOut{LinkSent{int(access.ConfirmationLifetime / time.Minute)}}

type signUpTokenIn struct {
	Body struct {
		Token string `json:"token" maxLength:"128" format:"password" doc:"From the link in the mail."`
	}
}

// SigningUp is what the link says to who has it.
type SigningUp struct {
	Email        string `json:"email"`
	Organization string `json:"organization" doc:"What it is to be called."`
}

type signingUpOut struct{ Body SigningUp }

type newAccountIn struct {
	Body struct {
		Token    string `json:"token" maxLength:"128" format:"password" doc:"From the link in the mail."`
		Name     string `json:"name" maxLength:"128"`
		Password string `json:"password" maxLength:"1024" format:"password" doc:"At least 10 characters."`
	}
}

func (a *API) signUps() {
	of := tag("people")
	operation(a, "GET", "/sign-up", "getSignUp", "Tell whether anybody may sign up. Where nobody may, an invitation is needed.", a.signUpOpen, of, open)
	operation(a, "POST", "/sign-up", "askSignUp", "Sign up. Sends a link by mail with which to go on. The answer is the same for an address that has an account, which gets a mail that says so.", a.askSignUp, of, open, status(http.StatusAccepted))
	operation(a, "POST", "/sign-up/link", "readSignUp", "Tell what a sign-up link is for. It is not used up.", a.readSignUp, of, open)
	operation(a, "POST", "/sign-up/account", "createAccount", "Make the account that a sign-up link is for. It owns a new organization, and is signed in.", a.createAccount, of, open)
}

func (a *API) signUpOpen(ctx context.Context, _ *nothingIn) (*signUpOut, error) {
	yes, err := a.o.Access.SignUpOpen(ctx)
	return &signUpOut{SignUp{yes, linkSent.Body.Minutes}}, err
}

func (a *API) askSignUp(ctx context.Context, in *askSignUpIn) (*linkSentOut, error) {
	return linkSent, a.o.Access.AskSignUp(ctx, in.Body.Email, in.Body.Organization, a.o.Access.Client(callerOf(ctx).r))
}

func (a *API) readSignUp(ctx context.Context, in *signUpTokenIn) (*signingUpOut, error) {
	s, err := a.o.Access.SigningUp(ctx, in.Body.Token, a.o.Access.Client(callerOf(ctx).r))
	return &signingUpOut{SigningUp(s)}, err
}

func (a *API) createAccount(ctx context.Context, in *newAccountIn) (*signedInOut, error) {
	b := in.Body
	who, c, err := a.o.Access.SignUp(ctx, b.Token, b.Name, b.Password, a.o.Access.Client(callerOf(ctx).r))
	return a.signedIn(ctx, who, c, err)
}
