package store

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"

	"github.com/uptrace/bun"
	"github.com/uptrace/bun/migrate"
)

//go:embed migrations/*.sql
var migrationFiles embed.FS

// A number of our own for PostgreSQL's advisory locks.
const migrationLock = 0x6f7269656c // "oriel"

// migrations are all that this relay knows.
func migrations() (*migrate.Migrations, error) {
	files, all := migrate.NewMigrations(), migrate.NewMigrations()
	if err := files.Discover(migrationFiles); err != nil {
		return nil, fmt.Errorf("read migrations: %w", err)
	}
	all.Add(chaining)
	all.Add(isolating)
	for _, m := range files.Sorted() {
		if refuse, down := losses[m.Name], m.Down; refuse != nil {
			m.Down = func(ctx context.Context, by *migrate.Migrator, m *migrate.Migration) error {
				if err := refuse(ctx, by.DB()); err != nil {
					return err
				}
				return down(ctx, by, m)
			}
		}
		all.Add(m)
	}
	return all, nil
}

func (s *Store) migrator(db *bun.DB) (*migrate.Migrator, error) {
	ms, err := migrations()
	if err != nil {
		return nil, err
	}
	return s.migratorOf(db, ms), nil
}

func (s *Store) migratorOf(db *bun.DB, ms *migrate.Migrations) *migrate.Migrator {
	types := map[string]string{"Bytes": "BLOB", "Kind": string(s.kind)}
	if s.kind == PostgreSQL {
		types["Bytes"] = "BYTEA"
	}
	return migrate.NewMigrator(db, ms,
		migrate.WithTableName("schema_migrations"),
		migrate.WithLocksTableName("schema_locks"),
		migrate.WithMarkAppliedOnSuccess(true),
		migrate.WithTemplateData(types))
}

// Migrate brings the schema up to date. Errors: ErrNewerSchema.
func (s *Store) Migrate(ctx context.Context) error {
	return s.migrating(ctx, func(m *migrate.Migrator) error {
		if _, err := pending(ctx, m); err != nil {
			return err
		}
		_, err := m.Migrate(ctx)
		if err == nil {
			err = isolate(ctx, m.DB())
		}
		return err
	})
}

// Rollback undoes every migration, newest first, and with them all data. It is
// there so that the tests prove each down file.
func (s *Store) Rollback(ctx context.Context) error {
	return s.migrating(ctx, func(m *migrate.Migrator) error {
		for {
			g, err := m.Rollback(ctx)
			if err != nil || g.IsZero() {
				return err
			}
		}
	})
}

// Pending is how many migrations the database lacks; -1 when it was never
// migrated at all. Errors: ErrNewerSchema.
func (s *Store) Pending(ctx context.Context) (int, error) {
	m, err := s.migrator(s.pool)
	if err != nil {
		return 0, err
	}
	exists := `SELECT count(*) FROM sqlite_master WHERE name = 'schema_migrations'`
	if s.kind == PostgreSQL {
		exists = `SELECT count(*) FROM pg_tables WHERE schemaname = current_schema() AND tablename = 'schema_migrations'`
	}
	var n int
	if err := s.db.NewRaw(exists).Scan(ctx, &n); err != nil {
		return 0, mapped(err)
	}
	if n == 0 {
		return -1, nil
	}
	return pending(ctx, m)
}

func pending(ctx context.Context, m *migrate.Migrator) (int, error) {
	all, err := m.MigrationsWithStatus(ctx)
	if err != nil {
		return 0, err
	}
	known := make(map[string]bool, len(all))
	for _, one := range all {
		known[one.Name] = true
	}
	applied, err := m.AppliedMigrations(ctx)
	if err != nil {
		return 0, err
	}
	for _, one := range applied {
		if !known[one.Name] {
			return 0, fmt.Errorf("%w (it knows migration %s)", ErrNewerSchema, one.Name)
		}
	}
	return len(all.Unapplied()), nil
}

// migrating runs fn with the migration tables in place and no other node
// migrating.
func (s *Store) migrating(ctx context.Context, fn func(*migrate.Migrator) error) error {
	db := s.pool
	if s.kind == PostgreSQL { // a migration is of the rows of all organizations
		db = bun.NewDB(sql.OpenDB(securing{s.connector, allOrganizations}), s.pool.Dialect())
		defer db.Close()
	}
	m, err := s.migrator(db)
	if err != nil {
		return err
	}
	if s.kind == PostgreSQL {
		// The lock belongs to this connection, so that it goes with a node that dies.
		var conn bun.Conn
		if conn, err = db.Conn(ctx); err != nil {
			return err
		}
		defer conn.Close()
		if _, err := conn.ExecContext(ctx, "SELECT pg_advisory_lock(?)", migrationLock); err != nil {
			return fmt.Errorf("wait for the migration lock: %w", err)
		}
		defer func() {
			_, _ = conn.ExecContext(context.WithoutCancel(ctx), "SELECT pg_advisory_unlock(?)", migrationLock)
		}()
	}
	if err := m.Init(ctx); err != nil {
		return fmt.Errorf("prepare migrations: %w", err)
	}
	if err := fn(m); err != nil {
		// Of a transaction that ctx ended, database/sql may say only that it is done.
		if ctx.Err() != nil && errors.Is(err, sql.ErrTxDone) {
			err = ctx.Err()
		}
		return fmt.Errorf("migrate: %w", err)
	}
	return nil
}
