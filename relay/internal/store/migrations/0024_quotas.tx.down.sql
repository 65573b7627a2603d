DROP INDEX inventories_size;

--bun:split

DROP INDEX computers_preview_size;

--bun:split

ALTER TABLE inventories DROP COLUMN size;

--bun:split

ALTER TABLE computers DROP COLUMN preview_size;

--bun:split

-- migrate.go refuses it where a quota would be lost.
DROP TABLE quotas;
