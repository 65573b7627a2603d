package store_test

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"oriel/relay/internal/store"
	"oriel/relay/internal/store/storetest"
)

func owner(int) store.Person {
	return store.Person{ID: store.NewID(), Kind: store.PersonKind, Name: "Ада", PasswordHash: "$x$", State: store.Active, CreatedAt: 1}
}

// email is an address that was confirmed.
func email(n int) store.Identifier {
	return store.Identifier{Kind: store.Email, Key: fmt.Sprintf("owner%d@example.com", n), Text: fmt.Sprintf("Owner%d@example.com", n), VerifiedAt: 1, CreatedAt: 1}
}

func TestOwnerToken(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		ctx := t.Context()
		first, second := []byte("first\x00hash"), []byte("second hash")
		must(t, s.People().PutOwnerToken(ctx, entry("x"), first, 10, 100))
		must(t, s.People().PutOwnerToken(ctx, entry("x"), second, 20, 200))
		for _, c := range []struct {
			what string
			hash []byte
			now  int64
		}{{"a replaced token", first, 50}, {"an expired token", second, 200}, {"a wrong token", []byte("?"), 50}} {
			if err := s.People().CheckOwnerToken(ctx, c.hash, c.now); !errors.Is(err, store.ErrNotFound) {
				t.Errorf("check of %s: %v", c.what, err)
			}
			if err := s.People().CreateOwner(ctx, entry("x"), c.hash, c.now, owner(1), email(1), ""); !errors.Is(err, store.ErrNotFound) {
				t.Errorf("use of %s: %v", c.what, err)
			}
		}
		if has, err := s.People().HasOwner(ctx); has || err != nil {
			t.Fatalf("HasOwner = %v, %v before there is one", has, err)
		}
		must(t, s.People().CheckOwnerToken(ctx, second, 199))
		want := owner(2)
		must(t, s.People().CreateOwner(ctx, entry("x"), second, 199, want, email(2), ""))
		got, err := s.People().ByIdentifier(ctx, store.Email, "", email(2).Key)
		if err != nil || got != want {
			t.Fatalf("stored %+v, %v; want %+v", got, err, want)
		}
		if err := s.People().PutOwnerToken(ctx, entry("x"), first, 210, 300); !errors.Is(err, store.ErrConflict) {
			t.Errorf("a second token beside an owner: %v", err)
		}
		if err := s.People().CreateOwner(ctx, entry("x"), second, 199, owner(3), email(3), ""); !errors.Is(err, store.ErrConflict) {
			t.Errorf("a second owner: %v", err)
		}
		if err := s.People().CheckOwnerToken(ctx, second, 199); !errors.Is(err, store.ErrConflict) {
			t.Errorf("check beside an owner: %v", err)
		}
	})
}

// Many browsers with the link, while other nodes print new links.
func TestOneOwnerOfMany(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		ctx := t.Context()
		hash := []byte("the token")
		must(t, s.People().PutOwnerToken(ctx, entry("x"), hash, 1, 100))
		var made atomic.Int64
		var wg sync.WaitGroup
		for i := range 12 {
			wg.Go(func() {
				if i%3 == 2 {
					if err := s.People().PutOwnerToken(ctx, entry("x"), hash, 1, 100); err != nil && !errors.Is(err, store.ErrConflict) {
						t.Error(err)
					}
					return
				}
				switch err := s.People().CreateOwner(ctx, entry("x"), hash, 2, owner(i), email(i), ""); {
				case err == nil:
					made.Add(1)
				case !errors.Is(err, store.ErrConflict) && !errors.Is(err, store.ErrNotFound):
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if made.Load() != 1 {
			t.Fatalf("%d owners were made of one token", made.Load())
		}
	})
}

// Rule: a new password ends also the sign-in that was under way with the old one.
func TestNoSignInByAnOldPassword(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		ctx := t.Context()
		must(t, s.People().PutOwnerToken(ctx, entry("x"), []byte("t"), 1, 100))
		p := owner(1)
		must(t, s.People().CreateOwner(ctx, entry("x"), []byte("t"), 2, p, email(1), ""))
		if _, err := s.People().SetPassword(ctx, entry("x"), p.ID, "$new$", ""); err != nil {
			t.Fatal(err)
		}
		in := store.SignIn{TokenHash: []byte("late"), ID: store.NewID(), PersonID: p.ID, Organization: store.FirstOrganization, CreatedAt: 5, SeenAt: 5}
		if err := s.SignIns().Add(ctx, entry("x"), in, p.PasswordHash); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("by the old password: %v", err)
		}
		must(t, s.SignIns().Add(ctx, entry("x"), in, "$new$"))
	})
}

func TestSignIns(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		ctx := t.Context()
		must(t, s.People().PutOwnerToken(ctx, entry("x"), []byte("t"), 1, 100))
		p := owner(1)
		must(t, s.People().CreateOwner(ctx, entry("x"), []byte("t"), 2, p, email(1), ""))
		in := store.SignIn{TokenHash: []byte{0, 1, 255, '\''}, ID: store.NewID(), PersonID: p.ID,
			Organization: store.FirstOrganization, Address: "192.0.2.1", Browser: "It's \\ a ? browser", CreatedAt: 5, SeenAt: 5}
		must(t, s.SignIns().Add(ctx, entry("x"), in, p.PasswordHash))
		if err := s.SignIns().Add(ctx, entry("x"), in, p.PasswordHash); !errors.Is(err, store.ErrConflict) {
			t.Errorf("the same token twice: %v", err)
		}
		stray := in
		stray.TokenHash, stray.ID, stray.PersonID = []byte("x"), "x", "nobody"
		if err := s.SignIns().Add(ctx, entry("x"), stray, p.PasswordHash); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("a sign-in of nobody: %v", err)
		}
		must(t, s.SignIns().Touch(ctx, in.TokenHash, 7))
		in.SeenAt = 7
		got, who, err := s.SignIns().ByID(ctx, in.ID)
		if err != nil || fmt.Sprint(got) != fmt.Sprint(in) || who != p {
			t.Fatalf("found %+v of %+v, %v", got, who, err)
		}
		must(t, s.SignIns().Expire(ctx, 5, 7))
		if _, _, err := s.SignIns().ByID(ctx, in.ID); err != nil {
			t.Fatalf("one that is young enough: %v", err)
		}
		must(t, s.SignIns().Expire(ctx, 5, 8))
		if _, _, err := s.SignIns().ByID(ctx, in.ID); !errors.Is(err, store.ErrNotFound) {
			t.Fatalf("one that was idle too long: %v", err)
		}
		if _, err := s.SignIns().Remove(ctx, entry("x"), in.TokenHash); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("removing what is not there: %v", err)
		}
		if err := s.SignIns().Touch(ctx, in.TokenHash, 9); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("touching what is not there: %v", err)
		}
	})
}

func TestTries(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		ctx := t.Context()
		count := func(now, end, wantCount, wantEnd int64) {
			t.Helper()
			all, err := s.Tries().Count(ctx, []string{"account:x", "other"}, now, end)
			n, e := all["account:x"].Count, all["account:x"].ExpiresAt
			if n != wantCount || e != wantEnd || err != nil {
				t.Fatalf("try at %d: count %d until %d, %v; want %d until %d", now, n, e, err, wantCount, wantEnd)
			}
		}
		count(0, 100, 1, 100)
		count(50, 150, 2, 100) // the window is not moved on
		count(99, 199, 3, 100)
		count(100, 200, 1, 200) // a new one
		count(101, 201, 2, 200)
		must(t, s.Tries().TakeBack(ctx, map[string]int64{"account:x": 1, "nobody": 1}))
		count(102, 202, 2, 200)
		must(t, s.Tries().TakeBack(ctx, map[string]int64{"account:x": 5, "other": 1}))
		count(103, 203, 1, 203)
		must(t, s.Tries().Expire(ctx, 203))
		count(104, 204, 1, 204)

		var wg sync.WaitGroup
		for i := range 20 {
			wg.Go(func() {
				subjects := []string{"at once", "at once too"}
				if i%2 == 0 {
					slices.Reverse(subjects)
				}
				if _, err := s.Tries().Count(ctx, subjects, 1, 2); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if all, err := s.Tries().Count(ctx, []string{"at once"}, 1, 2); all["at once"].Count != 21 || err != nil {
			t.Fatalf("20 tries at once and one more count as %v, %v", all, err)
		}
	})
}

func TestSecretIsMadeOnce(t *testing.T) {
	storetest.EachAddress(t, func(t *testing.T, address string) {
		nodes := []*store.Store{storetest.Open(t, address), storetest.Open(t, address)}
		var made atomic.Int64
		got := make([][]byte, 8)
		var wg sync.WaitGroup
		for i := range got {
			wg.Go(func() {
				v, err := nodes[i%2].Secrets().Obtain(t.Context(), "key", 1, func() ([]byte, error) {
					return []byte{byte(made.Add(1)), 0, 255}, nil
				})
				if err != nil {
					t.Error(err)
				}
				got[i] = v
			})
		}
		wg.Wait()
		for _, v := range got {
			if !bytes.Equal(v, got[0]) || len(v) != 3 {
				t.Fatalf("the nodes do not agree: %v", got)
			}
		}
	})
}

// What agents and browsers may send comes back as it was, apart from what no
// database keeps.
func TestHostileText(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		must(t, s.People().PutOwnerToken(t.Context(), entry("x"), []byte("t"), 1, 100))
		p := owner(1)
		p.Name = `'"; DROP TABLE people; -- \ \' \\ ? ?0 ?TableAlias $1 :x {{.Bytes}} %s ` + "\u202e\U0001F600\r\n\x1b\x00\xff end"
		must(t, s.People().CreateOwner(t.Context(), entry("x"), []byte("t"), 2, p, email(1), ""))
		got, err := s.People().ByIdentifier(t.Context(), store.Email, "", email(1).Key)
		if want := strings.ToValidUTF8(strings.ReplaceAll(p.Name, "\x00", "\uFFFD"), "\uFFFD"); err != nil || got.Name != want {
			t.Fatalf("stored %q, %v; want %q", got.Name, err, want)
		}
		if _, err := s.People().ByIdentifier(t.Context(), store.Email, "", "\x00' OR 1=1 --\xff"); !errors.Is(err, store.ErrNotFound) {
			t.Fatalf("looking for it: %v", err)
		}
	})
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
