-- An organization owns computers, tokens, sessions and what hangs on them. What
-- was there before belongs to the first one.
CREATE TABLE IF NOT EXISTS organizations (
    id         TEXT PRIMARY KEY,
    name       TEXT NOT NULL,
    created_at BIGINT NOT NULL
);

--bun:split

INSERT INTO organizations (id, name, created_at) VALUES ('00000000-0000-7000-8000-000000000001', '', 0);

--bun:split

ALTER TABLE computers ADD COLUMN organization TEXT NOT NULL DEFAULT '00000000-0000-7000-8000-000000000001';

--bun:split

ALTER TABLE inventories ADD COLUMN organization TEXT NOT NULL DEFAULT '00000000-0000-7000-8000-000000000001';

--bun:split

ALTER TABLE twins ADD COLUMN organization TEXT NOT NULL DEFAULT '00000000-0000-7000-8000-000000000001';

--bun:split

ALTER TABLE enrollment_tokens ADD COLUMN organization TEXT NOT NULL DEFAULT '00000000-0000-7000-8000-000000000001';

--bun:split

ALTER TABLE waiting_computers ADD COLUMN organization TEXT NOT NULL DEFAULT '00000000-0000-7000-8000-000000000001';

--bun:split

ALTER TABLE removed_keys ADD COLUMN organization TEXT NOT NULL DEFAULT '00000000-0000-7000-8000-000000000001';

--bun:split

ALTER TABLE sessions ADD COLUMN organization TEXT NOT NULL DEFAULT '00000000-0000-7000-8000-000000000001';

--bun:split

CREATE INDEX computers_organization ON computers (organization, id);

--bun:split

-- In the place of sessions_started: the journal is read by organization.
CREATE INDEX sessions_organization ON sessions (organization, started_at, id);

--bun:split

DROP INDEX IF EXISTS sessions_started;
