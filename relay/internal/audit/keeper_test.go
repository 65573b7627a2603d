package audit_test

import (
	"crypto/ed25519"
	"fmt"
	"strings"
	"testing"
	"time"

	"oriel/protocol/trust"
	"oriel/relay/internal/audit"
	"oriel/relay/internal/store"
	"oriel/relay/internal/store/storetest"
)

// relayKey is that of the relay in these tests; another is of somebody else.
var relayKey, anotherKey = ed25519.NewKeyFromSeed(make([]byte, 32)), ed25519.NewKeyFromSeed([]byte(strings.Repeat("x", 32)))

func public(k ed25519.PrivateKey) ed25519.PublicKey { return k.Public().(ed25519.PublicKey) }

func trusted(k ed25519.PublicKey) bool { return public(relayKey).Equal(k) }

func keeper(s *store.Store, key ed25519.PrivateKey, now func() time.Time) *audit.Keeper {
	return audit.NewKeeper(audit.KeeperOptions{Store: s, Signer: trust.Key(key), Key: public(key), Now: now})
}

// verified are the faults of an audit, as one text; empty: it is whole.
func verified(t *testing.T, s *store.Store, now time.Time) string {
	t.Helper()
	r, err := audit.Verify(t.Context(), s, store.FirstOrganization, trusted, now)
	if err != nil {
		t.Fatal(err)
	}
	return strings.Join(r.Faults, "; ")
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// Rule: what somebody alters, takes out, puts in between, sets into another order or
// cuts off by hand in the database is found, and said where; a head that was replaced,
// too, and a signature. It is found by whoever reads all of it, and by a relay that
// runs as soon as it signs again, which it does not.
func TestEachAlterationIsFound(t *testing.T) {
	const o = string(store.FirstOrganization)
	where := " WHERE organization = '" + o + "' AND sequence = "
	insert := func(sequence int, hash string) string {
		return fmt.Sprintf("INSERT INTO audit (organization, sequence, at, actor_kind, actor_id, actor_name, sign_in_id, address, action, object_kind, object_id, outcome, details, hash) "+
			"VALUES ('%s', %d, 1, 'person', 'p1', 'Ann', '', '', 'computer.renamed', 'computer', 'c', 'done', '{}', '%s')", o, sequence, hash)
	}
	cases := map[string]struct {
		sql    []string
		want   string
		unseen bool // by the relay that runs, which looks at what is new
	}{
		"nothing":         {nil, "", true},
		"a name altered":  {[]string{"UPDATE audit SET actor_name = 'Bob'" + where + "4"}, "entry 4 is not as it was written", true},
		"a time altered":  {[]string{"UPDATE audit SET at = at + 1" + where + "4"}, "entry 4 is not as it was written", true},
		"details altered": {[]string{"UPDATE audit SET details = '{\"name\": \"x\"'" + where + "4"}, "entry 4 is not as it was written", true},
		"a hash altered":  {[]string{"UPDATE audit SET hash = 'x'" + where + "4"}, "entry 4 is not as it was written", true},
		"one taken out":   {[]string{"DELETE FROM audit" + where + "4"}, "entry 4 is missing", true},
		"two taken out":   {[]string{"DELETE FROM audit" + where + "4", "DELETE FROM audit" + where + "5"}, "entries 4 to 5 are missing", true},
		"the first taken": {[]string{"DELETE FROM audit" + where + "1"}, "entry 1 is missing", true},
		"one put between": {[]string{"UPDATE audit SET sequence = sequence + 100 WHERE sequence > 4", "UPDATE audit SET sequence = sequence - 99 WHERE sequence > 100",
			insert(5, "x"), "UPDATE audit_heads SET sequence = sequence + 1"}, "entry 5 is not as it was written", false},
		"two exchanged": {[]string{"UPDATE audit SET sequence = 1000" + where + "4", "UPDATE audit SET sequence = 4" + where + "5", "UPDATE audit SET sequence = 5" + where + "1000"},
			"entry 4 is not as it was written", true},
		"the end cut off":         {[]string{"DELETE FROM audit WHERE sequence > 8"}, "entries 9 to 12 are missing at the end", false},
		"the end and the head":    {[]string{"DELETE FROM audit WHERE sequence > 8", setHead(8)}, "entries 9 to 10 are missing at the end", false},
		"the newest and the head": {[]string{"DELETE FROM audit WHERE sequence > 11", "UPDATE audit_heads SET sequence = 11"}, "the head of the audit is not that of entry 11", false},
		"all":                     {[]string{"DELETE FROM audit"}, "entries 1 to 12 are missing at the end", false},
		"the head set back":       {[]string{setHead(11)}, "the newest entry is number 11 by the head", false},
		"the head set forward":    {[]string{"UPDATE audit_heads SET sequence = 14"}, "entries 13 to 14 are missing at the end", false},
		"the head's hash":         {[]string{"UPDATE audit_heads SET hash = 'x'"}, "the head of the audit is not that of entry 12", false},
		"the head taken away":     {[]string{"DELETE FROM audit_heads"}, "the newest entry is number 0 by the head", true},
		"the signature altered":   {[]string{"UPDATE audit_seals SET signed_at = signed_at + 1"}, "the signature up to entry 10 is wrong", false},
		"the signature shortened": {[]string{"UPDATE audit_seals SET sequence = 9, hash = (SELECT hash FROM audit" + where + "9)"}, "the signature up to entry 9 is wrong", false},
		"one appended":            {[]string{insert(13, "x")}, "the newest entry is number 12 by the head", false},
		"one appended with head":  {[]string{insert(13, "x"), "UPDATE audit_heads SET sequence = 13, hash = 'x'"}, "entry 13 is not as it was written", false},
	}
	storetest.EachAddress(t, func(t *testing.T, address string) {
		s := storetest.Open(t, address)
		for name, tc := range cases {
			t.Run(name, func(t *testing.T) {
				storetest.Exec(t, address, "DELETE FROM audit", "DELETE FROM audit_heads", "DELETE FROM audit_seals")
				k := keeper(s, relayKey, time.Now)
				for i := range 10 {
					write(t, s, fmt.Sprint(i))
				}
				must(t, k.Seal(t.Context()))
				for i := range 2 {
					write(t, s, fmt.Sprint(i))
				}
				storetest.Exec(t, address, tc.sql...)
				if found := verified(t, s, time.Now()); tc.want == "" && found != "" || !strings.Contains(found, tc.want) {
					t.Errorf("found %q, want %q", found, tc.want)
				}
				must(t, k.Seal(t.Context()))
				if fault := k.State(store.FirstOrganization).Fault; (fault == "") != tc.unseen {
					t.Errorf("the relay says %q", fault)
				}
				if seal, err := s.Audit(store.FirstOrganization).Seal(t.Context()); err != nil || !tc.unseen && seal.Sequence > 10 {
					t.Errorf("the relay has signed up to %d, %v", seal.Sequence, err)
				}
				must(t, k.Verify(t.Context()))
				if fault := k.State(store.FirstOrganization).Fault; (fault == "") != (tc.want == "") {
					t.Errorf("the relay that read all of it says %q", fault)
				}
			})
		}
	})
}

// setHead is the SQL that makes an entry the newest by the head.
func setHead(sequence int) string {
	return fmt.Sprintf("UPDATE audit_heads SET sequence = %d, hash = (SELECT hash FROM audit WHERE sequence = %d)", sequence, sequence)
}

// Rule: who rewrites the chain as the relay would, hashes and head, but has not its
// key, is found, as is who signs with a key of their own or takes the signature away.
func TestARewrittenChainIsFound(t *testing.T) {
	storetest.EachAddress(t, func(t *testing.T, address string) {
		s := storetest.Open(t, address)
		k := keeper(s, relayKey, time.Now)
		for i := range 5 {
			write(t, s, fmt.Sprint(i))
		}
		must(t, k.Seal(t.Context()))
		seal, err := s.Audit(store.FirstOrganization).Seal(t.Context())
		must(t, err)
		storetest.Exec(t, address, "UPDATE audit SET actor_name = 'Bob' WHERE sequence = 3")
		rechain(t, s, address)
		if found := verified(t, s, time.Now()); found != "entry 5 is not the one that the relay signed" {
			t.Errorf("found %q", found)
		}
		write(t, s, "later")
		must(t, k.Seal(t.Context()))
		if fault := k.State(store.FirstOrganization).Fault; fault != "entry 5 is not the one that the relay signed" {
			t.Errorf("the relay says %q", fault)
		}
		storetest.Exec(t, address, "DELETE FROM audit_seals")
		later := time.Now().Add(time.Hour)
		if found := verified(t, s, later); !strings.Contains(found, "its signature was removed") {
			t.Errorf("without signature: %q", found)
		}
		must(t, keeper(s, anotherKey, time.Now).Seal(t.Context()))
		if found := verified(t, s, later); !strings.Contains(found, "a key that is not this relay's") {
			t.Errorf("with another's: %q", found)
		}
		// A relay that had signed notices that its signature is gone.
		again := keeper(s, relayKey, time.Now)
		storetest.Exec(t, address, "DELETE FROM audit_seals")
		must(t, again.Seal(t.Context()))
		write(t, s, "more")
		storetest.Exec(t, address, "DELETE FROM audit_seals")
		must(t, again.Seal(t.Context()))
		if fault := again.State(store.FirstOrganization).Fault; !strings.Contains(fault, "its signature was taken away") {
			t.Errorf("the relay says %q, the first seal was %+v", fault, seal)
		}
	})
}

// rechain makes all hashes and the head right for what is there.
func rechain(t *testing.T, s *store.Store, address string) {
	t.Helper()
	all, err := s.Audit(store.FirstOrganization).Links(t.Context(), 0, 1000)
	must(t, err)
	before := ""
	for _, l := range all {
		before = l.After(before)
		storetest.Exec(t, address, fmt.Sprintf("UPDATE audit SET hash = '%s' WHERE sequence = %d", before, l.Sequence))
	}
	storetest.Exec(t, address, fmt.Sprintf("UPDATE audit_heads SET hash = '%s'", before))
}

// Rule: entries are kept for KeeperOptions.Keep, and their numbers are not given again.
// What is left is still proven whole: the signature says after which entry it begins.
// Of an audit that was altered nothing is forgotten.
func TestOldEntriesAreSwept(t *testing.T) {
	storetest.EachAddress(t, func(t *testing.T, address string) {
		s := storetest.Open(t, address)
		now := time.Now()
		k := keeper(s, relayKey, func() time.Time { return now })
		sweep := func(want int) {
			t.Helper()
			must(t, k.Sweep(t.Context()))
			all, err := s.Audit(store.FirstOrganization).After(t.Context(), 0, 99)
			if err != nil || len(all) != want {
				t.Fatalf("%d entries are left, want %d, %v", len(all), want, err)
			}
			if found := verified(t, s, now); found != "" {
				t.Errorf("with %d entries: %s", want, found)
			}
		}
		old := ann.Did(audit.ComputerRenamed, "computer", "old")
		old.At = now.Add(-audit.Keep).Add(time.Hour).UnixMilli()
		for range 3 {
			must(t, s.Audit(store.FirstOrganization).Record(t.Context(), old))
		}
		write(t, s, "young")
		sweep(4)
		now = now.Add(2 * time.Hour)
		sweep(1)
		write(t, s, "younger")
		must(t, k.Seal(t.Context()))
		storetest.Exec(t, address, "UPDATE audit_seals SET base = 4, base_hash = (SELECT hash FROM audit WHERE sequence = 4)", "DELETE FROM audit WHERE sequence = 4")
		if found := verified(t, s, now); !strings.Contains(found, "the signature up to entry 5 is wrong") {
			t.Errorf("swept by hand: %q", found)
		}
		must(t, k.Verify(t.Context()))
		now = now.Add(2 * audit.Keep)
		must(t, k.Sweep(t.Context()))
		if all, err := s.Audit(store.FirstOrganization).After(t.Context(), 0, 99); err != nil || len(all) != 1 || all[0].Sequence != 5 {
			t.Errorf("of an altered audit there is left %+v, %v", all, err)
		}
	})
}

// Rule: two relays sign one audit side by side, and it stays whole while others write.
func TestTwoKeepersOfOneAudit(t *testing.T) {
	storetest.EachAddress(t, func(t *testing.T, address string) {
		stores := []*store.Store{storetest.Open(t, address), storetest.Open(t, address)}
		keepers := []*audit.Keeper{keeper(stores[0], relayKey, time.Now), keeper(stores[1], relayKey, time.Now)}
		done := make(chan struct{})
		go func() {
			defer close(done)
			for i := range 40 {
				write(t, stores[i%2], fmt.Sprint(i))
			}
		}()
		for running := true; running; {
			select {
			case <-done:
				running = false
			default:
			}
			for i, k := range keepers {
				must(t, k.Seal(t.Context()))
				must(t, k.Verify(t.Context()))
				if found := verified(t, stores[i], time.Now()); found != "" {
					t.Fatal(found)
				}
			}
		}
		must(t, keepers[0].Seal(t.Context()))
		must(t, keepers[0].Verify(t.Context()))
		if state := keepers[0].State(store.FirstOrganization); state.Sealed != 40 || state.Verified != 40 || state.Fault != "" {
			t.Errorf("%+v", state)
		}
	})
}
