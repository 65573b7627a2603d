package store

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"slices"
	"strconv"
	"strings"

	"github.com/uptrace/bun"

	"oriel/relay/internal/fault"
	"oriel/relay/internal/page"
)

// ComputerFilter says which computers; its zero value means all. Of one list any value
// will do, and what it says of several things all has to hold.
type ComputerFilter struct {
	Words      string // each has to be in what is known of it, whatever its case
	Statuses   []string
	OS         []string
	Groups     []string // ids, with what is in the groups within them; "": in none
	Tags       []string
	Versions   []string // of agents
	EnrolledBy []string // people with whose tokens they came
	Pinned     bool     // by ComputerView.Person
}

// ComputerView is a way to look at the list.
type ComputerView struct {
	ComputerFilter
	Person string // whose pinned computers come first; empty: nobody's
	Sort   string // a key of computerSorts; "-" before it: from the greatest
	Group  string // a key of computerGroups, whose computers stand together
}

// Statuses of computers in the list.
const (
	StatusInSession = "in_session"
	StatusOnline    = "online"
	StatusOffline   = "offline"
	StatusNeverSeen = "never_seen"
	StatusBlocked   = "blocked"
)

// statusOf is the status as SQL. It needs what computers joins.
const statusOf = `CASE WHEN c.blocked THEN 'blocked'
	WHEN n.id IS NOT NULL AND c.id IN (SELECT r.computer_id FROM sessions AS r WHERE r.ended_at = 0 AND r.connected_at <> 0) THEN 'in_session'
	WHEN n.id IS NOT NULL THEN 'online' WHEN c.last_seen = 0 THEN 'never_seen' ELSE 'offline' END`

// key is an expression that rows are ordered by. {last} in it is bytes that come after
// all others, {os} those of the system's word.
type key struct {
	expr  string
	kind  keyKind
	named bool // those with the same are by their names, whichever way the sort goes
}

type keyKind int

const (
	keyNumber keyKind = iota
	keyBytes
)

const (
	groupKey = `CASE WHEN g.id IS NULL THEN {last} ELSE g.sort_key END`
	osKey    = `CASE c.os WHEN '' THEN {last} ELSE {os} END`
	nameKey  = "x.name_key"
)

// computerSorts are the ways to sort. Those by a column of x have an index. By status
// those who can be connected to come first, so that a session that begins moves no card.
var computerSorts = map[string]key{
	"name":     {expr: nameKey, kind: keyBytes},
	"added_at": {expr: "x.added_at"},
	"address":  {expr: "x.address_key", kind: keyBytes},
	"version":  {"x.agent_key", keyBytes, true},
	"os":       {"x.os_key", keyBytes, true},
	"group":    {groupKey, keyBytes, true},
	"status":   {expr: `CASE WHEN c.blocked THEN 3 WHEN n.id IS NOT NULL THEN 0 WHEN c.last_seen = 0 THEN 2 ELSE 1 END`, named: true},
	// Online ones are being seen now, all of them.
	"last_seen": {expr: `CASE WHEN n.id IS NOT NULL THEN 9000000000000000 ELSE c.last_seen END`, named: true},
}

// computerGroups are the ways to put computers together; those with the same key stand
// in one group.
var computerGroups = map[string]key{
	"status":  {expr: `CASE ` + statusOf + ` WHEN 'in_session' THEN 0 WHEN 'online' THEN 1 WHEN 'offline' THEN 2 WHEN 'never_seen' THEN 3 ELSE 4 END`},
	"group":   {expr: groupKey, kind: keyBytes},
	"os":      {expr: osKey, kind: keyBytes},
	"version": {expr: "x.agent_key", kind: keyBytes},
}

// sql is an expression in the words of the database.
func (s *database) sql(expr string) string {
	last, os := "X'FF'", "CAST(c.os AS BLOB)"
	if s.kind == PostgreSQL {
		last, os = `'\xFF'::bytea`, "convert_to(c.os, 'UTF8')"
	}
	return strings.NewReplacer("{last}", last, "{os}", os).Replace(expr)
}

// asText is an expression's value as a cursor has it.
func (s *database) asText(k key) string {
	switch {
	case k.kind == keyNumber:
		return "CAST(" + k.expr + " AS TEXT)"
	case s.kind == PostgreSQL:
		return "encode(" + s.sql(k.expr) + ", 'hex')"
	}
	return "hex(" + s.sql(k.expr) + ")"
}

// ofText is the value that asText wrote. Errors: page.ErrCursor.
func (k key) ofText(text string) (v any, err error) {
	if k.kind == keyNumber {
		v, err = strconv.ParseInt(text, 10, 64)
	} else {
		v, err = hex.DecodeString(text)
	}
	if err != nil {
		return nil, page.ErrCursor
	}
	return v, nil
}

// ListedComputer is a computer as a list shows it.
type ListedComputer struct {
	Computer `bun:",extend"`

	Status string `bun:",scanonly"`
	Pinned bool   `bun:"-"`
}

// placed is where in the order a computer is: its keys, as text.
type placed struct{ ID, GroupKey, SortKey, NameKey string }

// pinned are the computers that a person wants first, as SQL.
const pinned = "c.id IN (SELECT pins.computer_id FROM pins WHERE pins.person_id = ?)"

// found are the ids of computers whose words, or whose group's name, have a word in them.
func (s Computers) found(word string) *bun.SelectQuery {
	words := s.containing(s.rows(s.db, (*computerIndex)(nil)).Column("computer_id"), word)
	groups := s.rows(s.db, (*Group)(nil)).Column("id").Where(`LOWER(name) LIKE ? ESCAPE '\'`, like(word))
	return words.Union(s.rows(s.db, (*Computer)(nil)).Column("id").Where("group_id IN (?)", groups))
}

// filtered keeps the visible computers of a filter.
func (s Computers) filtered(q *bun.SelectQuery, see Visibility, f ComputerFilter, person string) *bun.SelectQuery {
	q = see.computers(q, s.owned)
	for _, word := range strings.Fields(f.Words) {
		q = q.Where("c.id IN (?)", s.found(word))
	}
	in := func(expr string, values []string) {
		if len(values) > 0 {
			q = q.Where(expr+" IN (?)", bun.List(values))
		}
	}
	in(statusOf, f.Statuses)
	in("c.os", f.OS)
	in("c.agent_version", f.Versions)
	if len(f.EnrolledBy) > 0 {
		q = q.Where("c.added_with IN (?)", s.rows(s.db, (*EnrollmentToken)(nil)).Column("id").Where("created_by IN (?)", bun.List(f.EnrolledBy)))
	}
	if len(f.Groups) > 0 {
		q = q.WhereGroup(" AND ", func(q *bun.SelectQuery) *bun.SelectQuery {
			if slices.Contains(f.Groups, "") {
				q = q.Where("g.id IS NULL")
			}
			return q.WhereOr("c.group_id IN (?)", bun.SafeQuery(within, s.organization, bun.List(f.Groups), s.organization))
		})
	}
	if len(f.Tags) > 0 {
		q = q.WhereGroup(" AND ", func(q *bun.SelectQuery) *bun.SelectQuery {
			for _, tag := range f.Tags { // each has a line of its own
				q = q.WhereOr(`? || c.tags || ? LIKE ? ESCAPE '\'`, "\n", "\n", like("\n"+tag+"\n"))
			}
			return q
		})
	}
	if f.Pinned {
		q = q.Where(pinned, person)
	}
	return q
}

// listing is the organization's computers c with their index x.
func (s Computers) listing() *bun.SelectQuery {
	return s.joined(s.db.NewSelect().TableExpr("computer_index AS x").Join("JOIN computers AS c ON c.id = x.computer_id")).Where("x.organization = ?", s.organization)
}

// Page is a page of the visible computers: pinned ones first, then in groups, then
// sorted, then by id. Errors: page.ErrCursor, fault.Field.
func (s Computers) Page(ctx context.Context, see Visibility, view ComputerView, r page.Request) (page.Page[ListedComputer], error) {
	var none page.Page[ListedComputer]
	o, err := view.order()
	if err != nil {
		return none, err
	}
	r.Sort = view.Sort + " " + view.Group // whose place a cursor is
	at, err := r.Place()
	if err != nil {
		return none, err
	}
	// The pinned ones are a list of their own before the others.
	var all []placed
	section, place := 0, placed{ID: at.ID}
	if view.Person == "" {
		section = 1
	}
	if at.ID != "" {
		var texts []string
		if json.Unmarshal([]byte(at.Key), &texts) != nil || len(texts) != 4 {
			return none, page.ErrCursor
		}
		if section, err = strconv.Atoi(texts[0]); err != nil || section != 1 && (section != 0 || view.Person == "") {
			return none, page.ErrCursor
		}
		place.GroupKey, place.SortKey, place.NameKey = texts[1], texts[2], texts[3]
	}
	first := 0 // of the others in all
	for ; section < 2 && len(all) <= r.Size(); section, place = section+1, (placed{}) {
		q := s.filtered(s.listing(), see, view.ComputerFilter, view.Person)
		if view.Person != "" {
			q = q.Where([]string{"", "NOT "}[section]+pinned, view.Person)
		}
		if q, err = o.after(q, s.database, place); err != nil {
			return none, err
		}
		var some []placed
		if err := q.Limit(int64(r.Size())+1-int64(len(all))).Scan(ctx, &some); err != nil {
			return none, mapped(err)
		}
		all = append(all, some...)
		if section == 0 {
			first = len(all)
		}
	}
	next := ""
	if len(all) > r.Size() {
		all = all[:r.Size()]
		last := all[len(all)-1]
		section := "1"
		if len(all) <= first {
			section = "0"
		}
		key, err := json.Marshal([]string{section, last.GroupKey, last.SortKey, last.NameKey})
		if err != nil {
			return none, err
		}
		next = page.Place{Sort: r.Sort, Key: string(key), ID: last.ID}.Cursor()
	}
	items, err := s.rowsOf(ctx, all, first)
	return page.Page[ListedComputer]{Items: items, Next: next}, err
}

// rowsOf are the computers that are there of those places; the first so many are pinned.
func (s Computers) rowsOf(ctx context.Context, places []placed, first int) ([]ListedComputer, error) {
	if len(places) == 0 {
		return []ListedComputer{}, nil
	}
	at := make(map[string]int, len(places))
	ids := make([]string, len(places))
	for i, p := range places {
		ids[i], at[p.ID] = p.ID, i
	}
	var rows []ListedComputer
	err := s.computers(s.db, &rows).ColumnExpr(statusOf+" AS status").
		Where(ours, s.organization).Where("c.id IN (?)", bun.List(ids)).Scan(ctx)
	if err != nil {
		return nil, mapped(err)
	}
	slices.SortFunc(rows, func(a, b ListedComputer) int { return at[a.ID] - at[b.ID] })
	for i := range rows {
		rows[i].Pinned = at[rows[i].ID] < first
	}
	return rows, nil
}

var errGroupBy = fault.Field("group_by", "this list cannot be grouped in this way")

// order is how a view puts computers.
type order struct {
	group     *key
	sort      key
	backwards bool
}

func (v ComputerView) order() (o order, err error) {
	name, backwards := strings.CutPrefix(v.Sort, "-")
	sort, known := computerSorts[name]
	if !known {
		return o, fault.Field("sort", "this list cannot be sorted in this way")
	}
	o = order{sort: sort, backwards: backwards}
	if v.Group != "" {
		g, known := computerGroups[v.Group]
		if !known {
			return o, errGroupBy
		}
		o.group = &g
	}
	return o, nil
}

// after orders the computers of q, and keeps those behind a place; the zero one is before all.
func (o order) after(q *bun.SelectQuery, s *database, at placed) (*bun.SelectQuery, error) {
	direction, than := " ASC", " > "
	if o.backwards {
		direction, than = " DESC", " < "
	}
	expr := s.sql(o.sort.expr)
	q = q.ColumnExpr("x.computer_id AS id").ColumnExpr(s.asText(o.sort) + " AS sort_key")
	if o.group != nil {
		q = q.ColumnExpr(s.asText(*o.group) + " AS group_key").OrderExpr(s.sql(o.group.expr) + " ASC")
	}
	q = q.OrderExpr(expr + direction)
	if o.sort.named {
		q = q.ColumnExpr(s.asText(computerSorts["name"]) + " AS name_key").OrderExpr(nameKey + " ASC, x.computer_id ASC")
	} else {
		q = q.OrderExpr("x.computer_id" + direction)
	}
	if at.ID == "" {
		return q, nil
	}
	value, err := o.sort.ofText(at.SortKey)
	if err != nil {
		return nil, err
	}
	behind, args := "("+expr+", x.computer_id)"+than+"(?, ?)", []any{value, at.ID}
	if o.sort.named {
		name, err := computerSorts["name"].ofText(at.NameKey)
		if err != nil {
			return nil, err
		}
		behind, args = "("+expr+", "+nameKey+", x.computer_id) > (?, ?, ?)", []any{value, name, at.ID}
		if o.backwards {
			behind, args = "("+expr+" < ? OR "+expr+" = ? AND ("+nameKey+", x.computer_id) > (?, ?))", []any{value, value, name, at.ID}
		}
	}
	if o.group == nil {
		return q.Where(behind, args...), nil
	}
	group, err := o.group.ofText(at.GroupKey)
	if err != nil {
		return nil, err
	}
	g := s.sql(o.group.expr)
	return q.Where("("+g+" > ? OR "+g+" = ? AND "+behind+")", append([]any{group, group}, args...)...), nil
}
