package fleet

import (
	"context"
	"fmt"
	"time"

	"oriel/relay/internal/store"
)

// SavedView is a way to look at the list that a person keeps.
type SavedView struct {
	ID        string    `json:"id"`
	Name      string    `json:"name"`
	Query     string    `json:"query" doc:"What stands behind the question mark of the page's address."`
	CreatedAt time.Time `json:"created_at"`
}

func viewOf(row store.View) SavedView {
	return SavedView{ID: row.ID, Name: row.Name, Query: row.Query, CreatedAt: time.UnixMilli(row.CreatedAt).UTC()}
}

// Views of a person, who is named with their organization, oldest first.
func (f *Fleet) Views(ctx context.Context, person store.Ref) ([]SavedView, error) {
	rows, err := f.o.Store.Views(person.Organization).Of(ctx, person.ID)
	if err != nil {
		return nil, fmt.Errorf("saved views: %w", err)
	}
	all := make([]SavedView, len(rows))
	for i, row := range rows {
		all[i] = viewOf(row)
	}
	return all, nil
}

// AddView keeps one. Errors: store.ErrLimit, fault.Field.
func (f *Fleet) AddView(ctx context.Context, person store.Ref, name, query string) (SavedView, error) {
	name, err := named(name)
	if err != nil {
		return SavedView{}, err
	}
	row := store.View{ID: store.NewID(), PersonID: person.ID, Name: name, Query: query, CreatedAt: f.now()}
	if err := f.o.Store.Views(person.Organization).Add(ctx, row); err != nil {
		return SavedView{}, fmt.Errorf("save a view: %w", err)
	}
	return viewOf(row), nil
}

// SaveView changes the name or the query of one; nil: as it is. Errors:
// store.ErrNotFound, fault.Field.
func (f *Fleet) SaveView(ctx context.Context, person store.Ref, id string, name, query *string) (SavedView, error) {
	if name != nil {
		text, err := named(*name)
		if err != nil {
			return SavedView{}, err
		}
		name = &text
	}
	row, err := f.o.Store.Views(person.Organization).Save(ctx, person.ID, id, name, query)
	if err != nil {
		return SavedView{}, fmt.Errorf("save a view: %w", err)
	}
	return viewOf(row), nil
}

// RemoveView forgets one. Errors: store.ErrNotFound.
func (f *Fleet) RemoveView(ctx context.Context, person store.Ref, id string) error {
	if err := f.o.Store.Views(person.Organization).Remove(ctx, person.ID, id); err != nil {
		return fmt.Errorf("remove a view: %w", err)
	}
	return nil
}
