package trainer_test

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"stargate/internal/safetensors"
	"stargate/lm"
	"stargate/lm/local"
	"stargate/lm/trainset"
	"stargate/trainer"
	"stargate/trainer/embedded"
)

func job(dir string) trainer.Job {
	row := trainset.Row{Key: "a", Tokens: []int32{1, 2}, Loss: []bool{false, true}}
	return trainer.Job{Name: "m1", Base: "base", Set: trainset.Set{Train: []trainset.Row{row}}, Hyper: lm.PaperHyper(), Dir: filepath.Join(dir, "m1")}
}

func open(t *testing.T, j trainer.Job) *trainer.Work {
	t.Helper()
	w, err := trainer.OpenWork(j, "settings")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.Close() })
	return w
}

// model writes a tiny model directory.
func model(t *testing.T, dir string) {
	t.Helper()
	w, _ := small(t)
	files, err := w.Files(safetensors.F32)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	for name, data := range files {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

func TestAWorkDirectoryBelongsToOneJob(t *testing.T) {
	j := job(t.TempDir())
	w := open(t, j)
	if _, err := trainer.OpenWork(j, "settings"); !errors.Is(err, trainer.ErrBusy) {
		t.Errorf("a second process: %v, want %v", err, trainer.ErrBusy)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	open(t, j).Close()
	for name, change := range map[string]func(*trainer.Job){
		"base": func(j *trainer.Job) { j.Base = "other" }, "rows": func(j *trainer.Job) { j.Set.Train = append(j.Set.Train, j.Set.Train[0]) },
		"rate": func(j *trainer.Job) { j.Hyper.LearningRate *= 2 },
	} {
		other := j
		change(&other)
		if _, err := trainer.OpenWork(other, "settings"); !errors.Is(err, trainer.ErrOtherJob) {
			t.Errorf("another %s: %v, want %v", name, err, trainer.ErrOtherJob)
		}
	}
	if _, err := trainer.OpenWork(j, "other settings"); !errors.Is(err, trainer.ErrOtherJob) {
		t.Error("other settings are accepted")
	}
}

func TestPublishing(t *testing.T) {
	j := job(t.TempDir())
	w := open(t, j)
	if _, ok, err := w.Published(); ok || err != nil {
		t.Fatalf("nothing was published: %t, %v", ok, err)
	}
	made := w.Path("made")
	model(t, made)
	want, err := w.Publish(made, trainer.Result{Log: lm.TuneLog{Examples: 1}})
	if err != nil {
		t.Fatal(err)
	}
	if want.Kind != trainer.Model || want.Dir != j.Dir || len(want.Digest) != 64 {
		t.Errorf("%+v", want)
	}
	got, ok, err := w.Published()
	if !ok || err != nil {
		t.Fatalf("%t, %v", ok, err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	// A directory that was changed afterwards is no result.
	if err := os.WriteFile(filepath.Join(j.Dir, "more"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, ok, err := w.Published(); ok || err != nil {
		t.Errorf("a changed directory: %t, %v", ok, err)
	}
	if err := os.RemoveAll(j.Dir); err != nil {
		t.Fatal(err)
	}
	if _, ok, err := w.Published(); ok || err != nil {
		t.Errorf("no directory: %t, %v", ok, err)
	}
	if _, err := w.Publish(w.Path("none"), trainer.Result{}); !errors.Is(err, trainer.ErrIncomplete) {
		t.Errorf("nothing was made: %v", err)
	}
}

func TestInspect(t *testing.T) {
	header := func(text string, data int) []byte {
		b := binary.LittleEndian.AppendUint64(nil, uint64(len(text)))
		return append(append(b, text...), make([]byte, data)...)
	}
	tensor := header(`{"__metadata__":{"format":"pt"},"w":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}`, 8)
	for name, c := range map[string]struct {
		files map[string][]byte
		kind  trainer.Kind
		want  string // "" is success
	}{
		"a model":          {map[string][]byte{"config.json": []byte(`{"model_type":"gpt2"}`), "model.safetensors": tensor}, trainer.Model, ""},
		"shards":           {map[string][]byte{"config.json": []byte(`{"model_type":"gpt2"}`), "model.safetensors.index.json": []byte(`{"weight_map":{"w":"a.safetensors"}}`), "a.safetensors": tensor}, trainer.Model, ""},
		"an adapter":       {map[string][]byte{"adapter_config.json": []byte(`{"peft_type":"LORA","r":8}`), "adapter_model.safetensors": tensor}, trainer.Adapter, ""},
		"nothing":          {nil, trainer.Model, "config.json"},
		"no weights":       {map[string][]byte{"config.json": []byte(`{"model_type":"gpt2"}`)}, trainer.Model, "model.safetensors"},
		"cut short":        {map[string][]byte{"config.json": []byte(`{"model_type":"gpt2"}`), "model.safetensors": tensor[:len(tensor)-1]}, trainer.Model, "cut short"},
		"half a header":    {map[string][]byte{"config.json": []byte(`{"model_type":"gpt2"}`), "model.safetensors": tensor[:20]}, trainer.Model, "header claims"},
		"a few bytes":      {map[string][]byte{"config.json": []byte(`{"model_type":"gpt2"}`), "model.safetensors": tensor[:5]}, trainer.Model, "too few"},
		"no tensor":        {map[string][]byte{"config.json": []byte(`{"model_type":"gpt2"}`), "model.safetensors": header("{}", 0)}, trainer.Model, "no tensor"},
		"a missing shard":  {map[string][]byte{"config.json": []byte(`{"model_type":"gpt2"}`), "model.safetensors.index.json": []byte(`{"weight_map":{"w":"a.safetensors"}}`)}, trainer.Model, "a.safetensors"},
		"a missing tensor": {map[string][]byte{"config.json": []byte(`{"model_type":"gpt2"}`), "model.safetensors.index.json": []byte(`{"weight_map":{"w":"a.safetensors","v":"a.safetensors"}}`), "a.safetensors": tensor}, trainer.Model, "says that v"},
		"a path outside":   {map[string][]byte{"config.json": []byte(`{"model_type":"gpt2"}`), "model.safetensors.index.json": []byte(`{"weight_map":{"w":"../a.safetensors"}}`)}, trainer.Model, "../a"},
		"no type":          {map[string][]byte{"config.json": []byte(`{}`), "model.safetensors": tensor}, trainer.Model, "model_type"},
		"no rank":          {map[string][]byte{"adapter_config.json": []byte(`{"peft_type":"LORA"}`), "adapter_model.safetensors": tensor}, trainer.Adapter, "r 0"},
		"no low rank":      {map[string][]byte{"adapter_config.json": []byte(`{"peft_type":"LORA","r":8}`)}, trainer.Adapter, "adapter_model"},
	} {
		dir := t.TempDir()
		for file, data := range c.files {
			if err := os.WriteFile(filepath.Join(dir, file), data, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		kind, err := trainer.Inspect(dir)
		switch {
		case kind != c.kind:
			t.Errorf("%s is %q", name, kind)
		case c.want == "" && err != nil:
			t.Errorf("%s: %v", name, err)
		case c.want != "" && (!errors.Is(err, trainer.ErrIncomplete) || !strings.Contains(err.Error(), c.want)):
			t.Errorf("%s: %v, want %q in it", name, err, c.want)
		}
	}
}

func examples() []lm.Example {
	var xs []lm.Example
	for i := range 20 {
		xs = append(xs, lm.Example{Key: fmt.Sprint("x", i), Loss: []int{1}, Messages: lm.Chat{{Role: lm.User, Content: fmt.Sprint("Plan thing ", i)}, {Role: lm.Assistant, Content: "What do you like?"}}})
	}
	return xs
}

// The embedded engine behind the interface of all trainers gives what it gives by itself, also
// when it is stopped.
func TestEmbedded(t *testing.T) {
	_, m := small(t)
	base := filepath.Join(t.TempDir(), "base")
	if err := m.Save(base); err != nil {
		t.Fatal(err)
	}
	h := lm.PaperHyper()
	h.LearningRate, h.BatchSize, h.Epochs, h.HeldOut = 1e-2, 4, 3, 0.2
	alone, want, err := m.Tune(t.Context(), "m1", examples(), h)
	if err != nil {
		t.Fatal(err)
	}
	defer alone.(*local.Model).Close()

	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	last := 0
	tuner := &trainer.Tuner{Trainer: &embedded.Trainer{}, Base: base, Encoder: m, Context: m.Context(), Models: filepath.Join(t.TempDir(), "models"),
		Observe: func(p trainer.Progress) {
			if last = p.Step; last == 5 {
				cancel()
			}
		},
		Open: func(_ context.Context, r trainer.Result) (lm.Generator, error) {
			return local.OpenDir(r.Dir, local.Options{})
		}}
	if _, _, err := tuner.Tune(ctx, "m1", examples(), h); !errors.Is(err, context.Canceled) {
		t.Fatalf("%v, want the context's error", err)
	}
	g, got, err := tuner.Tune(t.Context(), "m1", examples(), h)
	if err != nil {
		t.Fatal(err)
	}
	defer g.(*local.Model).Close()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("log, want -, got +:\n%s", diff)
	}
	if a, b := alone.(*local.Model).Digest(), g.(*local.Model).Digest(); a != b {
		t.Errorf("weights %s, want %s", b, a)
	}
	if steps := len(want.Steps); last != steps {
		t.Errorf("the last step told was %d of %d", last, steps)
	}
	weighted := examples()[:1]
	set, err := trainset.New(m, weighted, m.Context(), 0, 0)
	if err != nil {
		t.Fatal(err)
	}
	set.Train[0].Weights = make([]float32, len(set.Train[0].Tokens))
	for i, on := range set.Train[0].Loss {
		if on {
			set.Train[0].Weights[i] = 0.5
		}
	}
	if _, err := (&embedded.Trainer{}).Train(t.Context(), trainer.Job{Name: "w", Base: base, Set: set, Hyper: h, Dir: filepath.Join(t.TempDir(), "w")}); !errors.Is(err, trainer.ErrWeighted) {
		t.Errorf("weights: %v, want %v", err, trainer.ErrWeighted)
	}
}

// A trainer is used as any tuner of package lm.
func ExampleTuner() {
	dir := "runs/mine/models"
	text, err := local.OpenText("models/base")
	if err != nil {
		fmt.Println("no model here")
		return
	}
	var tuner lm.Tuner = &trainer.Tuner{
		Trainer: &embedded.Trainer{}, Base: "models/base", Encoder: text, Context: 2048, Models: dir,
		Open: func(_ context.Context, r trainer.Result) (lm.Generator, error) {
			return local.OpenDir(r.Dir, local.Options{})
		},
	}
	_ = tuner
	// Output: no model here
}
