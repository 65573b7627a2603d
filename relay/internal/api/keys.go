package api

import (
	"context"
	"crypto/ed25519"
	"net/http"
	"time"

	"oriel/relay/internal/access"
	"oriel/relay/internal/fault"
)

// KnownKey is a computer's key as the account remembers it.
type KnownKey struct {
	ComputerID string    `json:"computer_id"`
	Key        []byte    `json:"key" doc:"Ed25519, 32 bytes."`
	Since      time.Time `json:"since"`
}

type knownKeysOut struct {
	Body struct {
		Keys []KnownKey `json:"keys" nullable:"false"`
	}
}

type rememberIn struct {
	ID   string `path:"id" maxLength:"64"`
	Body struct {
		Key      []byte `json:"key" maxLength:"44" doc:"Ed25519, 32 bytes, as the computer proved it."`
		Replaces []byte `json:"replaces,omitempty" maxLength:"44" doc:"The key that is no longer to be remembered; without it another key is a conflict."`
	}
}

func (a *API) keys() {
	of := tag("people")
	operation(a, "GET", "/me/keys", "knownKeys", "Keys of computers that the account remembers", a.knownKeys, of)
	operation(a, "PUT", "/me/keys/{id}", "rememberKey", "Remember a computer's key with the account", a.rememberKey, of, status(http.StatusNoContent))
}

func (a *API) knownKeys(ctx context.Context, _ *nothingIn) (*knownKeysOut, error) {
	who, err := a.requireOwn(ctx)
	if err != nil {
		return nil, err
	}
	all, err := a.o.Access.KnownKeys(ctx, who)
	if err != nil {
		return nil, err
	}
	out := &knownKeysOut{}
	out.Body.Keys = make([]KnownKey, len(all))
	for i, k := range all {
		out.Body.Keys[i] = KnownKey{k.ComputerID, k.MachineKey, when(k.Since)}
	}
	return out, nil
}

func (a *API) rememberKey(ctx context.Context, in *rememberIn) (*struct{}, error) {
	if err := a.require(ctx, access.Connect, access.Computer(in.ID)); err != nil {
		return nil, err
	}
	if len(in.Body.Key) != ed25519.PublicKeySize {
		return nil, fault.Field("key", "a key has 32 bytes")
	}
	return nil, a.o.Access.Remember(ctx, callerOf(ctx).who, in.ID, in.Body.Key, in.Body.Replaces)
}
