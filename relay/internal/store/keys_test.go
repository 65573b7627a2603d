package store_test

import (
	"bytes"
	"errors"
	"testing"

	"oriel/relay/internal/store"
	"oriel/relay/internal/store/storetest"
)

// Rule: an account's key gives way to the one that is said to replace it only, so
// that no browser overwrites what another one knew; and an account is bounded.
func TestKnownKeys(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		if err := s.People().PutOwnerToken(t.Context(), entry("x"), hash("t"), 1, 1<<40); err != nil {
			t.Fatal(err)
		}
		p := owner(1)
		if err := s.People().CreateOwner(t.Context(), entry("x"), hash("t"), 2, p, email(1), ""); err != nil {
			t.Fatal(err)
		}
		a, b := bytes.Repeat([]byte{1}, 32), bytes.Repeat([]byte{2}, 32)
		save := func(computer string, key, replaces []byte) error {
			return s.People().SaveKnownKey(t.Context(), entry("x"), store.KnownKey{PersonID: p.ID, ComputerID: computer, MachineKey: key, Since: 5}, replaces, 2)
		}
		for _, c := range []struct {
			computer      string
			key, replaces []byte
			conflict      bool
		}{
			{"c1", a, nil, false}, {"c1", a, nil, false}, {"c1", b, nil, true}, {"c1", b, b, true},
			{"c2", b, a, false}, {"c3", a, nil, true}, {"c1", b, a, false},
		} {
			if err := save(c.computer, c.key, c.replaces); errors.Is(err, store.ErrConflict) != c.conflict || !c.conflict && err != nil {
				t.Errorf("%s %x for %x: %v", c.computer, c.key[:1], c.replaces, err)
			}
		}
		all, err := s.People().KnownKeys(t.Context(), p.ID)
		if err != nil || len(all) != 2 || !bytes.Equal(all[0].MachineKey, b) {
			t.Fatalf("%+v, %v", all, err)
		}
		if all, err := s.People().KnownKeys(t.Context(), store.NewID()); err != nil || len(all) != 0 {
			t.Fatalf("another person's: %+v, %v", all, err)
		}
	})
}
