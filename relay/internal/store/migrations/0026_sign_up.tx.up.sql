-- What the relay's operator set for all of it. What is not here is as on a new relay.
CREATE TABLE IF NOT EXISTS relay_settings (
    name  TEXT PRIMARY KEY,
    value TEXT NOT NULL
);

--bun:split

-- E-mail addresses whose owners have not shown yet that they are theirs: of who signs
-- up (no person, and what their organization is to be called), or one more of a person's.
CREATE TABLE IF NOT EXISTS confirmations (
    id           TEXT PRIMARY KEY,
    token_hash   {{.Bytes}} NOT NULL UNIQUE,
    person_id    TEXT REFERENCES people (id) ON DELETE CASCADE,
    email        TEXT NOT NULL,
    email_key    TEXT NOT NULL,
    called       TEXT NOT NULL,
    created_at   BIGINT NOT NULL,
    expires_at   BIGINT NOT NULL
);

--bun:split

CREATE INDEX IF NOT EXISTS confirmations_email ON confirmations (email_key);

--bun:split

CREATE INDEX IF NOT EXISTS confirmations_person ON confirmations (person_id);

--bun:split

CREATE INDEX IF NOT EXISTS confirmations_expires ON confirmations (expires_at);
