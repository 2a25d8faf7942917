package runner

import (
	"encoding/json"
	"os"
	"path/filepath"

	"stargate/lm"
)

// Scripted is a model that a program computes replies with. As the base model of a run it takes
// no part in what is measured around it: see internal/scale. It plays every role that nobody is
// named for, and nothing is trained: a fine-tune of it is a note, and speaks as it does.
type Scripted struct {
	Model interface {
		lm.Generator
		lm.Scorer
	}
	Digest string // of everything that determines its replies
}

// noteFile is what there is of a fine-tune of a scripted model.
const noteFile = "scripted.json"

// note writes the fine-tune with this key to dir.
func (m *Scripted) note(name, key, dir string, examples int) (tuned, error) {
	made := tuned{Log: lm.TuneLog{Examples: examples}}
	var err error
	if made.Digest, err = digest([]any{m.Digest, key}); err != nil {
		return made, err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return made, err
	}
	return made, writeJSON(filepath.Join(dir, noteFile), map[string]string{"name": name, "digest": made.Digest})
}

// open is the policy that note left in dir, and its digest.
func (m *Scripted) open(dir string) (lm.Generator, string, error) {
	text, err := os.ReadFile(filepath.Join(dir, noteFile))
	if err != nil {
		return nil, "", err
	}
	var n struct{ Digest string }
	return m.Model, n.Digest, json.Unmarshal(text, &n)
}
