-- Why sign-ins ended that are not there any more, for the tabs that they were of. Kept for
-- a day.
CREATE TABLE IF NOT EXISTS sign_in_ends (
    id       TEXT PRIMARY KEY,
    reason   TEXT NOT NULL,
    ended_at BIGINT NOT NULL
);

--bun:split

CREATE INDEX IF NOT EXISTS sign_in_ends_ended ON sign_in_ends (ended_at);
