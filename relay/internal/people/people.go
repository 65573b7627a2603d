// Package people is an organization's members and what they may: roles, teams, groups
// of computers, grants, approvals and API keys. It makes the changes; package access
// signs people in and decides, package rights holds the rules.
//
// # Rules
//
//   - Every method takes who asks. Whether they may do that at all is asked of access
//     by the door (the API), on the object that the change is about. What
//     they may give is asked here: nobody gives what they lack (Access.MayGive), and
//     nobody but who may change the organization touches who may.
//   - Everything is looked for in the asker's organization, so that what is another's is as
//     what does not exist.
//   - A change is announced after it is stored, so that it holds at once on every node.
//   - An approval is never given by who asked for it.
//
// # Texts
//
// Names are one printable line. What people name themselves by is read by package
// identifier. Bounds of counts are the store's.
package people

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"golang.org/x/text/unicode/norm"

	"oriel/protocol/sanitize"
	"oriel/relay/internal/access"
	"oriel/relay/internal/audit"
	"oriel/relay/internal/fault"
	"oriel/relay/internal/notify/mail"
	"oriel/relay/internal/page"
	"oriel/relay/internal/rights"
	"oriel/relay/internal/store"
)

// MaxName is the longest name of anything here, in bytes.
const MaxName = 128

// Faults of what people are given.
var (
	ErrGives = fault.New(fault.Gives, "this would give more than you have yourself; ask an owner of the organization")
	ErrOwn   = fault.New(fault.OwnAccess, "you cannot change your own access; ask another admin")
)

// Access is what is asked of package access.
type Access interface {
	// MayGive says access.ErrForbidden where who lacks some of what, on that object.
	MayGive(ctx context.Context, who access.Identity, what rights.Permission, on access.Object) error
	// Explain says what a member of who's organization may, and why.
	Explain(ctx context.Context, who access.Identity, person string, what rights.Permission, on access.Object) (rights.Why, error)
	// ExplainMembers is that for several, by person.
	ExplainMembers(ctx context.Context, who access.Identity, people []string, what rights.Permission, on access.Object) (map[string]rights.Why, error)
	// ExplainComputers is a page of the computers that a member sees, with what they may there, and why.
	ExplainComputers(ctx context.Context, who access.Identity, person string, what rights.Permission, r page.Request) (page.Page[access.Explained], error)
	// Announce has every node forget what it remembers.
	Announce(access.Change)
}

// Options of New; Store and Access are needed.
type Options struct {
	Store  *store.Store
	Access Access
	Mailer *mail.Mailer // nil: links are handed over
	// PublicURL of the relay, for links; without a slash at its end.
	PublicURL string
	Now       func() time.Time // nil: time.Now
	Log       *slog.Logger     // nil: none
}

// People is the members of all organizations of a relay. Its methods may be called from
// any goroutine.
type People struct{ o Options }

// New makes one.
func New(o Options) *People {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return &People{o}
}

func (p *People) now() int64 { return p.o.Now().UnixMilli() }

// done notes a change of what a person may, of a whole organization where none is named,
// and announces it.
func (p *People) done(who access.Identity, person string, what audit.Action) {
	p.o.Log.Info("access changed", "by", who.PersonID, "organization", who.Organization, "person", person, "action", what)
	p.o.Access.Announce(access.Change{PersonID: person, Organization: who.Organization})
}

// mayGive says ErrGives where who lacks some of what.
func (p *People) mayGive(ctx context.Context, who access.Identity, what rights.Permission, on access.Object) error {
	err := p.o.Access.MayGive(ctx, who, what, on)
	if errors.Is(err, access.ErrForbidden) {
		return ErrGives
	}
	return err
}

// nameOf is a name as it is kept. Errors: fault.Field.
func nameOf(field, text string) (string, error) {
	name := strings.TrimSpace(norm.NFC.String(text))
	switch {
	case name == "":
		return "", fault.Field(field, "write a name")
	case len(name) > MaxName:
		return "", fault.Field(field, fmt.Sprintf("a name has at most %d bytes", MaxName))
	case !sanitize.Printable(name):
		return "", fault.Field(field, "this name has characters that cannot be shown")
	}
	return name, nil
}

// when is a time of the database; zero: never.
func when(ms int64) *time.Time {
	if ms == 0 {
		return nil
	}
	t := time.UnixMilli(ms).UTC()
	return &t
}

func at(ms int64) time.Time { return time.UnixMilli(ms).UTC() }

// millis is a time as the database has it.
func millis(t *time.Time) int64 {
	if t == nil || t.IsZero() {
		return 0
	}
	return t.UnixMilli()
}

// each is a page with its items made into others.
func each[A, B any](p page.Page[A], err error, fn func(A) B) (page.Page[B], error) {
	out := page.Page[B]{Items: make([]B, 0, len(p.Items)), Next: p.Next}
	for _, one := range p.Items {
		out.Items = append(out.Items, fn(one))
	}
	return out, err
}
