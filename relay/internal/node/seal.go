package node

import (
	"context"
	"errors"
	"fmt"

	"oriel/relay/internal/config"
	"oriel/relay/internal/seal"
	"oriel/relay/internal/store"
)

// Unseal opens the relay's own keys in the database with the sealing key, and
// returns the place of that key. At the first start, and at the first one
// after a version that sealed nothing, it makes the key. A key that is missing
// or wrong later on is an error: the relay never takes a new identity by itself.
func Unseal(ctx context.Context, s *store.Store, c *config.Config) (place string, err error) {
	by, err := s.Secrets().SealedBy(ctx)
	if err != nil {
		return "", fmt.Errorf("look for the relay's keys: %w", err)
	}
	key, place, err := seal.Find(c.SealingKey, c.Data)
	if errors.Is(err, seal.ErrNoKey) && by == "" {
		key, place, err = seal.Make(c.Data)
	}
	if err == nil {
		err = s.Secrets().UseSealingKey(ctx, key)
	}
	return place, SealingProblem(err, place, by, key)
}

// SealingProblem says what to do about err; by is the key that is needed.
func SealingProblem(err error, place, by string, have seal.Key) error {
	const put = "put the right one there (it is with the other nodes, and in your back-ups), or into the setting sealing-key; " +
		"without it the relay's identity is lost and every computer must be enrolled again"
	switch {
	case errors.Is(err, seal.ErrNoKey):
		return fmt.Errorf("%w, but the relay's keys in the database are sealed with key %s; %s", err, by, put)
	case errors.Is(err, store.ErrOtherKey):
		return fmt.Errorf("%w, and %s has key %s; %s", err, place, have.ID(), put)
	case errors.Is(err, seal.ErrOpened), errors.Is(err, store.ErrUnsealed):
		return fmt.Errorf("%w: the row in the database was changed; restore it from a back-up", err)
	case err != nil:
		return fmt.Errorf("unseal the relay's keys: %w", err)
	}
	return nil
}
