package api

import (
	"context"
	"net/http"
	"time"

	"oriel/relay/internal/access"
	"oriel/relay/internal/page"
)

// EmailAddress is one that the caller signs in with, or that waits for its owner.
type EmailAddress struct {
	ID        string     `json:"id"`
	Email     string     `json:"email"`
	Confirmed bool       `json:"confirmed" doc:"Without it nobody signs in with it."`
	CreatedAt time.Time  `json:"created_at"`
	ExpiresAt *time.Time `json:"expires_at,omitempty" doc:"When the link of one that waits is no good any more."`
	Last      bool       `json:"last" doc:"Nothing else is left to sign in with, so that it stays."`
}

func emailAddressOf(e access.EmailAddress) EmailAddress {
	return EmailAddress{e.ID, e.Email, e.ExpiresAt == 0, when(e.CreatedAt), maybe(e.ExpiresAt), e.Last}
}

type emailAddressesIn struct {
	ListIn
	Sort string `query:"sort" enum:"created_at,-created_at,email,-email" default:"created_at"`
}

var emailAddressList = page.List[EmailAddress]{
	ID: func(e EmailAddress) string { return e.ID },
	Keys: map[string]func(EmailAddress) string{
		"created_at": func(e EmailAddress) string { return inTime(e.CreatedAt) },
		"email":      func(e EmailAddress) string { return e.Email },
	},
	Text: func(e EmailAddress) []string { return []string{e.Email} },
}

type askEmailAddressIn struct {
	Body struct {
		Email string `json:"email" maxLength:"254"`
	}
}

type emailTokenIn struct {
	Body struct {
		Token string `json:"token" maxLength:"128" format:"password" doc:"From the link in the mail."`
	}
}

type emailAddressOut struct{ Body EmailAddress }

func (a *API) emailAddresses() {
	of := tag("people")
	operation(a, "GET", "/me/email-addresses", "listEmailAddresses", "List the e-mail addresses that the caller signs in with, and those that wait until a link is followed", a.listEmailAddresses, of)
	operation(a, "POST", "/me/email-addresses", "askEmailAddress", "Add an e-mail address, or send its link once more. It waits until the caller opens the link that is sent there. The answer is the same for an address that has another account, which gets a mail that says so.", a.askEmailAddress, of, status(http.StatusAccepted))
	operation(a, "POST", "/me/email-addresses/confirm", "confirmEmailAddress", "Confirm an e-mail address with the token of its link, as the person who added it, who signs in with it from then on", a.confirmEmailAddress, of)
	operation(a, "DELETE", "/me/email-addresses/{id}", "removeEmailAddress", "Remove an e-mail address, which nobody signs in with any more and which is told so by mail, or take back one that waits, whose link is no good any more. The last that the caller signs in with stays.", a.removeEmailAddress, of, status(http.StatusNoContent))
}

func (a *API) listEmailAddresses(ctx context.Context, in *emailAddressesIn) (*listOut[EmailAddress], error) {
	who, err := a.requireOwn(ctx)
	if err != nil {
		return nil, err
	}
	all, err := a.o.Access.EmailAddresses(ctx, who)
	if err != nil {
		return nil, err
	}
	return answer(emailAddressList, each(all, emailAddressOf), in.request(in.Sort))
}

func (a *API) askEmailAddress(ctx context.Context, in *askEmailAddressIn) (*linkSentOut, error) {
	who, err := a.requireOwn(ctx)
	if err != nil {
		return nil, err
	}
	return linkSent, a.o.Access.AskEmailAddress(ctx, who, in.Body.Email)
}

func (a *API) confirmEmailAddress(ctx context.Context, in *emailTokenIn) (*emailAddressOut, error) {
	who, err := a.requireOwn(ctx)
	if err != nil {
		return nil, err
	}
	e, err := a.o.Access.ConfirmEmailAddress(ctx, who, in.Body.Token)
	return &emailAddressOut{emailAddressOf(e)}, err
}

func (a *API) removeEmailAddress(ctx context.Context, in *idIn) (*struct{}, error) {
	who, err := a.requireOwn(ctx)
	if err != nil {
		return nil, err
	}
	return nil, a.o.Access.RemoveEmailAddress(ctx, who, in.ID)
}
