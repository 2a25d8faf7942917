package report

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"stargate/eval"
)

// row is a run of two models whose last win rate is given.
func row(name string, rate, low, high float64) Row {
	r := &eval.Result{Experiment: strings.Trim("tiny+"+name, "+"), Models: []string{"m0", "m1"},
		WinRate:   []eval.WinRate{{Model: "m1", Rate: rate, Low: low, High: high, N: 40}},
		Questions: []eval.Questions{{Model: "m1", Wellformed: 1, Relevant: 0.5, N: 9}}}
	for i, mean := range []float64{-20, -10} {
		r.GoldLogProb = append(r.GoldLogProb, eval.GoldLogProb{Condition: eval.QExperimental, Model: r.Models[i], Subset: eval.All, Mean: mean, N: 40},
			eval.GoldLogProb{Condition: eval.QRandom, Model: r.Models[i], Subset: eval.All, Mean: -25, N: 40})
	}
	out := Row{Name: name, About: "about " + name, Dir: name, Result: r}
	if name != "" {
		out.Against = &eval.Contrast{Rows: []eval.ContrastRow{{What: eval.Wins, ModelA: "m1", ModelB: "m1", Test: eval.Paired{Diff: rate - .8, Low: rate - .9, High: rate - .7, P: .004}}}}
	}
	return out
}

func study(t *testing.T) Ablations {
	t.Helper()
	a, err := NewAblations([]Row{row("", .8, .7, .9), row("gold-response", .4, .3, .5), row("no-regularization", .2, .1, .3), row("response-model", .6, .55, .65),
		row("roleplayer-rule", .85, .8, .9), row("roleplayer-weak-silent", .7, .6, .8), row("several-roleplayers", .75, .7, .8), row("several-roleplayers+roleplayer-rule", .77, .7, .8)})
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// All of the paper's findings are in these numbers, and a row that changes one is told.
func TestAblationsJudgeShapesFromAllRows(t *testing.T) {
	a := study(t)
	for _, s := range a.Shapes {
		if s.Seen == nil || !*s.Seen {
			t.Errorf("(%s) %v: %s", s.ID, s.Seen, s.Evidence)
		}
	}
	a.Rows[5] = row("roleplayer-weak-silent", .82, .7, .9)
	again, err := NewAblations(a.Rows)
	if err != nil {
		t.Fatal(err)
	}
	if f := again.Shapes[5]; f.Seen == nil || *f.Seen {
		t.Errorf("a weaker Roleplayer raised the win rate, yet (f) is seen: %s", f.Evidence)
	}
	if _, err := NewAblations(a.Rows[1:]); err == nil {
		t.Error("a study without its main run was taken")
	}
}

// The Roleplayers of training are crossed with those of evaluation.
func TestAblationsMatrix(t *testing.T) {
	m := study(t).matrix()
	if m == nil || !slices.Equal(m.Columns, []string{"the training’s", "rule", "weak-silent"}) || len(m.Rows) != 2 {
		t.Fatalf("%+v", m)
	}
	for i, want := range [][]string{{"0.800", "0.850", "0.700"}, {"0.750", "0.770", "–"}} {
		for j, c := range m.Rows[i].Cells {
			if c.Value != want[j] {
				t.Errorf("row %d: %+v, want %v", i, m.Rows[i].Cells, want)
			}
		}
	}
}

// The files of a study are whole, and the page names every run.
func TestWriteAblations(t *testing.T) {
	dir := t.TempDir()
	a := study(t)
	if err := WriteAblations(dir, a); err != nil {
		t.Fatal(err)
	}
	page, err := os.ReadFile(filepath.Join(dir, AblationsPage))
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range a.Rows {
		if r.Name != "" && !strings.Contains(r.Name, "+") && !bytes.Contains(page, []byte(`href="`+r.Dir+`/report.html"`)) {
			t.Errorf("the page has no link to %s", r.Dir)
		}
	}
	var text bytes.Buffer
	if err := AblationsText(&text, a); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(text.String(), "6 of the paper’s 6 findings appear.") {
		t.Errorf("%s", text.String())
	}
	// Paired differences from the main run; what was not measured is a dash.
	for _, want := range []string{"gold-response +–  – +−0.400 \\[−0.500, −0.300\\]  0.004", "Q-experimental, nats"} {
		if !regexp.MustCompile(want).MatchString(text.String()) {
			t.Errorf("no %q in\n%s", want, text.String())
		}
	}
	if !bytes.Contains(page, []byte("The last model less the main run")) {
		t.Error("the page has no paired differences")
	}
}

// The headline counts in words that fit the numbers.
func TestAblationsHeadline(t *testing.T) {
	yes, no := true, false
	for _, c := range []struct {
		seen []*bool
		want string
	}{
		{[]*bool{&yes, &no, &no}, "1 of the paper’s 3 findings appears, 2 do not."},
		{[]*bool{&yes, &yes, &no}, "2 of the paper’s 3 findings appear, 1 does not."},
		{[]*bool{&yes, &yes, nil}, "2 of the paper’s 3 findings appear; 1 could not be tested."},
	} {
		var a Ablations
		for _, s := range c.seen {
			a.Shapes = append(a.Shapes, eval.Shape{Seen: s})
		}
		if got := a.headline(); got != c.want {
			t.Errorf("%q, want %q", got, c.want)
		}
	}
}
