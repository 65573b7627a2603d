package store

import "github.com/uptrace/bun"

// OrganizationID names an organization. What one owns is reached by a handle that
// takes it, and each query of such a handle is filtered by it.
type OrganizationID string

// FirstOrganization is made by the migration, and owns what was there before.
const FirstOrganization OrganizationID = "00000000-0000-7000-8000-000000000001"

// owned is a handle's part that knows whose rows it may touch.
type owned struct {
	*database
	organization OrganizationID
}

// ours is the condition that every query of an organization's rows has.
const ours = "?TableAlias.organization = ?"

// rows selects those of the organization.
func (s owned) rows(db bun.IDB, model any) *bun.SelectQuery {
	return db.NewSelect().Model(model).Where(ours, s.organization)
}

// update changes those of the organization.
func (s owned) update(tx bun.Tx, model any) *bun.UpdateQuery {
	return tx.NewUpdate().Model(model).Where(ours, s.organization)
}

// remove deletes those of the organization.
func (s owned) remove(tx bun.Tx, model any) *bun.DeleteQuery {
	return tx.NewDelete().Model(model).Where(ours, s.organization)
}
