-- Keys of computers that a person's account remembers. Computers may be gone.
CREATE TABLE IF NOT EXISTS known_keys (
    person_id   TEXT NOT NULL REFERENCES people (id) ON DELETE CASCADE,
    computer_id TEXT NOT NULL,
    machine_key {{.Bytes}} NOT NULL,
    since       BIGINT NOT NULL,
    PRIMARY KEY (person_id, computer_id)
);
