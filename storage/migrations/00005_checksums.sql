-- +goose Up

-- Checksums of the rows that do not follow from the log: statehouse_sum over the columns before, in their order.
ALTER TABLE meta ADD COLUMN checksum INTEGER NOT NULL DEFAULT 0;
UPDATE meta SET checksum = statehouse_sum(key, value);

ALTER TABLE append_keys ADD COLUMN checksum INTEGER NOT NULL DEFAULT 0;
UPDATE append_keys SET checksum = statehouse_sum(scope, key, hash, first_position, last_position, recorded);

-- The cursor without a name says how many others there are, in position, and what their checksums add up to, in stored.
ALTER TABLE cursors ADD COLUMN checksum INTEGER NOT NULL DEFAULT 0;
UPDATE cursors SET checksum = statehouse_sum(name, position, stored);
INSERT INTO cursors (name, position, stored) SELECT '', count(*), coalesce(sum(checksum), 0) FROM cursors;
UPDATE cursors SET checksum = statehouse_sum(name, position, stored) WHERE name = '';
