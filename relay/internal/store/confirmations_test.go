package store_test

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"

	"oriel/relay/internal/store"
	"oriel/relay/internal/store/storetest"
)

// Rule: of many who follow one link at once one becomes a person, and with them one
// organization is there.
func TestOneAccountOfALink(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		ctx := t.Context()
		must(t, s.Confirmations().Wait(ctx, entry("x"), waitingOf("")))
		var made atomic.Int64
		var wg sync.WaitGroup
		for i := range 8 {
			wg.Go(func() {
				name := fmt.Sprintf("new-%d", i)
				err := s.Confirmations().SignUp(ctx, entry("x"), []byte("link"), 2, store.Person{ID: name, Name: name}, store.Organization{ID: store.OrganizationID(name), Code: name})
				if err == nil {
					made.Add(1)
				} else if !errors.Is(err, store.ErrNotFound) {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		all, err := s.Upkeep().Organizations(ctx)
		if made.Load() != 1 || err != nil || len(all) != 2 {
			t.Errorf("%d accounts, organizations %v, %v", made.Load(), all, err)
		}
	})
}

// Rule: what has expired is forgotten, and the token of a person's address makes no account.
func TestConfirmations(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		ctx := t.Context()
		ann(ctx, t, s)
		must(t, s.Confirmations().Wait(ctx, entry("x"), waitingOf("ann")))
		if err := s.Confirmations().SignUp(ctx, entry("x"), []byte("link"), 2, store.Person{ID: "new"}, store.Organization{ID: "new", Code: "new"}); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("an account of a person's address: %v", err)
		}
		again := waitingOf("ann")
		again.ID, again.TokenHash = "again", []byte("another link")
		must(t, s.Confirmations().Wait(ctx, entry("x"), again))
		if _, err := s.Confirmations().Find(ctx, []byte("link"), 2); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("the link that was replaced: %v", err)
		}
		if c, err := s.Confirmations().Find(ctx, []byte("another link"), 8); err != nil || c.PersonID != "ann" || c.Email != "New@example.com" {
			t.Errorf("%+v, %v", c, err)
		}
		if _, err := s.Confirmations().Find(ctx, []byte("another link"), 9); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("an expired one: %v", err)
		}
		must(t, s.Confirmations().Expire(ctx, 9))
		if _, err := s.Confirmations().Find(ctx, []byte("another link"), 2); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("one that was forgotten: %v", err)
		}
	})
}

// Rule: the relay's settings are as on a new one until somebody sets them, each by itself.
func TestRelaySettings(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		yes := true
		for _, c := range []struct {
			signUp *bool
			staff  []string
			want   store.RelaySettings
		}{
			{nil, nil, store.RelaySettings{}},
			{&yes, nil, store.RelaySettings{SignUp: true}},
			{nil, []string{"b.example", "a.example", "b.example"}, store.RelaySettings{SignUp: true, StaffDomains: []string{"a.example", "b.example"}}},
			{new(bool), []string{}, store.RelaySettings{}},
		} {
			must(t, s.Relay().SetSettings(t.Context(), entry("x"), c.signUp, c.staff))
			got, err := s.Relay().Settings(t.Context())
			if err != nil || got.SignUp != c.want.SignUp || !slices.Equal(got.StaffDomains, c.want.StaffDomains) {
				t.Errorf("%+v, %v; want %+v", got, err, c.want)
			}
		}
	})
}
