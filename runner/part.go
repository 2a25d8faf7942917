package runner

// Policy refers to a policy of a run: m0, or a fine-tune by its step in the ledger.
type Policy struct {
	Name   string `json:"name"`           // "m0", "m1", …
	Step   string `json:"step,omitempty"` // key of the fine-tune; "" for m0
	Digest string `json:"digest"`         // of the weights
}

// Tally is what was done for some pairs.
type Tally struct {
	Pairs     int `json:"pairs"`
	Completed int `json:"completed"` // conversations
	Dropped   int `json:"dropped"`   // conversations, each for a flaw that the report counts
	Selected  int `json:"selected"`
	// Digest is the sum, modulo 2^64, of a hash of what was selected for each pair. It does
	// not depend on how the pairs were cut into shards.
	Digest uint64 `json:"digest,string"`
}

// Plus adds what was done for other pairs.
func (t Tally) Plus(u Tally) Tally {
	return Tally{t.Pairs + u.Pairs, t.Completed + u.Completed, t.Dropped + u.Dropped, t.Selected + u.Selected, t.Digest + u.Digest}
}

// Reported is a finished run, by reference.
type Reported struct {
	Place  string `json:"place"`  // directory on the worker, or the run's folder in the store
	Digest string `json:"digest"` // SHA-256 of report.json, in hexadecimal
}
