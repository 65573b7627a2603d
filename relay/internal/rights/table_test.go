package rights_test

import (
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"oriel/relay/internal/rights"
)

// tables of table.md, by heading: rows of cells, the first of them the head.
func tables(t *testing.T) map[string][][]string {
	t.Helper()
	text, err := os.ReadFile("table.md")
	if err != nil {
		t.Fatal(err)
	}
	all := map[string][][]string{}
	heading := ""
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSpace(line)
		if name, ok := strings.CutPrefix(line, "## "); ok {
			heading = name
		}
		if !strings.HasPrefix(line, "|") || strings.HasPrefix(line, "|---") {
			continue
		}
		cells := strings.Split(strings.Trim(line, "|"), "|")
		for i := range cells {
			cells[i] = strings.TrimSpace(cells[i])
		}
		all[heading] = append(all[heading], cells)
	}
	return all
}

func yes(t *testing.T, cell string) bool {
	t.Helper()
	if cell != "yes" && cell != "no" {
		t.Fatalf("a cell says %q", cell)
	}
	return cell == "yes"
}

func parse(t *testing.T, word string) rights.Permission {
	t.Helper()
	p, err := rights.Parse(word)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

const org = "org"

var (
	noon  = time.Date(2026, 11, 30, 12, 0, 0, 0, time.UTC) // a Monday
	group = rights.Object{Kind: rights.KindGroup, ID: "g"}
	below = rights.Object{Kind: rights.KindGroup, ID: "h"}
	desk  = rights.OfComputer(org, "desk", "/g/")
	whole = rights.InOrganization(org)

	// objects are what the table names, and where it is.
	objects = map[string]rights.Place{
		"the organization":              whole,
		"the group":                     rights.InGroup(org, "g", "/g/"),
		"the group below":               rights.InGroup(org, "h", "/g/h/"),
		"a computer of the group":       desk,
		"a computer of the group below": rights.OfComputer(org, "laptop", "/g/h/"),
		"a group elsewhere":             rights.InGroup(org, "x", "/x/"),
		"a computer elsewhere":          rights.OfComputer(org, "server", "/x/"),
	}
)

// signedIn is a member of the first organization, with a role and grants.
func signedIn(role rights.Role, grants ...rights.Grant) *rights.Authority {
	return &rights.Authority{Organization: org, First: true, Person: "ann", Active: true, Role: role, Bound: rights.Everything, Grants: grants}
}

// Rule: role by role, permission by permission, object by object the code allows what table.md says, and nothing else.
func TestTheTableIsWhatTheCodeDoes(t *testing.T) {
	all := tables(t)
	permissions, places := all["Role × permission"], all["Role × object"]
	compared, differences := 0, 0
	var seen rights.Permission
	for _, row := range permissions[1:] {
		what := parse(t, row[0])
		seen |= what
		for i, id := range permissions[0][3:] {
			role, ok := rights.BuiltIn(id)
			if !ok {
				t.Fatal("no role", id)
			}
			holds := yes(t, row[3+i])
			for _, given := range places[1:] {
				var a *rights.Authority
				on, known := objects[given[0]]
				switch {
				case strings.HasSuffix(given[0], "as a member"):
					a = signedIn(role)
				case known:
					a = signedIn(rights.Member, rights.Grant{Role: role, On: on.Object})
				default:
					a = signedIn(rights.Member)
				}
				for j, name := range places[0][1:] {
					want := holds && yes(t, given[1+j])
					compared++
					if got := a.Allowed(what, objects[name], noon); got != want {
						differences++
						t.Errorf("%s of %s given on %s, asked on %s: %v", row[0], id, given[0], name, got)
					}
				}
			}
		}
		if got, want := what.Implied()&rights.See != 0, yes(t, row[2]) || what == rights.See; got != want {
			t.Errorf("%s comes with see: %v", row[0], got)
		}
	}
	if missing := rights.Everything &^ seen &^ (rights.Account | rights.About); missing != 0 {
		t.Errorf("the table has no row for %s", missing)
	}
	if got := len(permissions[0]) - 3; got != len(rights.Roles) {
		t.Errorf("the table has %d roles of %d", got, len(rights.Roles))
	}
	t.Logf("%d answers compared, %d differences", compared, differences)
}

// Rule: dates, hours and approval do to see and to all else what table.md says, for every role.
func TestTheTableOfConditions(t *testing.T) {
	office := hours(t, "UTC", "mon", "09:00", "17:00")
	night := hours(t, "UTC", "mon", "22:00", "06:00")
	approved := func(on rights.Place, until time.Time) []rights.Approval {
		return []rights.Approval{{On: on, Until: until}}
	}
	cases := map[string]rights.Grant{
		"none":                                 {},
		"before its first day":                 {From: noon.Add(1)},
		"between its dates":                    {From: noon, Until: noon.Add(1)},
		"from its end on":                      {Until: noon},
		"within its hours":                     {Hours: office},
		"outside its hours":                    {Hours: night},
		"approval needed and not given":        {Approval: true},
		"approval given for this computer":     {Approval: true, Approvals: approved(desk, noon.Add(1))},
		"approval given for another computer":  {Approval: true, Approvals: approved(objects["a computer elsewhere"], noon.Add(1))},
		"approval that has run out":            {Approval: true, Approvals: approved(desk, noon)},
		"within its hours, approval not given": {Approval: true, Hours: office},
		"outside its hours, approval given":    {Approval: true, Hours: night, Approvals: approved(desk, noon.Add(1))},
	}
	rows := tables(t)["Conditions of a grant"][1:]
	if len(rows) != len(cases) {
		t.Errorf("%d conditions in the table, %d in the test", len(rows), len(cases))
	}
	for _, row := range rows {
		g, ok := cases[row[0]]
		if !ok {
			t.Fatal("no case for", row[0])
		}
		for _, role := range rights.Roles {
			for _, on := range []rights.Object{whole.Object, group, desk.Object} {
				g.Role, g.On = role, on
				a := signedIn(rights.Member, g)
				for _, word := range (rights.Everything &^ (rights.Account | rights.About)).Words() {
					what := parse(t, word)
					want := role.Permissions&what != 0 && yes(t, row[map[bool]int{true: 1, false: 2}[what == rights.See]])
					if got := a.Allowed(what, desk, noon); got != want {
						t.Errorf("%s, %s on %s: %s is %v", row[0], role.ID, on.Kind, word, got)
					}
				}
			}
		}
	}
}

// Rule: what is everybody's, nobody's, the first organization's and a key's is as table.md says.
func TestTheTableOfEverybody(t *testing.T) {
	key := func(p rights.Permission) *rights.Authority {
		a := signedIn(rights.Owner)
		a.Bound = p
		return a
	}
	inactive := signedIn(rights.Owner, rights.Grant{Role: rights.Owner, On: whole.Object})
	inactive.Active = false
	elsewhere := signedIn(rights.Owner, rights.Grant{Role: rights.Owner, On: whole.Object})
	elsewhere.First = false
	foreign, self, other := rights.InOrganization("other"), rights.OfPerson(org, "ann"), rights.OfPerson(org, "bob")
	cases := map[string]struct {
		a  *rights.Authority
		on rights.Place
	}{
		"anybody active":                                    {signedIn(rights.Member), whole},
		"anybody active, about themselves":                  {signedIn(rights.Member), self},
		"anybody active, about another person":              {signedIn(rights.Owner, rights.Grant{Role: rights.Owner, On: whole.Object}), other},
		"the person is inactive":                            {inactive, whole},
		"something of another organization":                 {signedIn(rights.Owner), foreign},
		"the relay's first organization":                    {signedIn(rights.Owner), whole},
		"any other organization":                            {elsewhere, whole},
		"an API key that holds `see`":                       {key(rights.See), whole},
		"an API key that holds `connect`":                   {key(rights.Connect), whole},
		"an API key that holds `see`, about themselves":     {key(rights.See), self},
		"an API key that holds `account`, about themselves": {key(rights.Account), self},
	}
	for _, row := range tables(t)["Whatever the role"][1:] {
		c, ok := cases[row[0]]
		if !ok {
			t.Fatal("no case for", row[0])
		}
		if got := c.a.Allowed(parse(t, row[1]), c.on, noon); got != yes(t, row[2]) {
			t.Errorf("%s: %s is %v", row[0], row[1], got)
		}
	}
}

func hours(t testing.TB, zone, day, from, to string) rights.Hours {
	t.Helper()
	h, err := rights.NewHours(zone, []rights.Window{{Days: []string{day}, From: from, To: to}})
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// Rule: permissions are words with spaces between them, each once, and read back as what they were.
func TestWords(t *testing.T) {
	if got := rights.Everything.Words(); len(got) != 28 || len(slices.Compact(slices.Sorted(slices.Values(got)))) != 28 {
		t.Error("words:", got)
	}
	for _, p := range []rights.Permission{0, rights.See, rights.Everything, rights.FilesRead | rights.API} {
		if got, err := rights.Parse(p.String()); got != p || err != nil {
			t.Errorf("%q read back as %q: %v", p, got, err)
		}
	}
	if got := (rights.Control | rights.See | rights.SessionsEnd).String(); got != "see control sessions.end" {
		t.Error(got)
	}
	// What is known of a newer relay's words counts.
	if got, err := rights.Parse(" see  fly connect "); got != rights.See|rights.Connect || err == nil || err.Error() != `there is no permission "fly"` {
		t.Error(got, err)
	}
}
