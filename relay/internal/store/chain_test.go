package store_test

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"
	"sync"
	"testing"

	"oriel/relay/internal/store"
	"oriel/relay/internal/store/storetest"
)

// chained checks that each entry of an organization follows from the one before, and
// returns the head.
func chained(t *testing.T, s *store.Store, o store.OrganizationID, base int64, before string) store.Head {
	t.Helper()
	all, err := s.Audit(o).Links(t.Context(), 0, 10_000)
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range all {
		if base++; l.Sequence != base || l.After(before) != l.Hash || len(l.Hash) != 64 {
			t.Fatalf("%s: entry %d, want %d, does not follow: %+v", o, l.Sequence, base, l)
		}
		before = l.Hash
	}
	head, err := s.Audit(o).Head(t.Context())
	if err != nil || head.Sequence != base || head.Hash != before {
		t.Fatalf("%s: the head is %+v, want %d %s, %v", o, head, base, before, err)
	}
	return head
}

// Rule: an entry's hash is over its canonical encoding and the hash before, as the
// comment of the chain says, whatever is in its texts; on both databases.
func TestEntriesAreChained(t *testing.T) {
	storetest.EachAddress(t, func(t *testing.T, address string) {
		stores := []*store.Store{storetest.Open(t, address), storetest.Open(t, address)}
		log := func(i int) store.Audit { return stores[i%2].Audit("o") }
		must(t, log(0).Record(t.Context(), store.Entry{At: 7, ActorKind: "person", ActorName: "Ü,3:", Action: "a", Outcome: store.Done, Details: store.Details{"b": "2", "a": "<1>"}}))
		netstrings := "1:o,1:7,6:person,0:,5:Ü,3:,0:,0:,1:a,0:,0:,4:done,29:" + `{"a":"\u003c1\u003e","b":"2"},`
		sum := func(text string) string {
			b := sha256.Sum256([]byte(text))
			return hex.EncodeToString(b[:])
		}
		if head := chained(t, stores[0], "o", 0, ""); head.Hash != sum(":1:"+sum(netstrings)) {
			t.Errorf("another encoding: %+v", head)
		}
		var wait sync.WaitGroup
		for i := range 4 {
			wait.Go(func() {
				for k := range 25 {
					evil := fmt.Sprint("a\x00\xff'?\\\u2028", i, k)
					if err := log(i).Record(t.Context(), store.Entry{ActorKind: "x", ActorName: evil, Action: "a", Outcome: store.Done, Details: store.Details{evil: evil}}); err != nil {
						t.Error(err)
					}
				}
			})
		}
		wait.Wait()
		if head := chained(t, stores[1], "o", 0, ""); head.Sequence != 101 {
			t.Errorf("%d entries", head.Sequence)
		}
	})
}

// Rule: the entries of an older relay are chained when its database is migrated, also
// where old ones were swept; the way back leaves them as they were.
func TestOlderEntriesAreChained(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		for i := range 1203 { // more than one statement takes
			must(t, s.Audit("many").Record(t.Context(), entry(fmt.Sprint("Ann's ", i))))
		}
		for range 5 {
			must(t, s.Audit("swept").Record(t.Context(), entry("x")))
		}
		must(t, s.Audit("gone").Record(t.Context(), entry("x")))
		if _, err := s.Audit("gone").PutSeal(t.Context(), store.Seal{Base: 1, Sequence: 1, Key: []byte("k"), Signature: []byte("s")}, store.Seal{}); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Audit("swept").PutSeal(t.Context(), store.Seal{Base: 3, Sequence: 3, Key: []byte("k"), Signature: []byte("s")}, store.Seal{}); err != nil {
			t.Fatal(err)
		}
		before := chained(t, s, "many", 0, "")
		s.Unchain(t)
		if n, err := s.Pending(t.Context()); err != nil || n != 1 {
			t.Fatalf("%d migrations are pending, %v", n, err)
		}
		must(t, s.Migrate(t.Context()))
		if after := chained(t, s, "many", 0, ""); after != before {
			t.Errorf("the head is %+v, was %+v", after, before)
		}
		chained(t, s, "swept", 3, "")
		for _, o := range []store.OrganizationID{"many", "swept"} {
			must(t, s.Audit(o).Record(t.Context(), entry("new")))
		}
		chained(t, s, "many", 0, "")
		chained(t, s, "swept", 3, "")
		must(t, s.Audit("gone").Record(t.Context(), entry("new")))
		chained(t, s, "gone", 1, "")
	})
}

// Rule: what is forgotten is the beginning of the audit, up to the last entry before
// the first that is young enough; one seal follows the other.
func TestSealsFollowEachOther(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		log := s.Audit("o")
		for _, at := range []int64{10, 30, 20, 40, 15} {
			e := entry("x")
			e.At = at
			must(t, log.Record(t.Context(), e))
		}
		for before, want := range map[int64]int64{10: 0, 11: 1, 25: 1, 35: 3, 40: 3, 41: 5} {
			if l, err := log.Expired(t.Context(), before); err != nil || l.Sequence != want {
				t.Errorf("before %d: %d, %v, want %d", before, l.Sequence, err, want)
			}
		}
		first := store.Seal{Sequence: 5, Hash: "h", Key: []byte("k"), Signature: []byte("s")}
		if _, err := log.PutSeal(t.Context(), first, store.Seal{}); err != nil {
			t.Fatal(err)
		}
		second := first
		second.Base, second.BaseHash = 3, "b"
		if n, err := log.PutSeal(t.Context(), second, first); err != nil || n != 3 {
			t.Fatalf("%d swept, %v", n, err)
		}
		if _, err := log.PutSeal(t.Context(), second, first); err == nil || !strings.Contains(err.Error(), store.ErrConflict.Error()) {
			t.Errorf("a seal that does not follow: %v", err)
		}
		if all, err := s.Upkeep().Sealings(t.Context()); err != nil || len(all) != 1 || all[0].Sequence != 5 || all[0].Sealed != 5 || all[0].SealedHash != "h" {
			t.Errorf("sealings are %v, %v", all, err)
		}
	})
}
