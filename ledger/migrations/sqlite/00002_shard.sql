-- +goose Up

-- Parquet files that hold the bodies of calls which are not held here, ordered by key.
CREATE TABLE shard (
  id     INTEGER PRIMARY KEY,
  name   TEXT    NOT NULL UNIQUE, -- of the object in its bucket
  digest BLOB    NOT NULL,        -- SHA-256 of the object
  calls  INTEGER NOT NULL
) STRICT;

-- Where the body is; NULL = here, else text and tokens are empty.
ALTER TABLE call ADD COLUMN shard INTEGER REFERENCES shard (id);

-- +goose Down
ALTER TABLE call DROP COLUMN shard;
DROP TABLE shard;
