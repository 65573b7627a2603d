package access

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	orielv1 "oriel/protocol/oriel/v1"
	"oriel/relay/internal/audit"
	"oriel/relay/internal/page"
	"oriel/relay/internal/rights"
	"oriel/relay/internal/store"
)

// Object is what a permission is about, in the organization of who asks.
type Object struct{ Kind, ID string }

// Organization is the object of permissions that are about no single thing.
var Organization = Object{Kind: "organization"}

// Computer is one computer.
func Computer(id string) Object { return Object{"computer", id} }

// Group is one group of computers.
func Group(id string) Object { return Object{"group", id} }

// Session is one session in the journal; it is where its computer is.
func Session(id string) Object { return Object{"session", id} }

// Person is one person.
func Person(id string) Object { return Object{"person", id} }

// Auditor is told of each attempt, once it is decided. It must not block.
type Auditor interface {
	Attempted(ctx context.Context, who Identity, what rights.Permission, on Object, err error)
	// WrongPassword is told of a password that was refused: of the person of that id,
	// or of nobody there is. err is ErrCredentials, or ErrTries where it was not
	// looked at any more.
	WrongPassword(ctx context.Context, person string, from Client, err error)
}

// Refusals is the Auditor that has log keep what was refused.
func Refusals(log *audit.Log) Auditor { return refusals{log} }

type refusals struct{ log *audit.Log }

func (r refusals) Attempted(_ context.Context, who Identity, what rights.Permission, on Object, err error) {
	if errors.Is(err, ErrForbidden) {
		r.log.Refused(who.Organization, who.Actor(), what.String(), on.Kind, on.ID)
	}
}

func (r refusals) WrongPassword(_ context.Context, person string, from Client, err error) {
	why := audit.Wrong
	if errors.Is(err, ErrTries) {
		why = audit.TooMany
	}
	r.log.SignInRefused(person, from.Address, why)
}

// wrongPassword tells the auditor of a password that err refused.
func (a *Access) wrongPassword(ctx context.Context, p store.Person, from Client, err error) {
	if a.o.Auditor != nil && (errors.Is(err, ErrCredentials) || errors.Is(err, ErrTries)) {
		a.o.Auditor.WrongPassword(ctx, p.ID, from, err)
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
	_, err := a.MayUntil(ctx, who, what, on)
	return err
}

// MayUntil is May with the first moment at which the answer will be no, when hours close,
// a grant ends or an approval runs out; zero: none is near (rights.Horizon). A change may
// always bring it sooner, or later.
func (a *Access) MayUntil(ctx context.Context, who Identity, what rights.Permission, on Object) (time.Time, error) {
	g, err := a.of(ctx, who)
	if err != nil {
		return time.Time{}, err
	}
	at, err := a.place(ctx, g, what, on)
	if err != nil {
		return time.Time{}, err
	}
	now := a.o.Now()
	d := g.rights.Decide(what, at, now)
	if !d.Allowed {
		return time.Time{}, refuse(g.rights.Explain(what, at, now), what)
	}
	return d.Until, nil
}

// refusal is an ErrForbidden with what is missing.
type refusal struct {
	error
	missing []rights.Missing
}

func (r refusal) Unwrap() error { return r.error }

// Is has every refusal be an ErrForbidden, whatever else it says.
func (r refusal) Is(target error) bool { return target == error(ErrForbidden) }

// refuse is ErrForbidden in the words of what is in the way of all of it.
func refuse(why rights.Why, what rights.Permission) error {
	err := ErrForbidden
	if len(why.Missing) == 1 {
		const layout = "2 January 2006 at 15:04 MST"
		switch m := why.Missing[0]; {
		case m.Reason == rights.ReasonApproval:
			err = ErrNeedsApproval
		case m.Reason == rights.ReasonOutsideHours && !m.From.IsZero():
			err = err.Saying("you may do this within certain hours only; they begin again on " + m.From.Format(layout))
		case m.Reason == rights.ReasonNotBegun && !m.From.IsZero():
			err = err.Saying("you may not do this yet; your access begins on " + m.From.Format(layout))
		case m.Reason == rights.ReasonEnded:
			err = err.Saying("your access to this has ended; ask an admin of the organization to renew it")
		}
	}
	return refusal{fmt.Errorf("%w (%s)", err, what), why.Missing}
}

// TimeIsUp reports whether err is an ErrForbidden of which the clock is the cause: hours
// closed, a grant ended, an approval ran out.
func TimeIsUp(err error) bool {
	var r refusal
	return errors.As(err, &r) && len(r.missing) > 0 && !slices.ContainsFunc(r.missing, func(m rights.Missing) bool {
		return m.Reason != rights.ReasonOutsideHours && m.Reason != rights.ReasonEnded && m.Reason != rights.ReasonApproval
	})
}

// of is the authority of who, in the organization where they are at work. An identity
// that names somebody else than its sign-in does is nobody's. Errors: ErrSignedOut,
// ErrForbidden.
func (a *Access) of(ctx context.Context, who Identity) (authority, error) {
	if who.SignInID == "" && who.KeyID == "" {
		return authority{}, ErrSignedOut
	}
	g, err := a.resolve(ctx, who.claim(), "")
	switch {
	case err != nil:
	case g.rights.Person != who.PersonID:
		err = ErrForbidden
	case who.Address != "" && !g.admits(who.Client): // a tab of somebody who was let in before
		err = ErrSignedOut
	}
	return g, err
}

// WhySignedOut is why who, whose questions are answered with ErrSignedOut, is signed in no
// more; unspecified: that is not known any more.
func (a *Access) WhySignedOut(ctx context.Context, who Identity) orielv1.SignOutReason {
	const removed, blocked, expired, address = orielv1.SignOutReason_SIGN_OUT_REASON_REMOVED, orielv1.SignOutReason_SIGN_OUT_REASON_BLOCKED,
		orielv1.SignOutReason_SIGN_OUT_REASON_EXPIRED, orielv1.SignOutReason_SIGN_OUT_REASON_ADDRESS
	why, err := a.store.SignIns().WhyEnded(ctx, who.SignInID)
	if err == nil {
		return orielv1.FromWord[orielv1.SignOutReason](string(why))
	}
	now := a.o.Now()
	var found store.Authority
	if errors.Is(err, store.ErrNotFound) {
		found, err = a.store.SignIns().AuthorityIn(ctx, who.SignInID, who.Organization, now.UnixMilli())
	}
	if err != nil {
		if !errors.Is(err, store.ErrNotFound) && ctx.Err() == nil {
			a.o.Log.Warn("not known why a sign-in ended", "person", who.PersonID, "err", err)
		}
		return 0
	}
	switch g := authorityOf(found, now); {
	case found.State == "":
		return removed
	case !g.rights.Active:
		return blocked
	case g.demands == nil:
		return 0
	case a.ended(g):
		return expired
	case !g.admits(who.Client):
		return address
	}
	return 0
}

// Visibility is of which computers somebody may know.
type Visibility = store.Visibility

// Visible is the question of a list and of what is told by and by: on which computers
// who may do what, which is one permission, for the store to look for no others. Nobody
// is told that it was asked. Errors: ErrSignedOut; who may nothing sees nothing.
func (a *Access) Visible(ctx context.Context, who Identity, what rights.Permission) (Visibility, error) {
	g, err := a.of(ctx, who)
	if errors.Is(err, ErrForbidden) {
		return Visibility{}, nil
	}
	if err != nil {
		return Visibility{}, err
	}
	v := g.rights.Visible(what, a.o.Now())
	return Visibility{All: v.All, Groups: v.Groups, Computers: v.Computers}, nil
}

// MayGive says ErrForbidden where who may not give what to others on that object, because
// they lack some of it, or have it under a condition.
func (a *Access) MayGive(ctx context.Context, who Identity, what rights.Permission, on Object) error {
	g, err := a.of(ctx, who)
	if err != nil {
		return err
	}
	at, err := a.place(ctx, g, what, on)
	if err != nil {
		return err
	}
	if !g.rights.MayGive(what, at, a.o.Now()) {
		return fmt.Errorf("%w (give %s)", ErrForbidden, what)
	}
	return nil
}

// Explain is the question why a member of who's organization may do what there, or what
// is missing, as the database says now. Whether who may know is asked apart. Errors:
// store.ErrNotFound where the organization has no such member.
func (a *Access) Explain(ctx context.Context, who Identity, person string, what rights.Permission, on Object) (rights.Why, error) {
	now := a.o.Now()
	found, err := a.store.Members(who.Organization).Authority(ctx, person, now.UnixMilli())
	if err != nil {
		return rights.Why{}, fmt.Errorf("look up a member: %w", err)
	}
	g := authorityOf(found, now)
	at, err := a.place(ctx, g, what, on)
	if err != nil {
		return rights.Why{}, err
	}
	return g.rights.Explain(what, at, now), nil
}

// ExplainMembers is Explain for several, by person; who is no member is not in it.
func (a *Access) ExplainMembers(ctx context.Context, who Identity, people []string, what rights.Permission, on Object) (map[string]rights.Why, error) {
	now := a.o.Now()
	found, err := a.store.Members(who.Organization).Authorities(ctx, now.UnixMilli(), people...)
	if err != nil {
		return nil, fmt.Errorf("look up members: %w", err)
	}
	all := make(map[string]rights.Why, len(found))
	for _, one := range found {
		g := authorityOf(one, now)
		at, err := a.place(ctx, g, what, on)
		if err != nil {
			return nil, err
		}
		all[g.rights.Person] = g.rights.Explain(what, at, now)
	}
	return all, nil
}

// Explained is a computer with what a member may on it, and why.
type Explained struct {
	Computer store.Computer
	Why      rights.Why
}

// ExplainComputers is Explain for each computer that the member sees, which is a page of
// them by name. Errors: store.ErrNotFound where the organization has no such member,
// page.ErrCursor, fault.Field.
func (a *Access) ExplainComputers(ctx context.Context, who Identity, person string, what rights.Permission, r page.Request) (page.Page[Explained], error) {
	now := a.o.Now()
	found, err := a.store.Members(who.Organization).Authority(ctx, person, now.UnixMilli())
	if err != nil {
		return page.Page[Explained]{}, fmt.Errorf("look up a member: %w", err)
	}
	g := authorityOf(found, now)
	v := g.rights.Visible(rights.See, now)
	view := store.ComputerView{Sort: r.Sort, ComputerFilter: store.ComputerFilter{Words: r.Words}}
	rows, err := a.store.Computers(who.Organization).Page(ctx, Visibility{All: v.All, Groups: v.Groups, Computers: v.Computers}, view, r)
	if err != nil {
		return page.Page[Explained]{}, fmt.Errorf("list computers: %w", err)
	}
	out := page.Page[Explained]{Next: rows.Next}
	for _, c := range rows.Items {
		at := rights.OfComputer(g.rights.Organization, c.ID, c.GroupPath)
		out.Items = append(out.Items, Explained{c.Computer, g.rights.Explain(what, at, now)})
	}
	return out, nil
}

// Permissions are all that who may on the whole organization, as a page offers what they
// may. Nobody is told that it was asked. Errors: ErrSignedOut.
func (a *Access) Permissions(ctx context.Context, who Identity) (rights.Permission, error) {
	g, err := a.of(ctx, who)
	if err != nil {
		return 0, err
	}
	d := g.rights.Decide(rights.Everything, rights.InOrganization(string(who.Organization)), a.o.Now())
	return rights.Everything &^ d.Lacking, nil
}
