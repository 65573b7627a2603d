package rights

import "time"

// Why explains a decision: for the page of an administrator, and for the audit.
type Why struct {
	Decision
	By      []Source  // what gives something of what was asked, now
	Missing []Missing // what is in the way of the rest
}

// Source gives permissions.
type Source struct {
	Grant *Grant     // nil: the role as a member, or what is everybody's
	Gives Permission // of what was asked
}

// Reason why a permission is lacking.
type Reason string

// The reasons, those first that are told before others: what is easiest to put right.
const (
	ReasonInactive     Reason = "inactive"       // the person is, or as a member
	ReasonElsewhere    Reason = "elsewhere"      // it is another organization's, or the relay's
	ReasonKey          Reason = "key"            // the API key does not hold it
	ReasonApproval     Reason = "needs_approval" // Missing.Grant gives it once approved
	ReasonOutsideHours Reason = "outside_hours"  // Missing.Grant gives it from Missing.From on
	ReasonNotBegun     Reason = "not_begun"      // likewise
	ReasonEnded        Reason = "ended"          // Missing.Grant gave it until its end
	ReasonNoGrant      Reason = "no_grant"       // nothing gives it there
)

// Missing is why permissions are lacking.
type Missing struct {
	What   Permission
	Reason Reason
	Grant  *Grant    // that would give it; nil: none
	From   time.Time // when it would; zero: not known
}

// Explain is Decide with what gives it, and what is in the way.
func (a *Authority) Explain(what Permission, on Place, now time.Time) Why {
	w := Why{Decision: a.Decide(what, on, now)}
	if always := what & a.always(&on); always != 0 {
		w.By = append(w.By, Source{Gives: always})
	}
	for i := range a.Grants {
		g := &a.Grants[i]
		if !a.Active || on.Organization != a.Organization || !on.within(g.On) {
			continue
		}
		if gives := what & g.gives(&on, now) & a.bound(); gives != 0 {
			w.By = append(w.By, Source{g, gives})
		}
	}
	for one := range w.Lacking.Each() {
		m := a.missing(one, &on, now)
		if last := len(w.Missing) - 1; last >= 0 && w.Missing[last].Reason == m.Reason && w.Missing[last].Grant == m.Grant {
			w.Missing[last].What |= one
			continue
		}
		w.Missing = append(w.Missing, m)
	}
	return w
}

// missing is why one permission is lacking.
func (a *Authority) missing(one Permission, on *Place, now time.Time) Missing {
	m := Missing{What: one, Reason: ReasonNoGrant}
	switch {
	case !a.Active:
		m.Reason = ReasonInactive
		return m
	case on.Organization != a.Organization, one == RelayOperate && !a.First:
		m.Reason = ReasonElsewhere
		return m
	case one&a.Bound.Implied() == 0:
		m.Reason = ReasonKey
		return m
	}
	for i := range a.Grants {
		g := &a.Grants[i]
		if one&g.all() == 0 || !on.within(g.On) {
			continue
		}
		reason, from := g.closed(on, now)
		sooner := reason == m.Reason && !from.IsZero() && (m.From.IsZero() || from.Before(m.From))
		if sooner || easier(reason, m.Reason) {
			m.Reason, m.Grant, m.From = reason, g, from
		}
	}
	return m
}

// closed is why g, which is about that place, does not give all of it now, and from when
// on it would.
func (g *Grant) closed(on *Place, now time.Time) (Reason, time.Time) {
	opens := func(t time.Time) time.Time {
		if t = g.Hours.Next(t, true, t.Add(Horizon)); !g.Until.IsZero() && !t.Before(g.Until) {
			return time.Time{}
		}
		return t
	}
	switch {
	case !g.Until.IsZero() && !now.Before(g.Until):
		return ReasonEnded, time.Time{}
	case now.Before(g.From):
		return ReasonNotBegun, opens(g.From)
	case !g.Hours.Contains(now):
		return ReasonOutsideHours, opens(now)
	}
	return ReasonApproval, time.Time{}
}

// easier reports whether a is to be told rather than b.
func easier(a, b Reason) bool {
	order := func(r Reason) int {
		for i, one := range []Reason{ReasonApproval, ReasonOutsideHours, ReasonNotBegun, ReasonEnded} {
			if r == one {
				return i
			}
		}
		return len(words)
	}
	return order(a) < order(b)
}
