package people

import (
	"context"
	"fmt"
	"time"

	"oriel/relay/internal/access"
	"oriel/relay/internal/audit"
	"oriel/relay/internal/page"
	"oriel/relay/internal/rights"
	"oriel/relay/internal/store"
)

// Team is a named set of members.
type Team struct {
	ID        string    `json:"id"`
	Name      string    `json:"name"`
	Members   int64     `json:"members" doc:"How many."`
	CreatedAt time.Time `json:"created_at"`
}

func teamOf(t store.Team) Team {
	return Team{ID: t.ID, Name: t.Name, Members: t.Members, CreatedAt: at(t.CreatedAt)}
}

// Teams are a page of them.
func (p *People) Teams(ctx context.Context, who access.Identity, r page.Request) (page.Page[Team], error) {
	rows, err := p.o.Store.Teams(who.Organization).List(ctx, r)
	return each(rows, err, teamOf)
}

// TeamMembers are a page of a team's. Errors: store.ErrNotFound.
func (p *People) TeamMembers(ctx context.Context, who access.Identity, team string, r page.Request) (page.Page[Member], error) {
	teams := p.o.Store.Teams(who.Organization)
	if _, err := teams.Get(ctx, team); err != nil {
		return page.Page[Member]{}, fmt.Errorf("look up a team: %w", err)
	}
	rows, err := teams.Members(ctx, team, r)
	return each(rows, err, memberOf)
}

// CreateTeam makes an empty one. Errors: store.ErrLimit, fault.Field.
func (p *People) CreateTeam(ctx context.Context, who access.Identity, name string) (Team, error) {
	name, err := nameOf("name", name)
	if err != nil {
		return Team{}, err
	}
	row := store.Team{ID: store.NewID(), Name: name, CreatedAt: p.now()}
	if err := p.o.Store.Teams(who.Organization).Add(ctx, who.Actor().Did(audit.TeamMade, "team", row.ID, "name", name), row); err != nil {
		return Team{}, fmt.Errorf("make a team: %w", err)
	}
	return teamOf(row), nil
}

// RenameTeam gives one another name. Errors: store.ErrNotFound, fault.Field.
func (p *People) RenameTeam(ctx context.Context, who access.Identity, id, name string) error {
	name, err := nameOf("name", name)
	if err != nil {
		return err
	}
	if err := p.o.Store.Teams(who.Organization).Rename(ctx, who.Actor().Did(audit.TeamRenamed, "team", id, "name", name), id, name); err != nil {
		return fmt.Errorf("rename a team: %w", err)
	}
	return nil
}

// RemoveTeam forgets one with its grants. Errors: store.ErrNotFound.
func (p *People) RemoveTeam(ctx context.Context, who access.Identity, id string) error {
	if err := p.o.Store.Teams(who.Organization).Remove(ctx, who.Actor().Did(audit.TeamRemoved, "team", id), id); err != nil {
		return fmt.Errorf("remove a team: %w", err)
	}
	p.done(who, "", audit.TeamRemoved)
	return nil
}

// JoinTeam has a member be in a team, which gives them its grants; who lacks those on
// their objects cannot give them. Errors: ErrGives, store.ErrNotFound,
// store.ErrConflict, store.ErrLimit.
func (p *People) JoinTeam(ctx context.Context, who access.Identity, team, person string) error {
	if err := p.mayGiveTeam(ctx, who, team); err != nil {
		return err
	}
	if err := p.o.Store.Teams(who.Organization).AddMember(ctx, who.Actor().Did(audit.TeamJoined, "team", team, "person", person), team, person); err != nil {
		return fmt.Errorf("add to a team: %w", err)
	}
	p.done(who, person, audit.TeamJoined)
	return nil
}

// mayGiveTeam is mayGive for all that a team has.
func (p *People) mayGiveTeam(ctx context.Context, who access.Identity, team string) error {
	return p.mayGiveAll(ctx, who, store.GrantFilter{SubjectKind: store.SubjectTeam, SubjectID: team}, nil)
}

// mayGiveAll is mayGive for what some grants give: on their own objects, or on one that they
// come to reach, and then what is about computers.
func (p *People) mayGiveAll(ctx context.Context, who access.Identity, some store.GrantFilter, on *access.Object) error {
	r := page.Request{Limit: page.Max, Sort: "created_at"}
	for {
		grants, err := p.o.Store.Grants(who.Organization).List(ctx, some, r)
		if err != nil {
			return fmt.Errorf("look up grants: %w", err)
		}
		for _, g := range grants.Items {
			role, err := p.role(ctx, who.Organization, "role", g.Role)
			what, at := role.Permissions, object(g.ObjectKind, g.ObjectID)
			if on != nil {
				what, at = what&rights.OnComputer, *on
			}
			if err == nil {
				err = p.mayGive(ctx, who, what, at)
			}
			if err != nil {
				return err
			}
		}
		if r.Cursor = grants.Next; r.Cursor == "" {
			return nil
		}
	}
}

// LeaveTeam has a member be in a team no longer. Errors: store.ErrNotFound.
func (p *People) LeaveTeam(ctx context.Context, who access.Identity, team, person string) error {
	if err := p.o.Store.Teams(who.Organization).RemoveMember(ctx, who.Actor().Did(audit.TeamLeft, "team", team, "person", person), team, person); err != nil {
		return fmt.Errorf("remove from a team: %w", err)
	}
	p.done(who, person, audit.TeamLeft)
	return nil
}
