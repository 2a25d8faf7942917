package judge

import (
	"context"
	"errors"
	"strings"
	"testing"

	"stargate"
	"stargate/lm"
	"stargate/lm/lmtest"
	"stargate/prompt"
)

var pair = stargate.Pair{
	Task:    stargate.Task{ID: "t0", Text: "Plan the present."},
	Persona: stargate.Persona{ID: "u0", Name: "Ada", Text: "colour-u0 pet-u0 sport-u0"},
	Gold:    "colour-u0 pet-u0",
}

// facts counts the gold's words in a response, and words of others.
type facts struct{}

func (facts) Points(p stargate.Pair, response string) (right, wrong int) {
	for _, word := range strings.Fields(response) {
		switch {
		case strings.Contains(p.Gold, word):
			right++
		case strings.Contains(word, "-") && !strings.Contains(p.Persona.Text, word):
			wrong++
		}
	}
	return right, wrong
}

// The rubric judge prefers more right minus wrong facts, whatever the order.
func TestRubricJudge(t *testing.T) {
	for _, c := range []struct {
		a, b string
		want Verdict
	}{
		{"colour-u0 pet-u0", "colour-u0", First},
		{"colour-u0", "colour-u0 pet-u0", Second},
		{"colour-u0 pet-u9", "", Tie},         // one right, one wrong
		{"sport-u0", "food", Tie},             // true, but beside the point
		{"colour-u9", "I cannot say", Second}, // wrong is worse than nothing
	} {
		got, err := RubricJudge{facts{}}.Compare(context.Background(), Comparison{pair, c.a, c.b})
		if err != nil || got != (Opinion{Verdict: c.want, Attempts: 1}) {
			t.Errorf("%q against %q: %+v, %v; want %s", c.a, c.b, got, err, c.want)
		}
	}
}

// biased answers by order or by content.
type biased struct {
	says  func(a, b string) Verdict
	calls int
}

func (b *biased) Biased() bool { return true }
func (b *biased) Compare(_ context.Context, c Comparison) (Opinion, error) {
	b.calls++
	return Opinion{Verdict: b.says(c.A, c.B), Attempts: 1}, nil
}

func byContent(a, _ string) Verdict {
	if a == "good" {
		return First
	}
	return Second
}

// "To mitigate order effects (Wang et al., 2023), we randomized the order of the
// responses" (§5.2). Here a biased judge sees both orders, and its bias becomes a tie.
func TestBothOrders(t *testing.T) {
	for name, c := range map[string]struct {
		says  func(a, b string) Verdict
		want  Verdict
		calls int
	}{
		"by content": {byContent, First, 2},
		"always A":   {func(_, _ string) Verdict { return First }, Tie, 2},
		"always B":   {func(_, _ string) Verdict { return Second }, Tie, 2},
		"always tie": {func(_, _ string) Verdict { return Tie }, Tie, 2},
		"no verdict": {func(_, _ string) Verdict { return Invalid }, Invalid, 1},
		"then no verdict": {func(a, _ string) Verdict {
			if a == "good" {
				return First
			}
			return Invalid
		}, Invalid, 2},
	} {
		j := &biased{says: c.says}
		got, err := Vote(context.Background(), j, Comparison{A: "good", B: "bad"}, Both, 0)
		if err != nil || got.Verdict != c.want || j.calls != c.calls || len(got.Opinions()) != c.calls {
			t.Errorf("%s: %+v after %d calls (%v), want %s after %d", name, got, j.calls, err, c.want, c.calls)
		}
	}
}

// The authors ask once, in an order by coin flip. A ballot of both orders holds that verdict
// too: the coin picks the order, and the verdict speaks of the responses, not of positions.
func TestCoinFlip(t *testing.T) {
	first := func(_, _ string) Verdict { return First } // a judge who sees positions only
	for coin, want := range map[uint64]Verdict{0: First, 1: Second} {
		j := &biased{says: first}
		once, err := Vote(context.Background(), j, Comparison{A: "good", B: "bad"}, CoinFlip, coin)
		if err != nil || once.Verdict != want || j.calls != 1 || once.Flip(coin) != want || once.Flip(1-coin) != want {
			t.Errorf("coin %d: %+v after %d calls (%v), want %s", coin, once, j.calls, err, want)
		}
		both, err := Vote(context.Background(), j, Comparison{A: "good", B: "bad"}, Both, coin)
		if err != nil || both.Verdict != Tie || both.Flip(coin) != want {
			t.Errorf("coin %d: both orders give %+v (%v), of which %s was asked for", coin, both, err, want)
		}
	}
	j := &biased{says: byContent}
	for coin := range uint64(2) {
		if got, err := Vote(context.Background(), j, Comparison{A: "good", B: "bad"}, CoinFlip, coin); err != nil || got.Verdict != First {
			t.Errorf("a judge of contents, coin %d: %+v, %v", coin, got, err)
		}
	}
}

func judgeOf(t *testing.T, reply func(chat lm.Chat, s lm.Sampling) (string, error)) (ModelJudge, *lmtest.Script) {
	t.Helper()
	prompts, err := prompt.Embedded("default")
	if err != nil {
		t.Fatal(err)
	}
	m := &lmtest.Script{Reply: reply}
	return ModelJudge{Model: m, Prompts: prompts}, m
}

// A model as judge sees persona, task and both responses. What is no verdict is asked for
// again, a bounded number of times, and every such answer is counted; any failure that is
// not the judge's own is an error.
func TestModelJudge(t *testing.T) {
	broken := errors.New("broken")
	type answer struct {
		text string
		err  error
	}
	for name, c := range map[string]struct {
		answers []answer // the last one repeats
		want    Opinion
		fail    error
	}{
		"verdict":               {[]answer{{"B knows more.\nFinal Response: B", nil}}, Opinion{Second, 1, 0, 0}, nil},
		"chatter":               {[]answer{{"Hard to say.", nil}}, Opinion{Invalid, 3, 0, 3}, nil},
		"chatter, then verdict": {[]answer{{"Hard to say.", nil}, {"Final Response: A", nil}}, Opinion{First, 2, 0, 1}, nil},
		"refusal":               {[]answer{{"", lm.ErrRefused}}, Opinion{Invalid, 3, 3, 0}, nil},
		"refusal in words":      {[]answer{{"I'm sorry, I can't compare people.", nil}, {"A", nil}}, Opinion{First, 2, 1, 0}, nil},
		"refusal, then verdict": {[]answer{{"", lm.ErrRefused}, {"Final Response: A", nil}}, Opinion{First, 2, 1, 0}, nil},
		"empty":                 {[]answer{{"<think>hm", nil}}, Opinion{Invalid, 3, 0, 3}, nil},
		"too long":              {[]answer{{"", lm.ErrContextLength}}, Opinion{Invalid, 1, 0, 1}, nil},
		"failure":               {[]answer{{"", broken}}, Opinion{Invalid, 1, 0, 0}, broken},
	} {
		calls := 0
		j, m := judgeOf(t, func(lm.Chat, lm.Sampling) (string, error) {
			a := c.answers[min(calls, len(c.answers)-1)]
			calls++
			return a.text, a.err
		})
		got, err := j.Compare(context.Background(), Comparison{pair, "first response", "second response"})
		if got != c.want || !errors.Is(err, c.fail) {
			t.Errorf("%s: %+v, %v; want %+v", name, got, err, c.want)
		}
		seen := m.Calls()[0].Chat[0].Content
		for _, part := range []string{pair.Persona.Text, pair.Task.Text, "first response", "second response"} {
			if !strings.Contains(seen, part) {
				t.Errorf("the judge does not see %q", part)
			}
		}
	}
}

// A new attempt is never the same request: the judge is shown what it said without a
// verdict; where it said nothing the draw differs.
func TestEveryAttemptDiffers(t *testing.T) {
	for name, text := range map[string]string{"chatter": "Hard to say.", "empty": "", "thoughts": "<think>A?</think>"} {
		j, m := judgeOf(t, func(lm.Chat, lm.Sampling) (string, error) { return text, nil })
		if _, err := j.Compare(context.Background(), Comparison{pair, "a", "b"}); err != nil {
			t.Fatal(err)
		}
		calls := m.Calls()
		if len(calls) != 3 {
			t.Fatalf("%s: %d attempts", name, len(calls))
		}
		first, second := calls[0], calls[1]
		switch {
		case name == "chatter" && (len(second.Chat) != 3 || second.Chat[1].Content != text || second.Sampling.Temperature != 0):
			t.Errorf("%s: asked again with %+v", name, second)
		case name != "chatter" && (len(second.Chat) != 1 || second.Sampling.Temperature < warmer || second.Sampling.Seed == first.Sampling.Seed || calls[2].Sampling.Seed == second.Sampling.Seed):
			t.Errorf("%s: drawn again with %+v, %+v", name, second.Sampling, calls[2].Sampling)
		}
	}
	j, m := judgeOf(t, func(lm.Chat, lm.Sampling) (string, error) { return "Hard to say.", nil })
	j.Retries = -1
	if o, err := j.Compare(context.Background(), Comparison{pair, "a", "b"}); err != nil || o.Attempts != 1 || len(m.Calls()) != 1 {
		t.Errorf("without retries: %+v, %v", o, err)
	}
}

func TestPanelNames(t *testing.T) {
	good := Panel{{"x", RubricJudge{facts{}}, ""}, {"y", RubricJudge{facts{}}, "m0"}}
	if err := good.Validate(); err != nil {
		t.Error(err)
	}
	for name, p := range map[string]Panel{"twice": {good[0], good[0]}, "no name": {{"", good[0].Judge, ""}}, "no judge": {{"x", nil, ""}}} {
		if p.Validate() == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

// A majority is more than half of those who said something.
func TestMajority(t *testing.T) {
	for want, all := range map[Verdict][][]Verdict{
		First:   {{First}, {First, First, Second}, {First, Invalid}},
		Second:  {{Second, Tie, Second}},
		Tie:     {{First, Second}, {First, Tie}, {First, Second, Tie}, {Tie, Tie, First}},
		Invalid: {{}, {Invalid, Invalid}},
	} {
		for _, verdicts := range all {
			var ballots []Ballot
			for _, v := range verdicts {
				ballots = append(ballots, Ballot{Verdict: v})
			}
			if got := Majority(ballots); got != want {
				t.Errorf("%v: %s, want %s", verdicts, got, want)
			}
		}
	}
}
