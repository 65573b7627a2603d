ALTER TABLE sessions DROP COLUMN unattended;
