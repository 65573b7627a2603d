package people

import (
	"context"
	"errors"
	"fmt"
	"time"

	"oriel/relay/internal/access"
	"oriel/relay/internal/audit"
	"oriel/relay/internal/fault"
	"oriel/relay/internal/page"
	"oriel/relay/internal/rights"
	"oriel/relay/internal/store"
)

// Role is a named set of permissions.
type Role struct {
	ID          string     `json:"id" doc:"A built-in one's is its word."`
	Name        string     `json:"name" doc:"Empty for a built-in one, which each language calls its own name."`
	BuiltIn     bool       `json:"built_in" doc:"Every organization has it, and nobody changes it."`
	Permissions []string   `json:"permissions" nullable:"false"`
	CreatedAt   *time.Time `json:"created_at,omitempty"`
}

func roleOf(r store.Role) Role {
	// Words that a newer relay knew are left out: they allow nothing here.
	may, _ := rights.Parse(r.Permissions)
	return Role{ID: r.ID, Name: r.Name, Permissions: may.Words(), CreatedAt: when(r.CreatedAt)}
}

// BuiltInRoles are those of every organization, the mightiest first.
func BuiltInRoles() []Role {
	var all []Role
	for _, r := range rights.Roles {
		all = append(all, Role{ID: r.ID, BuiltIn: true, Permissions: r.Permissions.Words()})
	}
	return all
}

// Roles are a page of the organization's own.
func (p *People) Roles(ctx context.Context, who access.Identity, r page.Request) (page.Page[Role], error) {
	rows, err := p.o.Store.Roles(who.Organization).List(ctx, r)
	return each(rows, err, roleOf)
}

// role is one that the organization has, built in or its own. Errors: fault.Field.
func (p *People) role(ctx context.Context, o store.OrganizationID, field, id string) (rights.Role, error) {
	if r, ok := rights.BuiltIn(id); ok {
		return r, nil
	}
	row, err := p.o.Store.Roles(o).Get(ctx, id)
	if errors.Is(err, store.ErrNotFound) {
		return rights.Role{}, fault.Field(field, "there is no such role; choose another one")
	}
	if err != nil {
		return rights.Role{}, fmt.Errorf("look up a role: %w", err)
	}
	may, _ := rights.Parse(row.Permissions)
	return rights.Role{ID: row.ID, Permissions: may}, nil
}

// permissions reads words. Errors: fault.Field.
func permissions(field string, words []string) (rights.Permission, error) {
	var all rights.Permission
	for _, word := range words {
		one, err := rights.Parse(word)
		if err != nil || one == 0 {
			return 0, fault.Field(field, "there is no such permission as "+fmt.Sprintf("%.40q", word))
		}
		all |= one
	}
	return all.Implied(), nil
}

// CreateRole makes one. Errors: ErrGives, fault.Field, store.ErrLimit.
func (p *People) CreateRole(ctx context.Context, who access.Identity, name string, words []string) (Role, error) {
	name, err := nameOf("name", name)
	if err != nil {
		return Role{}, err
	}
	may, err := permissions("permissions", words)
	if err != nil {
		return Role{}, err
	}
	if err := p.mayGive(ctx, who, may, access.Organization); err != nil {
		return Role{}, err
	}
	row := store.Role{ID: store.NewID(), Name: name, Permissions: may.String(), CreatedAt: p.now()}
	by := who.Actor().Did(audit.RoleMade, "role", row.ID, "name", name, "permissions", row.Permissions)
	if err := p.o.Store.Roles(who.Organization).Add(ctx, by, row); err != nil {
		return Role{}, fmt.Errorf("make a role: %w", err)
	}
	return roleOf(row), nil
}

// SaveRole changes name and permissions; nil: they stay. Errors: as CreateRole, and
// store.ErrNotFound.
func (p *People) SaveRole(ctx context.Context, who access.Identity, id string, name *string, words *[]string) (Role, error) {
	roles := p.o.Store.Roles(who.Organization)
	row, err := roles.Get(ctx, id)
	if err != nil {
		return Role{}, fmt.Errorf("look up a role: %w", err)
	}
	if name != nil {
		if row.Name, err = nameOf("name", *name); err != nil {
			return Role{}, err
		}
	}
	before, _ := rights.Parse(row.Permissions)
	after := before
	if words != nil {
		if after, err = permissions("permissions", *words); err != nil {
			return Role{}, err
		}
	}
	// Whoever takes a permission out of a role takes it from people who may have more
	// than they do themselves.
	if err := p.mayGive(ctx, who, before|after, access.Organization); err != nil {
		return Role{}, err
	}
	row.Permissions = after.String()
	by := who.Actor().Did(audit.RoleChanged, "role", id, "name", row.Name, "permissions", row.Permissions, "permissions_before", before.String())
	if err := roles.Save(ctx, by, row); err != nil {
		return Role{}, fmt.Errorf("change a role: %w", err)
	}
	p.done(who, "", audit.RoleChanged)
	return roleOf(row), nil
}

// RemoveRole forgets one that nobody has. Errors: store.ErrNotFound, store.ErrInUse.
func (p *People) RemoveRole(ctx context.Context, who access.Identity, id string) error {
	if err := p.o.Store.Roles(who.Organization).Remove(ctx, who.Actor().Did(audit.RoleRemoved, "role", id), id); err != nil {
		return fmt.Errorf("remove a role: %w", err)
	}
	return nil
}
