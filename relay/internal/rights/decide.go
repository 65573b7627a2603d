package rights

import "time"

// Authority is what one person has in one organization.
type Authority struct {
	Organization string
	First        bool // it is the relay's first
	Person       string
	Active       bool       // the person is, and as a member too
	Role         Role       // as a member
	Bound        Permission // no more than this: an API key's permissions; of a sign-in Everything
	Grants       []Grant    // to the person and their teams
}

// Grant gives a role on an object.
type Grant struct {
	ID          string
	Team        string // that has it; empty: the person
	Role        Role
	On          Object
	Hours       Hours
	From, Until time.Time // zero: no limit; Until is not in it
	Approval    bool      // it needs one
	Approvals   []Approval
}

// Approval is that a second person approved of what a grant gives, for one computer.
type Approval struct {
	On    Place     // the computer
	Until time.Time // not in it
}

// Decision on a question.
type Decision struct {
	Allowed bool
	Lacking Permission // what of the question is not allowed
	Until   time.Time  // the first moment at which it will not be allowed; zero: not within Horizon
}

// Horizon is how far Until looks: a moment that is farther away is not told yet.
const Horizon = 15 * 24 * time.Hour

// Allowed reports whether a may do all of what there, now.
func (a *Authority) Allowed(what Permission, on Place, now time.Time) bool {
	return what != 0 && a.lacking(what, &on, now) == 0
}

// Decide is Allowed, with what is lacking, and how long the answer holds as far as a
// itself goes.
func (a *Authority) Decide(what Permission, on Place, now time.Time) Decision {
	d := Decision{Lacking: a.lacking(what, &on, now)}
	if d.Allowed = what != 0 && d.Lacking == 0; d.Allowed {
		d.Until = a.until(what, &on, now)
	}
	return d
}

// lacking is what of what is not allowed.
func (a *Authority) lacking(what Permission, on *Place, now time.Time) Permission {
	what &^= a.always(on)
	if !a.Active || on.Organization != a.Organization {
		return what
	}
	bound := a.bound()
	for i := range a.Grants {
		if what == 0 {
			break
		}
		if g := &a.Grants[i]; what&g.all() != 0 && on.within(g.On) {
			what &^= g.gives(on, now) & bound
		}
	}
	return what
}

// OnGroups reports whether some of what could be given by a grant on a group, so that it
// matters in which groups a place is.
func (a *Authority) OnGroups(what Permission) bool {
	for i := range a.Grants {
		if g := &a.Grants[i]; g.On.Kind == KindGroup && what&g.all() != 0 {
			return true
		}
	}
	return false
}

// always is what a has on that place without any condition.
func (a *Authority) always(on *Place) Permission {
	if !a.Active || on.Organization != a.Organization {
		return 0
	}
	// Account is no role's to give: on oneself it is everybody's, on others nobody's.
	all := a.Role.Permissions.Implied()&a.bound()&^Account | About
	if on.Object == (Object{KindPerson, a.Person}) {
		all |= Account & a.bound()
	}
	return all
}

// bound is what a could have at most.
func (a *Authority) bound() Permission {
	p := a.Bound.Implied() & Everything
	if !a.First {
		p &^= RelayOperate
	}
	return p
}

// all that g gives while every condition is met.
func (g *Grant) all() Permission { return g.Role.Permissions.Implied() &^ (Account | About) }

// gives is what g gives on a place that is within its object.
func (g *Grant) gives(on *Place, now time.Time) Permission {
	switch {
	case !g.dated(now):
		return 0
	case !g.Hours.Contains(now) || g.Approval && !g.approved(on, now):
		return g.all() & See
	}
	return g.all()
}

// dated reports whether now is within g's dates.
func (g *Grant) dated(now time.Time) bool {
	return !now.Before(g.From) && (g.Until.IsZero() || now.Before(g.Until))
}

func (g *Grant) approved(on *Place, now time.Time) bool {
	return now.Before(g.approvedUntil(on))
}

// approvedUntil is how long the longest approval for a computer holds; zero: there is none.
func (g *Grant) approvedUntil(on *Place) (until time.Time) {
	for _, ok := range g.Approvals {
		if on.Kind == KindComputer && ok.On.Object == on.Object && ok.Until.After(until) {
			until = ok.Until
		}
	}
	return until
}

// until is the first moment after now, when what is allowed, at which it is not.
func (a *Authority) until(what Permission, on *Place, now time.Time) time.Time {
	if what &^= a.always(on); what == 0 {
		return time.Time{}
	}
	limit := now.Add(Horizon)
	for now.Before(limit) {
		// Each permission holds as long as the last of the grants that give it now;
		// then another may have begun.
		ends := limit
		var last [len(words)]time.Time
		for i := range a.Grants {
			g := &a.Grants[i]
			if what&g.all() == 0 || !on.within(g.On) {
				continue
			}
			gives, end := g.gives(on, now), time.Time{}
			for bit := range last {
				one := Permission(1) << bit
				if what&gives&one == 0 {
					continue
				}
				if one == See {
					last[bit] = later(last[bit], orLimit(g.Until, limit))
					continue
				}
				if end.IsZero() {
					end = g.closes(on, now, limit)
				}
				last[bit] = later(last[bit], end)
			}
		}
		for bit := range last {
			if what&(1<<bit) != 0 && last[bit].Before(ends) {
				ends = last[bit]
			}
		}
		if !ends.Before(limit) {
			break
		}
		if a.lacking(what, on, ends) != 0 {
			return ends
		}
		now = ends
	}
	return time.Time{}
}

// closes is when g, which gives all of it now, no longer does; limit at the latest.
func (g *Grant) closes(on *Place, now, limit time.Time) time.Time {
	end := orLimit(g.Until, limit)
	if g.Approval {
		end = earlier(end, g.approvedUntil(on))
	}
	return earlier(end, orLimit(g.Hours.Next(now, false, end), limit))
}

func orLimit(t, limit time.Time) time.Time {
	if t.IsZero() || t.After(limit) {
		return limit
	}
	return t
}

func later(a, b time.Time) time.Time {
	if a.Before(b) {
		return b
	}
	return a
}

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

// Change is the first moment after now at which what a may on some place could be
// another, in either direction; zero: not within Horizon.
func (a *Authority) Change(now time.Time) time.Time {
	limit := now.Add(Horizon)
	first := limit
	consider := func(t time.Time) {
		if t.After(now) && t.Before(first) {
			first = t
		}
	}
	for i := range a.Grants {
		g := &a.Grants[i]
		consider(g.From)
		consider(g.Until)
		for _, ok := range g.Approvals {
			consider(ok.Until)
		}
		if !g.Hours.Always() {
			consider(g.Hours.Next(now, !g.Hours.Contains(now), first))
		}
	}
	if first.Equal(limit) {
		return time.Time{}
	}
	return first
}
