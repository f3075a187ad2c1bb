-- +goose Up

-- What the file is, once.
CREATE TABLE meta (
    key   TEXT PRIMARY KEY,
    value BLOB NOT NULL
) STRICT, WITHOUT ROWID;

-- The log: runs of consecutive events. encoding says how body is to be read; a commit writes one row.
-- Times are nanoseconds since 1970 in UTC. chain is the chain's value after last_position.
CREATE TABLE segments (
    last_position  INTEGER PRIMARY KEY CHECK (last_position >= first_position),
    first_position INTEGER NOT NULL CHECK (first_position >= 1),
    first_recorded INTEGER NOT NULL,
    last_recorded  INTEGER NOT NULL,
    encoding       INTEGER NOT NULL,
    chain          BLOB NOT NULL CHECK (length(chain) = 32),
    body           BLOB NOT NULL
) STRICT;

-- Which sealed segments an entity has events in; sealing fills it.
CREATE TABLE entity_segments (
    entity_id     TEXT NOT NULL,
    last_position INTEGER NOT NULL,
    PRIMARY KEY (entity_id, last_position)
) STRICT, WITHOUT ROWID;

-- The folds of projectors at positions. A snapshot without this row does not exist, whatever parts there are.
CREATE TABLE snapshots (
    owner        TEXT NOT NULL,
    position     INTEGER NOT NULL CHECK (position >= 0),
    file_uuid    BLOB NOT NULL CHECK (length(file_uuid) = 16),
    fold_version INTEGER NOT NULL,
    chain        BLOB NOT NULL CHECK (length(chain) = 32),
    encoding     INTEGER NOT NULL,
    count        INTEGER NOT NULL,
    parts        INTEGER NOT NULL,
    checksum     BLOB NOT NULL CHECK (length(checksum) = 32),
    PRIMARY KEY (owner, position)
) STRICT, WITHOUT ROWID;

CREATE TABLE snapshot_parts (
    owner    TEXT NOT NULL,
    position INTEGER NOT NULL,
    part     INTEGER NOT NULL CHECK (part >= 0),
    body     BLOB NOT NULL,
    PRIMARY KEY (owner, position, part)
) STRICT;
