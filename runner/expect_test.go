package runner

import (
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"stargate/lm/remote"
	"stargate/plan"
)

// paidRun is an experiment of four roles on servers that nobody ever asks: an oracle is to make
// the golds, and questioner, roleplayer and judge have prices.
func paidRun(t *testing.T) Options {
	t.Helper()
	e := small(t)
	e.World = ""
	at := func(in, out float64) remote.Role {
		return remote.Role{URL: "http://127.0.0.1:1", Model: "m", Price: remote.Price{Input: in, Output: out}}
	}
	e.Roles = Roles{Questioner: &Player{Role: at(1, 2)}, Roleplayer: []Player{{Role: at(3, 6)}, {Name: "the questioner's model"}}, Judge: []Player{{Role: at(10, 30)}}, Oracle: &Player{Role: at(20, 60)}}
	return Options{Resolved: e, Out: filepath.Join(t.TempDir(), "run"), Source: Source{Data: ownData(t)}}
}

// Before the first call a run says what it takes, where its limits end it, and that limits
// which cannot pay for the first stage are none.
func TestExpect(t *testing.T) {
	o := paidRun(t)
	x, err := Expect(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	if x.Warning() != "" || x.Err() != nil {
		t.Errorf("without limits: %q, %v", x.Warning(), x.Err())
	}
	for _, role := range []string{plan.Questioner, plan.Scorer, plan.Roleplayer, plan.Judge, plan.Oracle} {
		if l := x.Forecast.Roles[role]; l.Calls == 0 || l.Cost == 0 {
			t.Errorf("the %s is forecast as %+v", role, l)
		}
	}
	if l := x.Forecast.Roles[plan.Roleplayer]; math.Abs(l.Cost-(float64(l.TokensIn)*2+float64(l.TokensOut)*4)/1e6) > 1e-9 {
		t.Errorf("two roleplayers of different prices: %+v, want half of the calls at each", l)
	}
	tokens, cost := x.Forecast.Paid()
	for _, c := range []struct {
		limits   remote.Limits
		refused  bool
		ends, in string
	}{
		{remote.Limits{Tokens: tokens}, false, "", ""},
		{remote.Limits{Cost: cost}, false, "", ""},
		{remote.Limits{Tokens: tokens - 1}, false, "evaluation: win rates", "tokens"},
		{remote.Limits{Tokens: tokens / 2}, false, "likely to end", "%"},
		{remote.Limits{Cost: cost / 2}, false, "data: gold responses", "in money"},
		{remote.Limits{Tokens: 1}, true, "data: gold responses", "tokens"},
		{remote.Limits{Cost: 1e-9, Tokens: tokens}, true, "data: gold responses", "in money"},
	} {
		o.Budget = c.limits
		x, err := Expect(t.Context(), o)
		if err != nil {
			t.Fatal(err)
		}
		if err := x.Err(); errors.Is(err, ErrTooLittle) != c.refused || c.refused && !strings.Contains(err.Error(), c.ends) {
			t.Errorf("%+v: %v", c.limits, err)
		}
		if w := x.Warning(); (w != "") != (c.ends != "") || !strings.Contains(w, c.ends) || !strings.Contains(w, c.in) {
			t.Errorf("%+v: %q", c.limits, w)
		}
	}

	o.Budget = remote.Limits{}
	if err := os.MkdirAll(o.Out, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(o.Out, "report.json"), []byte("{}"), 0o644); err != nil {
		t.Fatal(err)
	}
	if x, err := Expect(t.Context(), o); x != nil || err != nil {
		t.Errorf("of a finished run something is expected: %+v, %v", x, err)
	}
	if x, err := Expect(t.Context(), Options{Experiment: "nano", Out: t.TempDir()}); x != nil || err != nil {
		t.Errorf("where no server plays: %+v, %v", x, err)
	}
}

// What a run on servers took is not far from what was forecast from a pilot in its own directory,
// and rather less: in this small world models repeat each other word for word, and what is
// repeated is asked once.
func TestForecastOfARunOnServers(t *testing.T) {
	if testing.Short() {
		t.Skip("a pilot and a run")
	}
	dir := t.TempDir()
	base, weights := modelServer(t, "base", dir)
	other, _ := modelServer(t, "other")
	judge, _, _ := scriptedJudge(t)
	text := fmt.Sprintf(serversFile, base, other, judge, weights)
	text = strings.NewReplacer("tasks: 2, personas: 2", "tasks: 4, personas: 3", "samples: 2", "samples: 3", ", {name: m0 itself}", "", "  credit: true", "  credit: true\n  rate_tasks: true\n  orders: both", "epochs: 1,", "epochs: 4, batch_size: 4,", "{url: \""+other, "{price: {input: 1, output: 1}, url: \""+other).Replace(text)
	file := filepath.Join(dir, "servers.yaml")
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	o := ForecastOptions{Options: Options{Experiment: file, Out: filepath.Join(dir, "run")}, Pilot: 4, Lengths: plan.PaperLengths()}
	f, err := Forecast(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	out, err := Run(t.Context(), o.Options)
	if err != nil {
		t.Fatal(err)
	}
	actual, cost := map[string]plan.Spent{}, 0.0
	for role, c := range out.Result.Calls {
		actual[role] = plan.Spent{Calls: int64(c.Made), TokensIn: int64(c.TokensIn), TokensOut: int64(c.TokensOut)}
		cost += c.Cost
	}
	if n := f.Roles[plan.Rater].Calls; n == 0 || n != actual[plan.Rater].Calls {
		t.Errorf("%d ratings of tasks are forecast, %d were made", n, actual[plan.Rater].Calls)
	}
	if !slices.ContainsFunc(f.Lines, func(l plan.Line) bool { return l.Stage == "evaluation: credit of questions" }) {
		t.Errorf("the credit of questions is not forecast: %+v", f.Lines)
	}
	for _, e := range f.Compare(actual) {
		t.Logf("%-10s calls %+.1f %%, tokens in %+.1f %%, out %+.1f %%", e.Role, 100*e.Calls, 100*e.TokensIn, 100*e.TokensOut)
		judged := e.Role == plan.Judge || e.Role == plan.Rater // this one says 100 tokens of every prompt
		if e.Calls < -0.1 || e.Calls > 0.8 || !judged && (e.TokensIn < -0.1 || e.TokensIn > 0.8) {
			t.Errorf("%+v: too far off", e)
		}
	}
	t.Logf("cost: forecast %.5f, real %.5f: %+.1f %%", f.Total.Cost, cost, 100*(f.Total.Cost-cost)/cost)
	if f.Total.Cost < cost*0.9 || f.Total.Cost > cost*1.6 {
		t.Errorf("the cost is forecast as %g, and was %g", f.Total.Cost, cost)
	}
}
