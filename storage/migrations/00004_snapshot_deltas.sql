-- +goose Up

-- A snapshot that holds only what has changed names the full one that it starts from, by position and checksum. Both are
-- null in a full one.
ALTER TABLE snapshots ADD COLUMN base_position INTEGER CHECK (base_position BETWEEN 0 AND position - 1);
ALTER TABLE snapshots ADD COLUMN base_checksum BLOB CHECK (length(base_checksum) = 32);
