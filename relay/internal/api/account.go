package api

import (
	"context"
	"net/http"
	"time"

	"oriel/protocol/sanitize"
	"oriel/relay/internal/access"
	"oriel/relay/internal/page"
)

// SignIn is one browser in which the caller is signed in.
type SignIn struct {
	ID        string    `json:"id"`
	CreatedAt time.Time `json:"created_at"`
	SeenAt    time.Time `json:"seen_at" doc:"Exact to a minute."`
	Address   string    `json:"address"`
	Browser   string    `json:"browser" doc:"What the browser calls itself (User-Agent)."`
	Current   bool      `json:"current" doc:"The one that asks."`
}

type signInsIn struct {
	ListIn
	Sort string `query:"sort" enum:"seen_at,-seen_at,created_at,-created_at" default:"-seen_at"`
}

var signInList = page.List[SignIn]{
	ID: func(in SignIn) string { return in.ID },
	Keys: map[string]func(SignIn) string{
		"seen_at":    func(in SignIn) string { return inTime(in.SeenAt) },
		"created_at": func(in SignIn) string { return inTime(in.CreatedAt) },
	},
	Text: func(in SignIn) []string { return []string{in.Address, in.Browser} },
}

type passwordIn struct {
	Body struct {
		Current  string `json:"current" format:"password" maxLength:"1024"`
		Password string `json:"password" format:"password" maxLength:"1024" doc:"The new one, at least 10 characters."`
	}
}

type recoverIn struct {
	Body struct {
		Token    string `json:"token" maxLength:"128" doc:"From the link that oriel-relay owner recover prints."`
		Password string `json:"password" format:"password" maxLength:"1024" doc:"The new one, at least 10 characters."`
	}
}

func (a *API) account() {
	of := tag("people")
	operation(a, "GET", "/sign-ins", "listSignIns", "List where the caller is signed in. One item for each browser, also the one that asks.", a.signIns, of)
	operation(a, "DELETE", "/sign-ins/{id}", "endSignIn", "End a sign-in of the caller. Its live connections and sessions end with it.", a.endSignIn, of, status(http.StatusNoContent))
	operation(a, "POST", "/password", "changePassword", "Change the caller's password. All other sign-ins of the caller end; this one stays.", a.changePassword, of)
	operation(a, "POST", "/recover", "recoverOwner", "Set the owner's password anew. Takes the one-time token of the link that oriel-relay owner recover prints, ends all sign-ins of the owner, and signs in.", a.recover, of, open)
}

func (a *API) signIns(ctx context.Context, in *signInsIn) (*listOut[SignIn], error) {
	who, err := a.requireOwn(ctx)
	if err != nil {
		return nil, err
	}
	all, err := a.o.Access.SignIns(ctx, who)
	if err != nil {
		return nil, err
	}
	return answer(signInList, each(all, func(in access.SignIn) SignIn {
		return SignIn{ID: in.ID, CreatedAt: when(in.CreatedAt), SeenAt: when(in.SeenAt), Address: in.Address,
			Browser: sanitize.Line(in.Browser, 256), Current: in.ID == who.SignInID}
	}), in.request(in.Sort))
}

func (a *API) endSignIn(ctx context.Context, in *idIn) (*struct{}, error) {
	who, err := a.requireOwn(ctx)
	if err != nil {
		return nil, err
	}
	return nil, a.o.Access.EndSignIn(ctx, who, in.ID)
}

// changePassword keeps this browser known: what it had was good for the old one.
func (a *API) changePassword(ctx context.Context, in *passwordIn) (*cookieOut, error) {
	who, err := a.requireOwn(ctx)
	if err != nil {
		return nil, err
	}
	if err := a.o.Access.ChangePassword(ctx, who, in.Body.Current, in.Body.Password); err != nil {
		return nil, err
	}
	device, err := a.o.Access.DeviceCookie(ctx, who)
	if err != nil {
		return nil, err
	}
	return &cookieOut{*device}, nil
}

func (a *API) recover(ctx context.Context, in *recoverIn) (*signedInOut, error) {
	who, session, err := a.o.Access.Recover(ctx, in.Body.Token, in.Body.Password, a.o.Access.Client(callerOf(ctx).r))
	return a.signedIn(ctx, who, session, err)
}
