-- +goose Up

-- Which span of which trace made a call, of runs that were traced. Attempts that failed are
-- here too. A fact about processes, so no part of what two ledgers are compared by.
CREATE TABLE trace (
  key   BLOB NOT NULL, -- of the call
  trace BLOB NOT NULL, -- 16 bytes, as OpenTelemetry has them
  span  BLOB NOT NULL, -- 8 bytes
  PRIMARY KEY (key, trace, span)
) STRICT, WITHOUT ROWID;

-- +goose Down
DROP TABLE trace;
