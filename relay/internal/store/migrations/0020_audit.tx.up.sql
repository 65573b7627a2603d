-- Who did what to what. The number is given within the transaction of the change,
-- while the row of audit_heads is held: entries are there in its order.
CREATE TABLE IF NOT EXISTS audit (
    organization TEXT NOT NULL,
    sequence     BIGINT NOT NULL,
    at           BIGINT NOT NULL,
    actor_kind   TEXT NOT NULL,
    actor_id     TEXT NOT NULL,
    actor_name   TEXT NOT NULL,
    sign_in_id   TEXT NOT NULL,
    address      TEXT NOT NULL,
    action       TEXT NOT NULL,
    object_kind  TEXT NOT NULL,
    object_id    TEXT NOT NULL,
    outcome      TEXT NOT NULL,
    details      TEXT NOT NULL,
    PRIMARY KEY (organization, sequence)
);

--bun:split

CREATE INDEX IF NOT EXISTS audit_at ON audit (at);

--bun:split

-- The number of an organization's newest entry.
CREATE TABLE IF NOT EXISTS audit_heads (
    organization TEXT PRIMARY KEY,
    sequence     BIGINT NOT NULL
);

--bun:split

-- How far each reader of an organization's audit has come, and who reads for it.
CREATE TABLE IF NOT EXISTS audit_readers (
    organization TEXT NOT NULL,
    name         TEXT NOT NULL,
    sequence     BIGINT NOT NULL,
    holder       TEXT NOT NULL,
    held_until   BIGINT NOT NULL,
    PRIMARY KEY (organization, name)
);
