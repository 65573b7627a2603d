package store_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"oriel/relay/internal/store"
	"oriel/relay/internal/store/storetest"
)

func TestMain(m *testing.M) { storetest.Main(m) }

func TestMigrateUpDownUp(t *testing.T) {
	storetest.EachEmpty(t, func(t *testing.T, address string) {
		s, ctx := storetest.Open(t, address), t.Context()
		if n, err := s.Pending(ctx); n != 0 || err != nil {
			t.Fatalf("after Open %d migrations are pending, %v", n, err)
		}
		if err := s.Rollback(ctx); err != nil {
			t.Fatal("down:", err)
		}
		if n, err := s.Pending(ctx); n < 1 || err != nil {
			t.Fatalf("after Rollback %d migrations are pending, %v", n, err)
		}
		if left := s.Tables(t); len(left) != 0 {
			t.Fatalf("the down migrations leave %q", left)
		}
		if err := s.Migrate(ctx); err != nil {
			t.Fatal("up again:", err)
		}
	})
}

// Rule: a migration whose number is lower than the newest is run on a database that
// has all others, and rolled back with them.
func TestMigrationOfALowerNumber(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		all := s.Tables(t)
		s.Unmigrate(t, "0010", "idempotency_keys")
		if n, err := s.Pending(t.Context()); n != 1 || err != nil {
			t.Fatalf("%d migrations are pending, %v", n, err)
		}
		if err := s.Migrate(t.Context()); err != nil {
			t.Fatal(err)
		}
		if now := s.Tables(t); len(now) != len(all) {
			t.Fatalf("there are %q, want %q", now, all)
		}
		if err := s.Rollback(t.Context()); err != nil || len(s.Tables(t)) != 0 {
			t.Fatalf("the down migrations leave %q, %v", s.Tables(t), err)
		}
	})
}

func TestNodesMigrateTogether(t *testing.T) {
	address := storetest.EmptyPostgreSQL(t)
	var wg sync.WaitGroup
	for range 6 {
		wg.Go(func() {
			s, err := store.Open(context.Background(), address, store.Options{Connections: 4})
			if err != nil {
				t.Error(err)
				return
			}
			if err := s.Close(); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
}

func TestNewerSchemaIsRefused(t *testing.T) {
	storetest.EachAddress(t, func(t *testing.T, address string) {
		s := storetest.Open(t, address)
		s.MarkApplied(t, "9999")
		_, err := store.Open(t.Context(), address, store.Options{})
		if !errors.Is(err, store.ErrNewerSchema) {
			t.Fatalf("a database of a newer relay opens: %v", err)
		}
		look, err := store.Open(t.Context(), address, store.Options{NoMigrate: true})
		if err != nil {
			t.Fatal(err)
		}
		defer look.Close()
		if _, err := look.Pending(t.Context()); !errors.Is(err, store.ErrNewerSchema) {
			t.Fatalf("Pending of a newer database: %v", err)
		}
	})
}

func TestPendingOfAnEmptyDatabase(t *testing.T) {
	storetest.EachEmpty(t, func(t *testing.T, address string) {
		s, err := store.Open(t.Context(), address, store.Options{NoMigrate: true})
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		if n, err := s.Pending(t.Context()); n != -1 || err != nil {
			t.Fatalf("Pending = %d, %v; want -1", n, err)
		}
	})
}

func TestAddresses(t *testing.T) {
	for _, c := range []struct {
		in   string
		kind store.Kind
		rest string
	}{
		{"sqlite:relay.db", store.SQLite, "relay.db"},
		{"sqlite:///var/lib/relay.db", store.SQLite, "/var/lib/relay.db"},
		{"/var/lib/relay.db", store.SQLite, "/var/lib/relay.db"},
		{`C:\data\relay.db`, store.SQLite, `C:\data\relay.db`},
		{"postgres://u:p@h/d", store.PostgreSQL, "postgres://u:p@h/d"},
		{"", "", ""},
		{"sqlite:", "", ""},
		{"mysql://h/d", "", ""},
		{"postgres://h:port/d", "", ""},
	} {
		kind, rest, err := store.ParseAddress(c.in)
		if kind != c.kind || rest != c.rest || (err != nil) != (c.kind == "") {
			t.Errorf("ParseAddress(%q) = %q, %q, %v", c.in, kind, rest, err)
		}
	}
}

func TestFileIsPrivateAndOddlyNamed(t *testing.T) {
	path := filepath.Join(t.TempDir(), "odd ?name#%41.db")
	storetest.Open(t, "sqlite:"+path)
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if info.Size() == 0 || info.Mode().Perm() != 0o600 {
		t.Fatalf("%s has %d bytes and mode %v, want the database in it and 0600", path, info.Size(), info.Mode())
	}
}

func TestOpenSaysWhatIsWrong(t *testing.T) {
	_, err := store.Open(t.Context(), filepath.Join(t.TempDir(), "no", "such", "folder.db"), store.Options{})
	if !errors.Is(err, os.ErrNotExist) {
		t.Fatalf("err = %v", err)
	}
}
