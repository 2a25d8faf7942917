-- +goose Up

-- What a run may spend on servers in all, and what each of the processes that spend it together
-- may; money in the currency of the prices. What was spent before they began has worker 0.
CREATE TABLE spending_limit (
  id     BIGINT PRIMARY KEY CHECK (id = 1),
  tokens BIGINT NOT NULL, -- 0 = no limit
  cost   DOUBLE PRECISION NOT NULL
);

CREATE TABLE allowance (
  worker         BIGINT PRIMARY KEY,
  granted_tokens BIGINT NOT NULL, -- what it may have spent since it began
  granted_cost   DOUBLE PRECISION NOT NULL,
  spent_tokens   BIGINT NOT NULL, -- what it told that it has
  spent_cost     DOUBLE PRECISION NOT NULL
);

-- +goose Down
DROP TABLE allowance;
DROP TABLE spending_limit;
