package storetest

import (
	"database/sql"
	"testing"

	"oriel/relay/internal/store"
)

// Exec runs statements on the database at address, as somebody does who has access to
// it and is no relay.
func Exec(t testing.TB, address string, statements ...string) {
	t.Helper()
	kind, rest, err := store.ParseAddress(address)
	if err != nil {
		t.Fatal(err)
	}
	driver := map[store.Kind]string{store.SQLite: "sqlite", store.PostgreSQL: "pgx"}[kind] // registered by store
	db, err := sql.Open(driver, AsSuperuser(rest))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	for _, text := range statements {
		if _, err := db.ExecContext(t.Context(), text); err != nil {
			t.Fatalf("%s: %v", text, err)
		}
	}
}
