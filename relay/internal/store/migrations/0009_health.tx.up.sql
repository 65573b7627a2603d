-- A row per node, written and read back to know that the database works.
CREATE TABLE IF NOT EXISTS health (
    node  TEXT PRIMARY KEY,
    value TEXT NOT NULL
);
