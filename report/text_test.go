package report

import (
	"bytes"
	"flag"
	"os"
	"testing"

	"github.com/google/go-cmp/cmp"

	"stargate/eval"
)

var update = flag.Bool("update", false, "rewrite golden files")

func TestTextGolden(t *testing.T) {
	var b bytes.Buffer
	if err := Text(&b, fakeResult()); err != nil {
		t.Fatal(err)
	}
	const golden = "testdata/text.txt"
	if *update {
		if err := os.WriteFile(golden, b.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if diff := cmp.Diff(string(read(t, golden)), b.String()); diff != "" {
		t.Errorf("run with -update and look at the difference:\n%s", diff)
	}
}

// The headline says what the numbers allow, no more.
func TestHeadline(t *testing.T) {
	run := func(delta, sem, low, high float64) Data {
		return Data{Result: &eval.Result{Models: []string{"m0", "m1"},
			GoldLogProb: []eval.GoldLogProb{{Condition: eval.QExperimental, Model: "m0", Subset: eval.All, Mean: -20}, {Condition: eval.QExperimental, Model: "m1", Subset: eval.All, Mean: -20 + delta, Delta: delta, DeltaSEM: sem, DeltaLow: delta - 2*sem, DeltaHigh: delta + 2*sem}},
			WinRate:     []eval.WinRate{{Model: "m1", Rate: (low + high) / 2, Low: low, High: high, N: 100}},
		}}
	}
	for _, c := range []struct {
		name, want string
		d          Data
	}{
		{"learned", "After 1 round of self-play the model asks better questions: the right answer is 5.00 nats (3.00–7.00) more probable after its conversations. Its responses beat those of m0 70 % of the time (95 % interval 60–80 %).", run(5, 1, .6, .8)},
		{"asks better, answers worse", "After 1 round of self-play the model asks better questions: the right answer is 5.00 nats (3.00–7.00) more probable after its conversations. But its responses lose to those of m0: they win only 20 % of the time (95 % interval 10–30 %).", run(5, 1, .1, .3)},
		{"within the error", "After 1 round of self-play the model did not learn to ask better questions: the gold responses’ log-probability went from −20.00 to −18.50 nats, which is not a rise beyond its error. Its responses are not told apart from those of m0: they win 50 % of the time (95 % interval 40–60 %).", run(1.5, 1, .4, .6)},
		{"worse", "After 1 round of self-play the model did not learn to ask better questions: the gold responses’ log-probability went from −20.00 to −23.00 nats, which is not a rise beyond its error. Its responses are not told apart from those of m0: they win 50 % of the time (95 % interval 40–60 %).", run(-3, 1, .4, .6)},
		{"one model", "This run holds one model, so there is nothing to compare yet.", Data{Result: &eval.Result{Models: []string{"m0"}}}},
		{"not measured", "After 1 round of self-play gold log-probabilities of m0 and m1 were not both measured, so this report cannot say whether the model learned.", Data{Result: &eval.Result{Models: []string{"m0", "m1"}}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			if diff := cmp.Diff(c.want, Headline(c.d)); diff != "" {
				t.Error(diff)
			}
		})
	}
}
