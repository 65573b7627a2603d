package store_test

import (
	"errors"
	"testing"

	"oriel/relay/internal/store"
	"oriel/relay/internal/store/storetest"
)

// Rule: the last that a person can sign in with stays: what is of an organization that
// lets them in no more does not count.
func TestTheLastIdentifierStays(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		ctx := t.Context()
		ann(ctx, t, s)
		second := store.OrganizationID("second")
		s.AddOrganization(t, second)
		must(t, s.Members(second).Add(ctx, entry("x"), store.Member{PersonID: "ann", Role: store.RoleViewer, State: store.Active}))
		address := email(1)
		number := store.Identifier{PersonID: "ann", Kind: store.Number, Organization: second, Key: "4711", Text: "47-11"}
		address.PersonID = "ann"
		last := func(what string, id store.Identifier) {
			t.Helper()
			if err := s.People().RemoveIdentifier(ctx, entry("x"), id); !errors.Is(err, store.ErrLastIdentifier) {
				t.Errorf("%s: %v", what, err)
			}
		}
		last("the only one", address)
		must(t, s.People().AddIdentifier(ctx, entry("x"), number))
		if _, err := s.Members(second).SetState(ctx, entry("x"), "ann", store.Inactive); err != nil {
			t.Fatal(err)
		}
		last("the one beside a number that lets in nowhere", address)
		if _, err := s.Members(second).SetState(ctx, entry("x"), "ann", store.Active); err != nil {
			t.Fatal(err)
		}
		must(t, s.People().RemoveIdentifier(ctx, entry("x"), address))
		last("the number", number)
		if all, err := s.People().Identifiers(ctx, "ann"); err != nil || len(all) != 1 {
			t.Errorf("%+v, %v", all, err)
		}
	})
}
