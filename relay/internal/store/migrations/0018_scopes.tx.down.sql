ALTER TABLE computers DROP COLUMN capabilities;

--bun:split

ALTER TABLE sessions ADD COLUMN mode TEXT NOT NULL DEFAULT '';

--bun:split

UPDATE sessions SET mode = CASE WHEN scopes LIKE '%control%' THEN 'control' WHEN scopes LIKE '%view%' THEN 'view' ELSE '' END;

--bun:split

ALTER TABLE sessions DROP COLUMN scopes_now;

--bun:split

ALTER TABLE sessions DROP COLUMN scopes;
