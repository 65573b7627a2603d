// Package storetest runs a test on every database that the store speaks, and
// starts a real PostgreSQL for tests of other rooms.
//
// PostgreSQL is Debian's package, started once per test binary on a temporary
// folder and a Unix socket in it (no open port), as user postgres when the
// tests run as root. Each test has a database of its own: a copy of one that the
// migrations made once for the test binary, as they take longer than most tests.
// Tests of what happens to an empty database take EachEmpty. A test binary that
// uses it has
//
//	func TestMain(m *testing.M) { storetest.Main(m) }
//
// which stops the server at the end and reports leaked goroutines. A binary
// that is killed takes its server with it: the server's parent is a shell that
// waits for the end of a pipe.
package storetest

import (
	"context"
	"database/sql"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"go.uber.org/goleak"

	"oriel/relay/internal/store"
)

var (
	mu       sync.Mutex
	shared   *Server // protected by mu; nil: not started
	failed   error   // protected by mu; why it could not be started
	template bool    // protected by mu; whether shared has templateName
	serial   atomic.Int64
)

// Each runs fn twice, with a new store on SQLite and on PostgreSQL.
func Each(t *testing.T, fn func(t *testing.T, s *store.Store)) {
	t.Helper()
	EachAddress(t, func(t *testing.T, address string) { fn(t, Open(t, address)) })
}

// EachAddress is Each for tests that open the store themselves, or twice.
func EachAddress(t *testing.T, fn func(t *testing.T, address string)) {
	t.Helper()
	t.Run("sqlite", func(t *testing.T) { fn(t, SQLite(t)) })
	t.Run("postgres", func(t *testing.T) { fn(t, PostgreSQL(t)) })
}

// EachEmpty is EachAddress with databases that were never migrated.
func EachEmpty(t *testing.T, fn func(t *testing.T, address string)) {
	t.Helper()
	t.Run("sqlite", func(t *testing.T) { fn(t, "sqlite:"+filepath.Join(t.TempDir(), "relay.db")) })
	t.Run("postgres", func(t *testing.T) { fn(t, EmptyPostgreSQL(t)) })
}

// SQLite is the address of a new database in a file, migrated and without rows.
func SQLite(t testing.TB) string {
	t.Helper()
	content, err := migrated()
	path := filepath.Join(t.TempDir(), "relay.db")
	if err == nil {
		err = os.WriteFile(path, content, 0o600)
	}
	if err != nil {
		t.Fatalf("make database: %v", err)
	}
	return "sqlite:" + path
}

// PostgreSQL is the address of a new database, migrated and without rows, on this test
// binary's PostgreSQL server.
func PostgreSQL(t testing.TB) string {
	t.Helper()
	mu.Lock()
	server, err := running()
	if err == nil && !template {
		err = server.makeTemplate()
		template, failed = err == nil, err
	}
	mu.Unlock()
	return create(t, server, err, templateName)
}

// EmptyPostgreSQL is PostgreSQL with a database that was never migrated.
func EmptyPostgreSQL(t testing.TB) string {
	t.Helper()
	mu.Lock()
	server, err := running()
	mu.Unlock()
	return create(t, server, err, "template1")
}

// running starts this binary's server when it is first needed. Its caller has mu.
func running() (*Server, error) {
	if shared == nil && failed == nil {
		shared, failed = Start()
	}
	return shared, failed
}

func create(t testing.TB, server *Server, err error, template string) string {
	t.Helper()
	if err != nil {
		t.Fatalf("start PostgreSQL: %v", err)
	}
	name := fmt.Sprintf("t%d_%d", os.Getpid(), serial.Add(1))
	address, err := server.copyDatabase(t.Context(), name, template)
	if err != nil {
		t.Fatalf("create database: %v", err)
	}
	return address
}

// Open opens the store at address and closes it when the test ends.
func Open(t testing.TB, address string) *store.Store {
	t.Helper()
	s, err := store.Open(t.Context(), address, store.Options{Connections: 8})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("close store: %v", err)
		}
	})
	return s
}

// Main runs the tests, stops PostgreSQL, checks for leaked goroutines (but
// those that o excepts) and exits.
func Main(m *testing.M, o ...goleak.Option) {
	goleak.VerifyTestMain(stopping{m}, o...)
}

type stopping struct{ m *testing.M }

func (s stopping) Run() int {
	code := s.m.Run()
	if err := Stop(); err != nil {
		fmt.Fprintln(os.Stderr, "stop PostgreSQL:", err)
		code = max(code, 1)
	}
	return code
}

// Stop stops the shared server, for binaries that have a TestMain of their own.
func Stop() error {
	mu.Lock()
	defer mu.Unlock()
	if shared == nil {
		return nil
	}
	err := shared.Stop(context.Background())
	shared, template = nil, false
	return err
}

// Rows are those of each table at address, as text and sorted: what differs between two
// moments was written between them.
func Rows(t testing.TB, address string) map[string]string {
	t.Helper()
	kind, rest, err := store.ParseAddress(address)
	driver, tables := "sqlite", `SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'computer_words%'` // FTS5's own
	if kind == store.PostgreSQL {
		driver, tables = "pgx", `SELECT tablename FROM pg_tables WHERE schemaname = current_schema()`
	}
	var db *sql.DB
	if err == nil {
		db, err = sql.Open(driver, AsSuperuser(rest)) // the store's own drivers
	}
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	all := map[string]string{}
	for _, table := range lines(t, db, tables) {
		all[table] = strings.Join(lines(t, db, `SELECT * FROM "`+table+`"`), "")
	}
	return all
}

// lines are the rows of a query, sorted.
func lines(t testing.TB, db *sql.DB, query string) (all []string) {
	t.Helper()
	rows, err := db.QueryContext(t.Context(), query)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	columns, err := rows.Columns()
	if err != nil {
		t.Fatal(err)
	}
	for rows.Next() {
		values, to := make([]any, len(columns)), make([]any, len(columns))
		for i := range values {
			to[i] = &values[i]
		}
		if err := rows.Scan(to...); err != nil {
			t.Fatal(err)
		}
		if len(columns) == 1 {
			all = append(all, fmt.Sprint(values[0]))
			continue
		}
		all = append(all, fmt.Sprintf("%v\n", values))
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	slices.Sort(all)
	return all
}
