package fleet

import (
	"context"
	"fmt"
	"maps"
	"slices"

	orielv1 "oriel/protocol/oriel/v1"
	"oriel/relay/internal/page"
	"oriel/relay/internal/store"
)

// What the list of computers is asked, and what it counts.
type (
	Filter = store.ComputerFilter
	View   = store.ComputerView
	Count  = store.ComputerCount
	Tally  = store.ComputerTally
)

// Page is a page of the computers that see includes, as a view shows them; may says what
// somebody may on each. Errors: page.ErrCursor, fault.Field.
func (f *Fleet) Page(ctx context.Context, o store.OrganizationID, see store.Visibility, may Offered, view View, r page.Request) (page.Page[*orielv1.Computer], error) {
	found, err := f.o.Store.Computers(o).Page(ctx, see, view, r)
	if err != nil {
		return page.Page[*orielv1.Computer]{}, fmt.Errorf("page of computers: %w", err)
	}
	rows, ids := make([]store.Computer, len(found.Items)), make([]string, len(found.Items))
	for i, row := range found.Items {
		rows[i], ids[i] = row.Computer, row.ID
	}
	all, err := f.present(ctx, o, rows, may, ids...)
	for i := range all {
		all[i].Pinned = found.Items[i].Pinned
	}
	return page.Page[*orielv1.Computer]{Items: all, Next: found.Next}, err
}

// Tally counts what a filter finds among the computers that see includes, and of that what
// has the same of by, which may be empty. Errors: fault.Field.
func (f *Fleet) Tally(ctx context.Context, o store.OrganizationID, see store.Visibility, filter Filter, person, by string) (Tally, error) {
	t, err := f.o.Store.Computers(o).Tally(ctx, see, filter, person, by)
	if err != nil {
		return Tally{}, fmt.Errorf("count computers: %w", err)
	}
	return t, nil
}

// Statuses are how many of the computers that see includes have which.
func (f *Fleet) Statuses(ctx context.Context, o store.OrganizationID, see store.Visibility) (map[orielv1.Computer_Status]uint32, error) {
	words, err := f.o.Store.Computers(o).Statuses(ctx, see)
	if err != nil {
		return nil, fmt.Errorf("count computers: %w", err)
	}
	all := map[orielv1.Computer_Status]uint32{}
	for status := range orielv1.Computer_Status_name {
		all[orielv1.Computer_Status(status)] = uint32(words[orielv1.Word(orielv1.Computer_Status(status))])
	}
	return all, nil
}

// Visible are those of the ids that see includes.
func (f *Fleet) Visible(ctx context.Context, o store.OrganizationID, see store.Visibility, ids ...string) ([]string, error) {
	found, err := f.o.Store.Computers(o).Visible(ctx, see, ids...)
	if err != nil {
		return nil, fmt.Errorf("look up computers: %w", err)
	}
	return found, nil
}

// present is how those rows are shown; ids are theirs, or none where they are all.
func (f *Fleet) present(ctx context.Context, o store.OrganizationID, rows []store.Computer, may Offered, ids ...string) ([]*orielv1.Computer, error) {
	if len(rows) == 0 {
		return nil, nil
	}
	operators, err := f.o.Store.Sessions(o).Operators(ctx, ids...)
	if err != nil {
		return nil, fmt.Errorf("look up operators: %w", err)
	}
	twins, err := f.o.Store.Computers(o).Twins(ctx, ids...)
	if err != nil {
		return nil, fmt.Errorf("look up twins: %w", err)
	}
	values, err := f.o.Store.Computers(o).Values(ctx, ids...)
	if err != nil {
		return nil, fmt.Errorf("look up fields: %w", err)
	}
	now := f.now()
	all := make([]*orielv1.Computer, len(rows))
	for i, row := range rows {
		row.Online = f.online(row)
		all[i] = shown(row, operators[row.ID], now)
		for _, id := range slices.Sorted(maps.Keys(values[row.ID])) {
			all[i].Fields = append(all[i].Fields, &orielv1.FieldValue{Id: id, Value: values[row.ID][id]})
		}
		if may != nil {
			all[i].Permissions = may(row.ID, row.GroupPath)
		}
		if t, yes := twins[row.ID]; yes {
			all[i].Twins = shownTwins(t)
		}
	}
	return all, nil
}
