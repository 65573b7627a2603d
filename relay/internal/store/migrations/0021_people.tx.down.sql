-- migrate.go refuses it where something would be lost.
DROP TABLE api_keys;

--bun:split

DROP TABLE policies;

--bun:split

DROP TABLE approvals;

--bun:split

DROP TABLE grants;

--bun:split

DROP INDEX computers_group;

--bun:split

ALTER TABLE computers DROP COLUMN group_id;

--bun:split

DROP TABLE "groups";

--bun:split

DROP TABLE team_members;

--bun:split

DROP TABLE teams;

--bun:split

DROP TABLE roles;

--bun:split

DROP TABLE member_invitations;

--bun:split

ALTER TABLE people RENAME TO people_after;

--bun:split

CREATE TABLE people (
    id            TEXT PRIMARY KEY,
    name          TEXT NOT NULL,
    email         TEXT NOT NULL,
    email_key     TEXT NOT NULL UNIQUE,
    role          TEXT NOT NULL,
    password_hash TEXT NOT NULL,
    created_at    BIGINT NOT NULL
);

--bun:split

INSERT INTO people (id, name, email, email_key, role, password_hash, created_at)
    SELECT p.id, p.name, i."text", i."key", m.role, p.password_hash, p.created_at FROM people_after AS p
    JOIN identifiers AS i ON i.person_id = p.id AND i.kind = 'email'
    JOIN members AS m ON m.person_id = p.id AND m.organization = '00000000-0000-7000-8000-000000000001';

--bun:split

ALTER TABLE sign_ins RENAME TO sign_ins_after;

--bun:split

CREATE TABLE sign_ins (
    token_hash {{.Bytes}} PRIMARY KEY,
    id         TEXT NOT NULL UNIQUE,
    person_id  TEXT NOT NULL REFERENCES people (id) ON DELETE CASCADE,
    address    TEXT NOT NULL,
    browser    TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    seen_at    BIGINT NOT NULL
);

--bun:split

INSERT INTO sign_ins (token_hash, id, person_id, address, browser, created_at, seen_at)
    SELECT token_hash, id, person_id, address, browser, created_at, seen_at FROM sign_ins_after;

--bun:split

DROP TABLE sign_ins_after;

--bun:split

CREATE INDEX sign_ins_person ON sign_ins (person_id);

--bun:split

CREATE INDEX sign_ins_seen ON sign_ins (seen_at);

--bun:split

ALTER TABLE known_keys RENAME TO known_keys_after;

--bun:split

CREATE TABLE known_keys (
    person_id   TEXT NOT NULL REFERENCES people (id) ON DELETE CASCADE,
    computer_id TEXT NOT NULL,
    machine_key {{.Bytes}} NOT NULL,
    since       BIGINT NOT NULL,
    PRIMARY KEY (person_id, computer_id)
);

--bun:split

INSERT INTO known_keys (person_id, computer_id, machine_key, since)
    SELECT person_id, computer_id, machine_key, since FROM known_keys_after;

--bun:split

DROP TABLE known_keys_after;

--bun:split

DROP TABLE members;

--bun:split

DROP TABLE identifiers;

--bun:split

DROP TABLE people_after;

--bun:split

DROP INDEX organizations_code;

--bun:split

ALTER TABLE organizations DROP COLUMN settings;

--bun:split

ALTER TABLE organizations DROP COLUMN code;
