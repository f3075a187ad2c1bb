-- +goose Up

-- Which entities a sealed segment may hold events of: a filter for each sealed segment, in place of a row for each
-- entity of it. A row here says that the segment is sealed.
CREATE TABLE segment_filters (
    last_position INTEGER PRIMARY KEY,
    filter        BLOB NOT NULL
) STRICT;

DROP TABLE entity_segments;
