package api

import (
	"context"
	"net/http"

	"oriel/relay/internal/page"
	"oriel/relay/internal/people"
)

type rolesIn struct {
	ListIn
	Sort string `query:"sort" enum:"name,-name,created_at,-created_at" default:"name"`
}

type roleOut struct{ Body people.Role }

type newRoleIn struct {
	KeyIn
	Body struct {
		Name        string   `json:"name" maxLength:"128"`
		Permissions []string `json:"permissions" minItems:"1" maxItems:"64"`
	}
}

type roleIn struct {
	ID   string `path:"id" maxLength:"64" pattern:"^[A-Za-z0-9_-]+$" patternDescription:"an id"`
	Body struct {
		Name        *string   `json:"name,omitempty" maxLength:"128"`
		Permissions *[]string `json:"permissions,omitempty" minItems:"1" maxItems:"64" doc:"All that it is to have; absent: as it is."`
	}
}

func (a *API) roles() {
	of := tag("people")
	operation(a, "GET", "/roles", "listRoles", "The organization's own roles; the first page has the built-in ones before them", a.listRoles, of)
	operation(a, "POST", "/roles", "createRole", "Make a role", a.createRole, of, status(http.StatusCreated))
	operation(a, "PATCH", "/roles/{id}", "updateRole", "Change a role, for everybody who has it", a.updateRole, of)
	operation(a, "DELETE", "/roles/{id}", "removeRole", "Remove a role that nobody has", a.removeRole, of, status(http.StatusNoContent))
}

func (a *API) listRoles(ctx context.Context, in *rolesIn) (*listOut[people.Role], error) {
	who, err := a.managesPeople(ctx)
	if err != nil {
		return nil, err
	}
	p, err := a.o.People.Roles(ctx, who, in.request(in.Sort))
	if err == nil && in.Cursor == "" && in.Words == "" {
		p = page.Page[people.Role]{Items: append(people.BuiltInRoles(), p.Items...), Next: p.Next}
	}
	return paged(p, err)
}

func (a *API) createRole(ctx context.Context, in *newRoleIn) (*created[people.Role], error) {
	who, err := a.managesPeople(ctx)
	if err != nil {
		return nil, err
	}
	return once(ctx, a, in.Key, in.Body, func(ctx context.Context) (people.Role, error) {
		return a.o.People.CreateRole(ctx, who, in.Body.Name, in.Body.Permissions)
	})
}

func (a *API) updateRole(ctx context.Context, in *roleIn) (*roleOut, error) {
	who, err := a.managesPeople(ctx)
	if err != nil {
		return nil, err
	}
	r, err := a.o.People.SaveRole(ctx, who, in.ID, in.Body.Name, in.Body.Permissions)
	return &roleOut{r}, err
}

func (a *API) removeRole(ctx context.Context, in *idIn) (*struct{}, error) {
	who, err := a.managesPeople(ctx)
	if err != nil {
		return nil, err
	}
	return nil, a.o.People.RemoveRole(ctx, who, in.ID)
}
