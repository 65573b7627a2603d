DROP TABLE IF EXISTS enrollment_tokens;

--bun:split

DROP TABLE IF EXISTS presence;

--bun:split

DROP TABLE IF EXISTS nodes;

--bun:split

DROP TABLE IF EXISTS inventories;

--bun:split

DROP TABLE IF EXISTS computers;
