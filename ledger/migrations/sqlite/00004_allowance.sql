-- +goose Up

-- Postgres keeps what several processes may spend together. A file has one process.
SELECT 1;

-- +goose Down
SELECT 1;
