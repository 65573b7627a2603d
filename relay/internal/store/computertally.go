package store

import (
	"bytes"
	"cmp"
	"context"
	"slices"

	"github.com/uptrace/bun"
)

// ComputerCount is how many have something in common.
type ComputerCount struct {
	Value  string // what they have in common
	Name   string // of it, for people; may be empty
	Count  int64
	Online int64
}

// ComputerTally is how many visible computers a filter finds, and how many it would find
// with other values: the counts of statuses heed all of the filter but its statuses, and
// so do those of the other things. What is nobody's is left out.
type ComputerTally struct {
	Found    ComputerCount
	By       []ComputerCount // those that it finds, as Page puts them together
	Statuses []ComputerCount // in the order in which Page puts them together, as what follows
	Groups   []ComputerCount // by the group that a computer is in itself; "": in none
	OS       []ComputerCount
	Versions []ComputerCount
	Tags     []ComputerCount // those of most computers, MaxTagsCounted at most
}

// MaxTagsCounted is how many tags a tally names.
const MaxTagsCounted = 500

// statuses in the order in which the list puts them together.
var statuses = []string{StatusInSession, StatusOnline, StatusOffline, StatusNeverSeen, StatusBlocked}

// alike are computers that are the same in all that is counted.
type alike struct {
	Status, GroupID, OS, Version, Tags string
	Count                              int64
}

// Tally counts the computers of a filter, all at once; by is a key of computerGroups, or
// empty. Errors: fault.Field.
func (s Computers) Tally(ctx context.Context, see Visibility, f ComputerFilter, person, by string) (ComputerTally, error) {
	if _, known := computerGroups[by]; by != "" && !known {
		return ComputerTally{}, errGroupBy
	}
	var groups []Group
	if err := s.rows(s.db, &groups).Column("id", "name", "path", "sort_key").Scan(ctx); err != nil {
		return ComputerTally{}, mapped(err)
	}
	all := f
	all.Statuses, all.Groups, all.OS, all.Versions, all.Tags = nil, nil, nil, nil, nil
	q := s.filtered(s.joined(s.db.NewSelect().TableExpr("computers AS c")).Where("c.organization = ?", s.organization), see, all, person).
		ColumnExpr(statusOf + " AS status").ColumnExpr("COALESCE(g.id, '') AS group_id").ColumnExpr("c.os AS os").ColumnExpr("c.agent_version AS version").
		ColumnExpr("c.tags AS tags").ColumnExpr("count(*) AS count").GroupExpr("1, 2, 3, 4, 5")
	var rows []alike
	if err := q.Scan(ctx, &rows); err != nil {
		return ComputerTally{}, mapped(err)
	}
	within := map[string]bool{"": slices.Contains(f.Groups, "")} // the groups of the filter
	of := map[string]Group{"": {SortKey: []byte{0xFF}}}
	for _, g := range groups {
		of[g.ID] = g
		within[g.ID] = slices.ContainsFunc(g.Upwards(), func(id string) bool { return slices.Contains(f.Groups, id) })
	}
	one := func(values []string, value string) bool { return len(values) == 0 || slices.Contains(values, value) }
	things := []thing{
		{"status", func(c alike) string { return c.Status }, func(c alike) bool { return one(f.Statuses, c.Status) },
			func(v string) (string, []byte) { return "", []byte{byte(slices.Index(statuses, v))} }},
		{"group", func(c alike) string { return c.GroupID }, func(c alike) bool { return len(f.Groups) == 0 || within[c.GroupID] },
			func(v string) (string, []byte) { return of[v].Name, of[v].SortKey }},
		{"os", func(c alike) string { return c.OS }, func(c alike) bool { return one(f.OS, c.OS) },
			func(v string) (string, []byte) { return "", []byte(cmp.Or(v, "\xFF")) }},
		{"version", func(c alike) string { return c.Version }, func(c alike) bool { return one(f.Versions, c.Version) },
			func(v string) (string, []byte) { return "", distinct(v, v) }},
	}
	var t ComputerTally
	found, tags := counts{}, counts{}
	others := make([]counts, len(things)) // by thing, what is found without it in the filter
	for i := range others {
		others[i] = counts{}
	}
	for _, c := range rows {
		its := lines(c.Tags)
		tagged := len(f.Tags) == 0 || slices.ContainsFunc(its, func(tag string) bool { return slices.Contains(f.Tags, tag) })
		missed := 0 // things of the filter that it is not
		for _, th := range things {
			if !th.found(c) {
				missed++
			}
		}
		if missed == 0 && tagged {
			t.Found.plus(c)
		}
		for i, th := range things {
			if missed == 0 && tagged && th.name == by {
				found.plus(th.value(c), c)
			}
			if tagged && (missed == 0 || missed == 1 && !th.found(c)) {
				others[i].plus(th.value(c), c)
			}
		}
		for _, tag := range its {
			if missed == 0 {
				tags.plus(tag, c)
			}
		}
	}
	for i, to := range []*[]ComputerCount{&t.Statuses, &t.Groups, &t.OS, &t.Versions} {
		*to = others[i].sorted(things[i].named)
		if things[i].name == by {
			t.By = found.sorted(things[i].named)
		}
	}
	t.Tags = tags.sorted(func(string) (string, []byte) { return "", nil })
	slices.SortStableFunc(t.Tags, func(a, b ComputerCount) int { return cmp.Compare(b.Count, a.Count) })
	t.Tags = t.Tags[:min(len(t.Tags), MaxTagsCounted)]
	return t, nil
}

// thing is what computers can have in common.
type thing struct {
	name  string // of computerGroups
	value func(alike) string
	found func(alike) bool                             // by the filter
	named func(value string) (name string, key []byte) // for people, and by what it is sorted
}

// Statuses are how many visible computers have which; those that are nobody's are left out.
func (s Computers) Statuses(ctx context.Context, see Visibility) (map[string]int64, error) {
	var rows []alike
	q := see.computers(s.joined(s.db.NewSelect().TableExpr("computers AS c")).Where("c.organization = ?", s.organization), s.owned)
	if err := q.ColumnExpr(statusOf+" AS status").ColumnExpr("count(*) AS count").GroupExpr("1").Scan(ctx, &rows); err != nil {
		return nil, mapped(err)
	}
	all := map[string]int64{}
	for _, c := range rows {
		all[c.Status] = c.Count
	}
	return all, nil
}

// Visible are those of the ids that are visible.
func (s Computers) Visible(ctx context.Context, see Visibility, ids ...string) ([]string, error) {
	var found []string
	q := see.computers(s.rows(s.db, (*Computer)(nil)), s.owned).Column("c.id").Where("c.id IN (?)", bun.List(ids))
	return found, mapped(q.Scan(ctx, &found))
}

func (n *ComputerCount) plus(c alike) {
	n.Count += c.Count
	if c.Status == StatusOnline || c.Status == StatusInSession {
		n.Online += c.Count
	}
}

// counts are by what computers have in common.
type counts map[string]*ComputerCount

func (all counts) plus(value string, c alike) {
	if all[value] == nil {
		all[value] = &ComputerCount{Value: value}
	}
	all[value].plus(c)
}

// sorted are they by the key that of gives for a value, with a name.
func (all counts) sorted(of func(value string) (name string, key []byte)) []ComputerCount {
	keys := map[string][]byte{}
	list := make([]ComputerCount, 0, len(all))
	for value, n := range all {
		n.Name, keys[value] = of(value)
		list = append(list, *n)
	}
	slices.SortFunc(list, func(a, b ComputerCount) int {
		return cmp.Or(bytes.Compare(keys[a.Value], keys[b.Value]), cmp.Compare(a.Value, b.Value))
	})
	return list
}
