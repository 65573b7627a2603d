-- A person is an account that is known by any number of identifiers, and is a
-- member of any number of organizations. Who owned the relay owns the first one.
ALTER TABLE organizations ADD COLUMN code TEXT NOT NULL DEFAULT '';

--bun:split

ALTER TABLE organizations ADD COLUMN settings TEXT NOT NULL DEFAULT '{}';

--bun:split

UPDATE organizations SET code = CASE id WHEN '00000000-0000-7000-8000-000000000001' THEN 'main' ELSE substr(replace(id, '-', ''), 1, 32) END;

--bun:split

CREATE UNIQUE INDEX organizations_code ON organizations (code);

--bun:split

-- The table is made anew: SQLite drops no column that is unique. What refers to it
-- is made anew, too, because it would go with the old one.
ALTER TABLE people RENAME TO people_before;

--bun:split

CREATE TABLE people (
    id            TEXT PRIMARY KEY,
    kind          TEXT NOT NULL,
    name          TEXT NOT NULL,
    password_hash TEXT NOT NULL,
    state         TEXT NOT NULL,
    created_at    BIGINT NOT NULL
);

--bun:split

INSERT INTO people (id, kind, name, password_hash, state, created_at)
    SELECT id, 'person', name, password_hash, 'active', created_at FROM people_before;

--bun:split

-- What somebody types to sign in. The organization of an e-mail address is '':
-- it is unique in the relay, the others are within an organization.
CREATE TABLE identifiers (
    person_id    TEXT NOT NULL REFERENCES people (id) ON DELETE CASCADE,
    kind         TEXT NOT NULL,
    organization TEXT NOT NULL,
    "key"        TEXT NOT NULL,
    "text"       TEXT NOT NULL,
    verified_at  BIGINT NOT NULL,
    created_at   BIGINT NOT NULL,
    PRIMARY KEY (kind, organization, "key")
);

--bun:split

CREATE INDEX identifiers_key ON identifiers ("key", kind);

--bun:split

CREATE INDEX identifiers_person ON identifiers (person_id);

--bun:split

INSERT INTO identifiers (person_id, kind, organization, "key", "text", verified_at, created_at)
    SELECT id, 'email', '', email_key, email, CASE WHEN created_at > 0 THEN created_at ELSE 1 END, created_at FROM people_before;

--bun:split

CREATE TABLE members (
    organization TEXT NOT NULL,
    person_id    TEXT NOT NULL REFERENCES people (id) ON DELETE CASCADE,
    role         TEXT NOT NULL,
    state        TEXT NOT NULL,
    created_at   BIGINT NOT NULL,
    PRIMARY KEY (organization, person_id)
);

--bun:split

CREATE INDEX members_person ON members (person_id);

--bun:split

INSERT INTO members (organization, person_id, role, state, created_at)
    SELECT '00000000-0000-7000-8000-000000000001', id, role, 'active', created_at FROM people_before;

--bun:split

ALTER TABLE sign_ins RENAME TO sign_ins_before;

--bun:split

CREATE TABLE sign_ins (
    token_hash   {{.Bytes}} PRIMARY KEY,
    id           TEXT NOT NULL UNIQUE,
    person_id    TEXT NOT NULL REFERENCES people (id) ON DELETE CASCADE,
    organization TEXT NOT NULL,
    address      TEXT NOT NULL,
    browser      TEXT NOT NULL,
    created_at   BIGINT NOT NULL,
    seen_at      BIGINT NOT NULL
);

--bun:split

INSERT INTO sign_ins (token_hash, id, person_id, organization, address, browser, created_at, seen_at)
    SELECT token_hash, id, person_id, '00000000-0000-7000-8000-000000000001', address, browser, created_at, seen_at FROM sign_ins_before;

--bun:split

DROP TABLE sign_ins_before;

--bun:split

CREATE INDEX sign_ins_person ON sign_ins (person_id);

--bun:split

CREATE INDEX sign_ins_seen ON sign_ins (seen_at);

--bun:split

ALTER TABLE known_keys RENAME TO known_keys_before;

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
    SELECT person_id, computer_id, machine_key, since FROM known_keys_before;

--bun:split

DROP TABLE known_keys_before;

--bun:split

DROP TABLE people_before;

--bun:split

-- Who is asked to become a member. One of an e-mail address in an organization.
CREATE TABLE member_invitations (
    id           TEXT PRIMARY KEY,
    organization TEXT NOT NULL,
    email        TEXT NOT NULL,
    email_key    TEXT NOT NULL,
    name         TEXT NOT NULL,
    role         TEXT NOT NULL,
    token_hash   {{.Bytes}} NOT NULL UNIQUE,
    invited_by   TEXT NOT NULL,
    created_at   BIGINT NOT NULL,
    expires_at   BIGINT NOT NULL,
    UNIQUE (organization, email_key)
);

--bun:split

-- Roles of an organization's own; permissions are words with spaces between.
CREATE TABLE roles (
    organization TEXT NOT NULL,
    id           TEXT NOT NULL,
    name         TEXT NOT NULL,
    permissions  TEXT NOT NULL,
    created_at   BIGINT NOT NULL,
    PRIMARY KEY (organization, id)
);

--bun:split

CREATE TABLE teams (
    organization TEXT NOT NULL,
    id           TEXT NOT NULL,
    name         TEXT NOT NULL,
    created_at   BIGINT NOT NULL,
    PRIMARY KEY (organization, id)
);

--bun:split

CREATE TABLE team_members (
    organization TEXT NOT NULL,
    team_id      TEXT NOT NULL,
    person_id    TEXT NOT NULL,
    PRIMARY KEY (organization, team_id, person_id),
    FOREIGN KEY (organization, team_id) REFERENCES teams (organization, id) ON DELETE CASCADE,
    FOREIGN KEY (organization, person_id) REFERENCES members (organization, person_id) ON DELETE CASCADE
);

--bun:split

CREATE INDEX team_members_person ON team_members (organization, person_id);

--bun:split

-- Groups of computers, in a tree: path is '/' and the ids from the top, each with a
-- '/' behind it.
CREATE TABLE "groups" (
    organization TEXT NOT NULL,
    id           TEXT NOT NULL,
    parent_id    TEXT NOT NULL,
    name         TEXT NOT NULL,
    path         TEXT NOT NULL,
    created_at   BIGINT NOT NULL,
    PRIMARY KEY (organization, id)
);

--bun:split

CREATE INDEX groups_parent ON "groups" (organization, parent_id);

--bun:split

CREATE INDEX groups_path ON "groups" (organization, path);

--bun:split

ALTER TABLE computers ADD COLUMN group_id TEXT NOT NULL DEFAULT '';

--bun:split

CREATE INDEX computers_group ON computers (organization, group_id);

--bun:split

CREATE TABLE grants (
    organization TEXT NOT NULL,
    id           TEXT NOT NULL,
    subject_kind TEXT NOT NULL,
    subject_id   TEXT NOT NULL,
    role         TEXT NOT NULL,
    object_kind  TEXT NOT NULL,
    object_id    TEXT NOT NULL,
    hours        TEXT NOT NULL,
    from_at      BIGINT NOT NULL,
    until_at     BIGINT NOT NULL,
    approval     BOOLEAN NOT NULL,
    made_by      TEXT NOT NULL,
    created_at   BIGINT NOT NULL,
    PRIMARY KEY (organization, id)
);

--bun:split

CREATE INDEX grants_subject ON grants (organization, subject_kind, subject_id);

--bun:split

CREATE INDEX grants_object ON grants (organization, object_kind, object_id);

--bun:split

-- Who asked to use a grant that needs a second person, and what that one said.
CREATE TABLE approvals (
    organization TEXT NOT NULL,
    id           TEXT NOT NULL,
    grant_id     TEXT NOT NULL,
    person_id    TEXT NOT NULL,
    computer_id  TEXT NOT NULL,
    reason       TEXT NOT NULL,
    asked_at     BIGINT NOT NULL,
    decided_by   TEXT NOT NULL,
    decided_at   BIGINT NOT NULL,
    outcome      TEXT NOT NULL,
    until_at     BIGINT NOT NULL,
    PRIMARY KEY (organization, id),
    FOREIGN KEY (organization, grant_id) REFERENCES grants (organization, id) ON DELETE CASCADE,
    FOREIGN KEY (organization, person_id) REFERENCES members (organization, person_id) ON DELETE CASCADE
);

--bun:split

CREATE INDEX approvals_person ON approvals (organization, person_id, grant_id);

--bun:split

CREATE INDEX approvals_grant ON approvals (organization, grant_id);

--bun:split

CREATE TABLE policies (
    organization TEXT NOT NULL,
    object_kind  TEXT NOT NULL,
    object_id    TEXT NOT NULL,
    version      BIGINT NOT NULL,
    settings     TEXT NOT NULL,
    changed_at   BIGINT NOT NULL,
    PRIMARY KEY (organization, object_kind, object_id)
);

--bun:split

CREATE TABLE api_keys (
    organization TEXT NOT NULL,
    id           TEXT NOT NULL,
    person_id    TEXT NOT NULL,
    name         TEXT NOT NULL,
    token_hash   {{.Bytes}} NOT NULL UNIQUE,
    permissions  TEXT NOT NULL,
    created_at   BIGINT NOT NULL,
    expires_at   BIGINT NOT NULL,
    used_at      BIGINT NOT NULL,
    PRIMARY KEY (organization, id),
    FOREIGN KEY (organization, person_id) REFERENCES members (organization, person_id) ON DELETE CASCADE
);

--bun:split

CREATE INDEX api_keys_person ON api_keys (organization, person_id);
