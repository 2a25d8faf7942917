package export_test

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"stargate/export"
	"stargate/export/exporttest"
	"stargate/lm"
	"stargate/lm/local"
)

// encoded are conversations as examples of a family's model; without names all of the tests'.
func encoded(t testing.TB, text *local.Text, names ...string) []export.Example {
	t.Helper()
	var out []export.Example
	for i, e := range exporttest.Conversations() {
		if len(names) > 0 && !slices.Contains(names, e.Key) {
			continue
		}
		x, err := export.Encode(text, e, 1, export.Provenance{Model: "base", Version: "test", Origin: &export.Origin{Run: "tiny", Identity: "id", Iteration: 1, Split: "A", Pair: "t1/u1", Sample: i, Score: -1.5 * float64(i+1), GoldToks: 3, Margin: 0.25}})
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, x)
	}
	return out
}

func format(t testing.TB, name string) export.Format {
	t.Helper()
	f, err := export.ParseFormat(name)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func write(t testing.TB, name string, text *local.Text, es []export.Example, o export.Options) (export.Summary, error) {
	t.Helper()
	return export.Write(t.Context(), format(t, name), text, export.Examples(es), filepath.Join(t.TempDir(), "out"+format(t, name).Suffix), o)
}

// Which formats say exactly what is trained, with which templates. The others are refused, and
// the reason is told: this table is that of docs/export.md.
func TestWhatFormatsCanSay(t *testing.T) {
	// Reasons, as errors tell them.
	const (
		exact  = ""
		tail   = "behind the end of a turn"          // the trainer trains the line break behind the end too
		lost   = "leaves out or stops at"            // the trainer does not take the rows
		pieces = "becomes other tokens"              // parts are tokenised alone, and a space is added to each
		short  = "tokens not trained that should be" // words are not found in the tokens
	)
	tails := map[string]string{"chatml": tail, "chatml, default system": tail, "chatml, generation": tail, "zephyr": tail}
	factory := map[string]string{"mistral": lost, "llama2, pieces": pieces}
	for family, reason := range tails {
		factory[family] = reason
	}
	for name, but := range map[string]map[string]string{
		"jsonl":                nil,
		"parquet":              nil,
		"tokenized":            nil,
		"tokenized-parquet":    nil,
		"openai":               nil,
		"trl":                  tails,
		"trl-text":             nil,
		"trl-messages":         {"*": lost, "chatml, generation": exact},
		"axolotl":              {"mistral": short, "llama2, pieces": short}, // the space in front of the words is not found
		"llama-factory":        factory,
		"llama-factory-last":   factory,
		"llama-factory-alpaca": factory,
	} {
		for _, family := range exporttest.Families() {
			t.Run(name+"/"+family, func(t *testing.T) {
				reason, ok := but[family]
				if !ok {
					reason = but["*"]
				}
				text := exporttest.Text(t, family)
				es := encoded(t, text, "one turn", "two turns", "long", "scripts", "lines")
				s, err := write(t, name, text, es, export.Options{})
				switch {
				case reason == exact && err != nil:
					t.Fatalf("wanted an exact export, got %v", err)
				case reason != exact && (!errors.Is(err, export.ErrLossy) || !strings.Contains(err.Error(), reason)):
					t.Fatalf("wanted %q, got %v", reason, err)
				case reason == exact:
					return
				}
				if _, err := os.Stat(s.Path); !errors.Is(err, os.ErrNotExist) {
					t.Errorf("something was written: %v", err)
				}
				s, err = write(t, name, text, es, export.Options{Lossy: true})
				if err != nil || s.Differences.None() {
					t.Errorf("lossy: %v, %v", s.Differences, err)
				}
			})
		}
	}
}

// Words that look like what axolotl puts in their place are lost by it, and by it alone.
func TestAxolotlLosesWords(t *testing.T) {
	text := exporttest.Text(t, "nano")
	es := encoded(t, text, "markup")
	s, err := write(t, "axolotl", text, es, export.Options{Lossy: true})
	if err != nil || s.Differences.Missing == 0 || s.Differences.Extra != 0 {
		t.Errorf("%v, %v", s.Differences, err)
	}
	for _, f := range []string{"trl", "tokenized", "llama-factory", "openai"} {
		if _, err := write(t, f, text, es, export.Options{}); err != nil {
			t.Error(err)
		}
	}
}

// A model whose own template LLaMA-Factory cannot take apart is exported with one of its own.
func TestLlamaFactoryTemplate(t *testing.T) {
	text := exporttest.Text(t, "mistral")
	s, err := write(t, "llama-factory-last", text, encoded(t, text), export.Options{LlamaFactoryTemplate: "mistral"})
	if err != nil {
		t.Fatal(err)
	}
	if s.Rows <= s.Examples || len(s.Beside) != 2 {
		t.Errorf("%+v", s)
	}
	if _, err := write(t, "llama-factory", text, encoded(t, text), export.Options{LlamaFactoryTemplate: "zephyr"}); !errors.Is(err, export.ErrLossy) {
		t.Errorf("another family's template: %v", err)
	}
	if _, err := write(t, "llama-factory", text, encoded(t, text), export.Options{LlamaFactoryTemplate: "nobody's"}); err == nil || errors.Is(err, export.ErrLossy) {
		t.Errorf("a template that is not known: %v", err)
	}
}

// Only some messages are trained: formats that train all are refused.
func TestSomeMessages(t *testing.T) {
	text := exporttest.Text(t, "chatml, generation")
	e := exporttest.Conversations()[1]
	e.Loss = e.Loss[1:]
	x, err := export.Encode(text, e, 1, export.Provenance{})
	if err != nil {
		t.Fatal(err)
	}
	for name, exact := range map[string]bool{"tokenized": true, "trl-text": true, "axolotl": true, "openai": true, "trl-messages": false, "llama-factory": false} {
		s, err := write(t, name, text, []export.Example{x}, export.Options{Lossy: true})
		if err != nil || s.Differences.None() != exact {
			t.Errorf("%s: %v, %v; exact %t", name, s.Differences, err, exact)
		}
	}
}

// A conversation that goes on behind the last trained message, as without regularisation, and
// one that begins with a system prompt.
func TestShapesOfConversations(t *testing.T) {
	text := exporttest.Text(t, "nano")
	chat := lm.Chat{{Role: lm.System, Content: "Ask."}, {Role: lm.User, Content: "Hi."}, {Role: lm.Assistant, Content: "What?"}, {Role: lm.User, Content: "Fish."}}
	x, err := export.Encode(text, lm.Example{Key: "k", Messages: chat, Loss: []int{2}}, 1, export.Provenance{})
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range export.Formats() {
		s, err := write(t, f.Name, text, []export.Example{x}, export.Options{Lossy: f.Name == "trl-messages"})
		if err != nil || s.Rows != 1 {
			t.Errorf("%s: %v, %v", f.Name, s, err)
		}
	}
}

// Weights that are more than a mask are kept by the canonical formats alone.
func TestWeightedExamples(t *testing.T) {
	text := exporttest.Text(t, "nano")
	x, err := export.Encode(text, exporttest.Conversations()[0], 0.5, export.Provenance{Weighting: "margin"})
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range export.Formats() {
		_, err := write(t, f.Name, text, []export.Example{x}, export.Options{})
		if canonical := f.Name == "jsonl" || f.Name == "parquet"; canonical != (err == nil) {
			t.Errorf("%s: %v", f.Name, err)
		}
	}
	s, err := write(t, "tokenized", text, []export.Example{x}, export.Options{Lossy: true})
	if err != nil || s.Differences.Reweighted != x.Trained() {
		t.Errorf("%v, %v", s.Differences, err)
	}
}

func TestWriteRefuses(t *testing.T) {
	text, other := exporttest.Text(t, "nano"), exporttest.Text(t, "chatml")
	es := encoded(t, text)
	if _, err := write(t, "tokenized", other, es, export.Options{}); !errors.Is(err, export.ErrOtherTokenizer) || !strings.Contains(err.Error(), "--model") {
		t.Errorf("another tokenizer: %v", err)
	}
	if _, err := write(t, "jsonl", text, append(es, es[2]), export.Options{}); !errors.Is(err, export.ErrDuplicate) || !strings.Contains(err.Error(), `"long"`) {
		t.Errorf("the same key twice: %v", err)
	}
	if _, err := write(t, "jsonl", text, nil, export.Options{}); err == nil {
		t.Error("no examples were written")
	}
	path := filepath.Join(t.TempDir(), "there.jsonl")
	if err := os.WriteFile(path, []byte("mine"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := export.Write(t.Context(), format(t, "jsonl"), text, export.Examples(es), path, export.Options{}); !errors.Is(err, export.ErrExists) {
		t.Errorf("a file that is there: %v", err)
	}
	if data, err := os.ReadFile(path); err != nil || string(data) != "mine" {
		t.Errorf("it was changed: %q, %v", data, err)
	}
	broken := errors.New("broken")
	src := func(yield func(export.Example, error) bool) { _ = yield(es[0], nil) && yield(export.Example{}, broken) }
	dir := t.TempDir()
	if _, err := export.Write(t.Context(), format(t, "jsonl"), text, src, filepath.Join(dir, "x"), export.Options{}); !errors.Is(err, broken) {
		t.Errorf("a source that breaks: %v", err)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) != 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
	if _, err := export.ParseFormat("csv"); err == nil || !strings.Contains(err.Error(), "llama-factory-last") || !strings.Contains(err.Error(), "trl-dpo") {
		t.Errorf("an unknown format: %v", err)
	}
	if _, err := export.Encode(text, lm.Example{Key: "k", Messages: es[0].Messages}, 1, export.Provenance{}); !errors.Is(err, lm.ErrNoLoss) {
		t.Errorf("no loss: %v", err)
	}
	if _, err := export.Encode(text, exporttest.Conversations()[0], 0, export.Provenance{}); err == nil {
		t.Error("a weight of 0 was taken")
	}
}
