package store

import (
	"context"
	"slices"

	"github.com/uptrace/bun"

	"oriel/relay/internal/fault"
)

// Field is something that an organization notes of each of its computers.
type Field struct {
	bun.BaseModel `bun:"table:fields"`

	Organization OrganizationID `bun:",pk"`
	ID           string         `bun:",pk"`
	Name         string
	CreatedAt    int64
}

// fieldValue is what is noted of one computer.
type fieldValue struct {
	bun.BaseModel `bun:"table:field_values"`

	Organization OrganizationID
	ComputerID   string `bun:",pk"`
	FieldID      string `bun:",pk"`
	Value        string
}

// errField: there is no such field.
var errField = fault.Field("fields", "there is no such field; reload the page and choose another")

// List are all, oldest first.
func (s Fields) List(ctx context.Context) ([]Field, error) {
	all := []Field{}
	return all, mapped(s.rows(s.db, &all).Order("created_at", "id").Scan(ctx))
}

// Add makes one. Errors: ErrConflict, ErrLimit, fault.Field.
func (s Fields) Add(ctx context.Context, by Entry, f Field) error {
	if err := bounded(text{"id", f.ID, MaxID}, text{"name", f.Name, MaxNameText}); err != nil {
		return err
	}
	f.Organization = s.organization
	return s.inTurn(ctx, by, func(ctx context.Context, tx bun.Tx, _ *Entry) error {
		if _, err := tx.NewInsert().Model(&f).Exec(ctx); err != nil {
			return err
		}
		n, err := s.rows(tx, (*Field)(nil)).Count(ctx)
		return limit(n, MaxFields, err)
	})
}

// Rename gives one another name. Errors: ErrNotFound, fault.Field.
func (s Fields) Rename(ctx context.Context, by Entry, id, name string) error {
	if err := bounded(text{"name", name, MaxNameText}); err != nil {
		return err
	}
	return s.inTurn(ctx, by, func(ctx context.Context, tx bun.Tx, _ *Entry) error {
		return changed(s.update(tx, (*Field)(nil)).Set("name = ?", name).Where("id = ?", id).Exec(ctx))
	})
}

// Remove forgets one with all its values. It returns the computers that had one. Errors:
// ErrNotFound.
func (s Fields) Remove(ctx context.Context, by Entry, id string) (computers []string, err error) {
	err = s.inTurn(ctx, by, func(ctx context.Context, tx bun.Tx, _ *Entry) error {
		if err := s.remove(tx, (*fieldValue)(nil)).Where("field_id = ?", id).Returning("computer_id").Scan(ctx, &computers); err != nil {
			return err
		}
		if err := changed(s.remove(tx, (*Field)(nil)).Where("id = ?", id).Exec(ctx)); err != nil {
			return err
		}
		for some := range slices.Chunk(computers, indexAtOnce) {
			if err := s.index(ctx, tx, some...); err != nil {
				return err
			}
		}
		return nil
	})
	return computers, err
}

// Values is what is noted of these computers, or of all without any, by computer and field.
func (s Computers) Values(ctx context.Context, computers ...string) (map[string]map[string]string, error) {
	var rows []fieldValue
	q := s.rows(s.db, &rows)
	if len(computers) > 0 {
		q = q.Where("computer_id IN (?)", bun.List(computers))
	}
	if err := q.Scan(ctx); err != nil {
		return nil, mapped(err)
	}
	all := map[string]map[string]string{}
	for _, row := range rows {
		if all[row.ComputerID] == nil {
			all[row.ComputerID] = map[string]string{}
		}
		all[row.ComputerID][row.FieldID] = row.Value
	}
	return all, nil
}

// note puts values of fields down for a computer; "" takes one away.
func (s Computers) note(ctx context.Context, tx bun.Tx, computer string, values map[string]string) error {
	for id, value := range values {
		if err := bounded(text{"fields", value, MaxFieldValue}); err != nil {
			return err
		}
		if value == "" {
			if _, err := s.remove(tx, (*fieldValue)(nil)).Where("computer_id = ? AND field_id = ?", computer, id).Exec(ctx); err != nil {
				return err
			}
			continue
		}
		if there, err := s.contains(ctx, tx, (*Field)(nil), id); err != nil || !there {
			if err == nil {
				err = errField
			}
			return err
		}
		row := fieldValue{Organization: s.organization, ComputerID: computer, FieldID: id, Value: value}
		if _, err := tx.NewInsert().Model(&row).On("CONFLICT (computer_id, field_id) DO UPDATE").Set("value = EXCLUDED.value").Exec(ctx); err != nil {
			return err
		}
	}
	return nil
}
