package command

import (
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.yaml.in/yaml/v4"

	"stargate/lm"
	"stargate/trainer"
)

var update = flag.Bool("update", false, "rewrite golden files")

func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", "golden", name)
	if *update {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s, want -, got + (-update rewrites it):\n%s", path, diff)
	}
}

// full is a fine-tune of all weights as in the paper; low a LoRA on several GPUs without held-out
// rows that goes on from a checkpoint.
func full() Fields {
	return Fields{
		Name: "m1", Base: "/models/mistral", Data: "/run/m1.training/data", Train: "/run/m1.training/data/train.jsonl", HeldOut: "/run/m1.training/data/test.jsonl",
		Keyed: "/run/m1.training/keyed.jsonl", Output: "/run/m1.training/output", Work: "/run/m1.training", Hyper: lm.PaperHyper(), Steps: 185, WarmupSteps: 19, Longest: 1890, Seed: 42, SaveEvery: 18,
		Processes: 1, MicroBatch: 4, Accumulation: 16, BF16: true, Attempt: 1,
	}
}

func low() Fields {
	f := full()
	f.HeldOut, f.Processes, f.Accumulation, f.BF16 = "", 4, 4, false
	f.Hyper.LoRA = &lm.LoRA{Rank: 16, Alpha: 32, Targets: []string{"q_proj", "v_proj"}}
	f.LoRA, f.Attempt, f.Resume = f.Hyper.LoRA, 2, "/run/m1.training/output/checkpoint-36"
	return f
}

func TestGoldenRenderings(t *testing.T) {
	for _, name := range Templates() {
		tm, err := OpenTemplate(name)
		if err != nil {
			t.Fatal(err)
		}
		for kind, f := range map[string]Fields{"full": full(), "lora": low()} {
			t.Run(name+"/"+kind, func(t *testing.T) {
				r, err := tm.Render(f, nil)
				if err != nil {
					t.Fatal(err)
				}
				var b strings.Builder
				for _, v := range slices.Sorted(maps.Keys(r.Env)) {
					fmt.Fprintf(&b, "%s=%s\n", v, r.Env[v])
				}
				for _, c := range r.Run {
					fmt.Fprintf(&b, "$ %s\n", strings.Join(c, " "))
				}
				for _, file := range slices.Sorted(maps.Keys(r.Files)) {
					fmt.Fprintf(&b, "\n-- %s --\n%s", file, r.Files[file])
					if filepath.Ext(file) == ".yaml" {
						var any map[string]any
						if err := yaml.Load([]byte(r.Files[file]), &any); err != nil {
							t.Errorf("%s: %v", file, err)
						}
					}
				}
				golden(t, name+"-"+kind+".txt", b.String())
			})
		}
		if tm.About == "" || tm.Mask == "" {
			t.Errorf("%s does not say what it is, or how it carries the mask", name)
		}
	}
}

// The script of a job, as sbatch gets it.
func TestGoldenSlurmScript(t *testing.T) {
	tm, err := OpenTemplate("torchrun")
	if err != nil {
		t.Fatal(err)
	}
	r, err := tm.Render(low(), nil)
	if err != nil {
		t.Fatal(err)
	}
	j := newJobs(Slurm{Options: map[string]string{"partition": "gpu", "gres": "gpu:4", "time": "12:00:00", "exclusive": ""}})
	s := script{Attempt: 2, Name: "m1", Dir: "/run/m1.training/attempt-02", In: "/run/m1's place", Env: map[string]string{"HF_HUB_OFFLINE": "1", "NOTE": "it's quoted"}, Run: r.Run, Scheduler: j.scheduler("stargate-m1-0123456789ab", "/run/m1.training/attempt-02/log")}
	text, err := s.render()
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "sbatch.sh", string(text))
}

func TestTemplatesOfUsers(t *testing.T) {
	read := func(manifest string, files ...string) (*Template, error) {
		dir := fstest.MapFS{}
		if manifest != "" {
			dir[manifestFile] = &fstest.MapFile{Data: []byte(manifest)}
		}
		for i := 0; i+1 < len(files); i += 2 {
			dir[files[i]] = &fstest.MapFile{Data: []byte(files[i+1])}
		}
		return readTemplate("mine", dir)
	}
	for text, c := range map[string]struct{ manifest, file string }{
		"template.yaml":      {"", ""},
		"run is missing":     {"about: x", ""},
		"an empty command":   {"run: [[]]", ""},
		"runs":               {"runs: [[a]]", ""},
		`"steps" is missing`: {"run: [[a, '{{option \"steps\"}}']]", ""},
		"Bass":               {"run: [[a, '{{.Bass}}']]", ""},
		"c.yaml":             {"run: [[a]]", "x: {{.Base"},
		"not a whole number": {"run: [[a, '{{whole 1.5}}']]", ""},
		`no option "epochs"`: {"run: [[a]]", ""},
	} {
		tm, err := read(c.manifest, "c.yaml.tmpl", c.file)
		if err == nil {
			_, err = tm.Render(full(), map[string]string{"epochs": "3"})
		}
		if err == nil || !strings.Contains(err.Error(), text) {
			t.Errorf("%+v: %v, want %q in it", c, err, text)
		}
	}
	tm, err := read(`{run: [[train, '{{option "epochs"}}', '{{if .Resume}}--resume{{end}}', '{{optional "more" "none"}}']]}`, "c.yaml.tmpl", "rate: {{num 2e-5}} {{num 1}} {{num 0.5}} {{num 1e21}}\nbase: {{quote .Base}}\n")
	if err != nil {
		t.Fatal(err)
	}
	r, err := tm.Render(full(), map[string]string{"epochs": "3"})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([][]string{{"train", "3", "none"}}, r.Run); diff != "" {
		t.Error(diff)
	}
	if want := "rate: 2.0e-05 1.0 0.5 1.0e+21\nbase: \"/models/mistral\"\n"; r.Files["c.yaml"] != want {
		t.Errorf("%q, want %q", r.Files["c.yaml"], want)
	}
}

func TestCopies(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "mine")
	if err := CopyTemplate("torchrun", dir); err != nil {
		t.Fatal(err)
	}
	a, err := OpenTemplate("torchrun")
	if err != nil {
		t.Fatal(err)
	}
	b, err := OpenTemplate(dir)
	if err != nil {
		t.Fatal(err)
	}
	x, errX := a.digest()
	y, errY := b.digest()
	if x != y || errX != nil || errY != nil {
		t.Errorf("the copy is another template: %v, %v", errX, errY)
	}
	if err := CopyTemplate("torchrun", dir); !errors.Is(err, fs.ErrExist) {
		t.Errorf("over another: %v", err)
	}
	if err := CopyTemplate("none", dir+"2"); !errors.Is(err, ErrTemplate) {
		t.Errorf("of nothing: %v", err)
	}
}

// A configuration as an experiment has it.
func TestConfigsAreYAML(t *testing.T) {
	var c Config
	if err := yaml.Load([]byte(`
template: axolotl
options: {gradient_checkpointing: "false"}
processes: 8
micro_batch: 2
precision: fp32
save_every: 20
dir: work
env: {HF_HUB_OFFLINE: "1"}
retries: 2
stall: 45m
grace: 1m
pause: 10s
log_patterns: ['iter (?P<step>\d+): (?P<loss>\S+)']
slurm: {options: {partition: gpu, gres: "gpu:8", exclusive: ""}, poll: 30s, detach: true}
`), &c, yaml.WithKnownFields()); err != nil {
		t.Fatal(err)
	}
	want := Config{Template: "axolotl", Options: map[string]string{"gradient_checkpointing": "false"}, Processes: 8, MicroBatch: 2, Precision: "fp32", SaveEvery: 20, Dir: "work",
		Env: map[string]string{"HF_HUB_OFFLINE": "1"}, Retries: 2, Stall: 45 * time.Minute, Grace: time.Minute, Pause: 10 * time.Second, LogPatterns: []string{`iter (?P<step>\d+): (?P<loss>\S+)`},
		Slurm: &Slurm{Options: map[string]string{"partition": "gpu", "gres": "gpu:8", "exclusive": ""}, Poll: 30 * time.Second, Detach: true}}
	if diff := cmp.Diff(want, c); diff != "" {
		t.Errorf("want -, got +:\n%s", diff)
	}
	if err := c.Validate(); err != nil {
		t.Error(err)
	}
}

// Every word reaches the program as it was, whatever a shell thinks of it.
func TestShellQuoting(t *testing.T) {
	for word, want := range map[string]string{"": "''", "a/b-c_d.e=1": "a/b-c_d.e=1", "it's": `'it'\''s'`, "$HOME `x` \"y\"\n": "'$HOME `x` \"y\"\n'"} {
		if got := shellQuote(word); got != want {
			t.Errorf("%q is %s, want %s", word, got, want)
		}
	}
}

func ExampleNew() {
	t, err := New(Config{Template: "axolotl", Processes: 8, Retries: 2})
	if err != nil {
		fmt.Println(err)
		return
	}
	var _ trainer.Trainer = t
	fmt.Println(strings.Join(Templates(), " "))
	// Output: axolotl llamafactory stargate torchrun trl
}
