package rights_test

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"pgregory.net/rapid"

	"oriel/relay/internal/rights"
)

// world is a random organization: a tree of groups, computers in it, and what somebody
// was given. Its methods answer slowly, by walking upwards and by looking at the clock.
type world struct {
	parents   map[string]string // of groups; empty: at the top
	computers map[string]string // the group of each; empty: in none
	a         *rights.Authority
	now       time.Time
}

func (w *world) path(group string) string {
	if group == "" {
		return ""
	}
	return "/" + strings.Trim(w.path(w.parents[group])+group, "/") + "/"
}

func (w *world) places() []rights.Place {
	all := []rights.Place{whole, rights.OfPerson(org, "ann"), rights.OfPerson(org, "bob"), rights.InOrganization("other")}
	for g := range w.parents {
		all = append(all, rights.InGroup(org, g, w.path(g)))
	}
	return append(all, w.fleet()...)
}

func (w *world) fleet() (all []rights.Place) {
	for c, g := range w.computers {
		all = append(all, rights.OfComputer(org, c, w.path(g)))
	}
	return all
}

// covers walks from p upwards until it meets on.
func (w *world) covers(on rights.Object, p rights.Object) bool {
	for {
		switch {
		case on == p, on.Kind == rights.KindOrganization:
			return true
		case p.Kind == rights.KindComputer:
			p = rights.Object{Kind: rights.KindGroup, ID: w.computers[p.ID]}
		case p.Kind == rights.KindGroup:
			p.ID = w.parents[p.ID]
		}
		if p.Kind != rights.KindGroup || p.ID == "" {
			return on.Kind == rights.KindOrganization
		}
	}
}

// allowed is the reference: one word at a time.
func (w *world) allowed(what rights.Permission, on rights.Place, now time.Time) bool {
	for _, word := range what.Words() {
		if !w.allowedWord(word, on, now) {
			return false
		}
	}
	return what != 0
}

func (w *world) allowedWord(word string, on rights.Place, now time.Time) bool {
	a := w.a
	if !a.Active || on.Organization != a.Organization {
		return false
	}
	holds := func(r rights.Permission) bool {
		list := r.Words()
		if slices.Contains(list, word) {
			return true
		}
		return word == "see" && slices.ContainsFunc(list, func(one string) bool {
			return slices.Contains(strings.Fields("connect control files.read files.write clipboard.read clipboard.write "+
				"terminal power sound recording forward tools computers.manage"), one)
		})
	}
	switch word {
	case "about":
		return true
	case "account":
		return on.Kind == rights.KindPerson && on.ID == a.Person && holds(a.Bound)
	case "relay.operate":
		if !a.First {
			return false
		}
	}
	if !holds(a.Bound) {
		return false
	}
	if holds(a.Role.Permissions) {
		return true
	}
	for _, g := range a.Grants {
		if !holds(g.Role.Permissions) || !w.covers(g.On, on.Object) || now.Before(g.From) || !g.Until.IsZero() && !now.Before(g.Until) {
			continue
		}
		approved := !g.Approval || slices.ContainsFunc(g.Approvals, func(ok rights.Approval) bool {
			return on.Object == ok.On.Object && now.Before(ok.Until)
		})
		if word == "see" || approved && contains(g.Hours, now) {
			return true
		}
	}
	return false
}

// contains looks at the clock on the wall and at each window.
func contains(h rights.Hours, t time.Time) bool {
	if h.Zone() == "" {
		return true
	}
	where, err := time.LoadLocation(h.Zone())
	if err != nil {
		panic(err)
	}
	local := t.In(where)
	clock := local.Format("15:04")
	today, yesterday := local.Weekday(), (local.Weekday()+6)%7
	day := func(d time.Weekday) string { return strings.ToLower(d.String()[:3]) }
	for _, w := range h.Windows() {
		switch {
		case w.From < w.To:
			if slices.Contains(w.Days, day(today)) && clock >= w.From && clock < w.To {
				return true
			}
		case slices.Contains(w.Days, day(today)) && clock >= w.From, slices.Contains(w.Days, day(yesterday)) && clock < w.To:
			return true
		}
	}
	return false
}

// moments at which clocks are set, somewhere.
var moments = []time.Time{
	time.Date(2026, 3, 29, 1, 0, 0, 0, time.UTC),  // Berlin, forward
	time.Date(2026, 10, 25, 1, 0, 0, 0, time.UTC), // Berlin, back
	time.Date(2026, 3, 8, 7, 0, 0, 0, time.UTC),   // New York, forward
	time.Date(2026, 11, 1, 6, 0, 0, 0, time.UTC),  // New York, back
	time.Date(2026, 4, 4, 15, 0, 0, 0, time.UTC),  // Lord Howe, back, by half an hour
	time.Date(2026, 10, 3, 15, 30, 0, 0, time.UTC),
	time.Date(2026, 11, 30, 12, 0, 0, 0, time.UTC),
}

func drawTime(t *rapid.T) time.Time {
	at := rapid.SampledFrom(moments).Draw(t, "moment")
	return at.Add(time.Duration(rapid.IntRange(-3000, 1500).Draw(t, "minutes")) * time.Minute)
}

func drawHours(t *rapid.T) rights.Hours {
	clock := func(name string) string {
		// Often where clocks are set.
		hour := rapid.SampledFrom([]int{0, 1, 2, 3, 9, 17, 22, 23, rapid.IntRange(0, 23).Draw(t, name)}).Draw(t, name)
		return fmt.Sprintf("%02d:%02d", hour, rapid.SampledFrom([]int{0, 0, 30, 59}).Draw(t, name))
	}
	var windows []rights.Window
	for range rapid.IntRange(1, 4).Draw(t, "windows") {
		w := rights.Window{From: clock("from"), To: clock("to"),
			Days: rapid.SliceOfNDistinct(rapid.SampledFrom([]string{"mon", "tue", "wed", "thu", "fri", "sat", "sun"}), 1, 7, rapid.ID[string]).Draw(t, "days")}
		if w.From == w.To {
			w.From, w.To = "00:00", "24:00"
		}
		windows = append(windows, w)
	}
	zone := rapid.SampledFrom([]string{"UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu", "America/Sao_Paulo"}).Draw(t, "zone")
	h, err := rights.NewHours(zone, windows)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func drawRole(t *rapid.T) rights.Role {
	if rapid.Bool().Draw(t, "built in") {
		return rapid.SampledFrom(rights.Roles).Draw(t, "role")
	}
	return rights.Role{ID: "custom", Permissions: rights.Permission(rapid.Uint64Range(0, uint64(rights.Everything)).Draw(t, "permissions"))}
}

func drawWorld(t *rapid.T) *world {
	w := &world{parents: map[string]string{}, computers: map[string]string{}, now: drawTime(t)}
	groups := []string{""}
	for i := range rapid.IntRange(1, 7).Draw(t, "groups") {
		id := fmt.Sprint("g", i)
		w.parents[id] = rapid.SampledFrom(groups).Draw(t, "parent")
		groups = append(groups, id)
	}
	var computers []string
	for i := range rapid.IntRange(1, 8).Draw(t, "computers") {
		id := fmt.Sprint("c", i)
		w.computers[id] = rapid.SampledFrom(groups).Draw(t, "group")
		computers = append(computers, id)
	}
	w.a = &rights.Authority{Organization: org, Person: "ann", First: rapid.Bool().Draw(t, "first"),
		Active: rapid.IntRange(0, 9).Draw(t, "active") > 0, Role: rights.Member, Bound: rights.Everything}
	if rapid.IntRange(0, 4).Draw(t, "has a role") == 0 {
		w.a.Role = drawRole(t)
	}
	if rapid.IntRange(0, 4).Draw(t, "with a key") == 0 {
		w.a.Bound = drawRole(t).Permissions
	}
	for range rapid.IntRange(0, 5).Draw(t, "grants") {
		w.a.Grants = append(w.a.Grants, w.drawGrant(t, groups[1:], computers))
	}
	return w
}

func (w *world) drawGrant(t *rapid.T, groups, computers []string) rights.Grant {
	near := func(name string) time.Time {
		return w.now.Add(time.Duration(rapid.IntRange(-600, 3000).Draw(t, name)) * time.Minute)
	}
	g := rights.Grant{Role: drawRole(t)}
	switch g.On.Kind = rapid.SampledFrom([]rights.Kind{rights.KindOrganization, rights.KindGroup, rights.KindComputer}).Draw(t, "on"); g.On.Kind {
	case rights.KindGroup:
		g.On.ID = rapid.SampledFrom(groups).Draw(t, "group")
	case rights.KindComputer:
		g.On.ID = rapid.SampledFrom(computers).Draw(t, "computer")
	}
	if rapid.Bool().Draw(t, "hours") {
		g.Hours = drawHours(t)
	}
	if rapid.IntRange(0, 2).Draw(t, "from") == 0 {
		g.From = near("from")
	}
	if rapid.IntRange(0, 2).Draw(t, "until") == 0 {
		g.Until = near("until")
	}
	if g.Approval = rapid.IntRange(0, 2).Draw(t, "approval") == 0; g.Approval {
		for range rapid.IntRange(0, 2).Draw(t, "approvals") {
			id := rapid.SampledFrom(computers).Draw(t, "approved")
			g.Approvals = append(g.Approvals, rights.Approval{On: rights.OfComputer(org, id, w.path(w.computers[id])), Until: near("approved until")})
		}
	}
	return g
}
