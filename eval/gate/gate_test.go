package gate

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"stargate/eval"
)

// result is a run that was kept: docs/results.
func result(t testing.TB, name string) *eval.Result {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join("../../docs/results", name+".json"))
	if err != nil {
		t.Fatal(err)
	}
	r := new(eval.Result)
	if err := json.Unmarshal(raw, r); err != nil {
		t.Fatal(err)
	}
	return r
}

func check(t *testing.T, v Values, text string) (Outcome, error) {
	t.Helper()
	r, err := Parse(text)
	if err != nil {
		return Outcome{}, err
	}
	return r.Check(v)
}

// Requirements against the kept run of nano with seed 0: m2 wins .910 [.865, .955], the
// relevant questions are 23, 63, 83 and 85 %.
func TestRequirements(t *testing.T) {
	v := Of(result(t, "nano-seed0"))
	for text, want := range map[string]bool{
		"winrate.m2.lower > 0.5":                               true,
		"winrate.m2.lower > .95":                               false,
		"winrate.m2.lower>0.5 and winrate.m3.lower>0.5":        true,
		"winrate.m2.lower > 0.99 or winrate.m2.rate > 0.9":     true,
		"not (winrate.m2.lower > 0.99)":                        true,
		"!(winrate.m2.lower > 0.99) && true":                   true,
		"winrate.last.rate == winrate.m3.rate":                 true,
		"questions.last.relevant >= 0.8":                       true,
		"questions.m3.relevant - questions.m0.relevant > .6":   true,
		"gold.qa.m3.delta_lower > 10":                          true,
		"gold.qa_top1.m3.mean > gold.qa.m3.mean":               true,
		"gold.neg.m0.mean < gold.pos.m0.mean":                  true,
		"shape.a and shape.b":                                  true,
		"abs(optimum.gap.m3.mean) < 1":                         true,
		"max(winrate.m1.rate, winrate.m2.rate) > 0.9":          true,
		"min(1, 2) == 1":                                       true,
		"winrate.m2.invalid == 0":                              true,
		"winrate.m2.wins / winrate.m2.n > 0.8":                 true,
		"calls.scorer.made > 1000":                             true,
		"training.m3.relevant_selected > training.m3.relevant": true,
		"0.5 < winrate.m1.lower < 0.9":                         true,
		"-winrate.m2.lower < 0":                                true,
		"questions[\"m2\"].relevant > 0":                       true,
	} {
		o, err := check(t, v, text)
		if err != nil || o.Met != want || o.Undecided != "" {
			t.Errorf("%s: %+v, %v; want %v", text, o, err, want)
		}
	}
}

// What is asked for and not there is never met: it says what there is instead.
func TestUndecided(t *testing.T) {
	v := Of(result(t, "nano-seed0"))
	for text, want := range map[string]string{
		"winrate.m9.lower > 0.5":   `winrate has no "m9"; it has last, m1, m2, m3`,
		"winrate.m2.lowr > 0.5":    `winrate.m2 has no "lowr"; it has asks, detects, invalid, losses, lower`,
		"winrat.m2.lower > 0.5":    `this run has no "winrat"; it has calls`,
		"winrate.m2 > 0.5":         "winrate.m2 is not a number; go on with one of",
		"winrate.m2.lower.x > 0.5": "winrate.m2.lower is a value and has nothing below it",
		"shape.f":                  `shape has no "f"`, // not tested by a run alone
		"winrate.m0.lower > 0.5":   `winrate has no "m0"`,
		"winrate.m2.rate / (winrate.m2.rate - winrate.m2.rate) > 1": "division by zero",
	} {
		o, err := check(t, v, text)
		if !errors.Is(err, ErrUndecided) || o.Met || !strings.Contains(o.Undecided, want) {
			t.Errorf("%s: %+v, %v; want %q", text, o, err, want)
		}
	}
}

// What is no requirement is refused with the place, before any run is looked at where that
// is possible.
func TestSyntax(t *testing.T) {
	v := Of(result(t, "nano-seed0"))
	for text, want := range map[string]string{
		"":                             "it is empty",
		"winrate.m2.lower >":           "unexpected token EOF",
		"winrate.m2.lower > 50%":       "unexpected token EOF",
		"winrate.m2.lower = 0.5":       "unexpected token Operator",
		"winrate.m2.lower":             "expected bool",
		"winrate.m2.lower > 'x'":       "not in the language",
		"now() > 1":                    "there is no function now; there are abs, min, max",
		"len(winrate) > 1":             "there is no function len",
		"1..3 == 2":                    `there is no operator ".."`,
		"(winrate.m2.lower ?? 0) > 1":  `there is no operator "??"`,
		"winrate?.m2.lower > 1":        "is not a name",
		"winrate[0] > 1":               "is not a name",
		"all([1], # > 0)":              "there is no function all",
		"let x = 1; x > 0":             "not in the language",
		"winrate.m2.lower > 0 ? 1 : 2": "not in the language",
		"winrate.m2.lower ** 2 > 1":    `there is no operator "**"`,
		"1 / 0 > 1":                    "division by zero",
		"shape.a > 1":                  "mismatched types",
		"winrate.m2.lower and true":    "mismatched types",
		"env > 1":                      "this run has no",
		"$env == 1":                    "this run has no",
		strings.Repeat("(", 3000):      "at most 2000",
		strings.Repeat("(", 1900):      "",
	} {
		o, err := check(t, v, text)
		if err == nil || o.Met || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %+v, %v; want %q", text, o, err, want)
		}
	}
}

// Every name that is listed can be asked for as it is written.
func TestListedNamesWork(t *testing.T) {
	r := result(t, "nano-seed0")
	r.Dropped["pos: context-too-long"] = 3
	v := Of(r)
	list := v.List()
	if len(list) < 100 {
		t.Errorf("%d names", len(list))
	}
	for _, u := range list {
		text := u.Name
		if x, ok := u.Value.(float64); ok {
			text = fmt.Sprintf("%s == %v", u.Name, x)
		} else if u.Value == false {
			text = "not " + text
		}
		if o, err := check(t, v, text); err != nil || !o.Met {
			t.Errorf("%s: %+v, %v", text, o, err)
		}
	}
}

func FuzzRequirement(f *testing.F) {
	v := Of(result(f, "nano-seed0"))
	for _, s := range []string{"winrate.m2.lower > 0.5 and not shape.a", "a[\"b\"].c / 2 < 1e9", "min(1,2)==abs(-1)", "x ?? y", "[1,2][0]", "{a:1}.a"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		r, err := Parse(text)
		if err != nil {
			if !errors.Is(err, ErrSyntax) {
				t.Errorf("%q: %v", text, err)
			}
			return
		}
		o, err := r.Check(v)
		if err != nil && (o.Met || !errors.Is(err, ErrSyntax) && !errors.Is(err, ErrUndecided)) {
			t.Errorf("%q: %+v, %v", text, o, err)
		}
	})
}
