-- Machines that this relay once enrolled and does not know any more.
CREATE TABLE IF NOT EXISTS waiting_computers (
    computer_id   TEXT PRIMARY KEY,
    machine_key   {{.Bytes}} NOT NULL UNIQUE,
    machine_id    TEXT NOT NULL,
    fingerprint   TEXT NOT NULL,
    host_name     TEXT NOT NULL,
    os            TEXT NOT NULL,
    os_name       TEXT NOT NULL,
    arch          TEXT NOT NULL,
    address       TEXT NOT NULL,
    agent_version TEXT NOT NULL,
    since         BIGINT NOT NULL,
    seen_at       BIGINT NOT NULL
);

--bun:split

-- Keys of computers that people removed: they do not wait.
CREATE TABLE IF NOT EXISTS removed_keys (
    machine_key {{.Bytes}} PRIMARY KEY,
    removed_at  BIGINT NOT NULL
);
