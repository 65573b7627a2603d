DROP TABLE IF EXISTS confirmations;

--bun:split

DROP TABLE IF EXISTS relay_settings;
