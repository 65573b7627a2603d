package api

import (
	"context"
	"net/http"

	"oriel/relay/internal/people"
)

type teamsIn struct {
	ListIn
	Sort string `query:"sort" enum:"name,-name,created_at,-created_at" default:"name"`
}

type nameBody struct {
	Name string `json:"name" maxLength:"128"`
}

type newTeamIn struct {
	KeyIn
	Body nameBody
}

type teamIn struct {
	ID   string `path:"id" maxLength:"64" pattern:"^[A-Za-z0-9_-]+$" patternDescription:"an id"`
	Body nameBody
}

type teamMembersIn struct {
	ID string `path:"id" maxLength:"64" pattern:"^[A-Za-z0-9_-]+$" patternDescription:"an id"`
	ListIn
	Sort string `query:"sort" enum:"name,-name,created_at,-created_at" default:"name"`
}

type teamMemberIn struct {
	ID     string `path:"id" maxLength:"64" pattern:"^[A-Za-z0-9_-]+$" patternDescription:"an id"`
	Person string `path:"person" maxLength:"64" pattern:"^[A-Za-z0-9_-]+$" patternDescription:"an id" doc:"Id of the person."`
}

func (a *API) teams() {
	of := tag("people")
	operation(a, "GET", "/teams", "listTeams", "Teams of the organization", a.listTeams, of)
	operation(a, "POST", "/teams", "createTeam", "Make an empty team", a.createTeam, of, status(http.StatusCreated))
	operation(a, "PATCH", "/teams/{id}", "renameTeam", "Give a team another name", a.renameTeam, of, status(http.StatusNoContent))
	operation(a, "DELETE", "/teams/{id}", "removeTeam", "Remove a team with its grants", a.removeTeam, of, status(http.StatusNoContent))
	operation(a, "GET", "/teams/{id}/members", "listTeamMembers", "Members of a team", a.listTeamMembers, of)
	operation(a, "PUT", "/teams/{id}/members/{person}", "joinTeam", "Put a member into a team", a.joinTeam, of, status(http.StatusNoContent))
	operation(a, "DELETE", "/teams/{id}/members/{person}", "leaveTeam", "Take a member out of a team", a.leaveTeam, of, status(http.StatusNoContent))
}

func (a *API) listTeams(ctx context.Context, in *teamsIn) (*listOut[people.Team], error) {
	who, err := a.managesPeople(ctx)
	if err != nil {
		return nil, err
	}
	return paged(a.o.People.Teams(ctx, who, in.request(in.Sort)))
}

func (a *API) createTeam(ctx context.Context, in *newTeamIn) (*created[people.Team], error) {
	who, err := a.managesPeople(ctx)
	if err != nil {
		return nil, err
	}
	return once(ctx, a, in.Key, in.Body, func(ctx context.Context) (people.Team, error) {
		return a.o.People.CreateTeam(ctx, who, in.Body.Name)
	})
}

func (a *API) renameTeam(ctx context.Context, in *teamIn) (*struct{}, error) {
	who, err := a.managesPeople(ctx)
	if err != nil {
		return nil, err
	}
	return nil, a.o.People.RenameTeam(ctx, who, in.ID, in.Body.Name)
}

func (a *API) removeTeam(ctx context.Context, in *idIn) (*struct{}, error) {
	who, err := a.managesPeople(ctx)
	if err != nil {
		return nil, err
	}
	return nil, a.o.People.RemoveTeam(ctx, who, in.ID)
}

func (a *API) listTeamMembers(ctx context.Context, in *teamMembersIn) (*listOut[people.Member], error) {
	who, err := a.managesPeople(ctx)
	if err != nil {
		return nil, err
	}
	return paged(a.o.People.TeamMembers(ctx, who, in.ID, in.request(in.Sort)))
}

func (a *API) joinTeam(ctx context.Context, in *teamMemberIn) (*struct{}, error) {
	who, err := a.managesPeople(ctx)
	if err != nil {
		return nil, err
	}
	return nil, a.o.People.JoinTeam(ctx, who, in.ID, in.Person)
}

func (a *API) leaveTeam(ctx context.Context, in *teamMemberIn) (*struct{}, error) {
	who, err := a.managesPeople(ctx)
	if err != nil {
		return nil, err
	}
	return nil, a.o.People.LeaveTeam(ctx, who, in.ID, in.Person)
}
