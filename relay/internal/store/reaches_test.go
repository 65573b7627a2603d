package store_test

import (
	"context"
	"maps"

	"oriel/relay/internal/page"
	"oriel/relay/internal/store"
)

// The list of computers, and what people say of them.
func init() {
	maps.Copy(reaches, map[string]reach{
		"Computers.In": func(ctx context.Context, s *store.Store, o store.OrganizationID, of belongings) (any, error) {
			return s.Computers(o).In(ctx, of.inner)
		},
		"Computers.Page": func(ctx context.Context, s *store.Store, o store.OrganizationID, of belongings) (any, error) {
			all, err := s.Computers(o).Page(ctx, store.Everything, store.ComputerView{Sort: "name", Person: of.person}, page.Request{})
			if err != nil {
				return nil, err
			}
			some, err := s.Computers(o).Page(ctx, store.Everything, store.ComputerView{Sort: "name", ComputerFilter: store.ComputerFilter{Words: of.name, Groups: []string{of.group}}}, page.Request{})
			return []any{all, some}, err
		},
		"Computers.Tally": func(ctx context.Context, s *store.Store, o store.OrganizationID, _ belongings) (any, error) {
			return s.Computers(o).Tally(ctx, store.Everything, store.ComputerFilter{}, "", "")
		},
		"Computers.Statuses": func(ctx context.Context, s *store.Store, o store.OrganizationID, of belongings) (any, error) {
			all, err := s.Computers(o).Statuses(ctx, store.Visibility{Computers: []string{of.computer}})
			if len(all) == 0 {
				return nil, err
			}
			return of.name, err
		},
		"Computers.Visible": func(ctx context.Context, s *store.Store, o store.OrganizationID, of belongings) (any, error) {
			return s.Computers(o).Visible(ctx, store.Everything, of.computer)
		},
		"Computers.Describe": func(ctx context.Context, s *store.Store, o store.OrganizationID, of belongings) (any, error) {
			return nil, s.Computers(o).Describe(ctx, entry("x"), of.computer, store.Description{Tag: []string{"changed"}, Values: map[string]string{of.field: "changed"}})
		},
		"Computers.Values": func(ctx context.Context, s *store.Store, o store.OrganizationID, of belongings) (any, error) {
			all, err := s.Computers(o).Values(ctx)
			if err != nil {
				return nil, err
			}
			some, err := s.Computers(o).Values(ctx, of.computer)
			return []any{all, some}, err
		},
		"Computers.Pin": func(ctx context.Context, s *store.Store, o store.OrganizationID, of belongings) (any, error) {
			return nil, s.Computers(o).Pin(ctx, of.owner, of.computer, 1)
		},
		"Computers.Unpin": func(ctx context.Context, s *store.Store, o store.OrganizationID, of belongings) (any, error) {
			return nil, s.Computers(o).Unpin(ctx, of.person, of.computer)
		},
		"Computers.Pinned": func(ctx context.Context, s *store.Store, o store.OrganizationID, of belongings) (any, error) {
			return s.Computers(o).Pinned(ctx, of.person, of.computer)
		},
		"Fields.List": func(ctx context.Context, s *store.Store, o store.OrganizationID, of belongings) (any, error) {
			return s.Fields(o).List(ctx)
		},
		"Fields.Add": func(ctx context.Context, s *store.Store, o store.OrganizationID, of belongings) (any, error) {
			return nil, s.Fields(o).Add(ctx, entry("x"), store.Field{ID: "new " + of.field})
		},
		"Fields.Rename": func(ctx context.Context, s *store.Store, o store.OrganizationID, of belongings) (any, error) {
			return nil, s.Fields(o).Rename(ctx, entry("x"), of.field, "changed")
		},
		"Fields.Remove": func(ctx context.Context, s *store.Store, o store.OrganizationID, of belongings) (any, error) {
			return s.Fields(o).Remove(ctx, entry("x"), of.field)
		},
		"Views.Of": func(ctx context.Context, s *store.Store, o store.OrganizationID, of belongings) (any, error) {
			return s.Views(o).Of(ctx, of.person)
		},
		"Views.Add": func(ctx context.Context, s *store.Store, o store.OrganizationID, of belongings) (any, error) {
			return nil, s.Views(o).Add(ctx, store.View{ID: "new " + of.view, PersonID: of.person})
		},
		"Views.Save": func(ctx context.Context, s *store.Store, o store.OrganizationID, of belongings) (any, error) {
			changed := "changed"
			return s.Views(o).Save(ctx, of.person, of.view, &changed, nil)
		},
		"Views.Remove": func(ctx context.Context, s *store.Store, o store.OrganizationID, of belongings) (any, error) {
			return nil, s.Views(o).Remove(ctx, of.person, of.view)
		},
	})
}
