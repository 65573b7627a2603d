package access

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"oriel/relay/internal/rights"
	"oriel/relay/internal/store"
)

// resolve is the authority of a claim or, where that is none, of a token by its hash,
// which is a sign-in's or a key's. Whoever is inactive, as a person or as a member, is
// signed out. Errors: ErrSignedOut.
func (a *Access) resolve(ctx context.Context, of claim, token string) (authority, error) {
	now := a.o.Now()
	name := token
	if of.signIn != "" {
		name = of.signIn
	}
	g, version, ok := a.known.find(of, name, now)
	if !ok {
		var err error
		if g, err = a.read(ctx, of, token, now); errors.Is(err, store.ErrNotFound) {
			return authority{}, ErrSignedOut
		} else if err != nil {
			return authority{}, fmt.Errorf("look up a sign-in: %w", err)
		}
		a.known.put(g, version)
	}
	if !g.rights.Active || a.ended(g) {
		return authority{}, ErrSignedOut
	}
	return g, nil
}

// read asks the database. Errors: store.ErrNotFound.
func (a *Access) read(ctx context.Context, of claim, token string, now time.Time) (authority, error) {
	var found store.Authority
	var err error
	at := now.UnixMilli()
	switch {
	case of.signIn != "":
		found, err = a.store.SignIns().AuthorityOf(ctx, of.signIn, at)
		if elsewhere := err == nil && of.organization != "" && found.SignIn.Organization != of.organization; elsewhere {
			return a.readElsewhere(ctx, of, now)
		}
	case of.key != "":
		found, err = a.store.Keys(of.organization).Authority(ctx, of.key, at)
	case token[0] == keyHash:
		found, err = a.store.People().ByKey(ctx, []byte(token[1:]), at)
	default:
		found, err = a.store.SignIns().Authority(ctx, []byte(token[1:]), at)
	}
	if err != nil {
		return authority{}, err
	}
	return authorityOf(found, now), nil
}

// readElsewhere is the authority of a sign-in in an organization that its person has
// left for another one: what they do there goes on, a session say, while they are a
// member.
func (a *Access) readElsewhere(ctx context.Context, of claim, now time.Time) (authority, error) {
	found, err := a.store.SignIns().AuthorityIn(ctx, of.signIn, of.organization, now.UnixMilli())
	if err != nil {
		return authority{}, err
	}
	g := authorityOf(found, now)
	g.token = "" // which names it where the person is now
	return g, nil
}

// ended reports whether a sign-in is too old, or a key.
func (a *Access) ended(g authority) bool {
	if g.key != "" {
		return g.expires != 0 && a.now() >= g.expires
	}
	return a.over(g.created, g.seen) || a.overdue(g)
}

// recheckAtOnce is how many sign-ins one statement reads.
const recheckAtOnce = 500

// Recheck reads anew what these may, so that the questions that follow are answered by
// what holds now, whatever was remembered. With no organization is meant the one that
// the sign-in is in.
func (a *Access) Recheck(ctx context.Context, all ...Identity) error {
	asked := make(map[string]map[claim]bool) // by sign-in
	for _, who := range all {
		if asked[who.SignInID] == nil {
			asked[who.SignInID] = make(map[claim]bool)
		}
		asked[who.SignInID][who.claim()] = true
	}
	delete(asked, "") // keys carry nothing that lasts
	for some := range slices.Chunk(slices.Collect(maps.Keys(asked)), recheckAtOnce) {
		now := a.o.Now()
		// Forgotten first: of what cannot be read nothing is believed.
		a.known.forget(func(g authority) bool { return g.signIn != "" && asked[g.signIn] != nil })
		_, version, _ := a.known.find(claim{}, "", now)
		found, err := a.store.SignIns().Authorities(ctx, now.UnixMilli(), some...)
		if err != nil {
			return fmt.Errorf("look up sign-ins: %w", err)
		}
		for _, one := range found {
			g := authorityOf(one, now)
			a.known.put(g, version)
			for of := range asked[g.signIn] {
				if of.organization == "" || of.organization == g.organization {
					continue
				}
				g, err := a.readElsewhere(ctx, of, now)
				if errors.Is(err, store.ErrNotFound) {
					continue
				}
				if err != nil {
					return fmt.Errorf("look up a sign-in: %w", err)
				}
				a.known.put(g, version)
			}
		}
	}
	return nil
}

// place is where on is in g's organization. Where the groups that a computer is in change
// nothing they are left out, so that nothing is looked up for who has the right on
// everything. What does not exist is in no group.
func (a *Access) place(ctx context.Context, g authority, what rights.Permission, on Object) (rights.Place, error) {
	o := g.rights.Organization
	switch on.Kind {
	case Organization.Kind:
		return rights.InOrganization(o), nil
	case "person":
		return rights.OfPerson(o, on.ID), nil
	case "computer":
		at := rights.OfComputer(o, on.ID, "")
		if g.everywhere(what, a.o.Now()) || !g.rights.OnGroups(what) {
			return at, nil
		}
		var err error
		at.Groups, err = a.groups(ctx, g.organization.Ref(on.ID))
		return at, err
	case "group":
		if g.everywhere(what, a.o.Now()) || !g.rights.OnGroups(what) {
			return rights.InGroup(o, on.ID, ""), nil
		}
		in, err := a.store.Groups(g.organization).Get(ctx, on.ID)
		if errors.Is(err, store.ErrNotFound) {
			return rights.InGroup(o, on.ID, ""), nil
		}
		return rights.InGroup(o, on.ID, in.Path), err
	case "session":
		if g.everywhere(what, a.o.Now()) || len(g.rights.Grants) == 0 {
			return rights.InOrganization(o), nil
		}
		row, err := a.store.Sessions(g.organization).Get(ctx, on.ID)
		if errors.Is(err, store.ErrNotFound) {
			return rights.OfComputer(o, "", ""), nil
		}
		if err != nil {
			return rights.Place{}, fmt.Errorf("look up a session: %w", err)
		}
		return a.place(ctx, g, what, Computer(row.ComputerID))
	}
	return rights.Place{}, fmt.Errorf("nothing is known of a %q", on.Kind)
}

// everywhere reports whether g may do what on the whole organization, for as long as can
// be seen.
func (g authority) everywhere(what rights.Permission, now time.Time) bool {
	d := g.rights.Decide(what, rights.InOrganization(g.rights.Organization), now)
	return d.Allowed && d.Until.IsZero()
}

// groups that a computer is in; none where it does not exist.
func (a *Access) groups(ctx context.Context, computer store.Ref) ([]string, error) {
	now := a.o.Now()
	groups, version, ok := a.known.place(computer, now)
	if ok {
		return groups, nil
	}
	groups, err := a.store.Computers(computer.Organization).Place(ctx, computer.ID)
	if errors.Is(err, store.ErrNotFound) {
		return nil, nil // not remembered: anybody can ask for any number of these
	}
	if err != nil {
		return nil, fmt.Errorf("look up where a computer is: %w", err)
	}
	a.known.putPlace(computer, groups, now, version)
	return groups, nil
}
