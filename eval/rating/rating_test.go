package rating

import (
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"stargate"
	"stargate/eval"
	"stargate/eval/judge"
)

// compared is a run of so many judged pairs; m1's replies say so.
func compared(n int) []eval.Compared {
	var out []eval.Compared
	for i := range n {
		p := stargate.Pair{Task: stargate.Task{ID: fmt.Sprint("t", i/4), Text: "Plan a trip."}, Persona: stargate.Persona{ID: fmt.Sprint("u", i%4), Name: "Ann", Text: "I live in Oslo, \"by the sea\".\nI own a dog."}, Gold: "gold"}
		out = append(out, eval.Compared{Pair: p, Turns: 1 + i%3, Base: "m0", Responses: map[string]string{"m0": fmt.Sprint("base reply ", i), "m1": fmt.Sprint("a longer tuned reply ", i), "m2": ""},
			Ballots: map[string][]eval.NamedBallot{"m1": {{Judge: "judge"}}, "m2": {{Judge: "judge"}}}})
	}
	return out
}

func sheet(t *testing.T, o Options) (Sheet, Key) {
	t.Helper()
	s, k, err := New(compared(40), o)
	if err != nil {
		t.Fatal(err)
	}
	return s, k
}

// filled is a sheet as a spreadsheet gives it back, answered by answer.
func filled(t *testing.T, s Sheet, rater string, answer func(i Item) string) string {
	t.Helper()
	var b bytes.Buffer
	if err := WriteCSV(&b, s); err != nil {
		t.Fatal(err)
	}
	rows, err := csv.NewReader(strings.NewReader(strings.TrimPrefix(b.String(), "\ufeff"))).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	for n, i := range s.Items {
		rows[n+1][7], rows[n+1][9] = answer(i), rater
	}
	b.Reset()
	if err := csv.NewWriter(&b).WriteAll(rows); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// prefersTuned is a rater who knows what is good, whatever the order.
func prefersTuned(i Item) string {
	if strings.Contains(i.A, "tuned") {
		return "A"
	}
	return "Reply B"
}

// A sheet that goes out and comes back: the rater's verdicts are on the model's side again,
// and the audit of package judge takes them as any judge's.
func TestThereAndBack(t *testing.T) {
	s, k := sheet(t, Options{Models: []string{"m1"}, Items: 20, Repeats: 0.25, Seed: 3})
	if len(s.Items) != 25 {
		t.Fatalf("%d items, want 20 and 5 again", len(s.Items))
	}
	swapped := 0
	for _, i := range s.Items {
		if k.Items[i.ID].Swapped {
			swapped++
		}
	}
	if swapped < 5 || swapped > 20 {
		t.Errorf("the model's reply is B in %d of 25 items", swapped)
	}
	a, err := ReadAnswers(strings.NewReader(filled(t, s, "Eve", prefersTuned)))
	if err != nil || a.Rater != "Eve" || len(a.Answers) != 25 {
		t.Fatalf("%+v, %v", a, err)
	}
	records, err := k.Records(a, a.Rater)
	if err != nil || len(records) != 20 {
		t.Fatalf("%d records, %v", len(records), err)
	}
	audit := judge.AuditOf(records, Human+"Eve", "", k.Seed)
	if audit.Wins[0].Rate != 1 || audit.Wins[0].N != 20 || audit.Order == nil || audit.Order.Flips.N != 5 || audit.Order.Flips.Rate != 0 {
		t.Errorf("%+v", audit)
	}
}

// A rater who always takes the first reply: half of the wins, and the repeats show it.
func TestRepeatsShowOrderBias(t *testing.T) {
	s, k := sheet(t, Options{Models: []string{"m1"}, Repeats: 1, Seed: 1})
	a, err := ReadAnswers(strings.NewReader(filled(t, s, "Bob", func(Item) string { return "a" })))
	if err != nil {
		t.Fatal(err)
	}
	records, err := k.Records(a, "Bob")
	if err != nil {
		t.Fatal(err)
	}
	audit := judge.AuditOf(records, Human+"Bob", "", k.Seed)
	if o := audit.Order; o.Flips.Rate != 1 || o.FirstBy != 40 || o.Position.Rate != 1 {
		t.Errorf("%+v", o)
	}
	if w := audit.Wins[0]; w.Rate != 0.5 || w.Ties != 40 {
		t.Errorf("%+v", w)
	}
}

// The sheet tells nothing: not the models' names, nor the order of the run; both showings of
// a comparison have names of their own, and the second comes after all first ones.
func TestBlinded(t *testing.T) {
	s, k := sheet(t, Options{Models: []string{"m1"}, Repeats: 0.5, Seed: 5})
	for name, write := range map[string]func(*bytes.Buffer) error{"CSV": func(b *bytes.Buffer) error { return WriteCSV(b, s) }, "HTML": func(b *bytes.Buffer) error { return WriteHTML(b, s) }} {
		var b bytes.Buffer
		if err := write(&b); err != nil {
			t.Fatal(err)
		}
		for _, never := range []string{"m0", "m1", "t3/u", "swapped", "judge"} {
			if strings.Contains(b.String(), never) {
				t.Errorf("%s: the sheet says %q", name, never)
			}
		}
	}
	again, _ := sheet(t, Options{Models: []string{"m1"}, Repeats: 0.5, Seed: 5})
	if !slices.Equal(s.Items, again.Items) || s.ID != again.ID {
		t.Error("the same options give another sheet")
	}
	if other, _ := sheet(t, Options{Models: []string{"m1"}, Repeats: 0.5, Seed: 6}); other.ID == s.ID {
		t.Error("another seed gives the same sheet")
	}
	at := map[string]int{}
	for n, i := range s.Items {
		if before, ok := at[k.Items[i.ID].Pair]; ok && (before >= 40 || n < 40) {
			t.Errorf("%s comes at %d and %d", k.Items[i.ID].Pair, before, n)
		}
		at[k.Items[i.ID].Pair] = n
	}
}

func TestOptionsAreChecked(t *testing.T) {
	for name, o := range map[string]Options{
		"no model":      {},
		"unknown model": {Models: []string{"m9"}},
		"the base":      {Models: []string{"m0"}},
		"no replies":    {Models: []string{"m2"}},
		"items":         {Models: []string{"m1"}, Items: -1},
		"repeats":       {Models: []string{"m1"}, Repeats: 2},
	} {
		if _, _, err := New(compared(4), o); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

// Answers come back from many programs.
func TestReadAnswers(t *testing.T) {
	for name, c := range map[string]struct {
		text    string
		want    []Answer
		skipped int
	}{
		"comma":       {"sheet,item,verdict\ns,1,A\ns,2,B\n", []Answer{{"1", judge.First, ""}, {"2", judge.Second, ""}}, 0},
		"semicolon":   {"sheet;item;verdict;comment\r\ns;1;tie;both, really\r\n", []Answer{{"1", judge.Tie, "both, really"}}, 0},
		"tab":         {"item\tsheet\tverdict (A, B or tie)\n1\ts\tReply B\n", []Answer{{"1", judge.Second, ""}}, 0},
		"byte order":  {"\ufeffsheet,item,verdict\ns,1,a\n", []Answer{{"1", judge.First, ""}}, 0},
		"quotes":      {"sheet,item,about,verdict\ns,1,\"a \"\"b\"\"\nc\",B\n", []Answer{{"1", judge.Second, ""}}, 0},
		"not given":   {"sheet,item,verdict\ns,1,\ns,2,skip\ns,3,-\ns,4,=\n", []Answer{{"4", judge.Tie, ""}}, 3},
		"empty lines": {"sheet,item,verdict\ns,1,A\n,,\n\n", []Answer{{"1", judge.First, ""}}, 0},
		"words":       {"sheet,item,verdict\ns,1,the first\ns,2,Tie\ns,3,both\ns,4,2\n", []Answer{{"1", judge.First, ""}, {"2", judge.Tie, ""}, {"3", judge.Tie, ""}, {"4", judge.Second, ""}}, 0},
	} {
		a, err := ReadAnswers(strings.NewReader(c.text))
		if err != nil || !slices.Equal(a.Answers, c.want) || a.Skipped != c.skipped || a.Sheet != "s" {
			t.Errorf("%s: %+v, %v", name, a, err)
		}
	}
	for name, c := range map[string][2]string{
		"empty":      {"", "empty"},
		"no column":  {"sheet,item\ns,1\n", `no column "verdict"`},
		"nonsense":   {"sheet,item,verdict\ns,1,A\ns,2,maybe\n", "line 3, item 2"},
		"twice":      {"sheet,item,verdict\ns,1,A\ns,1,B\n", "answered in line 2 already"},
		"two sheets": {"sheet,item,verdict\ns,1,A\nr,2,B\n", `sheet "r"`},
		"two raters": {"sheet,item,verdict,rater\ns,1,A,x\ns,2,B,y\n", `rater "y"`},
		"broken CSV": {"sheet,item,verdict\ns,\"1,A\n", "answers"},
	} {
		if _, err := ReadAnswers(strings.NewReader(c[0])); err == nil || !strings.Contains(err.Error(), c[1]) {
			t.Errorf("%s: %v, want %q", name, err, c[1])
		}
	}
}

func TestRecordsAreChecked(t *testing.T) {
	_, k := sheet(t, Options{Models: []string{"m1"}, Seed: 1})
	for name, a := range map[string]Answers{"another sheet": {Sheet: "x"}, "another item": {Sheet: k.Sheet, Answers: []Answer{{"x", judge.First, ""}}}} {
		if _, err := k.Records(a, "Eve"); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

// A cell that a spreadsheet would run as a formula is text.
func TestCellsAreInert(t *testing.T) {
	c := compared(1)
	c[0].Responses["m1"] = "=HYPERLINK(\"x\")"
	s, _, err := New(c, Options{Models: []string{"m1"}})
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	if err := WriteCSV(&b, s); err != nil {
		t.Fatal(err)
	}
	if strings.Contains(b.String(), ",\"=") || strings.Contains(b.String(), ",=") {
		t.Errorf("a formula: %s", b.String())
	}
}

func FuzzReadAnswers(f *testing.F) {
	f.Add("sheet,item,verdict\ns,1,A\n")
	f.Add("\ufeffsheet;item;verdict\r\ns;1;tie\r\n")
	f.Fuzz(func(t *testing.T, text string) {
		a, err := ReadAnswers(strings.NewReader(text))
		if err != nil {
			return
		}
		for _, x := range a.Answers {
			if _, ok := x.Verdict.Value(); !ok {
				t.Errorf("%q: %+v", text, x)
			}
		}
	})
}

// Keys and records stay with the run; a second import of the same rater takes the place of
// the first, and people stand beside the run's judges.
func TestStore(t *testing.T) {
	run := t.TempDir()
	c := compared(40)
	for i := range c { // the run's judge says tie
		c[i].Ballots["m1"][0].Ballot = judge.Ballot{Shown: judge.Opinion{Verdict: judge.Tie, Attempts: 1}, Verdict: judge.Tie}
	}
	s, k, err := New(c, Options{Models: []string{"m1"}, Items: 20, Seed: 3})
	if err != nil {
		t.Fatal(err)
	}
	if err := SaveKey(run, k); err != nil {
		t.Fatal(err)
	}
	back, err := LoadKey(run, s.ID)
	if err != nil || len(back.Items) != 20 || back.Seed != 3 {
		t.Fatalf("%+v, %v", back, err)
	}
	for _, never := range []string{"00000000", "../../etc/passwd", ""} {
		if _, err := LoadKey(run, never); !errors.Is(err, ErrNoKey) {
			t.Errorf("sheet %q: %v", never, err)
		}
	}
	for _, r := range []struct {
		rater  string
		answer func(Item) string
	}{{"Eve", func(Item) string { return "tie" }}, {"Eve", prefersTuned}, {"Bob / B.", prefersTuned}} {
		a, err := ReadAnswers(strings.NewReader(filled(t, s, r.rater, r.answer)))
		if err != nil {
			t.Fatal(err)
		}
		records, err := back.Records(a, r.rater)
		if err != nil {
			t.Fatal(err)
		}
		if err := SaveRecords(run, s.ID, r.rater, records); err != nil {
			t.Fatal(err)
		}
	}
	sum, err := Summarise(run, c, 3)
	if err != nil {
		t.Fatal(err)
	}
	if len(sum.Raters) != 2 || len(sum.Judges) != 1 || sum.Judges[0].N != 20 {
		t.Fatalf("%+v", sum)
	}
	for _, r := range sum.Raters {
		if r.Wins[0].Rate != 1 || r.N != 20 {
			t.Errorf("%+v", r)
		}
	}
	if sum.Agreement == nil || len(sum.Agreement.Judges) != 3 {
		t.Errorf("agreement %+v", sum.Agreement)
	}
	if none, err := Summarise(t.TempDir(), c, 3); err != nil || len(none.Raters) != 0 || none.People != nil {
		t.Errorf("no ratings: %+v, %v", none, err)
	}
}
