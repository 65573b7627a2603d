ALTER TABLE sessions DROP COLUMN delays;
