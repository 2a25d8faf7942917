package tinker

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"stargate/internal/llama"
	"stargate/internal/lora"
	"stargate/lm"
	"stargate/lm/local"
	"stargate/lm/trainset"
	"stargate/nano"
	"stargate/trainer"
	"stargate/trainer/tinker/tinkertest"
)

// world is a small model with the built-in one's tokenizer, and examples.
type world struct {
	weights *llama.Model
	model   *local.Model
	set     trainset.Set
	hyper   lm.Hyper
}

func newWorld(t *testing.T) world {
	t.Helper()
	dir, err := nano.ModelFS()
	if err != nil {
		t.Fatal(err)
	}
	files := map[string][]byte{}
	for _, name := range []string{"tokenizer.json", "tokenizer_config.json", "generation_config.json"} {
		data, err := fs.ReadFile(dir, name)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			t.Fatal(err)
		}
		if err == nil {
			files[name] = data
		}
	}
	c, err := llama.LoadConfig(dir)
	if err != nil {
		t.Fatal(err)
	}
	w, err := llama.NewModel(llama.Config{ModelType: "llama", VocabSize: c.VocabSize, HiddenSize: 32, IntermediateSize: 48, NumHiddenLayers: 2, NumAttentionHeads: 2, NumKeyValueHeads: 1, MaxPositionEmbeddings: 64, RMSNormEps: 1e-5}.WithDefaults())
	if err != nil {
		t.Fatal(err)
	}
	w.Init(5)
	m, err := local.New(w, files, local.Options{Workers: 2})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(m.Close)
	var examples []lm.Example
	for i := range 18 {
		x := lm.Example{Key: fmt.Sprintf("pair-%02d", i), Loss: []int{1}, Messages: lm.Chat{
			{Role: lm.User, Content: fmt.Sprintf("Help me plan thing %d.", i)}, {Role: lm.Assistant, Content: "What would you like to eat?"}}}
		if i%3 == 0 { // answers are masked, also in the middle
			x.Messages = append(x.Messages, lm.Message{Role: lm.User, Content: "Some soup."}, lm.Message{Role: lm.Assistant, Content: "Then cook soup."})
			x.Loss = []int{1, 3}
		}
		examples = append(examples, x)
	}
	h := lm.PaperHyper()
	h.LearningRate, h.Epochs, h.BatchSize, h.HeldOut = 5e-3, 2, 4, 0.2
	h.LoRA = &lm.LoRA{Rank: 4, Alpha: 32}
	set, err := trainset.New(m, examples, m.Context(), h.HeldOut, h.Seed)
	if err != nil {
		t.Fatal(err)
	}
	return world{w, m, set, h}
}

func (w world) server(t *testing.T, d tinkertest.Dialect) *tinkertest.Server {
	return tinkertest.New(t, w.weights, "org/base", d)
}

func (w world) job(dir string) trainer.Job {
	return trainer.Job{Name: "m1", Base: "org/base", Set: w.set, Hyper: w.hyper, Dir: filepath.Join(dir, "m1")}
}

func trainerOf(t *testing.T, s *tinkertest.Server, change func(*Config)) *Trainer {
	t.Helper()
	c := Config{URL: s.URL, Model: s.Model, APIKeyEnv: "STARGATE_TEST_KEY", SaveEvery: 3, Patience: 5 * time.Second}
	if change != nil {
		change(&c)
	}
	tr, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	tr.heartbeat = 20 * time.Millisecond
	return tr
}

// embedded is the same fine-tune by the embedded engine.
func (w world) embedded(t *testing.T) (lm.TuneLog, *lora.Adapter) {
	t.Helper()
	m, log, err := w.model.TuneSet(t.Context(), "m1", w.set, w.hyper, local.Checkpoints{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(m.Close)
	return log, m.Adapter()
}

// near compares two training curves. The losses are the same but for rounding: the test's server
// computes log-probabilities as a decoder does, the embedded engine as a trainer.
func near(t *testing.T, want, got lm.TuneLog) {
	t.Helper()
	if len(want.Steps) != len(got.Steps) || want.Examples != got.Examples || want.HeldOut != got.HeldOut || want.Tokens != got.Tokens {
		t.Fatalf("%d steps of %d examples, %d held out, %d tokens; want %d of %d, %d, %d", len(got.Steps), got.Examples, got.HeldOut, got.Tokens, len(want.Steps), want.Examples, want.HeldOut, want.Tokens)
	}
	close := func(a, b float64) bool { return math.Abs(a-b) <= 1e-5*math.Abs(a) }
	for i, s := range want.Steps {
		g := got.Steps[i]
		if s.Step != g.Step || s.LearningRate != g.LearningRate || !close(s.Loss, g.Loss) || !close(s.GradNorm, g.GradNorm) {
			t.Errorf("step %+v, the embedded engine's is %+v", g, s)
		}
	}
	if !close(want.EvalLossBase, got.EvalLossBase) || !close(want.EvalLoss, got.EvalLoss) {
		t.Errorf("held-out loss %g then %g, the embedded engine's is %g then %g", got.EvalLossBase, got.EvalLoss, want.EvalLossBase, want.EvalLoss)
	}
}

// The loss curve and the adapter are the embedded engine's, in every dialect.
func TestTheEmbeddedEnginesFineTune(t *testing.T) {
	w := newWorld(t)
	log, adapter := w.embedded(t)
	if !(log.EvalLoss < 0.98*log.EvalLossBase) {
		t.Fatalf("the embedded engine learns nothing: %g, then %g", log.EvalLossBase, log.EvalLoss)
	}
	t.Setenv("STARGATE_TEST_KEY", "secret")
	for name, d := range map[string]tinkertest.Dialect{
		"Tinker":           {Key: "secret", TryAgain: true, URL: true},
		"SkyRL on PyTorch": {Lists: true, BareNames: true},
		"without numbers":  {NoNumbers: true},
	} {
		t.Run(name, func(t *testing.T) {
			s, j := w.server(t, d), w.job(t.TempDir())
			steps := 0
			j.Observe = func(p trainer.Progress) { steps = max(steps, p.Step) }
			r, err := trainerOf(t, s, func(c *Config) { c.Examples = 1024 }).Train(t.Context(), j)
			if err != nil {
				t.Fatal(err)
			}
			near(t, log, r.Log)
			if r.Kind != trainer.Adapter || !strings.HasPrefix(r.Remote, "tinker://model_") || len(r.Notes) > 0 || steps != len(log.Steps) {
				t.Errorf("result %+v after %d steps", r, steps)
			}
			got, err := lora.Open(os.DirFS(j.Dir))
			if err != nil {
				t.Fatal(err)
			}
			for _, m := range adapter.Matrices {
				i := slices.IndexFunc(got.Matrices, func(x lora.Matrix) bool { return x.Name == m.Name })
				if i < 0 || !slices.Equal(m.A, got.Matrices[i].A) || !slices.Equal(m.B, got.Matrices[i].B) {
					t.Errorf("%s is not the embedded engine's, bit for bit", m.Name)
				}
			}
			if left := s.Checkpoints(); len(left) != 1 {
				t.Errorf("checkpoints %v are left, want the last alone", left)
			}
			// Again: nothing is asked.
			calls := s.Calls["create_session"]
			if _, err := trainerOf(t, s, nil).Train(t.Context(), j); err != nil || s.Calls["create_session"] != calls {
				t.Errorf("a finished job was done again: %v", err)
			}
		})
	}
}

func TestDialectsThatDiffer(t *testing.T) {
	w := newWorld(t)
	log, _ := w.embedded(t)
	for _, c := range []struct {
		dialect tinkertest.Dialect
		note    string
	}{
		{tinkertest.Dialect{SequenceMean: true}, noteMean},
		{tinkertest.Dialect{NoNorms: true}, noteUnknown},
		{tinkertest.Dialect{NoForward: true}, "The server has no route forward, so the loss on held-out rows is not known."},
	} {
		s := w.server(t, c.dialect)
		r, err := trainerOf(t, s, nil).Train(t.Context(), w.job(t.TempDir()))
		if err != nil {
			t.Fatal(err)
		}
		if len(r.Notes) != 1 || r.Notes[0] != c.note {
			t.Errorf("notes %q, want %q", r.Notes, c.note)
		}
		same := math.Abs(r.Log.Steps[4].Loss-log.Steps[4].Loss) < 1e-5
		if same == c.dialect.SequenceMean {
			t.Errorf("%+v: the curve is the embedded engine's: %t", c.dialect, same)
		}
		if (r.Log.EvalLoss == 0) != c.dialect.NoForward {
			t.Errorf("%+v: held-out loss %g", c.dialect, r.Log.EvalLoss)
		}
	}
	// Alpha is the server's.
	w.hyper.LoRA.Alpha = 8
	r, err := trainerOf(t, w.server(t, tinkertest.Dialect{}), nil).Train(t.Context(), w.job(t.TempDir()))
	if err != nil || len(r.Notes) != 1 || !strings.Contains(r.Notes[0], "alpha 32") {
		t.Errorf("notes %q, %v", r.Notes, err)
	}
}

// Answers are lost, the server is overloaded, and it is restarted in the middle; the curve stays
// what it is.
func TestFaultsChangeNothing(t *testing.T) {
	w := newWorld(t)
	log, _ := w.embedded(t)
	for name, c := range map[string]struct {
		dialect tinkertest.Dialect
		fault   func(s *tinkertest.Server, p trainer.Progress)
		back    bool // training has to go back to a checkpoint
	}{
		"overload": {fault: func(s *tinkertest.Server, p trainer.Progress) {
			s.Refuse("forward_backward", 1)
			s.Refuse("retrieve_future", 1)
		}},
		"lost answers": {fault: func(s *tinkertest.Server, p trainer.Progress) {
			s.Lose("forward_backward", 1)
			s.Lose("optim_step", 1)
			s.Lose("retrieve_future", 1)
		}},
		"lost answers, no numbers":       {dialect: tinkertest.Dialect{NoNumbers: true}, back: true, fault: func(s *tinkertest.Server, p trainer.Progress) { at(p, 6, func() { s.Lose("optim_step", 1) }) }},
		"a lost answer about a save":     {back: true, fault: func(s *tinkertest.Server, p trainer.Progress) { at(p, 4, func() { s.Lose("save_weights", 1) }) }},
		"a restart":                      {back: true, fault: func(s *tinkertest.Server, p trainer.Progress) { at(p, 7, s.Restart) }},
		"a restart before any was saved": {back: true, fault: func(s *tinkertest.Server, p trainer.Progress) { at(p, 2, s.Restart) }},
	} {
		t.Run(name, func(t *testing.T) {
			s, j := w.server(t, c.dialect), w.job(t.TempDir())
			back, seen := false, map[int]bool{}
			j.Observe = func(p trainer.Progress) {
				back = back || strings.Contains(p.Note, "back to step")
				if p.Note == "" && !seen[p.Step] {
					seen[p.Step] = true
					c.fault(s, p)
				}
			}
			r, err := trainerOf(t, s, nil).Train(t.Context(), j)
			if err != nil {
				t.Fatal(err)
			}
			near(t, log, r.Log)
			if back != c.back {
				t.Errorf("training went back: %t, want %t", back, c.back)
			}
		})
	}
}

func at(p trainer.Progress, step int, do func()) {
	if p.Step == step {
		do()
	}
}

// Train is interrupted, and another call goes on from the checkpoint.
func TestAnotherSessionGoesOn(t *testing.T) {
	w := newWorld(t)
	log, _ := w.embedded(t)
	s, j := w.server(t, tinkertest.Dialect{}), w.job(t.TempDir())
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	j.Observe = func(p trainer.Progress) { at(p, 5, cancel) }
	if _, err := trainerOf(t, s, nil).Train(ctx, j); !errors.Is(err, context.Canceled) {
		t.Fatalf("%v, want the context's error", err)
	}
	first := 0
	j.Observe = func(p trainer.Progress) {
		if first == 0 {
			first = p.Step
		}
	}
	r, err := trainerOf(t, s, nil).Train(t.Context(), j)
	if err != nil {
		t.Fatal(err)
	}
	near(t, log, r.Log)
	if first != 4 {
		t.Errorf("it went on with step %d; the checkpoint was made after step 3", first)
	}
}

// Rewards can weigh: a row of weight 2 counts as two.
func TestWeights(t *testing.T) {
	w := newWorld(t)
	s := w.server(t, tinkertest.Dialect{})
	plain, err := trainerOf(t, s, nil).Train(t.Context(), w.job(t.TempDir()))
	if err != nil {
		t.Fatal(err)
	}
	weigh := func(f func(i int) float32) trainset.Set {
		set := w.set
		set.Train = append([]trainset.Row(nil), set.Train...)
		for i, r := range set.Train {
			r.Weights = make([]float32, len(r.Tokens))
			for k, on := range r.Loss {
				if on {
					r.Weights[k] = f(i)
				}
			}
			set.Train[i] = r
		}
		return set
	}
	j := w.job(t.TempDir())
	j.Set = weigh(func(int) float32 { return 3 }) // the same for all: nothing changes
	same, err := trainerOf(t, s, nil).Train(t.Context(), j)
	if err != nil {
		t.Fatal(err)
	}
	near(t, plain.Log, same.Log)
	j = w.job(t.TempDir())
	j.Set = weigh(func(i int) float32 { return float32(1 + i%2) })
	other, err := trainerOf(t, s, nil).Train(t.Context(), j)
	if err != nil {
		t.Fatal(err)
	}
	if other.Log.Steps[3].Loss == plain.Log.Steps[3].Loss {
		t.Error("weights change nothing")
	}
}

func TestWhatIsRefused(t *testing.T) {
	w := newWorld(t)
	for name, c := range map[string]struct {
		change func(*Config, *trainer.Job)
		key    string
		want   error
		text   string
	}{
		"no key":        {key: "secret", want: ErrKey, text: "invalid API key"},
		"another model": {change: func(c *Config, _ *trainer.Job) { c.Model = "org/other" }, want: ErrMissing, text: "org/base"},
		"all weights":   {change: func(_ *Config, j *trainer.Job) { j.Hyper.LoRA = nil }, want: ErrNoAdapter, text: "lora"},
		"a single module": {change: func(_ *Config, j *trainer.Job) {
			j.Hyper.LoRA = &lm.LoRA{Rank: 2, Alpha: 4, Targets: []string{"q_proj"}}
		}, text: "q_proj"},
		"dropout":          {change: func(_ *Config, j *trainer.Job) { j.Hyper.LoRA = &lm.LoRA{Rank: 2, Alpha: 4, Dropout: 0.1} }, text: "dropout"},
		"nobody there":     {change: func(c *Config, _ *trainer.Job) { c.URL, c.Patience = "http://127.0.0.1:1", 200*time.Millisecond }, text: "127.0.0.1:1"},
		"nothing to train": {change: func(_ *Config, j *trainer.Job) { j.Set.Train = nil }, want: trainer.ErrNothing},
		"a row without loss": {change: func(_ *Config, j *trainer.Job) {
			j.Set.Train = []trainset.Row{{Key: "empty", Tokens: []int32{1, 2}, Loss: []bool{false, false}}}
		}, text: "token to predict"},
	} {
		t.Run(name, func(t *testing.T) {
			s, j := w.server(t, tinkertest.Dialect{Key: c.key}), w.job(t.TempDir())
			tr := trainerOf(t, s, func(conf *Config) {
				if c.change != nil {
					c.change(conf, &j)
				}
			})
			if _, err := tr.Train(t.Context(), j); err == nil || c.want != nil && !errors.Is(err, c.want) || !strings.Contains(err.Error(), c.text) {
				t.Errorf("%v, want %v and %q", err, c.want, c.text)
			}
		})
	}
	for text, c := range map[string]Config{"url is missing": {}, "want http://": {URL: "localhost:8000", Model: "m"}, "model is missing": {URL: "http://localhost"}, "save_every": {URL: "http://localhost", Model: "m", SaveEvery: -1}} {
		if _, err := New(c); err == nil || !strings.Contains(err.Error(), text) {
			t.Errorf("%+v: %v, want %q in it", c, err, text)
		}
	}
}

func TestArchives(t *testing.T) {
	pack := func(headers ...tar.Header) []byte {
		var b bytes.Buffer
		w := tar.NewWriter(&b)
		for _, h := range headers {
			h.Mode = 0o644
			if h.Typeflag == tar.TypeReg {
				h.Size = 2
			}
			if err := w.WriteHeader(&h); err != nil {
				t.Fatal(err)
			}
			if h.Typeflag == tar.TypeReg {
				w.Write([]byte("{}"))
			}
		}
		w.Close()
		return b.Bytes()
	}
	file := func(name string) tar.Header { return tar.Header{Name: name, Typeflag: tar.TypeReg} }
	for name, c := range map[string]struct {
		data []byte
		want string // "" is success
	}{
		"flat":      {pack(file("adapter_config.json"), file("adapter_model.safetensors")), ""},
		"in folder": {pack(tar.Header{Name: "a/b/", Typeflag: tar.TypeDir}, file("a/b/adapter_config.json"), file("a/b/adapter_model.safetensors"), file("a/README")), ""},
		"escaping":  {pack(file("../adapter_config.json")), "no plain file"},
		"a link":    {pack(tar.Header{Name: "adapter_config.json", Typeflag: tar.TypeSymlink, Linkname: "/etc/passwd"}), "no plain file"},
		"empty":     {pack(), "holds no adapter_config.json"},
		"twice":     {pack(file("adapter_config.json"), file("./adapter_config.json")), "exists"},
		"no tar":    {[]byte("<html>not found</html>"), "the archive"},
	} {
		dir := t.TempDir()
		err := unpack(bytes.NewReader(c.data), dir)
		if c.want != "" {
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%s: %v, want %q", name, err, c.want)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		for _, f := range []string{"adapter_config.json", "adapter_model.safetensors"} {
			if _, err := os.Stat(filepath.Join(dir, f)); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
}

func ExampleNew() {
	_, err := New(Config{URL: "http://localhost:8000", Model: "Qwen/Qwen3-8B"})
	fmt.Println(err)
	// Output: <nil>
}
