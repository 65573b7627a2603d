package audit_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"oriel/relay/internal/audit"
	"oriel/relay/internal/bus"
	"oriel/relay/internal/rights"
	"oriel/relay/internal/store"
	"oriel/relay/internal/store/storetest"
)

func TestMain(m *testing.M) { storetest.Main(m) }

// node is a Log that runs, on a bus that reaches no other one.
func node(t *testing.T, s *store.Store, o audit.Options) *audit.Log {
	t.Helper()
	b, err := bus.Open(t.Context(), bus.Options{})
	if err != nil {
		t.Fatal(err)
	}
	o.Store, o.Bus = s, b
	l := audit.New(o)
	ctx, stop := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	started := make(chan struct{})
	wg.Go(func() {
		close(started)
		if err := l.Run(ctx); err != nil {
			t.Error(err)
		}
	})
	<-started
	t.Cleanup(func() { stop(); wg.Wait(); b.Close() })
	return l
}

var ann = audit.Person("p1", "Ann", "s1", "192.0.2.7")

func write(t *testing.T, s *store.Store, what string) {
	t.Helper()
	if err := s.Audit(store.FirstOrganization).Record(context.Background(), ann.Did(audit.ComputerRenamed, "computer", what)); err != nil {
		t.Error(err)
	}
}

// follow reads until it has had so many entries in all, and then stops.
func follow(l *audit.Log, enough func(audit.Entry) bool) {
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	l.Follow(ctx, store.FirstOrganization, "webhooks", func(_ context.Context, e audit.Entry) error {
		if enough(e) {
			stop()
		}
		return nil
	})
}

// Rule: a reader gets each entry once and in order, also what was written while it
// was away, on whichever node it goes on, and although no announcement reaches it.
func TestAReaderGetsEachOnceInOrder(t *testing.T) {
	storetest.EachAddress(t, func(t *testing.T, address string) {
		const each, all = 40, 80
		stores := []*store.Store{storetest.Open(t, address), storetest.Open(t, address)}
		var nodes []*audit.Log
		for _, s := range stores {
			nodes = append(nodes, node(t, s, audit.Options{Poll: 20 * time.Millisecond}))
		}
		var writers sync.WaitGroup
		for _, s := range stores {
			writers.Go(func() {
				for i := range each {
					write(t, s, fmt.Sprint(i))
				}
			})
		}
		var mu sync.Mutex
		var got []int64
		take := func(upTo int) func(audit.Entry) bool {
			return func(e audit.Entry) bool {
				mu.Lock()
				defer mu.Unlock()
				got = append(got, e.Sequence)
				return len(got) >= upTo
			}
		}
		follow(nodes[0], take(7)) // then it is away
		writers.Wait()
		follow(nodes[1], take(30))
		var both sync.WaitGroup
		defer both.Wait()
		ctx, stop := context.WithCancel(context.Background())
		defer stop()
		for _, l := range nodes { // whichever has it
			both.Go(func() {
				l.Follow(ctx, store.FirstOrganization, "webhooks", func(_ context.Context, e audit.Entry) error {
					take(all)(e)
					return nil
				})
			})
		}
		deadline := time.Now().Add(20 * time.Second)
		for {
			mu.Lock()
			n := len(got)
			mu.Unlock()
			if n >= all || time.Now().After(deadline) {
				break
			}
			time.Sleep(time.Millisecond)
		}
		mu.Lock()
		defer mu.Unlock()
		if len(got) != all {
			t.Fatalf("%d entries came of %d: %v", len(got), all, got)
		}
		for i, sequence := range got {
			if sequence != int64(i+1) {
				t.Fatalf("entry %d is number %d: %v", i+1, sequence, got)
			}
		}
	})
}

// Rule: what could not be handled comes again.
func TestWhatCouldNotBeHandledComesAgain(t *testing.T) {
	s := storetest.Open(t, storetest.SQLite(t))
	l := node(t, s, audit.Options{Poll: 10 * time.Millisecond})
	write(t, s, "one")
	write(t, s, "two")
	var got []string
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	l.Follow(ctx, store.FirstOrganization, "webhooks", func(_ context.Context, e audit.Entry) error {
		got = append(got, e.ObjectID)
		if len(got) == 1 {
			return errors.New("the other side is away")
		}
		if e.ObjectID == "two" {
			stop()
		}
		return nil
	})
	if fmt.Sprint(got) != "[one one two]" {
		t.Fatalf("got %q", got)
	}
}

// Rule: an entry is announced after its commit; nobody waits for Poll.
func TestAnEntryIsAnnounced(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		l := node(t, s, audit.Options{Poll: time.Hour})
		came := make(chan audit.Entry, 1)
		ctx, stop := context.WithCancel(context.Background())
		var wg sync.WaitGroup
		wg.Go(func() {
			l.Follow(ctx, store.FirstOrganization, "webhooks", func(_ context.Context, e audit.Entry) error { came <- e; return nil })
		})
		defer wg.Wait()
		defer stop()
		write(t, s, "first") // may be there before the reader is
		for _, want := range []string{"first", "second"} {
			select {
			case e := <-came:
				if e.ObjectID != want || e.ActorName != "Ann" || e.Address != "192.0.2.7" || e.SignInID != "s1" || e.Outcome != store.Done || e.At == 0 {
					t.Fatalf("got %+v, want %s", e, want)
				}
			case <-time.After(20 * time.Second):
				t.Fatalf("%s did not come", want)
			}
			if want == "first" {
				write(t, s, "second")
			}
		}
	})
}

// Rule: refusals are counted, and many different ones do not fill memory or disk.
func TestRefusalsAreCounted(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		l := audit.New(audit.Options{Store: s})
		for range 1000 {
			l.Refused(store.FirstOrganization, ann, "manage", "computer", "c1")
		}
		for i := range 5000 {
			l.Refused(store.FirstOrganization, ann, "see", "computer", fmt.Sprint("guess ", i))
		}
		if err := l.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
		all, err := s.Audit(store.FirstOrganization).After(t.Context(), 0, 1000)
		if err != nil {
			t.Fatal(err)
		}
		times, refused := 0, false
		for _, e := range all {
			var n int
			if _, err := fmt.Sscan(e.Details["times"], &n); err != nil || e.Outcome != store.Refused {
				t.Fatalf("%+v: %v", e, err)
			}
			times += n
			refused = refused || e.ObjectID == "c1" && n == 1000 && e.ActorID == "p1" && e.Details["permission"] == "manage"
		}
		if !refused || times != 6000 || len(all) > 300 {
			t.Errorf("%d entries of %d refusals; the one of c1 is there: %v", len(all), times, refused)
		}
	})
}

// Rule: refusals that could not be written, because the database was away, are written
// later with those that came meanwhile, in the organization of who was refused; what is
// remembered of one organization is bounded, and takes nothing from another.
func TestRefusalsOutliveAnAbsentDatabase(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		const other = store.OrganizationID("another")
		l := audit.New(audit.Options{Store: s})
		away, cancel := context.WithCancel(t.Context())
		cancel()
		for round := range 3 {
			for i := range 1000 {
				l.Refused(store.FirstOrganization, ann, "see", "computer", fmt.Sprint("guess ", round, i))
			}
			l.Refused(other, ann, "manage", "computer", "c1")
			if l.Flush(away) == nil {
				t.Fatal("written, though the database is away")
			}
		}
		if err := l.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
		for o, most := range map[store.OrganizationID]int{store.FirstOrganization: 300, other: 1} {
			all, err := s.Audit(o).After(t.Context(), 0, 1000)
			if err != nil {
				t.Fatal(err)
			}
			times := 0
			for _, e := range all {
				var n int
				if _, err := fmt.Sscan(e.Details["times"], &n); err != nil {
					t.Fatalf("%+v: %v", e, err)
				}
				times += n
			}
			if want := map[bool]int{true: 3, false: 3000}[o == other]; times != want || len(all) > most {
				t.Errorf("of %s %d refusals in %d entries, want %d in at most %d", o, times, len(all), want, most)
			}
		}
	})
}

// Rule: wrong passwords are counted for each person and address, and all the world
// together does not fill the disk with them. Of an account that does not exist the
// entry names nobody.
func TestWrongPasswordsAreCounted(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		now := time.Now()
		l := audit.New(audit.Options{Store: s, Now: func() time.Time { return now }})
		for range 1000 {
			l.SignInRefused("p1", "192.0.2.7", audit.Wrong)
		}
		l.SignInRefused("p1", "192.0.2.7", audit.TooMany)
		l.SignInRefused("", "192.0.2.8", audit.Wrong)
		const minutes = 60
		for minute := range minutes {
			for i := range 500 {
				l.SignInRefused(fmt.Sprint("p", i), fmt.Sprintf("2001:db8:%x::1", minute), audit.Wrong)
			}
			if err := l.Flush(t.Context()); err != nil {
				t.Fatal(err)
			}
			now = now.Add(time.Minute)
		}
		all, err := s.Audit(store.FirstOrganization).After(t.Context(), 0, 100_000)
		if err != nil {
			t.Fatal(err)
		}
		times, ofAnn, ofNobody := 0, "", 0
		for _, e := range all {
			var n int
			if _, err := fmt.Sscan(e.Details["times"], &n); err != nil || e.Outcome != store.Refused || e.Action != string(audit.SignInRefused) {
				t.Fatalf("%+v: %v", e, err)
			}
			times += n
			if e.ObjectID == "p1" && e.Address == "192.0.2.7" && e.ActorID == "" {
				ofAnn += fmt.Sprintln(n, e.Details["why"])
			}
			if e.ObjectID == "" && e.Address == "192.0.2.8" {
				ofNobody++
			}
		}
		if !strings.Contains(ofAnn, "1000 password\n") || !strings.Contains(ofAnn, "1 tries\n") || ofNobody != 1 {
			t.Errorf("of Ann: %q, of nobody: %d", ofAnn, ofNobody)
		}
		if most := 64 + 2*minutes + minutes; times != 1002+500*minutes || len(all) > most {
			t.Errorf("%d entries of %d refusals, want at most %d", len(all), times, most)
		}
	})
}

// Rule: who is a member somewhere has wrong passwords in the audit of each of their
// organizations, of very many in eight; of nobody they are in that of the relay's first.
func TestWrongPasswordsAreInTheAuditOfTheirPerson(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		ctx := t.Context()
		must := func(err error) {
			t.Helper()
			if err != nil {
				t.Fatal(err)
			}
		}
		by := audit.Command.Did("test", "test", "")
		add := func(i int, owner string, ids ...store.Identifier) {
			o := store.OrganizationID(fmt.Sprintf("o%02d", i))
			must(s.Organizations().Create(ctx, by, store.Organization{ID: o, Name: string(o), Code: string(o)}, store.Person{ID: owner}, ids...))
		}
		add(0, "bea", store.Identifier{Kind: store.Email, Key: "bea@example.com", Text: "bea@example.com"})
		add(1, "cem", store.Identifier{Kind: store.Email, Key: "cem@example.com", Text: "cem@example.com"})
		for i := range 11 {
			add(i+2, "cem")
		}
		l := audit.New(audit.Options{Store: s})
		for _, person := range []string{"bea", "cem", "", "gone"} {
			l.SignInRefused(person, "192.0.2.7", audit.Wrong)
		}
		must(l.Flush(ctx))
		in := map[string][]store.OrganizationID{}
		all, err := s.Upkeep().Organizations(ctx)
		must(err)
		for _, o := range all {
			entries, err := s.Audit(o).After(ctx, 0, 100)
			must(err)
			for _, e := range entries {
				if e.Action == string(audit.SignInRefused) {
					in[e.ObjectID] = append(in[e.ObjectID], o)
				}
			}
		}
		if fmt.Sprint(in["bea"]) != "[o00]" || fmt.Sprint(in["cem"]) != "[o01 o02 o03 o04 o05 o06 o07 o08]" ||
			fmt.Sprint(in[""], in["gone"]) != fmt.Sprintf("[%s] [%[1]s]", store.FirstOrganization) {
			t.Errorf("%v", in)
		}
	})
}

// Rule: what the relay validated is kept whole, so that a change can be read; in its place,
// too, text is made plain, and has an end.
func TestValidatedDetailsAreKeptWhole(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		all := rights.Everything.String()
		evil := "a\u202eb\n" + strings.Repeat("x", 50_000)
		for _, e := range []audit.Entry{
			audit.Command.Did(audit.RoleChanged, "role", "r", "permissions", all, "permissions_before", "see"),
			audit.Command.Did(audit.RoleChanged, "role", "r", "permissions", evil),
		} {
			if err := s.Audit(store.FirstOrganization).Record(t.Context(), e); err != nil {
				t.Fatal(err)
			}
		}
		entries, err := s.Audit(store.FirstOrganization).After(t.Context(), 0, 9)
		if err != nil || len(entries) != 2 {
			t.Fatal(entries, err)
		}
		if got := entries[0].Details["permissions"]; got != all || len(got) <= 256 {
			t.Errorf("of %d bytes there are %d: %q", len(all), len(got), got)
		}
		if got := entries[1].Details["permissions"]; !strings.HasPrefix(got, "ab xxx") || len(got) > 16<<10 {
			t.Errorf("%d bytes are kept: %.20q", len(got), got)
		}
	})
}

// Rule: text of others is made plain and cut before it is kept.
func TestHostileTextIsMadePlain(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		evil := "a\u202eb\n\x00\xff?" + strings.Repeat("x", 5000)
		e := audit.Person(evil, evil, evil, evil).Did(audit.ComputerRenamed, "computer", evil, "name", evil)
		if err := s.Audit(store.FirstOrganization).Record(t.Context(), e); err != nil {
			t.Fatal(err)
		}
		all, err := s.Audit(store.FirstOrganization).After(t.Context(), 0, 9)
		if err != nil || len(all) != 1 {
			t.Fatal(all, err)
		}
		for _, text := range []string{all[0].ActorName, all[0].Address, all[0].ObjectID, all[0].SignInID, all[0].Details["name"]} {
			if len(text) > 256 || !strings.HasPrefix(text, "ab \ufffd?xxx") {
				t.Errorf("kept: %q", text)
			}
		}
	})
}
