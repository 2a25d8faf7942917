package ledger

// Settled tells whether the ledger holds the result of key, or its final error: whether
// asking for it would cost nothing.
func (r *Reader) Settled(key Key) (bool, error) {
	_, _, err := r.lookup(key)
	switch {
	case isNone(err):
		return false, nil
	case err != nil:
		return false, explain(r.store, "look up call "+key.String(), err)
	}
	return true, nil
}
