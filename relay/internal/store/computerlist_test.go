package store_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"oriel/relay/internal/page"
	"oriel/relay/internal/store"
	"oriel/relay/internal/store/storetest"
)

// ada is a member.
func ada(t *testing.T, s *store.Store) string {
	t.Helper()
	must(t, s.Members(store.FirstOrganization).AddPerson(t.Context(), entry("x"), store.Member{Role: store.RoleViewer, State: store.Active},
		store.Person{ID: "ada", Kind: store.PersonKind, Name: "Ada", State: store.Active}))
	return "ada"
}

// fleet is a small one in which many have the same of everything.
func fleet(t *testing.T, s *store.Store, n int) (all []string, groups []string) {
	t.Helper()
	of := s.Computers(store.FirstOrganization)
	for i, name := range []string{"Zürich", "berlin", "ärzte"} {
		g := store.Group{ID: fmt.Sprintf("g%d", i), Name: name, CreatedAt: 1}
		if i == 2 {
			g.ParentID = "g0"
		}
		must(t, s.Groups(store.FirstOrganization).Add(t.Context(), entry("x"), g))
		groups = append(groups, g.ID)
	}
	tok := token(t, s, "x", int64(n), 1<<40)
	must(t, s.Nodes().Heartbeat(t.Context(), "node/1", 1<<40))
	random := rand.New(rand.NewPCG(1, 2))
	for i := range n {
		c := computer(fmt.Sprint("k", i), "")
		c.HostName = []string{"pc2", "PC10", "äpfel", "apfel", "Zebra", "", "50%_off\\"}[random.IntN(7)]
		c.OS, c.OSName = []string{"linux", "windows", ""}[random.IntN(3)], []string{"Debian 12", "Windows 11"}[random.IntN(2)]
		c.Address = []string{"10.0.0.9", "10.0.0.10", "2001:db8::1", ""}[random.IntN(4)]
		c.AgentVersion = []string{"1.2", "1.10"}[random.IntN(2)]
		c.AddedAt = int64(random.IntN(5))
		must(t, s.Agents().Enroll(t.Context(), entry("x"), c, tok.TokenKey))
		all = append(all, c.ID)
		switch random.IntN(5) {
		case 0:
			must(t, of.Block(t.Context(), entry("x"), c.ID, true))
		case 1, 2:
			must(t, s.Nodes().Connect(t.Context(), c.ID, "node/1", "c", 1))
			if random.IntN(2) == 0 {
				must(t, s.Sessions(store.FirstOrganization).Add(t.Context(), entry("x"), store.Session{ID: "s" + c.ID, ComputerID: c.ID, StartedAt: 1, ConnectedAt: 1}))
			}
		case 3:
			c.LastSeen = int64(1 + random.IntN(3))
			must(t, of.Save(t.Context(), *c, store.ColumnsOfSeen))
		}
		if random.IntN(2) == 0 {
			must(t, of.SetGroup(t.Context(), entry("x"), c.ID, groups[random.IntN(3)]))
		}
		if random.IntN(3) == 0 {
			tags := []string{"kasse\n1. stock", "1. stock", "büro"}[random.IntN(3)]
			must(t, of.Describe(t.Context(), entry("x"), c.ID, store.Description{Tags: strings.Split(tags, "\n")}))
		}
	}
	return all, groups
}

func pages(t *testing.T, s *store.Store, see store.Visibility, v store.ComputerView, size int) (rows []store.ListedComputer) {
	t.Helper()
	r := page.Request{Limit: size}
	for range 1000 {
		p, err := s.Computers(store.FirstOrganization).Page(t.Context(), see, v, r)
		must(t, err)
		if len(p.Items) > size {
			t.Fatalf("%d rows of %d", len(p.Items), size)
		}
		rows = append(rows, p.Items...)
		if p.Next == "" {
			return rows
		}
		r.Cursor = p.Next
	}
	t.Fatal("there is no end of it")
	return nil
}

func idsOf(rows []store.ListedComputer) (ids []string) {
	for _, row := range rows {
		ids = append(ids, row.ID)
	}
	return ids
}

// Rule: every sort and grouping shows each computer once, whatever the size of its pages, in one
// order; pinned ones first, groups together and in the order of their counts.
func TestComputersInEveryOrder(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		all, _ := fleet(t, s, 60)
		of := s.Computers(store.FirstOrganization)
		ada := ada(t, s)
		for _, id := range all[:3] {
			must(t, of.Pin(t.Context(), ada, id, 1))
		}
		slices.Sort(all)
		values := map[string]func(store.ListedComputer) string{
			"": nil, "status": func(c store.ListedComputer) string { return c.Status }, "group": func(c store.ListedComputer) string { return c.GroupID },
			"os": func(c store.ListedComputer) string { return c.OS }, "version": func(c store.ListedComputer) string { return c.AgentVersion },
		}
		for _, sort := range []string{"name", "status", "last_seen", "added_at", "address", "version", "os", "group"} {
			for group, value := range values {
				var once [2][]string
				for i, sort := range []string{sort, "-" + sort} {
					v := store.ComputerView{Person: ada, Sort: sort, Group: group}
					rows := pages(t, s, store.Everything, v, 100)
					got := idsOf(rows)
					once[i] = got
					if small := idsOf(pages(t, s, store.Everything, v, 7)); !slices.Equal(small, got) {
						t.Fatalf("%s by %s: pages of 7 have another order", sort, group)
					}
					if sorted := slices.Sorted(slices.Values(got)); !slices.Equal(sorted, all) {
						t.Fatalf("%s by %s: %d rows, not each once", sort, group, len(got))
					}
					for i, row := range rows {
						if row.Pinned != (i < 3) {
							t.Fatalf("%s by %s: pinned %v at %d", sort, group, row.Pinned, i)
						}
					}
					if value == nil {
						continue
					}
					tally, err := of.Tally(t.Context(), store.Everything, store.ComputerFilter{}, ada, group)
					must(t, err)
					counts := tally.By
					if others := map[string][]store.ComputerCount{"status": tally.Statuses, "group": tally.Groups, "os": tally.OS, "version": tally.Versions}[group]; !slices.Equal(counts, others) {
						t.Fatalf("%s: %v and %v", group, counts, others)
					}
					var want, have []string
					n := map[string]int64{}
					for _, c := range counts {
						want = append(want, c.Value)
						n[c.Value] = c.Count
					}
					for _, row := range rows {
						n[value(row)]--
						if !row.Pinned && (len(have) == 0 || have[len(have)-1] != value(row)) {
							have = append(have, value(row))
						}
					}
					order := slices.DeleteFunc(want, func(v string) bool { return !slices.Contains(have, v) })
					if !slices.Equal(have, order) {
						t.Fatalf("%s: groups %q, counted in the order %q", group, have, order)
					}
					for v, left := range n {
						if left != 0 {
							t.Errorf("%s %q: the count is wrong by %d", group, v, left)
						}
					}
				}
				if group == "" && slices.Contains([]string{"name", "added_at", "address"}, sort) {
					slices.Reverse(once[1][3:])
					if !slices.Equal(once[0][3:], once[1][3:]) {
						t.Errorf("%s backwards is not the same order", sort)
					}
				}
			}
		}
	})
}

// Rule: names sort as people do, in all scripts and by numbers, on either database alike.
func TestComputersSortedByName(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		names := []string{"äpfel", "Apfel 2", "apfel 10", "PC 9", "pc 10", "Zebra", "Ольга", "東京"}
		tok := token(t, s, "x", int64(len(names)), 1<<40)
		for i, at := range rand.New(rand.NewPCG(3, 4)).Perm(len(names)) {
			c := computer(fmt.Sprint(i), "")
			must(t, s.Agents().Enroll(t.Context(), entry("x"), c, tok.TokenKey))
			must(t, s.Computers(store.FirstOrganization).Rename(t.Context(), entry("x"), c.ID, names[at]))
		}
		var got []string
		for _, row := range pages(t, s, store.Everything, store.ComputerView{Sort: "name"}, 3) {
			got = append(got, row.DisplayName())
		}
		want := []string{"äpfel", "Apfel 2", "apfel 10", "PC 9", "pc 10", "Zebra", "Ольга", "東京"}
		if !slices.Equal(got, want) {
			t.Errorf("%q", got)
		}
	})
}

// Rule: a filter finds what it says and nothing else, and the counts are of what it finds.
func TestComputersFiltered(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		all, groups := fleet(t, s, 60)
		of := s.Computers(store.FirstOrganization)
		ada := ada(t, s)
		must(t, of.Pin(t.Context(), ada, all[5], 1))
		must(t, s.Fields(store.FirstOrganization).Add(t.Context(), entry("x"), store.Field{ID: "f", Name: "Inventory number"}))
		must(t, of.Describe(t.Context(), entry("x"), all[7], store.Description{Values: map[string]string{"f": "INV-0815"}}))
		must(t, s.Tokens(store.FirstOrganization).Add(t.Context(), entry("x"), store.EnrollmentToken{ID: "by ada", TokenKey: []byte("by ada"), CreatedBy: "ada", ExpiresAt: 1 << 50, UsesLeft: 1}))
		adas := computer("adas", "")
		must(t, s.Agents().Enroll(t.Context(), entry("x"), adas, []byte("by ada")))
		rows := pages(t, s, store.Everything, store.ComputerView{Sort: "added_at"}, 100)
		words := func(c store.ListedComputer) string {
			return strings.ToLower(strings.Join([]string{c.DisplayName(), c.HostName, c.OSName, c.UserName, c.Address, c.Addresses, c.Tags}, "\n"))
		}
		for name, tc := range map[string]struct {
			f    store.ComputerFilter
			want func(store.ListedComputer) bool
		}{
			"a word":        {store.ComputerFilter{Words: "PFEL"}, func(c store.ListedComputer) bool { return strings.Contains(words(c), "pfel") }},
			"a short word":  {store.ComputerFilter{Words: "pc"}, func(c store.ListedComputer) bool { return strings.Contains(words(c), "pc") }},
			"other letters": {store.ComputerFilter{Words: "ÄPF"}, func(c store.ListedComputer) bool { return strings.Contains(words(c), "äpf") }},
			"two words": {store.ComputerFilter{Words: "apfel debian"}, func(c store.ListedComputer) bool {
				return strings.Contains(words(c), "apfel") && strings.Contains(words(c), "debian")
			}},
			"signs":          {store.ComputerFilter{Words: `%_off\`}, func(c store.ListedComputer) bool { return c.HostName == `50%_off\` }},
			"quotes":         {store.ComputerFilter{Words: `"a" OR words*`}, func(c store.ListedComputer) bool { return false }},
			"a group's name": {store.ComputerFilter{Words: "Berlin"}, func(c store.ListedComputer) bool { return c.GroupID == groups[1] }},
			"a group":        {store.ComputerFilter{Groups: groups[:1]}, func(c store.ListedComputer) bool { return c.GroupID == groups[0] || c.GroupID == groups[2] }},
			"no group":       {store.ComputerFilter{Groups: []string{""}}, func(c store.ListedComputer) bool { return c.GroupID == "" }},
			"none or one":    {store.ComputerFilter{Groups: []string{"", groups[1]}}, func(c store.ListedComputer) bool { return c.GroupID == "" || c.GroupID == groups[1] }},
			"statuses": {store.ComputerFilter{Statuses: []string{store.StatusOnline, store.StatusBlocked}}, func(c store.ListedComputer) bool {
				return c.Status == store.StatusOnline || c.Status == store.StatusBlocked
			}},
			"systems":     {store.ComputerFilter{OS: []string{"linux"}}, func(c store.ListedComputer) bool { return c.OS == "linux" }},
			"versions":    {store.ComputerFilter{Versions: []string{"1.10"}}, func(c store.ListedComputer) bool { return c.AgentVersion == "1.10" }},
			"a tag":       {store.ComputerFilter{Tags: []string{"1. stock"}}, func(c store.ListedComputer) bool { return slices.Contains(strings.Split(c.Tags, "\n"), "1. stock") }},
			"half a tag":  {store.ComputerFilter{Tags: []string{"stock"}}, func(c store.ListedComputer) bool { return false }},
			"enrolled by": {store.ComputerFilter{EnrolledBy: []string{"ada"}}, func(c store.ListedComputer) bool { return c.AddedWith == "by ada" }},
			"a field":     {store.ComputerFilter{Words: "inv-0815"}, func(c store.ListedComputer) bool { return c.ID == all[7] }},
			"pinned":      {store.ComputerFilter{Pinned: true}, func(c store.ListedComputer) bool { return c.ID == all[5] }},
			"several":     {store.ComputerFilter{OS: []string{"linux"}, Groups: []string{""}}, func(c store.ListedComputer) bool { return c.OS == "linux" && c.GroupID == "" }},
		} {
			var want []string
			online := int64(0)
			for _, row := range rows {
				if tc.want(row) {
					want = append(want, row.ID)
					if row.Status == store.StatusOnline || row.Status == store.StatusInSession {
						online++
					}
				}
			}
			v := store.ComputerView{ComputerFilter: tc.f, Person: ada, Sort: "added_at"}
			got := idsOf(pages(t, s, store.Everything, v, 7))
			slices.Sort(got)
			slices.Sort(want)
			if !slices.Equal(got, want) {
				t.Errorf("%s: %d found, want %d", name, len(got), len(want))
			}
			tally, err := of.Tally(t.Context(), store.Everything, tc.f, ada, "")
			must(t, err)
			n := tally.Found
			if n.Count != int64(len(want)) || n.Online != online {
				t.Errorf("%s: counted %+v, want %d and %d online", name, n, len(want), online)
			}
			seen := store.Visibility{Computers: all[:9]}
			if few := idsOf(pages(t, s, seen, v, 7)); slices.ContainsFunc(few, func(id string) bool { return !slices.Contains(all[:9], id) }) {
				t.Errorf("%s: shows what is not visible", name)
			}
		}
	})
}

// Rule: whatever changes meanwhile, a computer that stays where it is in the order is shown
// once by the pages of a list.
func TestComputersPagedWhileTheyChange(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		all, _ := fleet(t, s, 40)
		of := s.Computers(store.FirstOrganization)
		random := rand.New(rand.NewPCG(5, 6))
		moved := map[string]bool{}
		seen := map[string]int{}
		r := page.Request{Limit: 5}
		tok := token(t, s, "more", 100, 1<<40)
		for i := 0; ; i++ {
			p, err := of.Page(t.Context(), store.Everything, store.ComputerView{Sort: "name", Group: "os"}, r)
			must(t, err)
			for _, row := range p.Items {
				seen[row.ID]++
			}
			if p.Next == "" {
				break
			}
			r.Cursor = p.Next
			one := all[random.IntN(len(all))]
			if !moved[one] {
				moved[one] = true
				if i%2 == 0 {
					must(t, of.Remove(t.Context(), entry("x"), one))
				} else {
					must(t, of.Rename(t.Context(), entry("x"), one, fmt.Sprint("new ", i)))
				}
			}
			c := computer(fmt.Sprint("more", i), "")
			must(t, s.Agents().Enroll(t.Context(), entry("x"), c, tok.TokenKey))
		}
		for _, id := range all {
			if n := seen[id]; !moved[id] && n != 1 || n > 2 {
				t.Errorf("%s was shown %d times", id, n)
			}
		}
	})
}

// Rule: whoever writes what the list is sorted and searched by brings its index into line.
func TestComputersAreIndexed(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		fleet(t, s, 30)
		must(t, store.Indexed(t.Context(), s))
		// An index of another version, or none, is made anew at the start.
		must(t, store.Unindex(t.Context(), s))
		if err := store.Indexed(t.Context(), s); err == nil {
			t.Fatal("nothing was taken away")
		}
		must(t, store.IndexAll(t.Context(), s))
		must(t, store.Indexed(t.Context(), s))
		rows := pages(t, s, store.Everything, store.ComputerView{Sort: "name"}, 100)
		if len(rows) != 30 {
			t.Errorf("%d rows", len(rows))
		}
	})
}

// Rule: what is no place in this order is refused.
func TestComputersOfForeignCursors(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		of := s.Computers(store.FirstOrganization)
		for _, key := range []string{"", "x", `["1","2"]`, `["x","y","z",""]`, `["1","","zz",""]`, `["0","","00",""]`, `{"a":1}`} {
			r := page.Request{Cursor: page.Place{Sort: "name ", Key: key, ID: "x"}.Cursor()}
			if _, err := of.Page(t.Context(), store.Everything, store.ComputerView{Sort: "name"}, r); err != page.ErrCursor {
				t.Errorf("%q: %v", key, err)
			}
		}
		for _, v := range []store.ComputerView{{Sort: "nothing"}, {Sort: ""}, {Sort: "name", Group: "nothing"}} {
			if _, err := of.Page(t.Context(), store.Everything, v, page.Request{}); err == nil {
				t.Errorf("%+v", v)
			}
		}
	})
}

// Rule: a session that begins or ends moves no computer in a list that is sorted by status.
func TestASessionMovesNothing(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		fleet(t, s, 30)
		v := store.ComputerView{Sort: "status"}
		before := pages(t, s, store.Everything, v, 100)
		i := slices.IndexFunc(before, func(c store.ListedComputer) bool { return c.Status == store.StatusOnline })
		id := before[i].ID
		must(t, s.Sessions(store.FirstOrganization).Add(t.Context(), entry("x"), store.Session{ID: "new", ComputerID: id, StartedAt: 1, ConnectedAt: 1}))
		after := pages(t, s, store.Everything, v, 100)
		if after[i].ID != id || after[i].Status != store.StatusInSession || !slices.Equal(idsOf(before), idsOf(after)) {
			t.Error("it moved")
		}
	})
}
