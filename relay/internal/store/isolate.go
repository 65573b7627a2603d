package store

import (
	"context"

	"github.com/uptrace/bun"
	"github.com/uptrace/bun/dialect"
	"github.com/uptrace/bun/migrate"
)

// isolating is the migration that puts row-level security (scope.go) on what is there.
// On SQLite it does nothing.
var isolating = migrate.Migration{
	Name: "0025", Comment: "row_security",
	Up: func(ctx context.Context, m *migrate.Migrator, _ *migrate.Migration) error {
		return isolate(ctx, m.DB())
	},
	Down: func(ctx context.Context, m *migrate.Migrator, _ *migrate.Migration) error {
		return onPostgreSQL(ctx, m.DB(), joinAll)
	},
}

// isolate puts row-level security on each table with a column organization that lacks
// it. Migrate calls it after all migrations, so that no table is forgotten.
func isolate(ctx context.Context, db *bun.DB) error { return onPostgreSQL(ctx, db, isolateAll) }

func onPostgreSQL(ctx context.Context, db *bun.DB, text string) error {
	if db.Dialect().Name() != dialect.PG {
		return nil
	}
	_, err := db.ExecContext(ctx, text)
	return err
}

// The subqueries are evaluated once for a statement, and not for each row. CASE, because
// the planner takes OR for a condition that hardly any row meets. The setting is empty
// where it was set in an earlier transaction, which is as if it never was. An e-mail
// address is of no organization: those see it of which the person is a member.
const (
	isolateAll = `DO $do$
DECLARE
	setting CONSTANT text := $x$current_setting('oriel.organization', true)$x$;
	one name;
BEGIN
	FOR one IN
		SELECT c.relname FROM pg_class AS c JOIN pg_attribute AS a ON a.attrelid = c.oid
		WHERE c.relkind IN ('r', 'p') AND c.relnamespace = CAST(current_schema() AS regnamespace)
			AND a.attname = 'organization' AND a.attnum > 0 AND NOT a.attisdropped
			AND NOT (c.relrowsecurity AND c.relforcerowsecurity
				AND EXISTS (SELECT 1 FROM pg_policy AS p WHERE p.polrelid = c.oid AND p.polname = 'organization'))
	LOOP
		EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', one);
		EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', one); -- also for its owner
		EXECUTE format('DROP POLICY IF EXISTS organization ON %I', one);
		EXECUTE format('CREATE POLICY organization ON %I USING (CASE (SELECT %s) WHEN ''*'' THEN true ELSE organization = (SELECT NULLIF(%s, '''')) END)',
			one, setting, setting);
		IF one = 'identifiers' THEN
			DROP POLICY IF EXISTS email ON identifiers;
			EXECUTE format('CREATE POLICY email ON identifiers FOR SELECT USING (organization = '''' AND EXISTS (
				SELECT 1 FROM members AS m WHERE m.organization = (SELECT %s) AND m.person_id = identifiers.person_id))', setting);
		END IF;
	END LOOP;
	-- Under a policy no index on LOWER(recipient) is used, which may tell of what it reads.
	CREATE INDEX IF NOT EXISTS mails_created ON mails (created_at);
END $do$`

	joinAll = `DO $do$
DECLARE
	one record;
BEGIN
	FOR one IN
		SELECT c.relname, p.polname FROM pg_policy AS p JOIN pg_class AS c ON c.oid = p.polrelid
		WHERE c.relnamespace = CAST(current_schema() AS regnamespace) AND p.polname IN ('organization', 'email')
	LOOP
		EXECUTE format('DROP POLICY %I ON %I', one.polname, one.relname);
		EXECUTE format('ALTER TABLE %I NO FORCE ROW LEVEL SECURITY', one.relname);
		EXECUTE format('ALTER TABLE %I DISABLE ROW LEVEL SECURITY', one.relname);
	END LOOP;
	DROP INDEX IF EXISTS mails_created;
END $do$`
)
