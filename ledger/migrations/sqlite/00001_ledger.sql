-- +goose Up
PRAGMA application_id = 1398033479; -- "STLG": tells a ledger from any other SQLite file

-- Whose ledger this is: one row.
CREATE TABLE run (
  id     INTEGER PRIMARY KEY CHECK (id = 1),
  name   TEXT NOT NULL,
  digest TEXT NOT NULL
) STRICT;

-- Who asked which model for what.
CREATE TABLE source (
  id    INTEGER PRIMARY KEY,
  role  TEXT NOT NULL,
  model TEXT NOT NULL, -- digest of the weights
  kind  TEXT NOT NULL, -- generate | score
  UNIQUE (role, model, kind)
) STRICT;

-- Every settled model call: one row per content key.
CREATE TABLE call (
  id         INTEGER PRIMARY KEY,
  key        BLOB    NOT NULL UNIQUE,
  source     INTEGER NOT NULL REFERENCES source (id), -- the first that asked
  outcome    TEXT    NOT NULL, -- '' = a result; else the kind of a final error, its message in text
  tokens_in  INTEGER NOT NULL,
  tokens_out INTEGER NOT NULL,
  finish     TEXT    NOT NULL, -- generate: why the completion ended
  text       TEXT    NOT NULL, -- generate: the completion
  score      REAL    NOT NULL, -- score: sum of natural-log probabilities
  tokens     BLOB    NOT NULL  -- generate: ids as varints; score: (id varint, float64) pairs
) STRICT;

-- Further roles that used a call another role had made.
CREATE TABLE also (
  call   INTEGER NOT NULL REFERENCES call (id),
  source INTEGER NOT NULL REFERENCES source (id),
  PRIMARY KEY (call, source)
) STRICT, WITHOUT ROWID;

-- Failed attempts. A key without a row in call is owed.
CREATE TABLE failure (
  key      BLOB    NOT NULL,
  source   INTEGER NOT NULL REFERENCES source (id),
  kind     TEXT    NOT NULL,
  message  TEXT    NOT NULL, -- of the last attempt
  attempts INTEGER NOT NULL,
  PRIMARY KEY (key, source)
) STRICT;

-- Results of long steps, such as a training run.
CREATE TABLE step (
  key    TEXT PRIMARY KEY,
  name   TEXT NOT NULL,
  result TEXT NOT NULL -- JSON
) STRICT, WITHOUT ROWID;

-- Small JSON documents, written once.
CREATE TABLE document (
  key  TEXT PRIMARY KEY,
  body TEXT NOT NULL
) STRICT;

-- +goose Down
DROP TABLE document;
DROP TABLE step;
DROP TABLE failure;
DROP TABLE also;
DROP TABLE call;
DROP TABLE source;
DROP TABLE run;
