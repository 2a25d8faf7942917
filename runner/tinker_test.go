package runner

import (
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"stargate/internal/llama"
	"stargate/lm/local"
	"stargate/lm/remote"
	"stargate/plan"
	"stargate/trainer/tinker/tinkertest"
)

const tinkerFile = `
name: tinkered
extends: nano
%s
trainer:
  base: %q
  tinker: {url: %q, model: org/nano, api_key_env: STARGATE_TEST_TINKER_KEY, sample: %t}
data:
  a: {tasks: 2, personas: 2}
  b: {tasks: 2, personas: 2}
  test: {tasks: 2, personas: 2}
algorithm:
  iterations: 2
  samples: 2
  max_turns: 2
  tune: {epochs: 1, held_out: 0, lora: {rank: 4, alpha: 8}}
evaluation: {win_pairs: 2}
`

// tinkerServer trains adapters on the built-in model, and samples from them.
func tinkerServer(t *testing.T) (s *tinkertest.Server, dir string) {
	t.Helper()
	m, dir := nanoIn(t, "nano")
	weights, err := llama.Load(os.DirFS(dir))
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("STARGATE_TEST_TINKER_KEY", "secret")
	s = tinkertest.New(t, weights, "org/nano", tinkertest.Dialect{Key: "secret"})
	s.Policy = func(adapter fs.FS) (*local.Model, error) { return m.OpenAdapter(adapter, 0) }
	return s, dir
}

// A Tinker server trains, and the new policies speak on the questioner's server, each under a
// name of its own; or on the service that trained them; or here. Repeated, the run trains
// nothing again.
func TestATinkerServerTrains(t *testing.T) {
	if testing.Short() {
		t.Skip("trains adapters six times")
	}
	for name, c := range map[string]struct {
		questioner func(adapters string) string
		sample     bool
	}{
		"adapters reach a model server": {func(adapters string) string {
			url, _ := modelServer(t, "base", adapters)
			return fmt.Sprintf("roles: {questioner: {url: %q, model: base}}", url)
		}, false},
		"policies are sampled from the service": {func(string) string { return "" }, true},
		"adapters are opened here":              {func(string) string { return "" }, false},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			s, weights := tinkerServer(t)
			file := filepath.Join(dir, "tinkered.yaml")
			if err := os.WriteFile(file, fmt.Appendf(nil, tinkerFile, c.questioner(dir), weights, s.URL, c.sample), 0o644); err != nil {
				t.Fatal(err)
			}
			o := Options{Experiment: file, Out: filepath.Join(dir, "run"), Workers: 1}
			out, err := Run(t.Context(), o)
			if err != nil {
				t.Fatal(err)
			}
			for _, m := range []string{"m1", "m2"} {
				if _, err := os.Stat(filepath.Join(o.Out, "models", m, "adapter_config.json")); err != nil {
					t.Errorf("%s: %v", m, err)
				}
			}
			steps, samples := s.Calls["optim_step"], s.Calls["asample"]
			if steps == 0 || (samples > 0) != c.sample {
				t.Errorf("%d steps, %d samples", steps, samples)
			}
			for _, tr := range out.Result.Training {
				if len(tr.Loss) == 0 || len(tr.Notes) != 1 || !strings.Contains(tr.Notes[0], "alpha 32") {
					t.Errorf("%+v; want a curve, and a note on alpha", tr)
				}
			}
			again, err := Run(t.Context(), o)
			if err != nil || !reflect.DeepEqual(out.Result, again.Result) {
				t.Errorf("repeated: %v, the same result %t", err, err == nil && reflect.DeepEqual(out.Result, again.Result))
			}
			if probes := map[bool]int{true: 2}[c.sample]; s.Calls["optim_step"] != steps || s.Calls["asample"] != samples+probes {
				t.Errorf("repeated: %d further steps, %d further samples of which %d are probes", s.Calls["optim_step"]-steps, s.Calls["asample"]-samples, probes)
			}
		})
	}
}

// A Tinker server's money is in the forecast, the report and the budget: a training that the
// budget cannot pay is not begun, and with a higher limit the run goes on; policies on the service
// have its prices.
func TestATinkerServerIsPaid(t *testing.T) {
	if testing.Short() {
		t.Skip("trains adapters")
	}
	dir := t.TempDir()
	s, weights := tinkerServer(t)
	text := strings.Replace(fmt.Sprintf(tinkerFile, "", weights, s.URL, true), "sample: true}", "sample: true, price: {train: 1000, prefill: 10, sample: 30}}", 1)
	file := filepath.Join(dir, "tinkered.yaml")
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	o := Options{Experiment: file, Out: filepath.Join(dir, "run"), Workers: 1}
	x, err := Expect(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	for _, role := range []string{plan.Trainer, plan.Sampled} {
		if x.Forecast.Roles[role].Cost == 0 {
			t.Errorf("the %s is forecast as %+v", role, x.Forecast.Roles[role])
		}
	}

	o.Budget.Cost = 0.01 // ten tokens
	if _, err := Run(t.Context(), o); !errors.Is(err, remote.ErrBudget) || !strings.Contains(err.Error(), "left to train on") {
		t.Fatalf("a training beyond the budget: %v", err)
	}
	if s.Tokens != 0 {
		t.Errorf("%d tokens were sent all the same", s.Tokens)
	}
	o.Budget.Cost = 100
	out, err := Run(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	trained, sampled := out.Result.Calls[plan.Trainer], out.Result.Calls[plan.Sampled]
	if trained.Made != 2 || trained.TokensIn != s.Tokens || math.Abs(trained.Cost-float64(s.Tokens)/1e3) > 1e-9 {
		t.Errorf("the report has %+v, the server was given %d tokens", trained, s.Tokens)
	}
	if sampled.Made == 0 || math.Abs(sampled.Cost-float64(10*sampled.TokensIn+30*sampled.TokensOut)/1e6) > 1e-9 {
		t.Errorf("the report has %+v for policies on the service", sampled)
	}
	if q := out.Result.Calls[plan.Questioner]; q.Made == 0 || q.Cost != 0 {
		t.Errorf("the report has %+v for the base model, which is here", q)
	}
	spent := trained.Cost + sampled.Cost
	o.Budget.Cost, o.Observe = 100, func(e Event) {
		if math.Abs(e.Cost-spent) > 1e-9 {
			t.Errorf("%s: the cost so far is %g, want %g", e.Stage, e.Cost, spent)
		}
	}
	if again, err := Run(t.Context(), o); err != nil || !reflect.DeepEqual(out.Result, again.Result) {
		t.Errorf("repeated: %v, the same result %t", err, err == nil && reflect.DeepEqual(out.Result, again.Result))
	}

	// Without a price that is said, once.
	if err := os.WriteFile(file, fmt.Appendf(nil, tinkerFile, "", weights, s.URL, false), 0o644); err != nil {
		t.Fatal(err)
	}
	x, err = Expect(t.Context(), Options{Experiment: file, Out: filepath.Join(dir, "other")})
	if err != nil {
		t.Fatal(err)
	}
	if said := strings.Count(strings.Join(x.Forecast.Basis, "\n"), "the money of the trainer is in no figure"); said != 1 {
		t.Errorf("that a price is missing is said %d times: %q", said, x.Forecast.Basis)
	}
}

// What a Tinker server cannot train is refused before anything is spent.
func TestTinkerSettingsAreChecked(t *testing.T) {
	dir := t.TempDir()
	for what, c := range map[string]struct{ text, want string }{
		"all weights":     {"trainer: {tinker: {url: http://localhost:1, model: m}}", "lora"},
		"no model":        {"trainer: {tinker: {url: http://localhost:1}}\nalgorithm: {tune: {lora: {rank: 4, alpha: 8}}}", "model is missing"},
		"a price below 0": {"trainer: {tinker: {url: http://localhost:1, model: m, price: {train: -1}}}\nalgorithm: {tune: {lora: {rank: 4, alpha: 8}}}", "trainer: tinker: price"},
		"two trainers":    {"trainer: {tinker: {url: http://localhost:1, model: m}, command: {template: trl}}", "one of command and tinker"},
	} {
		file := filepath.Join(dir, "x.yaml")
		if err := os.WriteFile(file, []byte("name: x\nextends: nano\n"+c.text+"\n"), 0o644); err != nil {
			t.Fatal(err)
		}
		if _, err := LoadExperiment(file); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want an error with %q", what, err, c.want)
		}
	}
}
