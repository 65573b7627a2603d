-- A token is known by the public half of a key that its secret makes. What was
-- kept before, the secret's hash, cannot become one: open tokens are useless now.
ALTER TABLE enrollment_tokens RENAME COLUMN token_hash TO token_key;

--bun:split

UPDATE enrollment_tokens SET revoked_at = expires_at WHERE revoked_at = 0 AND uses_left > 0;
