ALTER TABLE secrets DROP COLUMN sealed_by;
