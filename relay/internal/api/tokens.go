package api

import (
	"context"
	"net/http"
	"strings"
	"time"

	"oriel/installer"
	"oriel/protocol/address"
	"oriel/protocol/sanitize"
	"oriel/relay/internal/access"
	"oriel/relay/internal/fault"
	"oriel/relay/internal/fleet"
	"oriel/relay/internal/page"
	"oriel/relay/internal/rights"
)

// EnrollmentToken lets computers in.
type EnrollmentToken struct {
	ID        string     `json:"id"`
	Note      string     `json:"note"`
	CreatedAt time.Time  `json:"created_at"`
	ExpiresAt time.Time  `json:"expires_at"`
	UsesLeft  int64      `json:"uses_left"`
	Used      int64      `json:"used"`
	RevokedAt *time.Time `json:"revoked_at,omitempty"`
}

// NewEnrollmentToken has what is told only once.
type NewEnrollmentToken struct {
	EnrollmentToken
	Token   string `json:"token" doc:"Told this once."`
	Command string `json:"command" doc:"Installs the agent and enrolls it, on the command line of the new computer."`
}

func tokenOf(t fleet.Token) EnrollmentToken {
	return EnrollmentToken{ID: t.ID, Note: t.Note, CreatedAt: when(t.CreatedAt), ExpiresAt: when(t.ExpiresAt),
		UsesLeft: t.UsesLeft, Used: t.Used, RevokedAt: maybe(t.RevokedAt)}
}

type tokensIn struct {
	ListIn
	Sort string `query:"sort" enum:"created_at,-created_at,expires_at,-expires_at" default:"-created_at"`
}

var tokenList = page.List[EnrollmentToken]{
	ID: func(t EnrollmentToken) string { return t.ID },
	Keys: map[string]func(EnrollmentToken) string{
		"created_at": func(t EnrollmentToken) string { return inTime(t.CreatedAt) },
		"expires_at": func(t EnrollmentToken) string { return inTime(t.ExpiresAt) },
	},
	Text: func(t EnrollmentToken) []string { return []string{t.Note} },
}

type newTokenIn struct {
	KeyIn
	Body struct {
		Note           string `json:"note,omitempty" maxLength:"256"`
		Uses           int    `json:"uses,omitempty" minimum:"1" maximum:"100000" default:"1" doc:"How many computers may enroll with it."`
		ExpiresInHours int    `json:"expires_in_hours,omitempty" minimum:"1" maximum:"8760" default:"24"`
		AllowHTTP      bool   `json:"allow_http,omitempty" doc:"Where the public address is http beyond the relay's own machine: make a token all the same."`
	}
}

func (a *API) tokens() {
	of := tag("enrollment")
	operation(a, "GET", "/enrollment-tokens", "listEnrollmentTokens", "List the enrollment tokens. What a token says is told only when it is made.", a.listTokens, of)
	operation(a, "POST", "/enrollment-tokens", "createEnrollmentToken", "Make an enrollment token. The answer has the token, this once, and the command that enrolls a computer with it.", a.createToken, of, status(http.StatusCreated))
	operation(a, "DELETE", "/enrollment-tokens/{id}", "revokeEnrollmentToken", "Revoke an enrollment token. Computers that enrolled with it stay.", a.revokeToken, of, status(http.StatusNoContent))
}

func (a *API) listTokens(ctx context.Context, in *tokensIn) (*listOut[EnrollmentToken], error) {
	if err := a.require(ctx, rights.Enroll, access.Organization); err != nil {
		return nil, err
	}
	all, err := a.o.Fleet.Tokens(ctx, organization(ctx))
	if err != nil {
		return nil, err
	}
	return answer(tokenList, each(all, tokenOf), in.request(in.Sort))
}

func (a *API) createToken(ctx context.Context, in *newTokenIn) (*created[NewEnrollmentToken], error) {
	if err := a.require(ctx, rights.Enroll, access.Organization); err != nil {
		return nil, err
	}
	note := strings.TrimSpace(in.Body.Note)
	if !sanitize.Printable(note) {
		return nil, fault.Field("note", "this note has characters that cannot be shown")
	}
	if a.exposed() && !in.Body.AllowHTTP {
		return nil, fault.Field("allow_http", "this relay's public address is not encrypted, so that others on the network could take part in what a new computer is told; "+
			"give the relay a certificate, or say that you trust the network")
	}
	lifetime := time.Duration(in.Body.ExpiresInHours) * time.Hour
	return once(ctx, a, in.Key, in.Body, func(ctx context.Context) (NewEnrollmentToken, error) {
		text, t, err := a.o.Fleet.CreateToken(ctx, organization(ctx), actor(ctx), note, in.Body.Uses, lifetime)
		if err != nil {
			return NewEnrollmentToken{}, err
		}
		command, err := a.command(text)
		return NewEnrollmentToken{EnrollmentToken: tokenOf(t), Token: text, Command: command}, err
	})
}

// exposed reports whether agents come over http from other machines.
func (a *API) exposed() bool {
	url, err := address.Parse(a.o.Relay.PublicURL())
	return err == nil && url.Exposed()
}

// command for the shell of the new computer: the script where there are
// packages, else the agent that is there already.
func (a *API) command(token string) (string, error) {
	url := a.o.Relay.PublicURL()
	args := []string{"--token", token}
	if a.exposed() {
		args = append(args, "--allow-http")
	}
	script := a.o.Relay.AgentScript()
	if script == nil {
		return "oriel-agent run --relay " + url + " " + strings.Join(args, " "), nil
	}
	return installer.Command(url, script, args...)
}

func (a *API) revokeToken(ctx context.Context, in *idIn) (*struct{}, error) {
	if err := a.require(ctx, rights.Enroll, access.Organization); err != nil {
		return nil, err
	}
	return nil, a.o.Fleet.RevokeToken(ctx, actor(ctx), own(ctx, in.ID))
}
