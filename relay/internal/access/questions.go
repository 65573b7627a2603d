package access

import (
	"context"
	"errors"
	"fmt"

	"oriel/relay/internal/audit"
	"oriel/relay/internal/rights"
	"oriel/relay/internal/store"
)

// Object is what a permission is about.
type Object struct{ Kind, ID string }

// Relay is the object of permissions that are about no single thing.
var Relay = Object{Kind: "relay"}

// Computer is one computer.
func Computer(id string) Object { return Object{"computer", id} }

// Session is one session in the journal.
func Session(id string) Object { return Object{"session", id} }

// Person is one person.
func Person(id string) Object { return Object{"person", id} }

// Auditor is told of each attempt, once it is decided. It must not block.
type Auditor interface {
	Attempted(ctx context.Context, who Identity, what rights.Permission, on Object, err error)
}

// Refusals is the Auditor that has log keep what was refused.
func Refusals(log *audit.Log) Auditor { return refusals{log} }

type refusals struct{ log *audit.Log }

func (r refusals) Attempted(_ context.Context, who Identity, what rights.Permission, on Object, err error) {
	if errors.Is(err, ErrForbidden) {
		r.log.Refused(who.Organization, who.Actor(), what.String(), on.Kind, on.ID)
	}
}

// Require is the question of an attempt, asked once for each: nil, ErrForbidden,
// or ErrSignedOut when the sign-in behind who has ended meanwhile, which a
// WebSocket that lives for days would not notice by itself. The auditor is told.
func (a *Access) Require(ctx context.Context, who Identity, what rights.Permission, on Object) error {
	err := a.May(ctx, who, what, on)
	if err != nil {
		a.o.Log.Warn("refused", "person", who.PersonID, "permission", what, "on", on, "error", err)
	}
	if a.o.Auditor != nil {
		a.o.Auditor.Attempted(ctx, who, what, on, err)
	}
	return err
}

// May is Require where nobody attempts anything: what to offer, and whether what
// was begun may go on. It is answered alike, and nobody is told.
func (a *Access) May(ctx context.Context, who Identity, what rights.Permission, on Object) error {
	if who.SignInID == "" {
		return ErrSignedOut
	}
	g, err := a.resolve(ctx, who.SignInID, "")
	if err != nil {
		return err
	}
	if g.person != who.PersonID || !g.allows(what, on) {
		return fmt.Errorf("%w (%s)", ErrForbidden, what)
	}
	return nil
}

// Visibility is of which computers somebody may know.
type Visibility = store.Visibility

// Visible is the question of a list and of what is told by and by: on which computers
// who may do what, for the store to look for no others. Nobody is told that it was
// asked. Errors: ErrSignedOut; who may nothing sees nothing.
func (a *Access) Visible(ctx context.Context, who Identity, what rights.Permission) (Visibility, error) {
	if who.SignInID == "" {
		return Visibility{}, ErrSignedOut
	}
	g, err := a.resolve(ctx, who.SignInID, "")
	if err != nil {
		return Visibility{}, err
	}
	return Visibility{All: g.person == who.PersonID && what&^g.may == 0 && what != 0}, nil
}
