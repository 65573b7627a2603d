CREATE TABLE IF NOT EXISTS people (
    id            TEXT PRIMARY KEY,
    name          TEXT NOT NULL,
    email         TEXT NOT NULL,
    email_key     TEXT NOT NULL UNIQUE,
    role          TEXT NOT NULL,
    password_hash TEXT NOT NULL,
    created_at    BIGINT NOT NULL
);

--bun:split

CREATE TABLE IF NOT EXISTS sign_ins (
    token_hash {{.Bytes}} PRIMARY KEY,
    id         TEXT NOT NULL UNIQUE,
    person_id  TEXT NOT NULL REFERENCES people (id) ON DELETE CASCADE,
    address    TEXT NOT NULL,
    browser    TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    seen_at    BIGINT NOT NULL
);

--bun:split

CREATE INDEX IF NOT EXISTS sign_ins_person ON sign_ins (person_id);

--bun:split

CREATE INDEX IF NOT EXISTS sign_ins_seen ON sign_ins (seen_at);

--bun:split

CREATE TABLE IF NOT EXISTS one_time_tokens (
    kind       TEXT PRIMARY KEY,
    token_hash {{.Bytes}} NOT NULL,
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL
);

--bun:split

CREATE TABLE IF NOT EXISTS tries (
    subject    TEXT PRIMARY KEY,
    count      BIGINT NOT NULL,
    expires_at BIGINT NOT NULL
);

--bun:split

CREATE INDEX IF NOT EXISTS tries_expiry ON tries (expires_at);

--bun:split

CREATE TABLE IF NOT EXISTS secrets (
    name       TEXT PRIMARY KEY,
    value      {{.Bytes}} NOT NULL,
    created_at BIGINT NOT NULL
);
