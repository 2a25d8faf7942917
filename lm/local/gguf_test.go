package local

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"stargate/internal/gguf"
	"stargate/lm"
)

// A GGUF file plays every part, and what is saved of it as a Hugging Face directory is the
// same model.
func TestGGUFIsAModel(t *testing.T) {
	m, err := OpenDir(filepath.Join("testdata", "tiny.gguf"), Options{Workers: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	chat := user("What is the time?")
	c, err := m.Generate(t.Context(), chat, lm.Sampling{MaxTokens: 5})
	if err != nil || c.Usage.CompletionTokens == 0 {
		t.Errorf("%+v, %v", c, err)
	}
	score, err := m.LogProb(t.Context(), chat, "Ask the clock.")
	if err != nil || !(score.Sum < 0) || len(score.Tokens) != len("Ask the clock.")-1 { // "th" is one token
		t.Errorf("%+v, %v", score, err)
	}
	dir := filepath.Join(t.TempDir(), "saved")
	if err := m.Save(dir); err != nil {
		t.Fatal(err)
	}
	again, err := OpenDir(dir, Options{Workers: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer again.Close()
	if other, err := again.LogProb(t.Context(), chat, "Ask the clock."); err != nil || other.Sum != score.Sum {
		t.Errorf("saved and opened again it scores %v (%v), not %v", other.Sum, err, score.Sum)
	}
	tuned, _, err := m.Tune(t.Context(), "m1", examples(8), hyper())
	if err != nil {
		t.Fatal(err)
	}
	tuned.(*Model).Close()
}

func TestDamagedGGUF(t *testing.T) {
	whole, err := os.ReadFile(filepath.Join("testdata", "tiny.gguf"))
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "half.GGUF")
	if err := os.WriteFile(path, whole[:len(whole)/2], 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := OpenDir(path, Options{}); !errors.Is(err, gguf.ErrCorrupt) || !strings.Contains(err.Error(), "half.GGUF") {
		t.Errorf("half a file: %v", err)
	}
	if _, err := OpenDir(filepath.Join(t.TempDir(), "none.gguf"), Options{}); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no file: %v", err)
	}
}
