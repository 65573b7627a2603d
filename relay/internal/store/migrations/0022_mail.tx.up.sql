-- Mails that wait, and what became of those that do not. Each is written with the
-- change that it is about. data is sealed while the mail waits, and empty afterwards.
CREATE TABLE IF NOT EXISTS mails (
    id           TEXT PRIMARY KEY,
    organization TEXT NOT NULL,
    recipient    TEXT NOT NULL,
    kind         TEXT NOT NULL,
    language     TEXT NOT NULL,
    data         {{.Bytes}} NOT NULL,
    sealed_by    TEXT NOT NULL,
    state        TEXT NOT NULL,
    attempts     BIGINT NOT NULL,
    next_at      BIGINT NOT NULL,
    holder       TEXT NOT NULL,
    held_until   BIGINT NOT NULL,
    last_error   TEXT NOT NULL,
    created_at   BIGINT NOT NULL,
    sent_at      BIGINT NOT NULL
);

--bun:split

-- What is due.
CREATE INDEX IF NOT EXISTS mails_due ON mails (state, next_at);

--bun:split

-- The list of an organization.
CREATE INDEX IF NOT EXISTS mails_organization ON mails (organization, created_at, id);

--bun:split

-- How many somebody was sent of late.
CREATE INDEX IF NOT EXISTS mails_recipient ON mails (LOWER(recipient), created_at);
