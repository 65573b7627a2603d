CREATE TABLE IF NOT EXISTS computers (
    id              TEXT PRIMARY KEY,
    machine_key     {{.Bytes}} NOT NULL UNIQUE,
    machine_id      TEXT NOT NULL,
    same_machine_as TEXT NOT NULL,
    name            TEXT NOT NULL,
    host_name       TEXT NOT NULL,
    os              TEXT NOT NULL,
    os_name         TEXT NOT NULL,
    arch            TEXT NOT NULL,
    user_name       TEXT NOT NULL,
    addresses       TEXT NOT NULL,
    address         TEXT NOT NULL,
    agent_version   TEXT NOT NULL,
    display         TEXT NOT NULL,
    display_detail  TEXT NOT NULL,
    blocked         BOOLEAN NOT NULL,
    added_at        BIGINT NOT NULL,
    added_with      TEXT NOT NULL,
    last_seen       BIGINT NOT NULL,
    preview_at      BIGINT NOT NULL,
    preview_type    TEXT NOT NULL,
    preview_tag     TEXT NOT NULL
);

--bun:split

CREATE INDEX IF NOT EXISTS computers_machine ON computers (machine_id);

--bun:split

CREATE TABLE IF NOT EXISTS inventories (
    computer_id TEXT PRIMARY KEY REFERENCES computers (id) ON DELETE CASCADE,
    taken_at    BIGINT NOT NULL,
    data        {{.Bytes}} NOT NULL
);

--bun:split

CREATE TABLE IF NOT EXISTS nodes (
    id          TEXT PRIMARY KEY,
    alive_until BIGINT NOT NULL
);

--bun:split

CREATE TABLE IF NOT EXISTS presence (
    computer_id TEXT PRIMARY KEY REFERENCES computers (id) ON DELETE CASCADE,
    node_id     TEXT NOT NULL,
    conn_id     TEXT NOT NULL,
    since       BIGINT NOT NULL
);

--bun:split

CREATE INDEX IF NOT EXISTS presence_node ON presence (node_id);

--bun:split

CREATE TABLE IF NOT EXISTS enrollment_tokens (
    id         TEXT PRIMARY KEY,
    token_hash {{.Bytes}} NOT NULL UNIQUE,
    note       TEXT NOT NULL,
    created_by TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    uses_left  BIGINT NOT NULL,
    used       BIGINT NOT NULL,
    revoked_at BIGINT NOT NULL
);
