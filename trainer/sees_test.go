package trainer_test

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"stargate/export/readback"
	"stargate/internal/llama"
	"stargate/lm"
	"stargate/lm/local"
	"stargate/lm/trainset"
	"stargate/nano"
	"stargate/trainer"
	"stargate/trainer/command"
	"stargate/trainer/tinker"
	"stargate/trainer/tinker/tinkertest"
)

// small is a model that trains in no time, with the built-in model's tokenizer and template.
func small(t *testing.T) (*llama.Model, *local.Model) {
	t.Helper()
	dir, err := nano.ModelFS()
	if err != nil {
		t.Fatal(err)
	}
	c, err := llama.LoadConfig(dir)
	if err != nil {
		t.Fatal(err)
	}
	w, err := llama.NewModel(llama.Config{ModelType: "llama", VocabSize: c.VocabSize, HiddenSize: 8, IntermediateSize: 8, NumHiddenLayers: 1, NumAttentionHeads: 1, NumKeyValueHeads: 1, MaxPositionEmbeddings: 256, RMSNormEps: 1e-5}.WithDefaults())
	if err != nil {
		t.Fatal(err)
	}
	w.Init(1)
	files := map[string][]byte{}
	for _, name := range []string{"tokenizer.json", "tokenizer_config.json"} {
		if files[name], err = fs.ReadFile(dir, name); err != nil {
			t.Fatal(err)
		}
	}
	m, err := local.New(w, files, local.Options{Workers: 1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(m.Close)
	return w, m
}

// chats draws conversations of all shapes: with and without a system message, ending with either
// side, with all or some of the assistant's messages trained.
func chats(t *rapid.T) []lm.Example {
	text := rapid.StringMatching(`[A-Za-z0-9äß,.!? ]{1,20}[a-z]`)
	n := rapid.IntRange(2, 5).Draw(t, "examples")
	var out []lm.Example
	for i := range n {
		x := lm.Example{Key: fmt.Sprint("x", i)}
		turns := rapid.IntRange(1, 3).Draw(t, "turns")
		for k := range turns {
			x.Messages = append(x.Messages, lm.Message{Role: lm.User, Content: text.Draw(t, "user")}, lm.Message{Role: lm.Assistant, Content: text.Draw(t, "assistant")})
			if k == turns-1 && len(x.Loss) == 0 || rapid.Bool().Draw(t, "trained") {
				x.Loss = append(x.Loss, 2*k+1)
			}
		}
		if rapid.Bool().Draw(t, "ends with the user") {
			x.Messages = append(x.Messages, lm.Message{Role: lm.User, Content: text.Draw(t, "user")})
		}
		out = append(out, x)
	}
	return out
}

// seen counts trained tokens, each described by all tokens up to it.
type seen map[string]int

func (s seen) add(ids []int32, trained func(t int) bool) {
	for t := range ids {
		if trained(t) {
			s[fmt.Sprint(ids[:t+1])]++
		}
	}
}

// Every trainer trains on exactly the tokens that the embedded engine trains on.
func TestAllTrainersSeeTheSameTokens(t *testing.T) {
	weights, m := small(t)
	text := t.TempDir()
	server := tinkertest.New(t, weights, "small", tinkertest.Dialect{})
	template := filepath.Join(text, "template")
	if err := os.Mkdir(template, 0o755); err != nil {
		t.Fatal(err)
	}
	// A program that fails leaves the data that it was given.
	if err := os.WriteFile(filepath.Join(template, "template.yaml"), []byte("{about: fails, mask: none, run: [['false']]}"), 0o644); err != nil {
		t.Fatal(err)
	}
	n := 0
	rapid.Check(t, func(r *rapid.T) {
		examples := chats(r)
		n++
		h := lm.PaperHyper()
		h.BatchSize, h.HeldOut, h.Seed = 2, 0.2, rapid.Uint64().Draw(r, "seed")
		set, err := trainset.New(m, examples, m.Context(), h.HeldOut, h.Seed)
		if err != nil {
			r.Fatal(err)
		}
		if len(set.Train) == 0 {
			r.Skip("all are held out")
		}

		// lm/local trains on Model.Encode's mask; the set says which examples are trained.
		want, held := seen{}, seen{}
		byKey := map[string]bool{}
		for _, row := range set.Held {
			byKey[row.Key] = true
		}
		for _, x := range examples {
			ids, mask, err := m.Encode(x.Messages, x.Loss)
			if err != nil {
				r.Fatal(err)
			}
			into := want
			if byKey[x.Key] {
				into = held
			}
			into.add(ids, func(t int) bool { return mask[t] })
		}

		// A program, by the rules of TRL, axolotl and transformers.
		job := trainer.Job{Name: "m", Base: "small", Set: set, Hyper: h, Dir: filepath.Join(text, fmt.Sprint("command", n))}
		program, err := command.New(command.Config{Template: template})
		if err != nil {
			r.Fatal(err)
		}
		var failed *command.AttemptError
		if _, err := program.Train(t.Context(), job); !errors.As(err, &failed) {
			r.Fatal(err)
		}
		for file, want := range map[string]seen{"train.jsonl": want, "test.jsonl": held} {
			got := seen{}
			data, err := os.ReadFile(filepath.Join(job.WorkDir(), "data", file))
			if err != nil && (len(held) > 0 || file == "train.jsonl") {
				r.Fatal(err)
			}
			for line := range strings.Lines(string(data)) {
				row, err := readback.Tokenized(nil, []byte(line))
				if err != nil {
					r.Fatal(err)
				}
				got.add(row.IDs, func(t int) bool { return row.Weights[t] > 0 })
			}
			if diff := cmp.Diff(want, got); diff != "" {
				r.Fatalf("%s, want -, got +:\n%s", file, diff)
			}
		}

		// A Tinker server, whose own count is compared.
		before := server.Trained()
		h.LoRA = &lm.LoRA{Rank: 1, Alpha: 32}
		job.Hyper, job.Dir = h, filepath.Join(text, fmt.Sprint("tinker", n))
		remote, err := tinker.New(tinker.Config{URL: server.URL, Model: "small", Examples: 1, SaveEvery: 1000})
		if err != nil {
			r.Fatal(err)
		}
		if _, err := remote.Train(t.Context(), job); err != nil {
			r.Fatal(err)
		}
		got := seen{}
		for token, count := range server.Trained() {
			if count -= before[token]; count > 0 {
				got[token] = count
			}
		}
		if diff := cmp.Diff(map[string]int(want), map[string]int(got)); diff != "" {
			r.Fatalf("tinker, want -, got +:\n%s", diff)
		}
		if maps.Equal(want, seen{}) {
			r.Fatal("nothing is trained")
		}
	})
}
