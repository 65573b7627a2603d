package access

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"slices"

	"oriel/relay/internal/fault"
	"oriel/relay/internal/identifier"
	"oriel/relay/internal/share"
	"oriel/relay/internal/store"
)

// # Naming oneself
//
// One field takes an e-mail address, a user name or a number of an organization's, or any
// of them as login:organization (package identifier). An e-mail address is one person's; a
// user name or a number may be somebody's in each organization, so that the password
// decides. Only who knows a password that fits in several is asked which organization
// they mean.
//
// Nobody learns by the answer or its time who exists: as many passwords are compared for
// every login of a form, whoever it names, and people who are inactive are refused in the
// same words.

// guesses is how many people a user name or a number without an organization may
// mean; of more the organization has to be said.
const guesses = 3

// ErrWhichOrganization is told to who gave a password that is right in several
// organizations, with their codes and names.
var ErrWhichOrganization = fault.New(fault.WhichOrganization, "this signs you in to several organizations; choose one, or write its code behind your login, as in login:code")

// SignIn checks a login and a password and returns the cookie of a new sign-in, in the
// organization that was named or fits; with an e-mail address alone in that where the
// person was last. Errors: ErrCredentials, ErrTries, ErrBusy, ErrWhichOrganization.
func (a *Access) SignIn(ctx context.Context, login, password string, from Client) (Identity, *http.Cookie, error) {
	l := identifier.ParseLogin(login)
	found, err := a.candidates(ctx, l)
	if err != nil {
		return Identity{}, nil, err
	}
	try, err := a.begin(ctx, l.Subject(), found, from)
	if err != nil {
		a.wrongPassword(ctx, meant(found), from, err)
		return Identity{}, nil, err
	}
	fits, err := a.compare(ctx, found, compared(l), normalize(password), from, try.rank)
	if err != nil {
		return Identity{}, nil, err
	}
	if len(fits) == 0 {
		fits = []store.Person{{}} // nobody's memberships are looked up as somebody's are, who is a member no more
	}
	var doors []door
	for _, p := range fits {
		more, err := a.doors(ctx, l, p, found)
		if err != nil {
			return Identity{}, nil, err
		}
		doors = append(doors, more...)
	}
	if len(doors) == 0 {
		a.o.Log.Info("sign-in refused", "address", from.Address)
		a.wrongPassword(ctx, meant(found), from, ErrCredentials)
		return Identity{}, nil, ErrCredentials
	}
	if err := a.store.Tries().TakeBack(ctx, try.back); err != nil {
		return Identity{}, nil, fmt.Errorf("take back tries: %w", err)
	}
	if len(doors) > 1 {
		return Identity{}, nil, which(doors)
	}
	return a.letIn(ctx, doors[0].person, doors[0].organization, from)
}

// candidates are those whom l may mean.
func (a *Access) candidates(ctx context.Context, l identifier.Login) ([]store.Login, error) {
	var keys []store.LoginKey
	for kind, key := range l.Keys() {
		keys = append(keys, store.LoginKey{Kind: string(kind), Key: key})
	}
	slices.SortFunc(keys, func(a, b store.LoginKey) int { return cmp.Compare(a.Kind, b.Kind) })
	all, err := a.store.People().Logins(ctx, "", keys...)
	if err != nil {
		return nil, fmt.Errorf("look up an account: %w", err)
	}
	return slices.DeleteFunc(all, func(one store.Login) bool {
		return l.Code != "" && one.Identifier.Organization != "" && one.OrganizationCode != l.Code
	}), nil
}

// meant is the one person of found; of several, or none, nobody.
func meant(found []store.Login) store.Person {
	if len(found) != 1 {
		return store.Person{}
	}
	return found[0].Person
}

// compared is how many passwords are compared for l.
func compared(l identifier.Login) int {
	if _, email := l.Keys()[identifier.Email]; email || l.Code != "" {
		return 1
	}
	return guesses
}

// compare is who of found has that password. It does the same work for n people, whoever
// is there: of more none is tried.
func (a *Access) compare(ctx context.Context, found []store.Login, n int, password string, from Client, rank share.Rank) ([]store.Person, error) {
	var people []store.Person
	for _, one := range found {
		if !slices.ContainsFunc(people, func(p store.Person) bool { return p.ID == one.Person.ID }) {
			people = append(people, one.Person)
		}
	}
	if len(people) > n {
		people = nil
	}
	var fits []store.Person
	for i := range n {
		var p store.Person // without a hash: the same work, and no
		if i < len(people) {
			p = people[i]
		}
		ok, err := a.hasher.check(ctx, password, p.PasswordHash, from.IP(), rank)
		if err != nil {
			return nil, err
		}
		if ok && p.State == store.Active && p.Kind == store.PersonKind {
			fits = append(fits, p)
		}
	}
	return fits, nil
}

// door is an organization that a person may sign in to.
type door struct {
	person       store.Person
	organization store.OrganizationID
	code, name   string
}

// doors are those that l opens for p, who gave the right password.
func (a *Access) doors(ctx context.Context, l identifier.Login, p store.Person, found []store.Login) ([]door, error) {
	members, err := a.store.People().Memberships(ctx, p.ID)
	if err != nil {
		return nil, fmt.Errorf("look up memberships: %w", err)
	}
	var all []door
	everywhere := false // by an e-mail address
	for _, m := range members {
		named := slices.ContainsFunc(found, func(one store.Login) bool {
			if one.Person.ID != p.ID {
				return false
			}
			everywhere = everywhere || one.Identifier.Organization == ""
			return one.Identifier.Organization == "" || one.Identifier.Organization == m.Organization
		})
		if named && m.State == store.Active && (l.Code == "" || l.Code == m.Code) {
			all = append(all, door{p, m.Organization, m.Code, m.Name})
		}
	}
	if everywhere && len(all) > 1 {
		return a.last(ctx, p, all)
	}
	return all, nil
}

// last is the one of all where p was last, or else the first.
func (a *Access) last(ctx context.Context, p store.Person, all []door) ([]door, error) {
	before, err := a.store.SignIns().Of(ctx, p.ID)
	if err != nil {
		return nil, fmt.Errorf("look up sign-ins: %w", err)
	}
	for _, in := range before {
		if i := slices.IndexFunc(all, func(d door) bool { return d.organization == in.Organization }); i >= 0 {
			return all[i : i+1], nil
		}
	}
	return all[:1], nil
}

func which(doors []door) error {
	var choices []fault.Choice
	for _, d := range doors {
		choices = append(choices, fault.Choice{Value: d.code, Label: cmp.Or(d.name, d.code)})
	}
	return ErrWhichOrganization.Offering(choices...)
}
