package store_test

import (
	"fmt"
	"strings"
	"testing"

	"oriel/relay/internal/store"
	"oriel/relay/internal/store/storetest"
)

// Rule: of a change of the staff's domains the audit says all that came and all that went,
// however many.
func TestAuditOfStaffDomains(t *testing.T) {
	longest := func(label string) (all []string) {
		part := strings.Repeat(label, 59)
		for i := range store.MaxStaffDomains {
			all = append(all, fmt.Sprintf("%s.%s.%s.%s%03d.example", part, part, part, part[:50], i))
		}
		return all
	}
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		before, after := longest("a"), longest("b")
		kept := before[0]
		for _, domains := range [][]string{before, append([]string{kept}, after[1:]...), {}} {
			must(t, s.Relay().SetSettings(t.Context(), entry("x"), nil, domains))
		}
		all, err := s.Audit(store.FirstOrganization).After(t.Context(), 0, 9)
		if err != nil || len(all) != 3 {
			t.Fatal(all, err)
		}
		for i, want := range []struct{ added, removed []string }{
			{before, nil}, {after[1:], before[1:]}, {nil, append([]string{kept}, after[1:]...)},
		} {
			d := all[i].Details
			if d["staff_domains_added"] != strings.Join(want.added, " ") || d["staff_domains_removed"] != strings.Join(want.removed, " ") {
				t.Errorf("change %d: %v", i, d)
			}
		}
	})
}
