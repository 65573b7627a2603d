package api

import (
	"context"
	"net/http"
	"time"

	"oriel/relay/internal/access"
	"oriel/relay/internal/people"
	"oriel/relay/internal/rights"
)

type grantsIn struct {
	ListIn
	Sort    string `query:"sort" enum:"created_at,-created_at" default:"-created_at"`
	Person  string `query:"person" maxLength:"64" doc:"Only that person's own."`
	Team    string `query:"team" maxLength:"64" doc:"Only that team's."`
	Group   string `query:"group" maxLength:"64" doc:"Only those on that group itself."`
	Reaches string `query:"reaches" maxLength:"64" doc:"Only those that reach that computer."`
}

type newGrantIn struct {
	KeyIn
	Body struct {
		Subject struct {
			Kind string `json:"kind" enum:"person,team"`
			ID   string `json:"id" maxLength:"64"`
		} `json:"subject"`
		Role   string `json:"role" maxLength:"64" doc:"Id of a role."`
		Object struct {
			Kind string `json:"kind" enum:"organization,group,computer"`
			ID   string `json:"id,omitempty" maxLength:"64" doc:"Absent for the organization."`
		} `json:"object"`
		Hours    *people.Hours `json:"hours,omitempty" doc:"Absent: always."`
		From     *time.Time    `json:"from,omitempty"`
		Until    *time.Time    `json:"until,omitempty"`
		Approval bool          `json:"approval,omitempty" doc:"A second person has to agree each time."`
	}
}

func (a *API) grants() {
	of := tag("people")
	operation(a, "GET", "/grants", "listGrants", "Who has which role on what", a.listGrants, of)
	operation(a, "POST", "/grants", "createGrant", "Give a person or a team a role on something", a.createGrant, of, status(http.StatusCreated))
	operation(a, "DELETE", "/grants/{id}", "revokeGrant", "Take it back; what rests on it ends at once", a.revokeGrant, of, status(http.StatusNoContent))
}

func (a *API) listGrants(ctx context.Context, in *grantsIn) (*listOut[people.Grant], error) {
	who, err := a.managesPeople(ctx)
	if err != nil {
		return nil, err
	}
	f := people.GrantFilter{Person: in.Person, Team: in.Team, Group: in.Group, Reaches: in.Reaches}
	return paged(a.o.People.Grants(ctx, who, f, in.request(in.Sort)))
}

func (a *API) createGrant(ctx context.Context, in *newGrantIn) (*created[people.Grant], error) {
	b := in.Body
	n := people.NewGrant{Subject: people.Ref{Kind: b.Subject.Kind, ID: b.Subject.ID}, Object: people.Ref{Kind: b.Object.Kind, ID: b.Object.ID},
		Role: b.Role, Hours: b.Hours, From: b.From, Until: b.Until, Approval: b.Approval}
	if err := a.require(ctx, rights.PeopleManage, n.Object.Object()); err != nil {
		return nil, err
	}
	who := callerOf(ctx).who
	return once(ctx, a, in.Key, in.Body, func(ctx context.Context) (people.Grant, error) { return a.o.People.CreateGrant(ctx, who, n) })
}

func (a *API) revokeGrant(ctx context.Context, in *idIn) (*struct{}, error) {
	// The object is known once it is looked up, which is for those who manage people
	// somewhere only.
	who := callerOf(ctx).who
	g, err := a.o.People.Grant(ctx, who, in.ID)
	on := access.Organization
	if err == nil {
		on = g.Object.Object()
	}
	if err := a.require(ctx, rights.PeopleManage, on); err != nil {
		return nil, err
	}
	if err != nil {
		return nil, err
	}
	return nil, a.o.People.RevokeGrant(ctx, who, in.ID)
}
