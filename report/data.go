package report

import (
	"stargate/eval"
)

// Data is everything the page shows. All of it is plain and comes back from the files
// that [Write] leaves ([Load]).
type Data struct {
	Result *eval.Result // report.json
	Browse              // browse.json
}

// Browse is what the page shows beyond the result.
type Browse struct {
	Iterations []IterationView `json:"iterations"`
	Test       TestView        `json:"test"`
	Provenance Provenance      `json:"provenance"`
}

// TestView is a sample of the test split: conversations of every model on the same pairs.
type TestView struct {
	Pairs  int        `json:"pairs"` // of the split; the sample is bounded
	Sample []PairView `json:"sample"`
}

// Provenance says what the run was made of; no time and no host, so that it is the same
// wherever the run is repeated.
type Provenance struct {
	Version string     `json:"version"` // of the program
	Config  string     `json:"config"`  // SHA-256 of the resolved experiment
	Seeds   []NamedInt `json:"seeds"`
	Models  []Digest   `json:"models"`
	Prompts []Digest   `json:"prompts"`
	Data    []Digest   `json:"data"` // splits or files
}

// Digest is a named SHA-256, in hex.
type Digest struct {
	Name   string `json:"name"`
	SHA256 string `json:"sha256"`
}

// NamedInt is a named number.
type NamedInt struct {
	Name  string `json:"name"`
	Value uint64 `json:"value"`
}
