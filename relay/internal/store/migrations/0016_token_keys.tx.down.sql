ALTER TABLE enrollment_tokens RENAME COLUMN token_key TO token_hash;
