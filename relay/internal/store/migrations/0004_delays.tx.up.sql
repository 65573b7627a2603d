ALTER TABLE sessions ADD COLUMN delays {{.Bytes}};
