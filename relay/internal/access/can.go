package access

import (
	"context"
	"fmt"

	"oriel/relay/internal/store"
)

// Permission is one thing that a person may be allowed to do.
type Permission string

// What may be asked of Can, and on what.
const (
	See        Permission = "see"         // a computer in the list, its inventory and preview
	Connect    Permission = "connect"     // watch a computer's screen
	Control    Permission = "control"     // and type on it
	Manage     Permission = "manage"      // a computer's settings, remove it
	Enroll     Permission = "enroll"      // make, list and revoke enrollment tokens
	Journal    Permission = "journal"     // read the record of sessions
	EndSession Permission = "end_session" // end somebody's session
	Operate    Permission = "operate"     // know what the relay itself lacks
)

// Object is what a permission is about.
type Object struct{ Kind, ID string }

// Relay is the object of permissions that are about no single thing.
var Relay = Object{Kind: "relay"}

// Computer is one computer.
func Computer(id string) Object { return Object{"computer", id} }

// Session is one session in the journal.
func Session(id string) Object { return Object{"session", id} }

// Can reports whether who may do what on it: nil, ErrForbidden, or
// ErrSignedOut when the sign-in behind who has ended meanwhile, which a
// WebSocket that lives for days would not notice by itself.
func (a *Access) Can(ctx context.Context, who Identity, what Permission, on Object) error {
	in, p, err := a.store.SignIns().ByID(ctx, who.SignInID)
	if err := a.live(in, err); err != nil {
		return err
	}
	if p.ID != who.PersonID || !allowed(p.Role, what) {
		a.o.Log.Warn("refused", "person", who.PersonID, "permission", what, "on", on)
		return fmt.Errorf("%w (%s)", ErrForbidden, what)
	}
	return nil
}

func allowed(role string, what Permission) bool {
	switch what {
	case See, Connect, Control, Manage, Enroll, Journal, EndSession, Operate:
		return role == store.RoleOwner
	}
	return false
}
