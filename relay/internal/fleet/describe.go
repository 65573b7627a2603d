package fleet

import (
	"context"
	"fmt"
	"strings"
	"time"

	orielv1 "oriel/protocol/oriel/v1"
	"oriel/protocol/sanitize"
	"oriel/relay/internal/audit"
	"oriel/relay/internal/fault"
	"oriel/relay/internal/store"
)

// Description is what people say of a computer; what is nil stays as it is. Tags are put
// into lower case, and have no commas.
type Description = store.Description

// Details is one computer with what lists leave out, as a person has it and may on it.
// Errors: store.ErrNotFound.
func (f *Fleet) Details(ctx context.Context, c store.Ref, person string, may Offered) (*orielv1.Computer, error) {
	rows, err := f.of(c).List(ctx, store.Everything, c.ID)
	if err == nil && len(rows) == 0 {
		err = store.ErrNotFound
	}
	var all []*orielv1.Computer
	if err == nil {
		all, err = f.present(ctx, c.Organization, rows, may, c.ID)
	}
	var pinned []string
	if err == nil {
		pinned, err = f.of(c).Pinned(ctx, person, c.ID)
	}
	if err != nil {
		return nil, fmt.Errorf("computer %.64q: %w", c.ID, err)
	}
	all[0].Comment, all[0].Pinned = rows[0].Comment, len(pinned) > 0
	return all[0], nil
}

// Describe changes what people say of a computer. Errors: store.ErrNotFound, fault.Field.
func (f *Fleet) Describe(ctx context.Context, by audit.Actor, c store.Ref, d Description) error {
	var details []string
	for _, list := range []struct {
		name string
		tags *[]string
	}{{"tags", &d.Tags}, {"tag", &d.Tag}, {"untag", &d.Untag}} {
		if *list.tags == nil {
			continue
		}
		tags := []string{}
		for _, tag := range *list.tags {
			tag = strings.ReplaceAll(tag, ",", " ") // which stands between tags in addresses
			if tag = strings.ToLower(strings.TrimSpace(sanitize.Line(tag, store.MaxTag))); tag != "" {
				tags = append(tags, tag)
			}
		}
		*list.tags = tags
		details = append(details, list.name, strings.Join(tags, ", "))
	}
	if d.Comment != nil {
		details = append(details, "comment", *d.Comment)
	}
	values := map[string]string{}
	for id, value := range d.Values {
		values[id] = strings.TrimSpace(sanitize.Line(value, store.MaxFieldValue))
	}
	d.Values = values
	if len(values) > 0 {
		details = append(details, "fields", fmt.Sprint(len(values)))
	}
	if err := f.of(c).Describe(ctx, by.Did(audit.ComputerDescribed, "computer", c.ID, details...), c.ID, d); err != nil {
		return fmt.Errorf("describe computer: %w", err)
	}
	f.changed(c)
	return nil
}

// Pin puts a computer first in a person's list, or no longer. Errors: store.ErrNotFound,
// store.ErrLimit.
func (f *Fleet) Pin(ctx context.Context, c store.Ref, person string, pinned bool) error {
	var err error
	if pinned {
		err = f.of(c).Pin(ctx, person, c.ID, f.now())
	} else {
		err = f.of(c).Unpin(ctx, person, c.ID)
	}
	if err != nil {
		return fmt.Errorf("pin computer: %w", err)
	}
	return nil
}

// Moved has those told who look at a computer that it is in another group.
func (f *Fleet) Moved(c store.Ref) { f.changed(c) }

// Renamed has those told who look at the computers of a group that it has another name.
func (f *Fleet) Renamed(ctx context.Context, group store.Ref) error {
	ids, err := f.o.Store.Computers(group.Organization).In(ctx, group.ID)
	if err != nil {
		return fmt.Errorf("computers of a group: %w", err)
	}
	f.changed(refs(group.Organization, ids)...)
	return nil
}

func refs(o store.OrganizationID, ids []string) []store.Ref {
	all := make([]store.Ref, len(ids))
	for i, id := range ids {
		all[i] = o.Ref(id)
	}
	return all
}

// Field is something that an organization notes of each of its computers.
type Field struct {
	ID        string    `json:"id"`
	Name      string    `json:"name"`
	CreatedAt time.Time `json:"created_at"`
}

func fieldOf(row store.Field) Field {
	return Field{ID: row.ID, Name: row.Name, CreatedAt: time.UnixMilli(row.CreatedAt).UTC()}
}

// named is a name that people give; it may not be empty.
func named(name string) (string, error) {
	name = strings.TrimSpace(sanitize.Line(name, MaxName))
	if name == "" {
		return "", fault.Field("name", "write a name")
	}
	return name, nil
}

// Fields of an organization, oldest first.
func (f *Fleet) Fields(ctx context.Context, o store.OrganizationID) ([]Field, error) {
	rows, err := f.o.Store.Fields(o).List(ctx)
	if err != nil {
		return nil, fmt.Errorf("fields: %w", err)
	}
	all := make([]Field, len(rows))
	for i, row := range rows {
		all[i] = fieldOf(row)
	}
	return all, nil
}

// AddField makes one. Errors: store.ErrLimit, fault.Field.
func (f *Fleet) AddField(ctx context.Context, by audit.Actor, o store.OrganizationID, name string) (Field, error) {
	name, err := named(name)
	if err != nil {
		return Field{}, err
	}
	row := store.Field{ID: store.NewID(), Name: name, CreatedAt: f.now()}
	if err := f.o.Store.Fields(o).Add(ctx, by.Did(audit.FieldMade, "field", row.ID, "name", name), row); err != nil {
		return Field{}, fmt.Errorf("make a field: %w", err)
	}
	return fieldOf(row), nil
}

// RenameField gives one another name. Errors: store.ErrNotFound, fault.Field.
func (f *Fleet) RenameField(ctx context.Context, by audit.Actor, field store.Ref, name string) error {
	name, err := named(name)
	if err != nil {
		return err
	}
	if err := f.o.Store.Fields(field.Organization).Rename(ctx, by.Did(audit.FieldRenamed, "field", field.ID, "name", name), field.ID, name); err != nil {
		return fmt.Errorf("rename a field: %w", err)
	}
	return nil
}

// RemoveField forgets one with what was noted in it of all computers. Errors:
// store.ErrNotFound.
func (f *Fleet) RemoveField(ctx context.Context, by audit.Actor, field store.Ref) error {
	had, err := f.o.Store.Fields(field.Organization).Remove(ctx, by.Did(audit.FieldRemoved, "field", field.ID), field.ID)
	if err != nil {
		return fmt.Errorf("remove a field: %w", err)
	}
	f.changed(refs(field.Organization, had)...)
	return nil
}
