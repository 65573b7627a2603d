package store

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/uptrace/bun"
	"github.com/uptrace/bun/migrate"
)

// all is the database of every organization.
func (s *Store) all() scoped { return s.wholeRelay("tests").db }

// Tables that are not the migrations' own, nor SQLite's: FTS5 fills those of words itself.
func (s *Store) Tables(t *testing.T) []string {
	q := `SELECT name FROM sqlite_master WHERE type = 'table'`
	if s.kind == PostgreSQL {
		q = `SELECT tablename FROM pg_tables WHERE schemaname = current_schema()`
	}
	var all, left []string
	if err := s.all().NewRaw(q).Scan(t.Context(), &all); err != nil {
		t.Fatal(err)
	}
	for _, name := range all {
		if !strings.HasPrefix(name, "schema_") && !strings.HasPrefix(name, "sqlite_") && !strings.HasPrefix(name, "computer_words") {
			left = append(left, name)
		}
	}
	return left
}

// MarkApplied pretends that a migration of that name has run.
func (s *Store) MarkApplied(t *testing.T, name string) {
	m, err := s.migrator(s.pool)
	if err == nil {
		err = m.MarkApplied(t.Context(), &migrate.Migration{Name: name, GroupID: 99})
	}
	if err != nil {
		t.Fatal(err)
	}
}

// Unmigrate has a migration never have run; it had made that table.
func (s *Store) Unmigrate(t *testing.T, name, table string) {
	for _, q := range []*bun.RawQuery{
		s.all().NewRaw("DROP TABLE ?", bun.Ident(table)), s.all().NewRaw("DELETE FROM schema_migrations WHERE name = ?", name)} {
		if _, err := q.Exec(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
}

// AddAnswers keeps many at once.
func (s *Store) AddAnswers(t *testing.T, all []IdempotencyKey) {
	if _, err := s.all().NewInsert().Model(&all).Exec(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// AddOrganization makes another organization.
func (s *Store) AddOrganization(t testing.TB, id OrganizationID) {
	_, err := s.all().NewRaw("INSERT INTO organizations (id, name, code, created_at) VALUES (?, ?, ?, 1)", id, string(id), string(id)).Exec(t.Context())
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
		if err := s.all().NewRaw(q, table).Scan(t.Context(), &has); err != nil {
			t.Fatal(err)
		}
		if has == 0 {
			others = append(others, table)
			continue
		}
		var rows []map[string]any
		if err := s.all().NewRaw("SELECT * FROM ? WHERE organization = ? ORDER BY 1", bun.Ident(table), id).Scan(t.Context(), &rows); err != nil {
			t.Fatal(err)
		}
		owned[table] = fmt.Sprintf("%v", rows)
	}
	return owned, others
}

// Everything is all rows of each table, a line each.
func (s *Store) Everything(t *testing.T) map[string]string {
	all := map[string]string{}
	for _, table := range s.Tables(t) {
		var rows []map[string]any
		if err := s.all().NewRaw("SELECT * FROM ?", bun.Ident(table)).Scan(t.Context(), &rows); err != nil {
			t.Fatal(err)
		}
		lines := make([]string, len(rows))
		for i, row := range rows {
			lines[i] = fmt.Sprintln(row)
		}
		slices.Sort(lines)
		all[table] = strings.Join(lines, "")
	}
	return all
}

// Empty removes all rows but the organizations'.
func (s *Store) Empty(t *testing.T) {
	err := s.wholeRelay("tests").tx(t.Context(), func(ctx context.Context, tx bun.Tx) error {
		if s.kind == SQLite {
			if _, err := tx.ExecContext(ctx, "PRAGMA defer_foreign_keys = ON"); err != nil {
				return err
			}
		}
		tables := slices.DeleteFunc(s.Tables(t), func(name string) bool { return name == "organizations" })
		text := `DELETE FROM "` + strings.Join(tables, `"; DELETE FROM "`) + `"`
		if s.kind == PostgreSQL {
			text = `TRUNCATE "` + strings.Join(tables, `", "`) + `" CASCADE`
		}
		_, err := tx.NewRaw(text).Exec(ctx)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// Break has every change of a row of these tables fail until mend is called.
func (s *Store) Break(t *testing.T, tables ...string) (mend func()) {
	run := func(statements []string) {
		if _, err := s.all().NewRaw(strings.Join(statements, ";\n")).Exec(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	var breaks, mends []string
	events := []string{"INSERT", "UPDATE", "DELETE"}
	does := "BEGIN SELECT RAISE(ABORT, 'broken'); END"
	if s.kind == PostgreSQL {
		breaks = []string{"CREATE OR REPLACE FUNCTION broken() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'broken'; END $$"}
		events, does = []string{"INSERT OR UPDATE OR DELETE"}, "FOR EACH ROW EXECUTE FUNCTION broken()"
		mends = []string{"DROP FUNCTION broken CASCADE"}
	}
	for _, table := range tables {
		for _, event := range events {
			breaks = append(breaks, fmt.Sprintf(`CREATE TRIGGER "broken_%s_%s" BEFORE %s ON "%s" %s`, table, event, event, table, does))
			if s.kind == SQLite {
				mends = append(mends, fmt.Sprintf(`DROP TRIGGER "broken_%s_%s"`, table, event))
			}
		}
	}
	run(breaks)
	return func() { run(mends) }
}

// MigrateTo takes the schema to the migration of that name, up or down.
func (s *Store) MigrateTo(t *testing.T, name string) error {
	ms, err := migrations()
	if err != nil {
		t.Fatal(err)
	}
	known := migrate.NewMigrations()
	for _, m := range ms.Sorted() {
		if m.Name <= name {
			known.Add(m)
		}
	}
	return s.migrating(t.Context(), func(all *migrate.Migrator) error {
		sorted, err := all.MigrationsWithStatus(t.Context())
		if err != nil {
			return err
		}
		for _, m := range slices.Backward(sorted) {
			if m.Name > name && m.IsApplied() {
				if err := m.Down(t.Context(), all, &m); err != nil {
					return err
				}
				if err := all.MarkUnapplied(t.Context(), &m); err != nil {
					return err
				}
			}
		}
		_, err = s.migratorOf(all.DB(), known).Migrate(t.Context())
		return err
	})
}

// PendingOf is Pending of a relay that knows the migrations up to that name.
func (s *Store) PendingOf(t *testing.T, name string) (int, error) {
	ms, err := migrations()
	if err != nil {
		t.Fatal(err)
	}
	known := migrate.NewMigrations()
	for _, m := range ms.Sorted() {
		if m.Name <= name {
			known.Add(m)
		}
	}
	return pending(t.Context(), s.migratorOf(s.pool, known))
}

// Load puts rows into an empty database, whatever they refer to.
func (s *Store) Load(t *testing.T, rows map[string][]map[string]any) {
	s.Empty(t)
	err := s.wholeRelay("tests").tx(t.Context(), func(ctx context.Context, tx bun.Tx) error {
		off := "PRAGMA defer_foreign_keys = ON"
		if s.kind == PostgreSQL {
			off = "SET LOCAL session_replication_role = replica"
		}
		if _, err := tx.ExecContext(ctx, off); err != nil {
			return err
		}
		for table, all := range rows {
			for _, row := range all {
				q := tx.NewInsert().Model(&row).Table(table)
				if table == "organizations" {
					q = q.On("CONFLICT (id) DO NOTHING")
				}
				if _, err := q.Exec(ctx); err != nil {
					return fmt.Errorf("%s: %w", table, err)
				}
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// Unchain has the migration that chains the audit never have run.
func (s *Store) Unchain(t *testing.T) {
	m, err := s.migrator(s.pool)
	if err == nil {
		err = chaining.Down(t.Context(), m, nil)
	}
	if err == nil {
		_, err = s.all().NewRaw("DELETE FROM schema_migrations WHERE name = ?", chaining.Name).Exec(t.Context())
	}
	if err != nil {
		t.Fatal(err)
	}
}

// Run runs a statement.
func (s *Store) Run(t testing.TB, text string, args ...any) {
	if _, err := s.all().NewRaw(text, args...).Exec(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// Within is the database in the scope of an organization. It is no method, as handles are.
func Within(s *Store, o OrganizationID) bun.IDB { return s.within(o).db }

// Unscoped is the database in no scope.
func (s *Store) Unscoped() bun.IDB { return s.db }

// Everybody is the database in the scope of all organizations.
func (s *Store) Everybody() bun.IDB { return s.all() }

// EverybodyOn is a transaction in the scope of all organizations.
func (s *Store) EverybodyOn(tx bun.Tx) bun.IConn { return s.all().on(tx) }

// WithoutScopes has the handles of a store send no scopes to PostgreSQL.
func (s *Store) WithoutScopes(t testing.TB) {
	if err := s.pool.Close(); err != nil {
		t.Fatal(err)
	}
	s.pool = bun.NewDB(sql.OpenDB(s.connector), s.pool.Dialect())
}
