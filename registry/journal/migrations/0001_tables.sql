-- The tables of format 1: those of the SQLite journal, with the newest row beside the store's
-- identity, where every writer locks it. A place is the number of a branch and a version.

CREATE TABLE treerunner.store (
    is_only boolean PRIMARY KEY CHECK (is_only),
    id bytea NOT NULL,
    head_row bigint NOT NULL,
    head_digest bytea NOT NULL,
    logs_before bigint NOT NULL
) WITH (fillfactor = 10);

CREATE TABLE treerunner.groups (
    row bigint PRIMARY KEY,
    header bytea NOT NULL,
    digest bytea NOT NULL
);

CREATE TABLE treerunner.logs (
    row bigint PRIMARY KEY,
    checksum bigint NOT NULL,
    data bytea NOT NULL
);

CREATE TABLE treerunner.roots (
    number bigint PRIMARY KEY,
    root bytea NOT NULL UNIQUE,
    epoch bigint NOT NULL,
    holder bytea NOT NULL,
    since double precision NOT NULL,
    checksum bigint NOT NULL
);

CREATE TABLE treerunner.branches (
    number bigint PRIMARY KEY,
    root bytea NOT NULL,
    branch bigint NOT NULL,
    start bigint NOT NULL,
    head bigint NOT NULL,
    forgotten bigint NOT NULL,
    born bigint NOT NULL,
    noted bigint NOT NULL,
    checksum bigint NOT NULL,
    about bytea NOT NULL,
    UNIQUE (root, branch)
) WITH (fillfactor = 50);

CREATE TABLE treerunner.parts (
    place bigint PRIMARY KEY,
    first bigint NOT NULL,
    row bigint NOT NULL,
    checksum bigint NOT NULL,
    data bytea NOT NULL
);

CREATE TABLE treerunner.checkpoints (
    place bigint PRIMARY KEY,
    checksum bigint NOT NULL,
    data bytea NOT NULL
);

-- An index holds no value of more than 2704 bytes: of a long id, `id` has the beginning and a digest,
-- and `whole` all of it.
CREATE TABLE treerunner.effects (
    root bigint NOT NULL,
    id bytea NOT NULL,
    row bigint NOT NULL,
    checksum bigint NOT NULL,
    outcome bytea NOT NULL,
    whole bytea,
    PRIMARY KEY (root, id)
);
