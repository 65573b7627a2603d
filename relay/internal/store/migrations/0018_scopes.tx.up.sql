-- What a session may do, in place of its mode: scopes are all that it had,
-- scopes_now what it has, as long as it runs.
ALTER TABLE sessions ADD COLUMN scopes TEXT NOT NULL DEFAULT '';

--bun:split

ALTER TABLE sessions ADD COLUMN scopes_now TEXT NOT NULL DEFAULT '';

--bun:split

UPDATE sessions SET scopes = CASE mode WHEN 'control' THEN 'view control' WHEN 'view' THEN 'view' ELSE '' END;

--bun:split

UPDATE sessions SET scopes_now = scopes;

--bun:split

ALTER TABLE sessions DROP COLUMN mode;

--bun:split

-- What its agent can do; empty: it is from before capabilities.
ALTER TABLE computers ADD COLUMN capabilities TEXT NOT NULL DEFAULT '';
