package rights_test

import (
	"cmp"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"oriel/relay/internal/rights"
)

// stepped is how far the tests look minute by minute.
const stepped = 3 * 24 * 60

func one(i int) rights.Permission { return 1 << i }

// Rule: roles, grants on what is above, hours, dates, approvals and keys add up to what a walk up the tree finds.
func TestDecideAgreesWithAWalkUpTheTree(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := drawWorld(t)
		for _, on := range w.places() {
			for i := range 28 {
				if got, want := w.a.Allowed(one(i), on, w.now), w.allowed(one(i), on, w.now); got != want {
					t.Fatalf("%s on %v: %v, want %v", one(i), on, got, want)
				}
			}
			several := rights.Permission(rapid.Uint64Range(0, uint64(rights.Everything)).Draw(t, "several"))
			if got, want := w.a.Allowed(several, on, w.now), w.allowed(several, on, w.now); got != want {
				t.Fatalf("%s on %v: %v, want %v", several, on, got, want)
			}
			if w.a.Allowed(one(28)|several, on, w.now) {
				t.Fatal("one that nobody defined is allowed")
			}
		}
	})
}

// Rule: until is the very minute at which a walk through time first hears no.
func TestUntilAgreesWithSteppingTime(t *testing.T) {
	found := 0
	rapid.Check(t, func(t *rapid.T) {
		w := drawWorld(t)
		what := rapid.SampledFrom([]rights.Permission{rights.See, rights.Connect, rights.Connect | rights.Control,
			rights.Connect | rights.Terminal | rights.FilesRead, rights.Journal}).Draw(t, "what")
		for _, on := range w.fleet() {
			d := w.a.Decide(what, on, w.now)
			if !d.Allowed {
				if !d.Until.IsZero() || d.Lacking == 0 {
					t.Fatal("what is not allowed ends, or lacks nothing:", d)
				}
				continue
			}
			if d.Until.IsZero() && len(w.a.Grants) == 0 {
				continue
			}
			var until time.Time
			for i := 1; i <= stepped && until.IsZero(); i++ {
				if at := w.now.Add(time.Duration(i) * time.Minute); !w.allowed(what, on, at) {
					until = at
				}
			}
			switch {
			case !until.IsZero() && !d.Until.Equal(until):
				t.Fatalf("%s on %v: until %v, want %v", what, on, d.Until, until)
			case until.IsZero() && !d.Until.IsZero() && d.Until.Before(w.now.Add(stepped*time.Minute)):
				t.Fatalf("%s on %v: until %v, but it still is", what, on, d.Until)
			case !until.IsZero():
				found++
			}
			break // one computer of each world
		}
	})
	if found == 0 {
		t.Error("nothing ended")
	}
}

// Rule: where one grant closes and another goes on, it ends with the last of them; of several permissions the first that
// ends counts; what never ends, or only far away, has no end.
func TestUntilGoesOnWithTheNextGrant(t *testing.T) {
	at := func(from, to string) rights.Grant {
		return rights.Grant{Role: rights.Operator, On: group, Hours: hours(t, "UTC", "mon", from, to)}
	}
	watch := rights.Grant{Role: rights.Viewer, On: group}
	approved := rights.Grant{Role: rights.Operator, On: group, Approval: true, Approvals: []rights.Approval{
		{On: desk, Until: noon.Add(time.Hour)}, {On: desk, Until: noon.Add(3 * time.Hour)}, {On: objects["a computer elsewhere"], Until: noon.Add(9 * time.Hour)}}}
	for name, c := range map[string]struct {
		grants []rights.Grant
		what   rights.Permission
		after  time.Duration // 0: no end
	}{
		"one window":               {[]rights.Grant{at("09:00", "13:00")}, rights.Control, time.Hour},
		"the next one goes on":     {[]rights.Grant{at("09:00", "13:00"), at("13:00", "17:00")}, rights.Control, 5 * time.Hour},
		"a gap between":            {[]rights.Grant{at("09:00", "13:00"), at("13:01", "17:00")}, rights.Control, time.Hour},
		"one of two ends":          {[]rights.Grant{at("09:00", "13:00"), watch}, rights.Connect | rights.Control, time.Hour},
		"what goes on without it":  {[]rights.Grant{at("09:00", "13:00"), watch}, rights.Connect, 0},
		"to see":                   {[]rights.Grant{at("09:00", "13:00")}, rights.See, 0},
		"the longest approval":     {[]rights.Grant{approved}, rights.Control, 3 * time.Hour},
		"approval, then a window":  {[]rights.Grant{approved, at("14:00", "18:00")}, rights.Control, 6 * time.Hour},
		"an end within the window": {[]rights.Grant{{Role: rights.Operator, On: group, Until: noon.Add(time.Minute), Hours: at("09:00", "13:00").Hours}}, rights.Control, time.Minute},
		"an end that is far away":  {[]rights.Grant{{Role: rights.Operator, On: group, Until: noon.Add(rights.Horizon)}}, rights.Control, 0},
		"an end that is near":      {[]rights.Grant{{Role: rights.Operator, On: group, Until: noon.Add(rights.Horizon - 1)}}, rights.Control, rights.Horizon - 1},
	} {
		d := signedIn(rights.Member, c.grants...).Decide(c.what, desk, noon)
		want := time.Time{}
		if c.after != 0 {
			want = noon.Add(c.after)
		}
		if !d.Allowed || !d.Until.Equal(want) {
			t.Errorf("%s: %v until %v, want %v", name, d.Allowed, d.Until, want)
		}
	}
}

// Rule: a further grant takes nothing away, now or later.
func TestMoreGrantsTakeNothingAway(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := drawWorld(t)
		more := *w.a
		more.Grants = append(slices.Clone(w.a.Grants), w.drawGrant(t, slices.Collect(keys(w.parents)), slices.Collect(keys(w.computers))))
		for _, on := range w.places() {
			for i := range 28 {
				before, after := w.a.Decide(one(i), on, w.now), more.Decide(one(i), on, w.now)
				switch {
				case before.Allowed && !after.Allowed:
					t.Fatalf("%s on %v was taken away by %+v", one(i), on, more.Grants[len(w.a.Grants)])
				case before.Allowed && !after.Until.IsZero() && (before.Until.IsZero() || after.Until.Before(before.Until)):
					t.Fatalf("%s on %v ends at %v, without the grant at %v", one(i), on, after.Until, before.Until)
				case w.a.MayGive(one(i), on, w.now) && !more.MayGive(one(i), on, w.now):
					t.Fatalf("%s on %v may be given no longer", one(i), on)
				}
			}
		}
	})
}

func keys(m map[string]string) func(func(string) bool) {
	return func(yield func(string) bool) {
		sorted := make([]string, 0, len(m))
		for k := range m {
			sorted = append(sorted, k)
		}
		slices.Sort(sorted)
		for _, k := range sorted {
			if !yield(k) {
				return
			}
		}
	}
}

// Rule: visible are the computers on which it is allowed, one by one, and no others.
func TestVisibleAgreesWithDecide(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := drawWorld(t)
		for i := range 28 {
			if one(i) == rights.About || one(i) == rights.Account {
				continue // about no computer
			}
			v := w.a.Visible(one(i), w.now)
			for _, c := range w.fleet() {
				in := v.All || slices.Contains(v.Computers, c.ID) || slices.ContainsFunc(c.Groups, func(g string) bool { return slices.Contains(v.Groups, g) })
				if want := w.a.Allowed(one(i), c, w.now); in != want {
					t.Fatalf("%s on %v: visible %v, allowed %v; of %+v", one(i), c, in, want, v)
				}
			}
		}
		if v := w.a.Visible(rights.See|rights.Connect, w.now); v.All || v.Groups != nil || v.Computers != nil {
			t.Fatal("several at once:", v)
		}
	})
}

// Rule: until the next change every answer stays what it is.
func TestNothingChangesBeforeTheNextChange(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := drawWorld(t)
		next := w.a.Change(w.now)
		if !next.IsZero() && !next.After(w.now) {
			t.Fatal("the next change is not after now")
		}
		before := w.answers(w.now)
		for i := 1; i <= stepped/3; i++ {
			at := w.now.Add(time.Duration(i) * time.Minute)
			if !next.IsZero() && !at.Before(next) {
				break
			}
			if got := w.answers(at); got != before {
				t.Fatalf("%s at %v, %s at %v; the next change was to be at %v", before, w.now, got, at, next)
			}
		}
	})
}

// answers to some questions about each computer, as one text.
func (w *world) answers(at time.Time) string {
	text := ""
	for id := range keys(w.computers) {
		on := rights.OfComputer(org, id, w.path(w.computers[id]))
		for _, what := range []rights.Permission{rights.See, rights.Connect, rights.Terminal, rights.Journal} {
			if w.allowed(what, on, at) {
				text += id + " " + what.String() + ","
			}
		}
	}
	return text
}

// Rule: what may be given is had for good: whoever gets it has nothing, at any later time, that its giver lacks.
func TestNobodyGivesWhatTheyLack(t *testing.T) {
	given := 0
	rapid.Check(t, func(t *rapid.T) {
		w := drawWorld(t)
		role := drawRole(t)
		if rapid.IntRange(0, 2).Draw(t, "an owner") == 0 {
			w.a.Role = rights.Owner
		}
		on := rapid.SampledFrom(w.sorted()).Draw(t, "given on")
		if !w.a.MayGive(role.Permissions, on, w.now) {
			// With all of it and no condition on anything it may.
			free := *w.a
			free.Active, free.First, free.Role, free.Bound = true, true, rights.Owner, rights.Everything
			if on.Organization == org && !free.MayGive(role.Permissions, on, w.now) {
				t.Fatalf("an owner may not give %s", role.Permissions)
			}
			return
		}
		if role.Permissions != 0 {
			given++
		}
		to := world{parents: w.parents, computers: w.computers, a: &rights.Authority{Organization: org, First: w.a.First, Person: "bob",
			Active: true, Role: rights.Member, Bound: rights.Everything, Grants: []rights.Grant{{Role: role, On: on.Object}}}}
		for _, at := range []time.Duration{0, time.Minute, 11 * time.Hour, 50 * time.Hour, 100 * 24 * time.Hour} {
			for _, place := range w.sorted() {
				for i := range 28 {
					what := one(i)
					if what == rights.About || what == rights.Account {
						continue
					}
					if to.a.Allowed(what, place, w.now.Add(at)) && !w.allowed(what, place, w.now.Add(at)) {
						t.Fatalf("%s on %v was given by one who lacks it after %v", what, place, at)
					}
				}
			}
		}
	})
	if given == 0 {
		t.Error("nothing was given")
	}
}

// sorted are the places in one order.
func (w *world) sorted() []rights.Place {
	all := w.places()
	slices.SortFunc(all, func(a, b rights.Place) int {
		return cmp.Or(cmp.Compare(a.Organization, b.Organization), cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.ID, b.ID))
	})
	return all
}

// Rule: an explanation accounts for each permission once: by what gives it, or by what is in the way.
func TestExplanationsAccountForEverything(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := drawWorld(t)
		what := rights.Permission(rapid.Uint64Range(1, uint64(rights.Everything)).Draw(t, "what"))
		for _, on := range w.sorted() {
			why := w.a.Explain(what, on, w.now)
			var by, missing rights.Permission
			for _, s := range why.By {
				by |= s.Gives
			}
			for _, m := range why.Missing {
				if m.What&missing != 0 {
					t.Fatalf("%s is missing twice", m.What)
				}
				missing |= m.What
				if m.From.IsZero() {
					continue
				}
				// The grant that is named gives it from that moment on, or once it is approved.
				g := *m.Grant
				g.Approval = false
				then := *w.a
				then.Grants = []rights.Grant{g}
				if !then.Allowed(m.What, on, m.From) || then.Allowed(m.What, on, w.now) {
					t.Fatalf("%s is said to begin at %v: %+v", m.What, m.From, m)
				}
			}
			if by|missing != what || by&missing != 0 || missing != why.Lacking || why.Allowed != (missing == 0) {
				t.Fatalf("of %s on %v: by %s, missing %s, lacking %s", what, on, by, missing, why.Lacking)
			}
		}
	})
}

// Rule: of several things in the way the one is told that is easiest to put right, with the grant and the time.
func TestWhatIsMissing(t *testing.T) {
	later, monday := noon.Add(48*time.Hour), hours(t, "UTC", "mon", "22:00", "23:00")
	ended := rights.Grant{ID: "ended", Role: rights.Operator, On: group, Until: noon}
	future := rights.Grant{ID: "future", Role: rights.Operator, On: group, From: later}
	closed := rights.Grant{ID: "closed", Role: rights.Operator, On: group, Hours: monday}
	asks := rights.Grant{ID: "asks", Role: rights.Operator, On: group, Approval: true}
	never := rights.Grant{ID: "never", Role: rights.Operator, On: group, Hours: monday, Until: noon.Add(time.Hour)}
	gone := signedIn(rights.Owner, asks)
	gone.Active = false
	keyed := signedIn(rights.Owner)
	keyed.Bound = rights.See
	elsewhere := signedIn(rights.Owner)
	elsewhere.First = false
	for name, c := range map[string]struct {
		a      *rights.Authority
		what   rights.Permission
		reason rights.Reason
		grant  string
		from   time.Time
	}{
		"nothing":        {signedIn(rights.Viewer), rights.Control, rights.ReasonNoGrant, "", time.Time{}},
		"ended":          {signedIn(rights.Member, ended), rights.Control, rights.ReasonEnded, "ended", time.Time{}},
		"not begun":      {signedIn(rights.Member, ended, future), rights.Control, rights.ReasonNotBegun, "future", later},
		"outside hours":  {signedIn(rights.Member, future, closed, ended), rights.Control, rights.ReasonOutsideHours, "closed", noon.Add(10 * time.Hour)},
		"ends before":    {signedIn(rights.Member, never), rights.Control, rights.ReasonOutsideHours, "never", time.Time{}},
		"sooner":         {signedIn(rights.Member, never, closed), rights.Control, rights.ReasonOutsideHours, "closed", noon.Add(10 * time.Hour)},
		"needs approval": {signedIn(rights.Member, future, asks, closed), rights.Control, rights.ReasonApproval, "asks", time.Time{}},
		"inactive":       {gone, rights.Control, rights.ReasonInactive, "", time.Time{}},
		"a key":          {keyed, rights.Control, rights.ReasonKey, "", time.Time{}},
		"elsewhere":      {elsewhere, rights.RelayOperate, rights.ReasonElsewhere, "", time.Time{}},
	} {
		why := c.a.Explain(c.what, desk, noon)
		if len(why.Missing) != 1 {
			t.Errorf("%s: %+v", name, why)
			continue
		}
		m := why.Missing[0]
		id := ""
		if m.Grant != nil {
			id = m.Grant.ID
		}
		if m.What != c.what || m.Reason != c.reason || id != c.grant || !m.From.Equal(c.from) {
			t.Errorf("%s: %s for %s, grant %q, from %v", name, m.Reason, m.What, id, m.From)
		}
	}
}

// Rule: an owner gives every role, an admin none that makes an owner, an operator no more than operates.
func TestWhoGivesWhichRole(t *testing.T) {
	for _, c := range []struct {
		a     *rights.Authority
		gives []rights.Role
	}{
		{signedIn(rights.Owner), rights.Roles},
		{signedIn(rights.Admin), []rights.Role{rights.Admin, rights.Operator, rights.Viewer, rights.Member}},
		{signedIn(rights.Operator), []rights.Role{rights.Operator, rights.Viewer, rights.Member}},
		{signedIn(rights.Member, rights.Grant{Role: rights.Operator, On: whole.Object}), []rights.Role{rights.Operator, rights.Viewer, rights.Member}},
		// Under a condition, for others only, or not here: nothing.
		{signedIn(rights.Member,
			rights.Grant{Role: rights.Admin, On: whole.Object, Until: noon.Add(time.Hour)},
			rights.Grant{Role: rights.Admin, On: whole.Object, From: noon.Add(time.Hour)},
			rights.Grant{Role: rights.Admin, On: whole.Object, Hours: hours(t, "UTC", "mon", "09:00", "17:00")},
			rights.Grant{Role: rights.Admin, On: whole.Object, Approval: true, Approvals: []rights.Approval{{On: desk, Until: noon.Add(time.Hour)}}},
			rights.Grant{Role: rights.Admin, On: group}), []rights.Role{rights.Member}},
	} {
		for _, first := range []bool{true, false} {
			c.a.First = first // elsewhere nobody has relay.operate, and all give what holds it
			for _, r := range rights.Roles {
				if got, want := c.a.MayGive(r.Permissions, whole, noon), slices.ContainsFunc(c.gives, func(g rights.Role) bool { return g.ID == r.ID }); got != want {
					t.Errorf("%s gives %s: %v", c.a.Role.ID, r.ID, got)
				}
			}
		}
	}
}

// BenchmarkDecide compares Decide with the reference, for one who has everything as a member, and for
// one whose grants lie on groups above the computer and elsewhere.
func BenchmarkDecide(b *testing.B) {
	office := hours(b, "Europe/Berlin", "mon", "09:00", "17:00")
	many := func(n int, h rights.Hours) *rights.Authority {
		a := signedIn(rights.Member)
		for range n - 1 {
			a.Grants = append(a.Grants, rights.Grant{Role: rights.Operator, On: below, Hours: h})
		}
		a.Grants = append(a.Grants, rights.Grant{Role: rights.Operator, On: group, Hours: h})
		return a
	}
	w := world{parents: map[string]string{"g": "", "h": "g"}, computers: map[string]string{"desk": "g"}}
	const what = rights.Connect | rights.Control
	for _, c := range []struct {
		name string
		a    *rights.Authority
	}{
		{"owner", signedIn(rights.Owner)}, {"grants=10", many(10, rights.Hours{})}, {"grants=100", many(100, rights.Hours{})},
		{"hours=10", many(10, office)},
	} {
		w.a = c.a
		b.Run(c.name+"/decide", func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if !c.a.Decide(what, desk, noon).Allowed {
					b.Fatal("not allowed")
				}
			}
		})
		b.Run(c.name+"/reference", func(b *testing.B) {
			for b.Loop() {
				if !w.allowed(what, desk, noon) {
					b.Fatal("not allowed")
				}
			}
		})
	}
}
