-- Creations that were asked with a key, and what was answered. name and request are
-- keyed hashes, answer is sealed with a key that only the client's own key makes.
CREATE TABLE IF NOT EXISTS idempotency_keys (
    organization TEXT NOT NULL,
    person_id    TEXT NOT NULL,
    name         {{.Bytes}} NOT NULL,
    request      {{.Bytes}} NOT NULL,
    run          TEXT NOT NULL,
    started_at   BIGINT NOT NULL,
    done         BOOLEAN NOT NULL,
    answer       {{.Bytes}} NOT NULL,
    PRIMARY KEY (organization, person_id, name)
);

--bun:split

CREATE INDEX IF NOT EXISTS idempotency_keys_started_at ON idempotency_keys (started_at);
