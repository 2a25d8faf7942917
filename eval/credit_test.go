package eval

import (
	"bytes"
	"context"
	"errors"
	"math"
	"testing"

	"stargate"
	"stargate/lm"
	"stargate/lm/lmtest"
)

func creditOf(t *testing.T, r *Result, model, by, key string) Credit {
	t.Helper()
	for _, c := range r.Credit {
		if c.Model == model && c.By == by && c.Key == key {
			return c
		}
	}
	t.Fatalf("no credit of %s by %s %s: %+v", model, by, key, r.Credit)
	return Credit{}
}

// In the tiny world a relevant answer is worth 4 nats and any other none: the knowing model
// earns 4 with its first question, 4 with its second, and nothing with a third.
func TestCreditByHand(t *testing.T) {
	w := newWorld(t, 20, 3, clueless, knowing)
	w.Credit = true
	r := w.run(t).Result
	for turn, want := range map[string]float64{"1": 4, "2": 4, "3": 0} {
		if c := creditOf(t, r, "m1", "turn", turn); c.Gain != want || c.SEM != 0 {
			t.Errorf("turn %s: %+v, want %g nats", turn, c, want)
		}
		if c := creditOf(t, r, "m0", "turn", turn); c.Gain != 0 {
			t.Errorf("m0, turn %s: %+v", turn, c)
		}
	}
	if c := creditOf(t, r, "m1", "kind", RelevantQuestion); c.Gain != 4 || c.N != 60 {
		t.Errorf("%+v", c)
	}
	if c := creditOf(t, r, "m1", "kind", RepeatedQuestion); c.Gain != 0 {
		t.Errorf("%+v", c)
	}
	if c := creditOf(t, r, "m0", "kind", OtherQuestion); c.Gain != 0 {
		t.Errorf("%+v", c)
	}
}

// The gains of a conversation add up to its score less that without conversation, and only
// turns before the last cost a call.
func TestCreditAddsUp(t *testing.T) {
	w := newWorld(t, 6, 3, mixed)
	without := w.run(t)
	calls := len(w.base.Calls())
	w = newWorld(t, 6, 3, mixed)
	w.Credit = true
	e := w.run(t)
	extra := 0
	for _, c := range e.Rated[0] {
		for _, s := range c.Scored {
			extra += len(s.Turns) - 1
		}
	}
	if got := len(w.base.Calls()) - calls; got != extra {
		t.Errorf("%d calls more, want %d", got, extra)
	}
	total, questions := 0.0, 0
	for _, c := range e.Rated[0] {
		g, err := w.gains(context.Background(), c, -10)
		if err != nil {
			t.Fatal(err)
		}
		sum, want := 0.0, 0.0
		for k, v := range g {
			if k.by != "turn" {
				continue
			}
			for _, x := range v {
				sum += x
				questions++
			}
		}
		for _, s := range c.Scored {
			want += s.LogProb + 10
		}
		if math.Abs(sum-want) > 1e-9 {
			t.Errorf("pair %s: gains %g, scores %g", c.Pair.Key(), sum, want)
		}
		total += sum
	}
	if questions != e.Result.Questions[0].N || total == 0 {
		t.Errorf("%d questions, %g nats", questions, total)
	}
	e.Result.Credit = nil
	if !bytes.Equal(encode(t, without.Result), encode(t, e.Result)) {
		t.Error("credit changes other numbers")
	}
}

// raterOf rates every other task general, and gives no rating to task t3.
type raterOf struct{}

func (raterOf) Rate(_ context.Context, t stargate.Task) (int, bool, error) {
	if t.ID == "t3" {
		return 0, false, nil
	}
	return 2 + 3*int((t.ID[1]-'0')%2), true, nil
}

// Presents (even numbers) are general, trips specific; the rows hold the pairs of each.
func TestTaskKinds(t *testing.T) {
	w := newWorld(t, 6, 3, clueless, knowing)
	w.Rater = raterOf{}
	r := w.run(t).Result
	k := r.TaskKinds
	if k == nil || len(k.Ratings) != 6 || k.Ratings[3] != (TaskRating{"t3", 0}) || k.Ratings[1].Rating != 5 {
		t.Fatalf("%+v", k)
	}
	n := map[string]int{}
	for _, row := range k.Rows {
		if row.Model == "m1" && row.What == QExperimental {
			n[row.Kind] = row.N
		}
		if row.Model == "m1" && row.What == Wins && row.Mean != 1 {
			t.Errorf("%+v", row)
		}
		if row.What == Negative && (row.Model != "m0" || row.Mean != -10) {
			t.Errorf("%+v", row)
		}
	}
	if n[General] != 9 || n[Specific] != 6 { // t3's three pairs are left out
		t.Errorf("pairs %v", n)
	}
	if err := validate(t, reportSchema(t), encode(t, r)); err != nil {
		t.Error(err)
	}
}

func TestModelRater(t *testing.T) {
	broken := errors.New("broken")
	task := stargate.Task{ID: "t", Text: "Plan a trip."}
	for name, c := range map[string]struct {
		texts []string
		err   error
		want  int
		ok    bool
		calls int
	}{
		"a rating":  {[]string{"It is open.\nRating: 2"}, nil, 2, true, 1},
		"then one":  {[]string{"Hm.", "**Rating:** 5"}, nil, 5, true, 2},
		"never one": {[]string{"Hm."}, nil, 0, false, 3},
		"refusal":   {nil, lm.ErrRefused, 0, false, 3},
		"failure":   {nil, broken, 0, false, 1},
	} {
		calls := 0
		m := &lmtest.Script{Reply: func(chat lm.Chat, _ lm.Sampling) (string, error) {
			calls++
			if c.err != nil {
				return "", c.err
			}
			return c.texts[min(calls, len(c.texts))-1], nil
		}}
		got, ok, err := ModelRater{Model: m}.Rate(context.Background(), task)
		if got != c.want || ok != c.ok || calls != c.calls || (err != nil) != (c.err != nil && c.err != lm.ErrRefused) {
			t.Errorf("%s: %d, %v, %v after %d calls", name, got, ok, err, calls)
		}
	}
	if _, _, err := (ModelRater{Template: "{{.Nothing}}"}).Rate(context.Background(), task); err == nil {
		t.Error("a template with a wrong field: no error")
	}
}

func TestParseRating(t *testing.T) {
	for text, want := range map[string]int{
		"Rating: 4": 4, "rating: 1.": 1, "**Rating: 6**": 6, "Rating: **3**": 3, "Rating: 5/6": 5, "Rating - 2": 2, "The rating is 3": 3, `{"rating": 4}`: 4, "2": 2, " **6** ": 6, "3/6": 3,
		"<think>Rating: 1</think>Rating: 6": 6, "Rating: 2\nNo, Rating: 3": 3, "Score: 5": 5,
		"": 0, "Rating: 7": 0, "Rating: 0": 0, "Rating: 45": 0, "Rating: 3.5": 0, "I would say 4 of 6 people agree": 0, "Rating: high": 0, "<think>Rating: 3": 0,
	} {
		if got, ok := ParseRating(text); got != want || ok != (want > 0) {
			t.Errorf("%q: %d, %v, want %d", text, got, ok, want)
		}
	}
}
