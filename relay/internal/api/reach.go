package api

import (
	"context"

	"oriel/relay/internal/access"
	"oriel/relay/internal/people"
	"oriel/relay/internal/rights"
)

type explainIn struct {
	ID       string `path:"id" maxLength:"64" pattern:"^[A-Za-z0-9_-]+$" patternDescription:"an id"`
	Computer string `query:"computer" maxLength:"64" doc:"On that computer; without it: on the organization."`
}

type reachIn struct {
	ListIn
	ID   string `path:"id" maxLength:"64" pattern:"^[A-Za-z0-9_-]+$" patternDescription:"an id"`
	Sort string `query:"sort" enum:"name,-name,created_at,-created_at" default:"name"`
}

type reachedIn struct {
	ListIn
	ID   string `path:"id" maxLength:"64" pattern:"^[A-Za-z0-9_-]+$" patternDescription:"an id"`
	Sort string `query:"sort" enum:"name,-name" default:"name" doc:"Of the computer."`
}

type reachOut struct{ Body people.Reach }

func (a *API) reach() {
	of := tag("people")
	operation(a, "GET", "/people/{id}/access", "explainAccess", "What a member may, and why", a.explain, of)
	operation(a, "GET", "/people/{id}/computers", "explainReachedComputers", "List the computers that a member sees, with what they may on each, and why", a.explainReached, of)
	operation(a, "GET", "/computers/{id}/access", "explainComputerAccess", "Explain each member's permissions on a computer", a.explainComputer, of)
}

func (a *API) explain(ctx context.Context, in *explainIn) (*reachOut, error) {
	who, err := a.managesPeople(ctx)
	if err != nil {
		return nil, err
	}
	on := access.Organization
	if in.Computer != "" {
		on = access.Computer(in.Computer)
	}
	r, err := a.o.People.Reach(ctx, who, in.ID, on)
	return &reachOut{r}, err
}

func (a *API) explainReached(ctx context.Context, in *reachedIn) (*listOut[people.Reach], error) {
	who, err := a.managesPeople(ctx)
	if err != nil {
		return nil, err
	}
	return paged(a.o.People.ReachedComputers(ctx, who, in.ID, in.request(in.Sort)))
}

func (a *API) explainComputer(ctx context.Context, in *reachIn) (*listOut[people.Reach], error) {
	on := access.Computer(in.ID)
	if err := a.require(ctx, rights.PeopleManage, on); err != nil {
		return nil, err
	}
	if _, err := a.o.Fleet.Get(ctx, own(ctx, in.ID)); err != nil {
		return nil, err
	}
	return paged(a.o.People.Reaches(ctx, callerOf(ctx).who, on, in.request(in.Sort)))
}
