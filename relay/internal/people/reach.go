package people

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"oriel/relay/internal/access"
	"oriel/relay/internal/page"
	"oriel/relay/internal/rights"
	"oriel/relay/internal/store"
)

// Reach is what a member may somewhere, and why not the rest.
type Reach struct {
	Allowed []string  `json:"allowed" nullable:"false"`
	By      []Because `json:"by" nullable:"false" doc:"What gives it."`
	Missing []WhyNot  `json:"missing" nullable:"false"`
	Person  Ref       `json:"person"`
	Object  Ref       `json:"object"`
}

// Source is a grant by its id, with what a page says of it.
type Source struct {
	Grant    string `json:"grant" doc:"Id; empty: the role as a member, or none."`
	Role     string `json:"role" doc:"Id of the role; empty: none."`
	RoleName string `json:"role_name" doc:"Empty for a built-in one, which each language calls its own name."`
	Team     *Ref   `json:"team,omitempty" doc:"That has the grant; absent: the person."`
	On       *Ref   `json:"on,omitempty" doc:"What the grant is on; absent: it is no grant."`
}

// Because is what gives permissions.
type Because struct {
	Source
	Permissions []string `json:"permissions" nullable:"false"`
}

// WhyNot is why permissions are lacking.
type WhyNot struct {
	Source
	Permissions []string   `json:"permissions" nullable:"false"`
	Reason      string     `json:"reason" enum:"inactive,elsewhere,key,needs_approval,outside_hours,not_begun,ended,no_grant"`
	From        *time.Time `json:"from,omitempty" doc:"From when on it would be given; absent: not known."`
}

// Reach of one member. Errors: store.ErrNotFound.
func (p *People) Reach(ctx context.Context, who access.Identity, person string, on access.Object) (Reach, error) {
	m, err := p.o.Store.Members(who.Organization).Get(ctx, person)
	if err != nil {
		return Reach{}, fmt.Errorf("look up a member: %w", err)
	}
	all, err := p.explain(ctx, who, []store.Member{m}, on)
	if err == nil && len(all) == 0 { // removed meanwhile
		err = store.ErrNotFound
	}
	if err != nil {
		return Reach{}, err
	}
	return all[0], nil
}

// Reaches are those of a page of the members. Two statements read what they have, however
// many the page has; bounded are the page, and the grants of each (store.MaxGrantsOfPerson).
func (p *People) Reaches(ctx context.Context, who access.Identity, on access.Object, r page.Request) (page.Page[Reach], error) {
	rows, err := p.o.Store.Members(who.Organization).List(ctx, r)
	if err != nil {
		return page.Page[Reach]{}, fmt.Errorf("list members: %w", err)
	}
	all, err := p.explain(ctx, who, rows.Items, on)
	return page.Page[Reach]{Items: all, Next: rows.Next}, err
}

func (p *People) explain(ctx context.Context, who access.Identity, members []store.Member, on access.Object) ([]Reach, error) {
	ids := make([]string, 0, len(members))
	for _, m := range members {
		ids = append(ids, m.PersonID)
	}
	whys, err := p.o.Access.ExplainMembers(ctx, who, ids, rights.Everything, on)
	if err != nil {
		return nil, err
	}
	grants, err := p.named(ctx, who, whys)
	if err != nil {
		return nil, err
	}
	all := make([]Reach, 0, len(members))
	for _, m := range members {
		if why, ok := whys[m.PersonID]; ok {
			all = append(all, reachOf(m, Ref{Kind: on.Kind, ID: on.ID}, why, grants))
		}
	}
	return all, nil
}

// ReachedComputers are those that a member sees, a page by name, with what they may on each.
// Errors: store.ErrNotFound.
func (p *People) ReachedComputers(ctx context.Context, who access.Identity, person string, r page.Request) (page.Page[Reach], error) {
	m, err := p.o.Store.Members(who.Organization).Get(ctx, person)
	if err != nil {
		return page.Page[Reach]{}, fmt.Errorf("look up a member: %w", err)
	}
	rows, err := p.o.Access.ExplainComputers(ctx, who, person, rights.Everything, r)
	if err != nil {
		return page.Page[Reach]{}, err
	}
	whys := make(map[string]rights.Why, len(rows.Items))
	for _, one := range rows.Items {
		whys[one.Computer.ID] = one.Why
	}
	grants, err := p.named(ctx, who, whys)
	return each(rows, err, func(one access.Explained) Reach {
		c := one.Computer
		return reachOf(m, Ref{Kind: store.ObjectComputer, ID: c.ID, Name: cmp.Or(c.Name, c.HostName)}, one.Why, grants)
	})
}

// reachOf is what a member may on an object, in words.
func reachOf(m store.Member, on Ref, why rights.Why, grants map[string]store.Grant) Reach {
	out := Reach{Allowed: (rights.Everything &^ why.Lacking).Words(), By: []Because{}, Missing: []WhyNot{},
		Person: Ref{Kind: "person", ID: m.PersonID, Name: m.Name}, Object: on}
	for _, s := range why.By {
		b := Because{Source: Source{Role: m.Role, RoleName: m.RoleName}, Permissions: s.Gives.Words()}
		if s.Grant != nil {
			b.Source = sourceOf(s.Grant, grants)
		}
		out.By = append(out.By, b)
	}
	for _, one := range why.Missing {
		n := WhyNot{Permissions: one.What.Words(), Reason: string(one.Reason)}
		if one.Grant != nil {
			n.Source = sourceOf(one.Grant, grants)
		}
		if !one.From.IsZero() {
			from := one.From.UTC()
			n.From = &from
		}
		out.Missing = append(out.Missing, n)
	}
	return out
}

// grantsAtOnce is how many grants one statement looks for.
const grantsAtOnce = 500

// named are the grants that these speak of, by id, with the names of roles, teams and objects.
func (p *People) named(ctx context.Context, who access.Identity, whys map[string]rights.Why) (map[string]store.Grant, error) {
	spoken := map[string]bool{}
	for _, why := range whys {
		for _, s := range why.By {
			if s.Grant != nil {
				spoken[s.Grant.ID] = true
			}
		}
		for _, one := range why.Missing {
			if one.Grant != nil {
				spoken[one.Grant.ID] = true
			}
		}
	}
	all := make(map[string]store.Grant, len(spoken))
	for some := range slices.Chunk(slices.Collect(maps.Keys(spoken)), grantsAtOnce) {
		found, err := p.o.Store.Grants(who.Organization).These(ctx, some...)
		if err != nil {
			return nil, fmt.Errorf("look up grants: %w", err)
		}
		for _, g := range found {
			all[g.ID] = g
		}
	}
	return all, nil
}

// sourceOf is g; of one that went meanwhile the names are not known.
func sourceOf(g *rights.Grant, named map[string]store.Grant) Source {
	known := named[g.ID]
	s := Source{Grant: g.ID, Role: g.Role.ID, RoleName: known.RoleName, On: &Ref{Kind: string(g.On.Kind), ID: g.On.ID, Name: known.ObjectName}}
	if g.Team != "" {
		s.Team = &Ref{Kind: store.SubjectTeam, ID: g.Team, Name: known.SubjectName}
	}
	return s
}
