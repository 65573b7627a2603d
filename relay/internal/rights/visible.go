package rights

import "time"

// MayGive reports whether a may give what to others there, in a role, a grant, a key or
// an invitation: only what a has for good, without hours, an end or an approval. A role
// of every organization may be given by who has all of it that the organization can have.
func (a *Authority) MayGive(what Permission, on Place, now time.Time) bool {
	what = what.Implied() &^ (Account | About)
	if !a.First {
		what &^= RelayOperate // worth nothing here
	}
	what &^= a.always(&on)
	if !a.Active || on.Organization != a.Organization || what&^a.bound() != 0 {
		return false
	}
	for i := range a.Grants {
		g := &a.Grants[i]
		if g.Hours.Always() && !g.Approval && g.Until.IsZero() && g.dated(now) && on.within(g.On) {
			what &^= g.all()
		}
	}
	return what == 0
}

// Visibility is of which computers: of all, or of those in some groups and below, and of
// some.
type Visibility struct {
	All               bool
	Groups, Computers []string // without repetition
}

// Visible is on which computers a may do what, which is one permission, now: those for
// which Allowed is true. Of several permissions at once it is none.
func (a *Authority) Visible(what Permission, now time.Time) (v Visibility) {
	organization := InOrganization(a.Organization)
	if what == 0 || what&(what-1) != 0 {
		return Visibility{}
	}
	if what&a.always(&organization) != 0 {
		return Visibility{All: true}
	}
	if !a.Active || what&^a.bound() != 0 {
		return Visibility{}
	}
	seen := make(map[Object]bool)
	add := func(to *[]string, o Object) {
		if !seen[o] {
			seen[o] = true
			*to = append(*to, o.ID)
		}
	}
	for i := range a.Grants {
		g := &a.Grants[i]
		if what&g.all() == 0 || !g.dated(now) || what != See && !g.Hours.Contains(now) {
			continue
		}
		if g.Approval && what != See {
			for _, ok := range g.Approvals {
				if now.Before(ok.Until) && ok.On.within(g.On) {
					add(&v.Computers, ok.On.Object)
				}
			}
			continue
		}
		switch g.On.Kind {
		case KindOrganization:
			return Visibility{All: true}
		case KindGroup:
			add(&v.Groups, g.On)
		case KindComputer:
			add(&v.Computers, g.On)
		}
	}
	return v
}
