package export_test

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"stargate/export"
	"stargate/export/exporttest"
	"stargate/lm/local"
)

func audit(t *testing.T, text *local.Text, o export.AuditOptions, es ...export.Example) export.Report {
	t.Helper()
	r, err := export.Audit(t.Context(), text, export.Examples(es), o)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// What is encoded is fit to train on, with every template.
func TestAuditPasses(t *testing.T) {
	for _, family := range exporttest.Families() {
		text := exporttest.Text(t, family)
		es := encoded(t, text)
		r := audit(t, text, export.AuditOptions{}, es...)
		if !r.OK() || r.Rows != len(es) || r.Respelt != 0 || r.Repeated != 0 || r.Weighted != 0 {
			t.Errorf("%s: %+v", family, r)
		}
	}
}

// Every fault is found, named, and found alone.
func TestAuditFinds(t *testing.T) {
	text := exporttest.Text(t, "nano")
	last := func(e export.Example) int { return len(e.IDs) - 1 }
	for _, tt := range []struct {
		name  string
		spoil func(e *export.Example)
		want  export.Problem
		says  string
	}{
		{"no weights", func(e *export.Example) { clear(e.Weights) }, export.AllMasked, "none of its"},
		{"cut as max_length cuts", func(e *export.Example) { e.IDs, e.Weights = e.IDs[:30], e.Weights[:30] }, export.Truncated, "11 that should be trained are missing"},
		{"cut by the end of turn alone", func(e *export.Example) { e.IDs, e.Weights = e.IDs[:last(*e)], e.Weights[:last(*e)] }, export.Truncated, "1 that should be"},
		{"end of turn without a weight", func(e *export.Example) { e.Weights[last(*e)] = 0 }, export.LostEnd, `"<|end|>"`},
		{"a word without a weight", func(e *export.Example) { e.Weights[last(*e)-2] = 0 }, export.LostWords, "ice.<|end|>"},
		{"a weight on the user's words", func(e *export.Example) { e.Weights[2] = 1 }, export.PromptTrained, "token 2"},
		{"a weight on the marker of the turn", func(e *export.Example) { e.Weights[13] = 1 }, export.PromptTrained, "<|assistant|>"},
		{"a weight on the first token", func(e *export.Example) { e.Weights[0] = 1 }, export.FirstTrained, "nothing is in front"},
		{"a message that carries no loss", func(e *export.Example) { e.Loss = e.Loss[1:] }, export.PromptTrained, "What"},
		{"tokens of another text", func(e *export.Example) { e.IDs[5]++ }, export.OtherText, "the tokens spell"},
		{"a token nobody has", func(e *export.Example) { e.IDs[5] = 99999 }, export.OtherText, "does not have"},
		{"a message changed afterwards", func(e *export.Example) { e.Messages[3].Content = "No." }, export.OtherText, "the messages"},
		{"a token too many", func(e *export.Example) { e.IDs, e.Weights = append(e.IDs, 5), append(e.Weights, 0) }, export.OtherText, "the messages"},
		{"another tokenizer", func(e *export.Example) { e.Provenance.Tokenizer = strings.Repeat("0", 64) }, export.ForeignTokens, "--model"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			e := encoded(t, text, "two turns")[0]
			e.Messages = slices.Clone(e.Messages)
			tt.spoil(&e)
			good := encoded(t, text, "one turn")[0]
			r := audit(t, text, export.AuditOptions{}, good, e)
			if len(r.Findings) != 1 || r.Problems[tt.want] != 1 {
				t.Fatalf("found %v, want %q", r.Findings, tt.want)
			}
			f := r.Findings[0]
			if f.Row != 2 || f.Key != "two turns" || !strings.Contains(f.String(), tt.says) {
				t.Errorf("%v does not say row 2 and %q", f, tt.says)
			}
		})
	}
}

func TestAuditOfFiles(t *testing.T) {
	text := exporttest.Text(t, "nano")
	es := encoded(t, text, "one turn", "two turns")
	twin := es[0]
	twin.Key = "twin"
	r := audit(t, text, export.AuditOptions{MaxTokens: 30}, es[0], es[1], es[0], twin)
	if got := slices.Sorted(maps.Keys(r.Problems)); !slices.Equal(got, []export.Problem{export.DuplicateKey, export.TooLong}) || r.Repeated != 2 || r.Longest != len(es[1].IDs) {
		t.Errorf("%+v", r)
	}
	src := func(yield func(export.Example, error) bool) {
		_ = yield(es[0], nil) && yield(export.Example{}, fmt.Errorf("f, line 2: %w: x", export.ErrFormat))
	}
	r, err := export.Audit(t.Context(), text, src, export.AuditOptions{})
	if err != nil || r.Problems[export.NotAnExample] != 1 || r.Findings[0].Row != 2 {
		t.Errorf("%+v, %v", r, err)
	}
	broken := errors.New("the disk is gone")
	src = func(yield func(export.Example, error) bool) { yield(export.Example{}, broken) }
	if _, err := export.Audit(t.Context(), text, src, export.AuditOptions{}); !errors.Is(err, broken) {
		t.Errorf("a source that fails: %v", err)
	}
	if r := audit(t, text, export.AuditOptions{}); r.OK() {
		t.Error("an empty file is fit to train on")
	}
}

// Tokens that were generated may spell the text otherwise than the tokenizer would; what is
// trained is then compared by its text.
func TestAuditOfGeneratedTokens(t *testing.T) {
	text := exporttest.Text(t, "nano")
	e := encoded(t, text, "two turns")[0]
	e.IDs, e.Weights = slices.Clone(e.IDs), slices.Clone(e.Weights)
	at := slices.IndexFunc(e.IDs, func(id int32) bool { return text.Piece(id) == " take" })
	if at < 0 {
		t.Fatal("the vocabulary has no token to take apart")
	}
	var letters []int32
	for _, c := range " take" {
		ids, _ := text.Tokens(string(c))
		letters = append(letters, ids...)
	}
	e.IDs = slices.Replace(e.IDs, at, at+1, letters...)
	e.Weights = slices.Replace(e.Weights, at, at+1, slices.Repeat([]float32{1}, len(letters))...)
	if r := audit(t, text, export.AuditOptions{}, e); !r.OK() || r.Respelt != 1 {
		t.Errorf("%+v", r)
	}
	e.Weights[at+1] = 0
	if r := audit(t, text, export.AuditOptions{}, e); r.Problems[export.LostWords] != 1 {
		t.Errorf("a letter without a weight: %+v", r)
	}
	e.Weights[at+1] = 1
	e.IDs, e.Weights = e.IDs[:at+2], e.Weights[:at+2]
	if r := audit(t, text, export.AuditOptions{}, e); r.Problems[export.Truncated] != 1 {
		t.Errorf("cut in a word: %+v", r)
	}
}

// A template that ends the last turn with nothing teaches the model to go on talking.
func TestAuditOfTemplateWithoutEnd(t *testing.T) {
	text := exporttest.Text(t, "no end")
	es := encoded(t, text, "one turn")
	if r := audit(t, text, export.AuditOptions{}, es...); r.Problems[export.LostEnd] != 1 || !strings.Contains(r.Findings[0].Detail, "would not learn to stop") {
		t.Errorf("%+v", r)
	}
}

func TestDraw(t *testing.T) {
	text := exporttest.Text(t, "chatml")
	var b bytes.Buffer
	es := encoded(t, text, "two turns", "lines")
	es[0].Weights = slices.Clone(es[0].Weights)
	for i, w := range es[0].Weights {
		es[0].Weights[i] = w * 0.5
	}
	for _, d := range []export.Drawing{{}, {Color: true}, {Tokens: true}} {
		fmt.Fprintf(&b, "-- %+v --\n", d)
		for _, e := range es {
			if err := d.Draw(&b, text, e); err != nil {
				t.Fatal(err)
			}
		}
	}
	golden(t, "drawing.txt", b.Bytes())
}

// Somebody else's file is read as its trainer would read it.
func TestLook(t *testing.T) {
	text := exporttest.Text(t, "end of turn is not end of sequence")
	save := func(lines ...string) string {
		path := filepath.Join(t.TempDir(), "rows.jsonl")
		if err := os.WriteFile(path, []byte(strings.Join(lines, "\n")+"\n"), 0o644); err != nil {
			t.Fatal(err)
		}
		return path
	}
	var drawn bytes.Buffer
	each := func(_ int, e export.Example, _ bool) {
		if err := (export.Drawing{}).Draw(&drawn, text, e); err != nil {
			t.Error(err)
		}
	}
	look := func(name, path string, most int) export.Report {
		r, err := export.Look(t.Context(), format(t, name), text, path, export.Options{}, export.AuditOptions{MaxTokens: most, Each: each})
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	good := `{"messages":[{"role":"user","content":"a","train":false},{"role":"assistant","content":"b","train":true}]}`
	if r := look("axolotl", save(good, good), 0); !r.OK() || r.Rows != 2 || r.Repeated != 1 || !strings.Contains(drawn.String(), "⟦b|<|eot|>⟧") {
		t.Errorf("%+v\n%s", r, drawn.String())
	}
	r := look("axolotl", save(good, `{"messages":[{"role":"user","content":"a","train":false}]}`, `[]`), 3)
	if r.Problems[export.TooLong] != 1 || r.Problems[export.NotTrained] != 1 || r.Problems[export.NotAnExample] != 1 {
		t.Errorf("%+v", r)
	}
	ids, _ := text.Tokens("<|head|>user\na<|eot|><|head|>assistant\nb<|eot|>")
	labels := slices.Repeat([]int32{-100}, len(ids))
	labels[len(ids)-2] = ids[len(ids)-2] // the word, and not the end
	line := fmt.Sprintf(`{"input_ids":%s,"labels":%s}`, list(ids), list(labels))
	if r := look("tokenized", save(line), 0); r.Problems[export.LostEnd] != 1 || !strings.Contains(r.Findings[0].Detail, "assistant") {
		t.Errorf("%+v", r)
	}
	if r := look("tokenized", save(), 0); r.OK() {
		t.Errorf("an empty file: %+v", r)
	}
	if _, err := export.Look(t.Context(), format(t, "jsonl"), text, save(good), export.Options{}, export.AuditOptions{}); err == nil {
		t.Error("a canonical file was taken for a trainer's")
	}
}

func list(ids []int32) string { return strings.ReplaceAll(fmt.Sprint(ids), " ", ",") }
