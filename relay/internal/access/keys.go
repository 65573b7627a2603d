package access

import (
	"context"
	"crypto/ed25519"
	"fmt"

	"oriel/relay/internal/audit"
	"oriel/relay/internal/store"
)

// MaxKnownKeys that an account remembers.
const MaxKnownKeys = 10_000

// KnownKey is a computer's key as an account remembers it.
type KnownKey struct {
	ComputerID string
	MachineKey ed25519.PublicKey
	Since      int64 // Unix milliseconds
}

// KnownKeys are all that who's account remembers.
func (a *Access) KnownKeys(ctx context.Context, who Identity) ([]KnownKey, error) {
	rows, err := a.store.People().KnownKeys(ctx, who.PersonID)
	if err != nil {
		return nil, fmt.Errorf("list known keys: %w", err)
	}
	all := make([]KnownKey, len(rows))
	for i, k := range rows {
		all[i] = KnownKey{k.ComputerID, k.MachineKey, k.Since}
	}
	return all, nil
}

// Remember has who's account remember a computer's key; in the place of another
// one only where that is replaces. Errors: store.ErrConflict, also for more than
// MaxKnownKeys.
func (a *Access) Remember(ctx context.Context, who Identity, computer string, key, replaces ed25519.PublicKey) error {
	k := store.KnownKey{PersonID: who.PersonID, ComputerID: computer, MachineKey: key, Since: a.o.Now().UnixMilli()}
	if err := a.store.People().SaveKnownKey(ctx, who.Actor().Did(audit.KeyRemembered, "computer", computer), k, replaces, MaxKnownKeys); err != nil {
		return fmt.Errorf("remember key: %w", err)
	}
	return nil
}
