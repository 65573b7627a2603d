CREATE TABLE IF NOT EXISTS sessions (
    id               TEXT PRIMARY KEY,
    computer_id      TEXT NOT NULL,
    computer_name    TEXT NOT NULL,
    operator_id      TEXT NOT NULL,
    operator_name    TEXT NOT NULL,
    operator_address TEXT NOT NULL,
    browser          TEXT NOT NULL,
    sign_in_id       TEXT NOT NULL,
    mode             TEXT NOT NULL,
    started_at       BIGINT NOT NULL,
    connected_at     BIGINT NOT NULL,
    ended_at         BIGINT NOT NULL,
    seen_at          BIGINT NOT NULL,
    end_reason       TEXT NOT NULL,
    end_code         TEXT NOT NULL,
    end_detail       TEXT NOT NULL,
    path             TEXT NOT NULL,
    bytes_sent       BIGINT NOT NULL,
    bytes_received   BIGINT NOT NULL,
    codec            TEXT NOT NULL
);

--bun:split

CREATE INDEX IF NOT EXISTS sessions_started ON sessions (started_at, id);

--bun:split

CREATE INDEX IF NOT EXISTS sessions_computer ON sessions (computer_id, started_at, id);

--bun:split

CREATE INDEX IF NOT EXISTS sessions_operator ON sessions (operator_id, started_at, id);

--bun:split

CREATE INDEX IF NOT EXISTS sessions_running ON sessions (computer_id) WHERE ended_at = 0;
