package runner

import (
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"testing"

	"stargate/eval"
	"stargate/plan"
)

// finished are the calls of a run whose report is kept with the project.
func finished(t *testing.T, name string) map[string]plan.Spent {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("..", "docs", "results", name))
	if err != nil {
		t.Fatal(err)
	}
	var r eval.Result
	if err := json.Unmarshal(data, &r); err != nil {
		t.Fatal(err)
	}
	out := map[string]plan.Spent{}
	for role, c := range r.Calls {
		out[role] = plan.Spent{Calls: int64(c.Made), TokensIn: int64(c.TokensIn), TokensOut: int64(c.TokensOut)}
	}
	return out
}

// A forecast from eight pairs comes near what a finished run of the built-in world took.
func TestForecastOfFinishedRuns(t *testing.T) {
	if testing.Short() {
		t.Skip("runs a pilot")
	}
	for _, seed := range []uint64{0, 1} {
		o := ForecastOptions{Options: Options{Experiment: "nano", Seed: seed, Out: filepath.Join(t.TempDir(), "run")}, Pilot: 8, Lengths: plan.PaperLengths()}
		f, err := Forecast(t.Context(), o)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range f.Compare(finished(t, map[uint64]string{0: "nano-seed0.json", 1: "nano-seed1.json"}[seed])) {
			t.Logf("seed %d, %-10s calls %+.1f %%, tokens in %+.1f %%, out %+.1f %%", seed, e.Role, 100*e.Calls, 100*e.TokensIn, 100*e.TokensOut)
			if math.Abs(e.Calls) > 0.25 || math.Abs(e.TokensIn) > 0.25 || math.Abs(e.TokensOut) > 0.25 {
				t.Errorf("seed %d: %+v is off by more than a quarter", seed, e)
			}
		}
		if !f.Known || f.Total.Hours <= 0 {
			t.Errorf("the pilot left hours unknown: %+v", f.Lines)
		}
		again, err := Forecast(t.Context(), o)
		if err != nil || !reflect.DeepEqual(f, again) {
			t.Errorf("a second forecast in the same directory differs (%v)", err)
		}
	}
}
