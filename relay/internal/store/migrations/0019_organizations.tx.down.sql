CREATE INDEX IF NOT EXISTS sessions_started ON sessions (started_at, id);

--bun:split

DROP INDEX IF EXISTS sessions_organization;

--bun:split

DROP INDEX IF EXISTS computers_organization;

--bun:split

ALTER TABLE sessions DROP COLUMN organization;

--bun:split

ALTER TABLE removed_keys DROP COLUMN organization;

--bun:split

ALTER TABLE waiting_computers DROP COLUMN organization;

--bun:split

ALTER TABLE enrollment_tokens DROP COLUMN organization;

--bun:split

ALTER TABLE twins DROP COLUMN organization;

--bun:split

ALTER TABLE inventories DROP COLUMN organization;

--bun:split

ALTER TABLE computers DROP COLUMN organization;

--bun:split

DROP TABLE IF EXISTS organizations;
