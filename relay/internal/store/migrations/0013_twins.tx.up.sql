ALTER TABLE computers ADD COLUMN fingerprint TEXT NOT NULL DEFAULT '';

--bun:split

ALTER TABLE computers ADD COLUMN split_from TEXT NOT NULL DEFAULT '';

--bun:split

ALTER TABLE enrollment_tokens ADD COLUMN split_from TEXT NOT NULL DEFAULT '';

--bun:split

CREATE INDEX IF NOT EXISTS computers_fingerprint ON computers (fingerprint);

--bun:split

-- Two machines that were connected with one computer's key at once.
CREATE TABLE IF NOT EXISTS twins (
    computer_id        TEXT PRIMARY KEY REFERENCES computers (id) ON DELETE CASCADE,
    seen_at            BIGINT NOT NULL,
    first_instance     TEXT NOT NULL,
    first_fingerprint  TEXT NOT NULL,
    first_host_name    TEXT NOT NULL,
    first_address      TEXT NOT NULL,
    second_instance    TEXT NOT NULL,
    second_fingerprint TEXT NOT NULL,
    second_host_name   TEXT NOT NULL,
    second_address     TEXT NOT NULL,
    renews             TEXT NOT NULL
);
