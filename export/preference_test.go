package export_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"stargate/export"
	"stargate/export/exporttest"
	"stargate/lm"
)

func preferences() []export.Preference {
	ask := lm.Chat{{Role: lm.User, Content: "My name is Ada. Plan a dinner."}}
	p := export.Provenance{Tokenizer: "t", Template: "c", Origin: &export.Origin{Run: "tiny", Pair: "t1/u1"}}
	return []export.Preference{
		{Key: "t1/u1", Prompt: ask, Chosen: "What do you like to eat?", Rejected: "Do you own a car?", Margin: 0.5, Provenance: p},
		{Key: "t2/u1", Prompt: append(ask[:1:1], lm.Message{Role: lm.Assistant, Content: "When?"}, lm.Message{Role: lm.User, Content: "Tonight."}), Chosen: "Fish?", Rejected: "Green?", Margin: 0.25, Provenance: p},
	}
}

func preferenceFormat(t *testing.T, name string) export.PreferenceFormat {
	t.Helper()
	f, ok := export.ParsePreferenceFormat(name)
	if !ok {
		t.Fatalf("no format %q", name)
	}
	return f
}

func source(ps []export.Preference) export.Preferences {
	return func(yield func(export.Preference, error) bool) {
		for _, p := range ps {
			if !yield(p, nil) {
				return
			}
		}
	}
}

// TRL's comparison counts each side's words and the end of the turn, and nothing else; where
// the template has a tail, only the standard format says so.
func TestWritePreferences(t *testing.T) {
	for _, tt := range []struct {
		family, format string
		exact          bool
	}{
		{"nano", "trl-dpo", true}, {"nano", "trl-dpo-text", true}, {"nano", "preferences", true},
		{"mistral", "trl-dpo", true}, {"mistral", "trl-dpo-text", true}, {"llama3", "trl-dpo", true}, {"llama3", "trl-dpo-text", true},
		{"chatml", "trl-dpo", false}, {"chatml", "trl-dpo-text", true}, {"chatml", "preferences", true},
	} {
		text := exporttest.Text(t, tt.family)
		path := filepath.Join(t.TempDir(), "out.jsonl")
		s, err := export.WritePreferences(t.Context(), preferenceFormat(t, tt.format), text, source(preferences()), path, export.Options{})
		if tt.exact != (err == nil) || err != nil && !errors.Is(err, export.ErrLossy) {
			t.Errorf("%s with %s: %v", tt.format, tt.family, err)
			continue
		}
		if !tt.exact {
			if s.Differences.Tail != 4 {
				t.Errorf("%s with %s: %v", tt.format, tt.family, s.Differences)
			}
			continue
		}
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if tt.family == "nano" {
			golden(t, tt.format+".txt", data)
		}
	}
	text := exporttest.Text(t, "nano")
	if _, ok := export.ParsePreferenceFormat("trl"); ok {
		t.Error("a format for examples was taken")
	}
	if _, err := export.WritePreferences(t.Context(), preferenceFormat(t, "trl-dpo"), text, source(nil), filepath.Join(t.TempDir(), "x"), export.Options{}); err == nil || !strings.Contains(err.Error(), "--min-margin") {
		t.Errorf("no preferences: %v", err)
	}
	if _, err := export.WritePreferences(t.Context(), preferenceFormat(t, "trl-dpo"), text, source(append(preferences(), preferences()[0])), filepath.Join(t.TempDir(), "x"), export.Options{}); !errors.Is(err, export.ErrDuplicate) {
		t.Errorf("the same key twice: %v", err)
	}
}

func TestReadPreferences(t *testing.T) {
	path := filepath.Join(t.TempDir(), "out.jsonl")
	if _, err := export.WritePreferences(t.Context(), preferenceFormat(t, "preferences"), exporttest.Text(t, "nano"), source(preferences()), path, export.Options{}); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var got []export.Preference
	for p, err := range export.ReadPreferences(bytes.NewReader(data), "f") {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, p)
	}
	if d := cmp.Diff(preferences(), got); d != "" {
		t.Error(d)
	}
	for _, err := range export.ReadPreferences(strings.NewReader(string(data[:len(data)-1])), "f") {
		if err != nil && !errors.Is(err, export.ErrFormat) {
			t.Error(err)
		}
	}
}
