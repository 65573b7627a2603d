package store

import (
	"fmt"
	"strings"
	"testing"

	"github.com/uptrace/bun"
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

// AddOrganization makes another organization.
func (s *Store) AddOrganization(t *testing.T, id OrganizationID) {
	_, err := s.db.NewRaw("INSERT INTO organizations (id, name, created_at) VALUES (?, ?, 1)", id, string(id)).Exec(t.Context())
	if err != nil {
		t.Fatal(err)
	}
}

// Owned is all rows of an organization, as text by table. Tables that have no
// column organization are the others.
func (s *Store) Owned(t *testing.T, id OrganizationID) (owned map[string]string, others []string) {
	owned = map[string]string{}
	for _, table := range s.Tables(t) {
		q := `SELECT count(*) FROM pragma_table_info(?) WHERE name = 'organization'`
		if s.kind == PostgreSQL {
			q = `SELECT count(*) FROM pg_attribute WHERE attrelid = CAST(? AS regclass) AND attname = 'organization' AND NOT attisdropped`
		}
		var has int
		if err := s.db.NewRaw(q, table).Scan(t.Context(), &has); err != nil {
			t.Fatal(err)
		}
		if has == 0 {
			others = append(others, table)
			continue
		}
		var rows []map[string]any
		if err := s.db.NewRaw("SELECT * FROM ? WHERE organization = ? ORDER BY 1", bun.Ident(table), id).Scan(t.Context(), &rows); err != nil {
			t.Fatal(err)
		}
		owned[table] = fmt.Sprintf("%v", rows)
	}
	return owned, others
}
