-- How much an organization may have of what is counted. A kind without a row has no
-- limit. It is a table and not the organization's settings, because what creates reads
-- it, and waits for others who create, in its own statement.
CREATE TABLE quotas (
    organization TEXT NOT NULL,
    kind         TEXT NOT NULL,
    most         BIGINT NOT NULL,
    PRIMARY KEY (organization, kind)
);

--bun:split

-- Bytes of what is kept of a computer. A preview's is 0 until the next one comes.
ALTER TABLE computers ADD COLUMN preview_size BIGINT NOT NULL DEFAULT 0;

--bun:split

ALTER TABLE inventories ADD COLUMN size BIGINT NOT NULL DEFAULT 0;

--bun:split

UPDATE inventories SET size = LENGTH(data);

--bun:split

CREATE INDEX computers_preview_size ON computers (organization, preview_size);

--bun:split

CREATE INDEX inventories_size ON inventories (organization, size);
