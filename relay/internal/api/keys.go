package api

import (
	"context"
	"crypto/ed25519"
	"net/http"
	"time"

	"oriel/relay/internal/access"
	"oriel/relay/internal/fault"
	"oriel/relay/internal/page"
	"oriel/relay/internal/rights"
)

// KnownKey is a computer's key as the account remembers it.
type KnownKey struct {
	ComputerID string    `json:"computer_id"`
	Key        []byte    `json:"key" doc:"Ed25519, 32 bytes."`
	Since      time.Time `json:"since"`
}

type knownKeysIn struct {
	ListIn
	Sort string `query:"sort" enum:"computer_id,-computer_id,since,-since" default:"computer_id"`
}

var knownKeyList = page.List[KnownKey]{
	ID: func(k KnownKey) string { return k.ComputerID },
	Keys: map[string]func(KnownKey) string{
		"computer_id": func(k KnownKey) string { return k.ComputerID },
		"since":       func(k KnownKey) string { return inTime(k.Since) },
	},
	Text: func(k KnownKey) []string { return []string{k.ComputerID} },
}

func knownKeyOf(k access.KnownKey) KnownKey {
	return KnownKey{k.ComputerID, k.MachineKey, when(k.Since)}
}

type rememberIn struct {
	ID   string `path:"id" maxLength:"64" pattern:"^[A-Za-z0-9_-]+$" patternDescription:"an id"`
	Body struct {
		Key      []byte `json:"key" maxLength:"44" doc:"Ed25519, 32 bytes, as the computer proved it."`
		Replaces []byte `json:"replaces,omitempty" maxLength:"44" doc:"The key that is no longer to be remembered; without it another key is a conflict."`
	}
}

func (a *API) keys() {
	of := tag("people")
	operation(a, "GET", "/me/keys", "knownKeys", "List the keys of computers that the account remembers. A viewer compares them with what a computer proves.", a.knownKeys, of)
	operation(a, "PUT", "/me/keys/{id}", "rememberKey", "Remember a computer's key with the account. Another key than the remembered one is a conflict, unless it is said to be replaced.", a.rememberKey, of, status(http.StatusNoContent))
}

func (a *API) knownKeys(ctx context.Context, in *knownKeysIn) (*listOut[KnownKey], error) {
	who, err := a.requireOwn(ctx)
	if err != nil {
		return nil, err
	}
	all, err := a.o.Access.KnownKeys(ctx, who)
	if err != nil {
		return nil, err
	}
	return answer(knownKeyList, each(all, knownKeyOf), in.request(in.Sort))
}

func (a *API) rememberKey(ctx context.Context, in *rememberIn) (*struct{}, error) {
	if err := a.require(ctx, rights.Connect, access.Computer(in.ID)); err != nil {
		return nil, err
	}
	if len(in.Body.Key) != ed25519.PublicKeySize {
		return nil, fault.Field("key", "a key has 32 bytes")
	}
	return nil, a.o.Access.Remember(ctx, callerOf(ctx).who, in.ID, in.Body.Key, in.Body.Replaces)
}
