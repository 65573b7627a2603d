package main

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"oriel/relay/internal/page"
	"oriel/relay/internal/people"
	"oriel/relay/internal/store"
)

// eachGroup calls fn with each group and its names from the top, with slashes between.
func (a *administration) eachGroup(ctx context.Context, fn func(g people.Group, way string) error) error {
	names := map[string]string{}
	return pages(func(r page.Request) (page.Page[people.Group], error) {
		return a.people.Groups(ctx, a.who, store.Everything, store.Everything, r)
	}, "path", func(g people.Group) error {
		names[g.ID] = g.Name
		var way []string
		for _, id := range g.Path {
			way = append(way, names[id])
		}
		return fn(g, strings.Join(way, "/"))
	})
}

// named is the one team, group or computer that is called so.
func (a *administration) named(ctx context.Context, kind, text string) (string, error) {
	found := map[string]bool{}
	add := func(id string, names ...string) error {
		for _, name := range append(names, id) {
			if name == text {
				found[id] = true
			}
		}
		return nil
	}
	var err error
	switch kind {
	case "team":
		err = pages(func(r page.Request) (page.Page[people.Team], error) { return a.people.Teams(ctx, a.who, r) }, "name",
			func(t people.Team) error { return add(t.ID, t.Name) })
	case "group":
		err = a.eachGroup(ctx, func(g people.Group, way string) error { return add(g.ID, g.Name, way) })
	case "computer":
		var all []store.Computer
		all, err = a.store.Computers(a.who.Organization).List(ctx, store.Everything)
		for _, c := range all {
			_ = add(c.ID, c.Name, c.HostName)
		}
	}
	if err == nil && len(found) != 1 {
		err = fmt.Errorf("there are %d of the kind %s that are called %q", len(found), kind, text)
	}
	for id := range found {
		return id, err
	}
	return "", err
}

func (a *administration) listTeams(ctx context.Context) error {
	return pages(func(r page.Request) (page.Page[people.Team], error) { return a.people.Teams(ctx, a.who, r) }, "name",
		func(t people.Team) error { return a.line(t.ID, t.Name, strconv.FormatInt(t.Members, 10)) })
}

func (a *administration) createTeam(ctx context.Context) error {
	t, err := a.people.CreateTeam(ctx, a.who, a.said.Name)
	if err != nil {
		return err
	}
	return a.line(t.ID, t.Name)
}

// team is the one that was named.
func (a *administration) team(ctx context.Context) (string, error) {
	return a.named(ctx, "team", a.said.Team)
}

func (a *administration) renameTeam(ctx context.Context) error {
	team, err := a.team(ctx)
	if err != nil {
		return err
	}
	return a.people.RenameTeam(ctx, a.who, team, a.said.Name)
}

func (a *administration) removeTeam(ctx context.Context) error {
	team, err := a.team(ctx)
	if err != nil {
		return err
	}
	return a.people.RemoveTeam(ctx, a.who, team)
}

func (a *administration) listTeamMembers(ctx context.Context) error {
	team, err := a.team(ctx)
	if err != nil {
		return err
	}
	return pages(func(r page.Request) (page.Page[people.Member], error) {
		return a.people.TeamMembers(ctx, a.who, team, r)
	}, "name", a.memberLine)
}

// ofTeam calls change with the team and the member that were named.
func (a *administration) ofTeam(ctx context.Context, change func(team, person string) error) error {
	team, err := a.team(ctx)
	if err != nil {
		return err
	}
	person, err := a.member(ctx, a.said.Login)
	if err != nil {
		return err
	}
	return change(team, person)
}

func (a *administration) joinTeam(ctx context.Context) error {
	return a.ofTeam(ctx, func(team, person string) error { return a.people.JoinTeam(ctx, a.who, team, person) })
}

func (a *administration) leaveTeam(ctx context.Context) error {
	return a.ofTeam(ctx, func(team, person string) error { return a.people.LeaveTeam(ctx, a.who, team, person) })
}

func (a *administration) listGroups(ctx context.Context) error {
	return a.eachGroup(ctx, func(g people.Group, way string) error {
		return a.line(g.ID, way, strconv.FormatInt(g.Computers, 10))
	})
}

// into is the group that something is put into; "": none.
func (a *administration) into(ctx context.Context) (string, error) {
	if a.said.Into == "" {
		return "", nil
	}
	return a.named(ctx, "group", a.said.Into)
}

func (a *administration) createGroup(ctx context.Context) error {
	parent, err := a.into(ctx)
	if err != nil {
		return err
	}
	g, err := a.people.CreateGroup(ctx, a.who, parent, a.said.Name)
	if err != nil {
		return err
	}
	return a.line(g.ID, g.Name)
}

func (a *administration) renameGroup(ctx context.Context) error {
	group, err := a.named(ctx, "group", a.said.Group)
	if err != nil {
		return err
	}
	_, err = a.people.SaveGroup(ctx, a.who, group, &a.said.Name, nil)
	return err
}

func (a *administration) moveGroup(ctx context.Context) error {
	group, err := a.named(ctx, "group", a.said.Group)
	if err != nil {
		return err
	}
	parent, err := a.into(ctx)
	if err != nil {
		return err
	}
	_, err = a.people.SaveGroup(ctx, a.who, group, nil, &parent)
	return err
}

func (a *administration) removeGroup(ctx context.Context) error {
	group, err := a.named(ctx, "group", a.said.Group)
	if err != nil {
		return err
	}
	return a.people.RemoveGroup(ctx, a.who, group)
}

func (a *administration) putComputer(ctx context.Context) error {
	computer, err := a.named(ctx, "computer", a.said.Computer)
	if err != nil {
		return err
	}
	group, err := a.into(ctx)
	if err != nil {
		return err
	}
	return a.people.MoveComputer(ctx, a.who, computer, group)
}
