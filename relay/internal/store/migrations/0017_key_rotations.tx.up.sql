-- How the relay's signing key came to be another one, for agents that were away.
CREATE TABLE IF NOT EXISTS key_rotations (
    new_key              {{.Bytes}} PRIMARY KEY,
    old_key              {{.Bytes}} NOT NULL,
    at                   BIGINT NOT NULL,
    succession_signature {{.Bytes}} NOT NULL,
    old_signature        {{.Bytes}} NOT NULL
);
