package replay_test

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"strings"
	"testing"
	"time"

	"oriel/relay/internal/replay"
	"oriel/relay/internal/store"
	"oriel/relay/internal/store/storetest"
)

func TestMain(m *testing.M) { storetest.Main(m) }

// of names a person of the organization that all of it is about.
func of(person string) store.Ref { return store.FirstOrganization.Ref(person) }

// asked counts what was done, on two nodes with one database and one clock.
type asked struct {
	t     *testing.T
	nodes [2]*replay.Answers
	now   time.Time
	done  int
}

func setup(t *testing.T, s *store.Store) *asked {
	a := &asked{t: t, now: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)}
	for i := range a.nodes {
		a.nodes[i] = replay.New(replay.Options{Store: s, Secret: []byte("the relay's own"), Now: func() time.Time { return a.now }})
	}
	return a
}

const answer = "the token is hush-hush"

// ask wants an answer, and that it was made by so many runs in all.
func (a *asked) ask(node int, person, key, request string, again bool, done int) {
	a.t.Helper()
	got, isAgain, err := a.nodes[node].Once(a.t.Context(), of(person), key, []byte(request), a.do)
	if err != nil || string(got) != answer || isAgain != again || a.done != done {
		a.t.Fatalf("%q, again %v, %v; %d were done, want %d", got, isAgain, err, a.done, done)
	}
}

func (a *asked) do(context.Context) ([]byte, error) {
	a.done++
	return []byte(answer), nil
}

// refused wants an error, and that nothing is done.
func (a *asked) refused(key, request string, want error) {
	a.t.Helper()
	done := a.done
	got, _, err := a.nodes[1].Once(a.t.Context(), of("ada"), key, []byte(request), a.do)
	if !errors.Is(err, want) || got != nil || a.done != done {
		a.t.Fatalf("%q, %v, want %v; done %d times", got, err, want, a.done-done)
	}
}

// Rule: a key's answer is the first one's for a day, on every node, for that person
// and that request only; then it is new.
func TestOnce(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		a := setup(t, s)
		a.ask(0, "ada", "k", "make one", false, 1)
		a.ask(0, "ada", "k", "make one", true, 1)
		a.ask(1, "ada", "k", "make one", true, 1)
		a.refused("k", "make two", replay.ErrKeyReused)
		a.ask(0, "bob", "k", "make one", false, 2)
		a.ask(0, "ada", "l", "make one", false, 3)
		a.now = a.now.Add(replay.Lifetime - time.Second)
		a.ask(1, "ada", "k", "make one", true, 3)
		a.now = a.now.Add(time.Second)
		a.ask(1, "ada", "k", "make two", false, 4)
		a.now = a.now.Add(replay.Lifetime)
		if err := a.nodes[0].Sweep(t.Context()); err != nil {
			t.Fatal(err)
		}
		a.now = a.now.Add(-replay.Lifetime) // were it still there, it would be found
		a.ask(1, "ada", "k", "make two", false, 5)
	})
}

// Rule: while the first runs the key is in use; one that died with its node is begun
// anew later, and what it still writes counts no more.
func TestInUse(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		a := setup(t, s)
		got, again, err := a.nodes[0].Once(t.Context(), of("ada"), "k", []byte("make one"), func(context.Context) ([]byte, error) {
			a.refused("k", "make one", replay.ErrKeyInUse)
			a.refused("k", "make two", replay.ErrKeyReused)
			a.now = a.now.Add(replay.Lost)
			a.ask(1, "ada", "k", "make one", false, 1)
			return []byte("late"), nil
		})
		if err != nil || again || string(got) != "late" {
			t.Fatalf("%q %v %v", got, again, err)
		}
		a.ask(0, "ada", "k", "make one", true, 1)
	})
}

// Rule: what failed is not kept. What was begun ends and is kept although its caller
// has gone away.
func TestFailedAndGone(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		a := setup(t, s)
		wrong := errors.New("it failed")
		if _, _, err := a.nodes[0].Once(t.Context(), of("ada"), "k", []byte("make one"), func(context.Context) ([]byte, error) { return nil, wrong }); !errors.Is(err, wrong) {
			t.Fatal(err)
		}
		ctx, gone := context.WithCancel(t.Context())
		_, _, err := a.nodes[0].Once(ctx, of("ada"), "k", []byte("make another"), func(ctx context.Context) ([]byte, error) {
			gone()
			if _, limited := ctx.Deadline(); ctx.Err() != nil || !limited {
				t.Errorf("%v; it has an end: %v", ctx.Err(), limited)
			}
			return a.do(ctx)
		})
		if err != nil {
			t.Fatal(err)
		}
		a.ask(1, "ada", "k", "make another", true, 1)
	})
}

// Rule: the database is told neither the answer nor the key nor the request; without
// the relay's secret nothing is found there.
func TestSealed(t *testing.T) {
	storetest.EachAddress(t, func(t *testing.T, address string) {
		var told strings.Builder
		s, err := store.Open(t.Context(), address, store.Options{Statement: func(_ context.Context, text string) { told.WriteString(text + "\n") }})
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		a := setup(t, s)
		a.ask(0, "ada", "a key of hers", "the request", false, 1)
		a.ask(0, "ada", "a key of hers", "the request", true, 1)
		text := strings.ToLower(told.String())
		for _, plain := range []string{"hush-hush", "a key of hers", "the request"} {
			sum := sha256.Sum256([]byte(plain))
			for _, form := range []string{plain, hex.EncodeToString([]byte(plain)), base64.StdEncoding.EncodeToString([]byte(plain)), hex.EncodeToString(sum[:])} {
				if strings.Contains(text, strings.ToLower(form)) {
					t.Errorf("the database is told %q as %s", plain, form)
				}
			}
		}
		if !strings.Contains(text, "'ada'") {
			t.Errorf("whose it is, is not in what the database is told: %.200s", text)
		}
		other := replay.New(replay.Options{Store: s, Secret: []byte("another relay's"), Now: func() time.Time { return a.now }})
		if _, again, err := other.Once(t.Context(), of("ada"), "a key of hers", []byte("the request"), a.do); err != nil || again {
			t.Fatalf("found with another relay's secret: %v, %v", again, err)
		}
	})
}

// Rule: a key is a person's in one organization; the same one in another is new there.
func TestAKeyIsOfOneOrganization(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		a := setup(t, s)
		a.ask(0, "ada", "k", "make one", false, 1)
		elsewhere := store.OrganizationID("another").Ref("ada")
		for time, again := range []bool{false, true} {
			got, isAgain, err := a.nodes[0].Once(t.Context(), elsewhere, "k", []byte("make two"), a.do)
			if err != nil || string(got) != answer || isAgain != again || a.done != 2 {
				t.Fatalf("time %d: %q, again %v, %v; %d were done", time, got, isAgain, err, a.done)
			}
		}
		a.ask(0, "ada", "k", "make one", true, 2)
	})
}
