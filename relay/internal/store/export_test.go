package store

import (
	"strings"
	"testing"

	"github.com/uptrace/bun/migrate"
)

// Tables that are not the migrations' own.
func (s *Store) Tables(t *testing.T) []string {
	q := `SELECT name FROM sqlite_master WHERE type = 'table'`
	if s.kind == PostgreSQL {
		q = `SELECT tablename FROM pg_tables WHERE schemaname = current_schema()`
	}
	var all, left []string
	if err := s.db.NewRaw(q).Scan(t.Context(), &all); err != nil {
		t.Fatal(err)
	}
	for _, name := range all {
		if !strings.HasPrefix(name, "schema_") && !strings.HasPrefix(name, "sqlite_") {
			left = append(left, name)
		}
	}
	return left
}

// MarkApplied pretends that a migration of that name has run.
func (s *Store) MarkApplied(t *testing.T, name string) {
	m, err := s.migrator()
	if err == nil {
		err = m.MarkApplied(t.Context(), &migrate.Migration{Name: name, GroupID: 99})
	}
	if err != nil {
		t.Fatal(err)
	}
}
