package api

import (
	"context"
	"net/http"

	"oriel/relay/internal/access"
	"oriel/relay/internal/fault"
	"oriel/relay/internal/page"
	"oriel/relay/internal/people"
	"oriel/relay/internal/rights"
	"oriel/relay/internal/store"
)

type organizationsIn struct {
	ListIn
	Sort string `query:"sort" enum:"name,-name,code,-code,created_at,-created_at" default:"name"`
}

type organizationOut struct{ Body people.Organization }

type newOrganizationIn struct {
	KeyIn
	Body struct {
		Name string `json:"name" maxLength:"128"`
		Code string `json:"code" maxLength:"32" doc:"2 to 32 letters a to z, digits and hyphens."`
	}
}

type organizationIn struct {
	Body struct {
		Name *string `json:"name,omitempty" maxLength:"128"`
		Code *string `json:"code,omitempty" maxLength:"32"`
	}
}

type switchIn struct {
	Body struct {
		ID string `json:"id" maxLength:"64"`
	}
}

type membershipsIn struct {
	ListIn
	Sort string `query:"sort" enum:"name,-name,code,-code" default:"name"`
}

var membershipList = page.List[people.Membership]{
	ID: func(m people.Membership) string { return m.ID },
	Keys: map[string]func(people.Membership) string{
		"name": func(m people.Membership) string { return m.Name },
		"code": func(m people.Membership) string { return m.Code },
	},
	Text: func(m people.Membership) []string { return []string{m.Name, m.Code} },
}

func (a *API) organizations() {
	of := tag("organization")
	operation(a, "GET", "/me/organizations", "listOwnOrganizations", "Organizations that the caller is a member of", a.ownOrganizations, of)
	operation(a, "POST", "/me/organization", "switchOrganization", "Have this sign-in be in another organization of the caller's", a.switchOrganization, of)
	operation(a, "DELETE", "/me/organizations/{id}", "leaveOrganization", "End one's own membership", a.leaveOrganization, of, status(http.StatusNoContent))
	operation(a, "GET", "/organization", "getOrganization", "The organization that the caller is in", a.getOrganization, of)
	operation(a, "PATCH", "/organization", "updateOrganization", "Give it another name or code", a.updateOrganization, of)
	operation(a, "GET", "/organizations", "listOrganizations", "All organizations of the relay, for who operates it", a.listOrganizations, of)
	operation(a, "POST", "/organizations", "createOrganization", "Make an organization that the caller owns", a.createOrganization, of, status(http.StatusCreated))
}

func (a *API) ownOrganizations(ctx context.Context, in *membershipsIn) (*listOut[people.Membership], error) {
	who, err := a.requireOwn(ctx)
	if err != nil {
		return nil, err
	}
	all, err := a.o.People.Memberships(ctx, who)
	if err != nil {
		return nil, err
	}
	return answer(membershipList, all, in.request(in.Sort))
}

func (a *API) switchOrganization(ctx context.Context, in *switchIn) (*personOut, error) {
	who, err := a.requireOwn(ctx)
	if err != nil {
		return nil, err
	}
	who.Organization = store.OrganizationID(in.Body.ID)
	if err := a.o.Access.SwitchOrganization(ctx, callerOf(ctx).who, who.Organization); err != nil {
		return nil, err
	}
	if who, err = a.o.Access.Identify(callerOf(ctx).r); err != nil {
		return nil, err
	}
	return a.person(ctx, who)
}

func (a *API) leaveOrganization(ctx context.Context, in *idIn) (*struct{}, error) {
	who, err := a.requireOwn(ctx)
	if err != nil {
		return nil, err
	}
	return nil, a.o.People.Leave(ctx, who, store.OrganizationID(in.ID))
}

func (a *API) getOrganization(ctx context.Context, _ *nothingIn) (*organizationOut, error) {
	if err := a.require(ctx, rights.About, access.Organization); err != nil {
		return nil, err
	}
	o, err := a.o.People.Organization(ctx, callerOf(ctx).who)
	return &organizationOut{o}, err
}

func (a *API) updateOrganization(ctx context.Context, in *organizationIn) (*organizationOut, error) {
	if err := a.require(ctx, rights.Organization, access.Organization); err != nil {
		return nil, err
	}
	if in.Body.Name == nil && in.Body.Code == nil {
		return nil, fault.Field("name", "say what is to change: name, code or both")
	}
	o, err := a.o.People.RenameOrganization(ctx, callerOf(ctx).who, in.Body.Name, in.Body.Code)
	return &organizationOut{o}, err
}

func (a *API) listOrganizations(ctx context.Context, in *organizationsIn) (*listOut[people.Organization], error) {
	if err := a.require(ctx, rights.RelayOperate, access.Organization); err != nil {
		return nil, err
	}
	return paged(a.o.People.Organizations(ctx, in.request(in.Sort)))
}

func (a *API) createOrganization(ctx context.Context, in *newOrganizationIn) (*created[people.Organization], error) {
	if err := a.require(ctx, rights.RelayOperate, access.Organization); err != nil {
		return nil, err
	}
	who := callerOf(ctx).who
	return once(ctx, a, in.Key, in.Body, func(ctx context.Context) (people.Organization, error) {
		return a.o.People.CreateOrganization(ctx, who, who.PersonID, in.Body.Name, in.Body.Code)
	})
}
