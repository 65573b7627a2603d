DROP TABLE IF EXISTS twins;

--bun:split

DROP INDEX IF EXISTS computers_fingerprint;

--bun:split

ALTER TABLE enrollment_tokens DROP COLUMN split_from;

--bun:split

ALTER TABLE computers DROP COLUMN split_from;

--bun:split

ALTER TABLE computers DROP COLUMN fingerprint;
