-- +goose Up

-- The keys of appends that may be repeated, and what became of the first one: its events are those from first_position to
-- last_position, both 0 for none. hash is over its records, empty for a decision. Rows are numbered as they come.
CREATE TABLE append_keys (
    id             INTEGER PRIMARY KEY,
    scope          TEXT NOT NULL,
    key            TEXT NOT NULL,
    hash           BLOB NOT NULL,
    first_position INTEGER NOT NULL,
    last_position  INTEGER NOT NULL,
    recorded       INTEGER NOT NULL,
    UNIQUE (scope, key)
) STRICT;

-- Up to which position the consumers of the log have done with it, and when that was stored.
CREATE TABLE cursors (
    name     TEXT PRIMARY KEY,
    position INTEGER NOT NULL CHECK (position >= 0),
    stored   INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
