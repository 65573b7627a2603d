package api

import (
	"context"
	"time"

	orielv1 "oriel/protocol/oriel/v1"
	"oriel/relay/internal/access"
	"oriel/relay/internal/audit"
	"oriel/relay/internal/fleet"
	"oriel/relay/internal/journal"
	"oriel/relay/internal/notify/mail"
	"oriel/relay/internal/page"
	"oriel/relay/internal/store"
)

// Fleet is what the API asks of the room of computers.
type Fleet interface {
	// Page is one of the computers that see includes; may says what else the caller may on each.
	Page(ctx context.Context, o store.OrganizationID, see access.Visibility, may fleet.Offered, view fleet.View, r page.Request) (page.Page[*orielv1.Computer], error)
	Tally(ctx context.Context, o store.OrganizationID, see access.Visibility, filter fleet.Filter, person, by string) (fleet.Tally, error)
	Get(ctx context.Context, computer store.Ref) (*orielv1.Computer, error)
	Details(ctx context.Context, computer store.Ref, person string, may fleet.Offered) (*orielv1.Computer, error)
	Describe(ctx context.Context, by audit.Actor, computer store.Ref, d fleet.Description) error
	Pin(ctx context.Context, computer store.Ref, person string, pinned bool) error
	Rename(ctx context.Context, by audit.Actor, computer store.Ref, name string) error
	// Moved says that a computer is in another group, Renamed that a group has another name.
	Moved(computer store.Ref)
	Renamed(ctx context.Context, group store.Ref) error
	Block(ctx context.Context, by audit.Actor, computer store.Ref, blocked bool) error
	Fields(ctx context.Context, o store.OrganizationID) ([]fleet.Field, error)
	AddField(ctx context.Context, by audit.Actor, o store.OrganizationID, name string) (fleet.Field, error)
	RenameField(ctx context.Context, by audit.Actor, field store.Ref, name string) error
	RemoveField(ctx context.Context, by audit.Actor, field store.Ref) error
	Views(ctx context.Context, person store.Ref) ([]fleet.SavedView, error)
	AddView(ctx context.Context, person store.Ref, name, query string) (fleet.SavedView, error)
	SaveView(ctx context.Context, person store.Ref, id string, name, query *string) (fleet.SavedView, error)
	RemoveView(ctx context.Context, person store.Ref, id string) error
	Remove(ctx context.Context, by audit.Actor, computer store.Ref) error
	// Waiting are computers that the database has lost.
	Waiting(ctx context.Context, o store.OrganizationID) ([]fleet.WaitingComputer, error)
	TakeBack(ctx context.Context, by audit.Actor, computer store.Ref) error
	ForgetWaiting(ctx context.Context, by audit.Actor, computer store.Ref) error
	// Split gives one of two machines with one identity its own.
	Split(ctx context.Context, by audit.Actor, computer store.Ref, mark string) error
	// Settle says that one of two machines with one identity is gone.
	Settle(ctx context.Context, by audit.Actor, computer store.Ref) error
	Inventory(ctx context.Context, computer store.Ref) (*orielv1.Inventory, error)
	// Refresh has the agent send its inventory and waits until it is there.
	Refresh(ctx context.Context, computer store.Ref) error
	Preview(ctx context.Context, computer store.Ref) (data []byte, kind, tag string, err error)
	CreateToken(ctx context.Context, o store.OrganizationID, by audit.Actor, note string, uses int, lifetime time.Duration) (text string, t fleet.Token, err error)
	Tokens(ctx context.Context, o store.OrganizationID) ([]fleet.Token, error)
	RevokeToken(ctx context.Context, by audit.Actor, token store.Ref) error
}

// Journal is what the API asks of the record of sessions.
type Journal interface {
	// Page is at most limit visible entries, newest first, after cursor; next is empty at the end.
	Page(ctx context.Context, o store.OrganizationID, v access.Visibility, f journal.Filter, cursor string, limit int) (page []*orielv1.JournalEntry, next string, err error)
	Get(ctx context.Context, session store.Ref) (*orielv1.JournalEntry, error)
}

// Mails are what the API asks of those that were sent.
type Mails interface {
	// Page is at most limit mails, newest first unless f says otherwise, after cursor; next is empty at the end.
	Page(ctx context.Context, o store.OrganizationID, f mail.Filter, cursor string, limit int) (page []mail.Mail, next string, err error)
}

// Answers are those to creations that were asked with a key.
type Answers interface {
	// Once is what do answers, or what it answered before: then again is true.
	Once(ctx context.Context, person store.Ref, key string, request []byte, do func(context.Context) ([]byte, error)) (answer []byte, again bool, err error)
}

// Broker is what the API asks of the room of live sessions.
type Broker interface {
	// End ends a session on both sides; one that has ended is no error.
	End(ctx context.Context, who access.Identity, session string) error
}
