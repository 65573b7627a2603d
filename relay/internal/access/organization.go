package access

import (
	"context"
	"fmt"

	"oriel/relay/internal/audit"
	"oriel/relay/internal/store"
)

// SwitchOrganization has a person be at work in another organization of theirs, with this
// sign-in. What runs in the one before, a session or another tab, goes on there. Errors:
// ErrSignedOut; store.ErrNotFound where they are no active member, or there is none.
func (a *Access) SwitchOrganization(ctx context.Context, who Identity, to store.OrganizationID) error {
	if who.SignInID == "" {
		return ErrSignedOut // a key has its own
	}
	by := who.Actor().Did(audit.SignInSwitched, "sign_in", who.SignInID)
	if err := a.store.SignIns().Switch(ctx, by, who.PersonID, who.SignInID, to); err != nil {
		return fmt.Errorf("switch to another organization: %w", err)
	}
	a.Announce(Change{SignInID: who.SignInID})
	a.o.Log.Info("switched to another organization", "person", who.PersonID, "organization", to)
	return nil
}
