DROP TABLE IF EXISTS removed_keys;

--bun:split

DROP TABLE IF EXISTS waiting_computers;
