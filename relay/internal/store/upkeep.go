package store

import (
	"context"

	"github.com/uptrace/bun"
)

// Running are the running rows of all organizations that r names.
func (s Upkeep) Running(ctx context.Context, r Running) ([]Session, error) {
	var rows []Session
	return rows, mapped(r.where(s.db.NewSelect().Model(&rows)).Order("started_at", "id").Scan(ctx))
}

// Session is the row of that id, whosever it is. Errors: ErrNotFound.
func (s Upkeep) Session(ctx context.Context, id string) (Session, error) {
	var row Session
	return row, mapped(s.db.NewSelect().Model(&row).Where("id = ?", id).Scan(ctx))
}

// Organizations are the ids of all.
func (s Upkeep) Organizations(ctx context.Context) ([]OrganizationID, error) {
	var all []OrganizationID
	return all, mapped(s.db.NewSelect().Table("organizations").Column("id").Order("id").Scan(ctx, &all))
}

// refs are those of the computers that are still there.
func refs(ctx context.Context, tx bun.Tx, computers []string) ([]Ref, error) {
	if len(computers) == 0 {
		return nil, nil
	}
	var rows []Computer
	err := tx.NewSelect().Model(&rows).Column("id", "organization").Where("id IN (?)", bun.List(computers)).Scan(ctx)
	all := make([]Ref, len(rows))
	for i, row := range rows {
		all[i] = row.Ref()
	}
	return all, err
}
