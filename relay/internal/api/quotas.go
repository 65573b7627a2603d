package api

import (
	"context"

	"oriel/relay/internal/access"
	"oriel/relay/internal/people"
	"oriel/relay/internal/rights"
	"oriel/relay/internal/store"
)

type quotasIn struct {
	ID   string `path:"id" maxLength:"64" pattern:"^[A-Za-z0-9_-]+$" patternDescription:"an id" doc:"Of the organization."`
	Body people.Limits
}

type quotasOut struct{ Body people.Quotas }

func (a *API) quotas() {
	of := tag("organization")
	operation(a, "GET", "/organization/quotas", "getOwnQuotas",
		"How much the organization that the caller is in has, and may have. What the caller may not make or see is absent.", a.ownQuotas, of)
	operation(a, "GET", "/organizations/{id}/quotas", "getQuotas", "How much an organization has, and may have, for who operates the relay", a.getQuotas, of)
	operation(a, "PUT", "/organizations/{id}/quotas", "setQuotas",
		"Replace the quotas of an organization. What it has already stays, also where that is more; what is made beyond them is refused with the code quota.", a.setQuotas, of)
}

func (a *API) ownQuotas(ctx context.Context, _ *nothingIn) (*quotasOut, error) {
	if err := a.require(ctx, rights.About, access.Organization); err != nil {
		return nil, err
	}
	all, err := a.o.People.Quotas(ctx, organization(ctx))
	if err != nil {
		return nil, err
	}
	for _, one := range []struct {
		use   **people.Use
		needs rights.Permission
	}{{&all.Computers, rights.Enroll}, {&all.People, rights.PeopleManage}, {&all.Invitations, rights.PeopleManage},
		{&all.Sessions, rights.Journal}, {&all.Storage, rights.ComputersManage}} {
		if !a.may(ctx, one.needs, access.Organization) {
			*one.use = nil
		}
	}
	return &quotasOut{all}, nil
}

func (a *API) getQuotas(ctx context.Context, in *idIn) (*quotasOut, error) {
	if err := a.require(ctx, rights.RelayOperate, access.Organization); err != nil {
		return nil, err
	}
	all, err := a.o.People.Quotas(ctx, store.OrganizationID(in.ID))
	return &quotasOut{all}, err
}

func (a *API) setQuotas(ctx context.Context, in *quotasIn) (*quotasOut, error) {
	if err := a.require(ctx, rights.RelayOperate, access.Organization); err != nil {
		return nil, err
	}
	all, err := a.o.People.SetQuotas(ctx, callerOf(ctx).who, store.OrganizationID(in.ID), in.Body)
	return &quotasOut{all}, err
}
