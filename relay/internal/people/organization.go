package people

import (
	"context"
	"fmt"
	"time"

	"oriel/relay/internal/access"
	"oriel/relay/internal/audit"
	"oriel/relay/internal/identifier"
	"oriel/relay/internal/page"
	"oriel/relay/internal/store"
)

// Organization owns computers, people and what hangs on them.
type Organization struct {
	ID        string    `json:"id"`
	Code      string    `json:"code" doc:"What people write behind their login: login:code."`
	Name      string    `json:"name" doc:"Empty for the first one, until somebody names it."`
	CreatedAt time.Time `json:"created_at"`
}

func organizationOf(o store.Organization) Organization {
	return Organization{ID: string(o.ID), Code: o.Code, Name: o.Name, CreatedAt: at(o.CreatedAt)}
}

// Membership is one of a person's organizations.
type Membership struct {
	ID      string `json:"id" doc:"Of the organization."`
	Code    string `json:"code"`
	Name    string `json:"name"`
	Role    string `json:"role"`
	State   string `json:"state" enum:"active,inactive"`
	Current bool   `json:"current" doc:"The sign-in is in it."`
}

// Memberships are all of who's.
func (p *People) Memberships(ctx context.Context, who access.Identity) ([]Membership, error) {
	rows, err := p.o.Store.People().Memberships(ctx, who.PersonID)
	if err != nil {
		return nil, fmt.Errorf("look up memberships: %w", err)
	}
	all := make([]Membership, 0, len(rows))
	for _, m := range rows {
		all = append(all, Membership{string(m.Organization), m.Code, m.Name, m.Role, m.State, m.Organization == who.Organization})
	}
	return all, nil
}

// Organization is who's.
func (p *People) Organization(ctx context.Context, who access.Identity) (Organization, error) {
	o, err := p.o.Store.Organizations().Get(ctx, who.Organization)
	if err != nil {
		return Organization{}, fmt.Errorf("look up an organization: %w", err)
	}
	return organizationOf(o), nil
}

// RenameOrganization gives who's another name or code; nil: as it is. Errors:
// store.ErrConflict when the code is another's, fault.Field.
func (p *People) RenameOrganization(ctx context.Context, who access.Identity, name, code *string) (Organization, error) {
	o, err := p.o.Store.Organizations().Get(ctx, who.Organization)
	if err != nil {
		return Organization{}, fmt.Errorf("look up an organization: %w", err)
	}
	if name != nil {
		if o.Name, err = nameOf("name", *name); err != nil {
			return Organization{}, err
		}
	}
	if code != nil {
		if o.Code, err = identifier.CheckCode("code", *code); err != nil {
			return Organization{}, err
		}
	}
	by := who.Actor().Did(audit.OrganizationRenamed, "organization", string(o.ID), "name", o.Name, "code", o.Code)
	by.Organization = o.ID
	if err := p.o.Store.Organizations().Rename(ctx, by, o.ID, o.Name, o.Code); err != nil {
		return Organization{}, fmt.Errorf("rename an organization: %w", err)
	}
	return organizationOf(o), nil
}

// Organizations are a page of all of the relay.
func (p *People) Organizations(ctx context.Context, r page.Request) (page.Page[Organization], error) {
	rows, err := p.o.Store.Organizations().List(ctx, r)
	return each(rows, err, organizationOf)
}

// CreateOrganization makes one that a person owns. Errors: store.ErrConflict when the code is
// another's, fault.Field.
func (p *People) CreateOrganization(ctx context.Context, who access.Identity, owner, name, code string) (Organization, error) {
	name, err := nameOf("name", name)
	if err != nil {
		return Organization{}, err
	}
	if code, err = identifier.CheckCode("code", code); err != nil {
		return Organization{}, err
	}
	o := store.Organization{ID: store.OrganizationID(store.NewID()), Name: name, Code: code, CreatedAt: p.now()}
	by := who.Actor().Did(audit.OrganizationMade, "organization", string(o.ID), "name", name, "code", code)
	by.Organization = who.Organization // who made it; its own begins empty
	if err := p.o.Store.Organizations().Create(ctx, by, o, store.Person{ID: owner}); err != nil {
		return Organization{}, fmt.Errorf("make an organization: %w", err)
	}
	p.o.Access.Announce(access.Change{PersonID: owner})
	return organizationOf(o), nil
}
