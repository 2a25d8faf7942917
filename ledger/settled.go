package ledger

import (
	"database/sql"
	"errors"
)

// Settled tells whether the ledger holds the result of key, or its final error: whether
// asking for it would cost nothing.
func (r *Reader) Settled(key Key) (bool, error) {
	_, _, err := r.lookup(key)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return false, nil
	case err != nil:
		return false, explain(r.path, "look up call "+key.String(), err)
	}
	return true, nil
}
