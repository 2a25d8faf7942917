package stats

import (
	"flag"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"strings"
	"testing"
)

// A design is a synthetic test split whose truth is known: every task and every persona
// shifts the values of its pairs by an effect of its own.
type design struct {
	tasks, personas int
	pairs           int     // of tasks × personas, drawn; 0 = all
	task, persona   float64 // standard deviations of the effects; the noise of a pair is 1
	kind            kind
}

type kind string

const (
	gaps   kind = "differences, nats" // normal
	skewed kind = "skewed differences"
	wins   kind = "win rates" // 1, ½, 0: effects shift the log-odds, 15 % are ties
)

// designs are the paper's test split (50 tasks, 10 personas; 300 of the pairs compared) and
// the built-in world's (20, 10; 150), with effects from none to large.
func designs() []design {
	var out []design
	for _, e := range [][2]float64{{0, 0}, {1, 0}, {0, 1}, {1, 1}, {0.3, 0.3}, {0.5, 0.15}} {
		out = append(out,
			design{50, 10, 0, e[0], e[1], gaps}, design{50, 10, 300, e[0], e[1], gaps}, design{20, 10, 0, e[0], e[1], gaps})
	}
	out = append(out, design{50, 10, 0, 0.5, 0.3, skewed})
	for _, e := range [][2]float64{{0, 0}, {0.8, 0}, {0, 0.5}, {0.8, 0.5}} {
		out = append(out, design{50, 10, 300, e[0], e[1], wins}, design{20, 10, 150, e[0], e[1], wins})
	}
	return out
}

func (d design) String() string {
	n := d.pairs
	if n == 0 {
		n = d.tasks * d.personas
	}
	return fmt.Sprintf("%s, %d × %d, %d pairs, effects %g and %g", d.kind, d.tasks, d.personas, n, d.task, d.persona)
}

func (d design) draw(r *rand.Rand) []Observation {
	task, persona := make([]float64, d.tasks), make([]float64, d.personas)
	for i := range task {
		if task[i] = d.task * r.NormFloat64(); d.kind == skewed {
			task[i] = d.task * (math.Exp(r.NormFloat64()) - math.Exp(0.5))
		}
	}
	for j := range persona {
		persona[j] = d.persona * r.NormFloat64()
	}
	obs := crossed(d.tasks, d.personas, func(i, j int) float64 {
		shift := task[i] + persona[j]
		if d.kind != wins {
			return shift + r.NormFloat64()
		}
		switch {
		case r.Float64() < 0.15:
			return 0.5
		case r.Float64() < 1/(1+math.Exp(-0.9-shift)):
			return 1
		}
		return 0
	})
	if d.pairs > 0 {
		r.Shuffle(len(obs), func(a, b int) { obs[a], obs[b] = obs[b], obs[a] })
		obs = obs[:d.pairs]
	}
	return obs
}

// truth is the mean over all tasks and personas there could be.
func (d design) truth() float64 {
	if d.kind != wins {
		return 0
	}
	sd, sum, weight := math.Hypot(d.task, d.persona), 0.0, 0.0
	for z := -8.0; z <= 8; z += 1.0 / 512 {
		w := math.Exp(-z * z / 2)
		sum, weight = sum+w/(1+math.Exp(-0.9-sd*z)), weight+w
	}
	return 0.15*0.5 + 0.85*sum/weight
}

// coverage is how often each interval holds the truth.
type coverage struct{ independent, clustered, bootstrap float64 }

func (d design) cover(seed uint64, runs, resamples int) coverage {
	truth, hits := d.truth(), [3]int{}
	for k := range runs {
		obs := d.draw(rand.New(rand.NewPCG(seed, uint64(k))))
		e := Mean(obs)
		holds := func(i int, low, high float64) {
			if low <= truth && truth <= high {
				hits[i]++
			}
		}
		holds(0, e.Mean-1.96*e.PairsSEM, e.Mean+1.96*e.PairsSEM)
		_, low, high := Share(obs)
		if d.kind != wins {
			low, high = e.Interval()
		}
		holds(1, low, high)
		if b, _, ok := Cross(obs).Studentised(Resampling{Resamples: resamples, Seed: uint64(k)}, 0); ok {
			holds(2, b.Low, b.High)
		}
	}
	share := func(n int) float64 { return float64(n) / float64(runs) }
	return coverage{share(hits[0]), share(hits[1]), share(hits[2])}
}

// within tells whether a share of runs can be a true coverage between low and high, two
// standard errors of counting allowed.
func within(share, low, high float64, runs int) bool {
	slack := 2 * math.Sqrt(0.05*0.95/float64(runs))
	return low-slack <= share && share <= high+slack
}

// Nominal 95 % intervals hold the truth in 93 to 97 % of synthetic test splits, whether
// tasks and personas matter or not. The seed is fixed; `make coverage` draws many more splits.
func TestIntervalsCover(t *testing.T) {
	const runs = 400
	for i, d := range []design{
		{20, 10, 0, 1, 1, gaps},
		{20, 10, 0, 0.3, 0.3, gaps},
		{20, 10, 150, 0.8, 0.5, wins},
	} {
		c := d.cover(uint64(100+i), runs, 199)
		for name, share := range map[string]float64{"clustered": c.clustered, "bootstrap": c.bootstrap} {
			if !within(share, 0.93, 0.97, runs) {
				t.Errorf("%v: %s intervals hold the truth in %.1f %%", d, name, 100*share)
			}
		}
		if c.independent > 0.9 {
			t.Errorf("%v: as if independent %.1f %%: the test does not test clustering", d, 100*c.independent)
		}
	}
	for i, d := range []design{{20, 10, 0, 0, 0, gaps}, {20, 10, 0, 1, 0, gaps}, {12, 5, 45, 0.3, 0, gaps}} {
		if c := d.cover(uint64(200+i), runs, 199); !within(c.clustered, 0.93, 0.97, runs) || !within(c.bootstrap, 0.93, 0.97, runs) {
			t.Errorf("%v: %+v", d, c)
		}
	}
}

var update = flag.Bool("update", false, "write docs/bench/coverage.md (with STARGATE_COVERAGE=1)")

const coverageFile = "../../docs/bench/coverage.md"

// TestLongCoverage is the long simulation of `make coverage`: every design, 4,000 splits.
func TestLongCoverage(t *testing.T) {
	if os.Getenv("STARGATE_COVERAGE") == "" {
		checkCoverageFile(t)
		return
	}
	const runs, resamples = 4000, 399
	var rows strings.Builder
	for i, d := range designs() {
		c := d.cover(uint64(i), runs, resamples)
		fmt.Fprintf(&rows, "| %s | %d × %d | %d | %g | %g | %.1f | %.1f | %.1f |\n", d.kind, d.tasks, d.personas, len(d.draw(rand.New(rand.NewPCG(0, 0)))), d.task, d.persona, 100*c.independent, 100*c.clustered, 100*c.bootstrap)
		t.Logf("%v: %+v", d, c)
		if !within(c.clustered, 0.93, 0.97, runs) || !within(c.bootstrap, 0.93, 0.97, runs) {
			t.Errorf("%v: %+v", d, c)
		}
	}
	if !*update {
		return
	}
	text, err := os.ReadFile(coverageFile)
	if err != nil {
		t.Fatal(err)
	}
	head, rest, ok := strings.Cut(string(text), "<!-- table -->\n")
	_, tail, ok2 := strings.Cut(rest, "<!-- end -->\n")
	if !ok || !ok2 {
		t.Fatalf("%s has lost its table marks", coverageFile)
	}
	table := "| values | tasks × personas | pairs | task effect | persona effect | as if independent | clustered (t) | bootstrap (studentised) |\n|---|---|---|---|---|---|---|---|\n" + rows.String()
	if err := os.WriteFile(coverageFile, []byte(head+"<!-- table -->\n"+table+"<!-- end -->\n"+tail), 0o644); err != nil {
		t.Fatal(err)
	}
}

// checkCoverageFile: the table on record has a row for every design.
func checkCoverageFile(t *testing.T) {
	text, err := os.ReadFile(coverageFile)
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range designs() {
		row := fmt.Sprintf("| %s | %d × %d | %d | %g | %g |", d.kind, d.tasks, d.personas, len(d.draw(rand.New(rand.NewPCG(0, 0)))), d.task, d.persona)
		if !strings.Contains(string(text), row) {
			t.Errorf("%s lacks the row %q: run make coverage", coverageFile, row)
		}
	}
}
