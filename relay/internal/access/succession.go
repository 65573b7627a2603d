package access

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"time"

	orielv1 "oriel/protocol/oriel/v1"
	"oriel/protocol/trust"
	"oriel/relay/internal/audit"
	"oriel/relay/internal/store"
)

// Names of the secrets.
const (
	signingKey    = "signing-key"
	successionKey = "succession-key" // its public half, sealed so that nobody puts another there
)

// Errors of the succession, which say what to do.
var (
	ErrSuccessionExists = errors.New("this relay has a succession key already, and its computers have pinned it; find the copy that was made of it")
	ErrNoSuccession     = errors.New("this relay has no succession key, so that no computer would follow; make one with `oriel-relay key succession`, restart the relay, and wait until computers have been connected")
	ErrOtherSuccession  = errors.New("this is not the succession key of this relay")
)

// loadSuccession reads what agents are told of the relay's keys.
func (a *Access) loadSuccession(ctx context.Context) error {
	key, err := a.store.Secrets().Get(ctx, successionKey)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return fmt.Errorf("read the succession key: %w", err)
	}
	a.succession = key
	all, err := a.store.Secrets().Rotations(ctx, trust.MaxRotations)
	if err != nil {
		return fmt.Errorf("read the rotations of the relay's key: %w", err)
	}
	for _, r := range all {
		a.rotations = append(a.rotations, &orielv1.Rotation{OldKey: r.OldKey, NewKey: r.NewKey, At: r.At,
			SuccessionSignature: r.SuccessionSignature, OldSignature: r.OldSignature})
	}
	return nil
}

// Succession is the public key that agents pin beside the relay's; nil: none.
func (a *Access) Succession() ed25519.PublicKey { return a.succession }

// Rotations say how the relay's key follows older ones.
func (a *Access) Rotations() []*orielv1.Rotation { return a.rotations }

// Signed reports whether a key is this relay's, or was before the succession key said
// that another follows it.
func (a *Access) Signed(key ed25519.PublicKey) bool {
	return a.PublicKey().Equal(key) || trust.Follow(a.succession, key, a.PublicKey(), a.rotations) == nil
}

// NewSuccession makes the succession key, of which the relay keeps the public
// half only. A running relay tells agents after its next start. Errors:
// ErrSuccessionExists.
func (a *Access) NewSuccession(ctx context.Context) (trust.Succession, error) {
	s := trust.NewSuccession()
	err := a.store.Secrets().Add(ctx, audit.Command.Did(audit.SuccessionMade, "relay", ""), successionKey, s.Public(), a.now())
	if errors.Is(err, store.ErrConflict) {
		return trust.Succession{}, ErrSuccessionExists
	}
	if err != nil {
		return trust.Succession{}, fmt.Errorf("keep the succession key: %w", err)
	}
	a.succession = s.Public()
	return s, nil
}

// Rotate makes a new signing key, by the word of the succession key and of the
// old one, and revokes open enrollment tokens, which name the old one. No relay may
// run on the database: it would go on with the old key. Errors: ErrNoSuccession,
// ErrOtherSuccession, store.ErrNodesRun.
func (a *Access) Rotate(ctx context.Context, s trust.Succession) error {
	switch {
	case len(a.succession) == 0:
		return ErrNoSuccession
	case !a.succession.Equal(s.Public()):
		return ErrOtherSuccession
	}
	seed := random(ed25519.SeedSize)
	next := ed25519.NewKeyFromSeed(seed)
	r, err := s.Rotate(a.Signer(), a.PublicKey(), next.Public().(ed25519.PublicKey), a.o.Now())
	if err != nil {
		return err
	}
	err = a.store.Secrets().Rotate(ctx, audit.Command.Did(audit.KeyRotated, "relay", ""), signingKey, a.key.Seed(), seed, store.KeyRotation{OldKey: r.GetOldKey(), NewKey: r.GetNewKey(), At: r.GetAt(),
		SuccessionSignature: r.GetSuccessionSignature(), OldSignature: r.GetOldSignature()})
	if err != nil {
		return fmt.Errorf("change the relay's key: %w", err)
	}
	a.key, a.rotations = next, append([]*orielv1.Rotation{r}, a.rotations...)
	return nil
}

// SigningKeyOf says of the relay of a database since when it has its signing key,
// and whether there is a succession key to change it with. No key is opened.
func SigningKeyOf(ctx context.Context, s *store.Store) (since time.Time, changeable bool, err error) {
	at, err := s.Secrets().Since(ctx, signingKey)
	if err == nil {
		since = time.UnixMilli(at)
		_, err = s.Secrets().Since(ctx, successionKey)
		changeable = err == nil
	}
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return time.Time{}, false, fmt.Errorf("look for the relay's keys: %w", err)
	}
	return since, changeable, nil
}
