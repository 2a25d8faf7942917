package eval

import (
	"context"
	"errors"
	"strings"
	"testing"

	"stargate/lm"
	"stargate/lm/lmtest"
	"stargate/prompt"
)

// The rubric judge prefers more right minus wrong facts, whatever the order.
func TestRubricJudge(t *testing.T) {
	p := testSplit(1, 1).Pairs[0] // colour and pet matter
	for _, c := range []struct {
		a, b string
		want Verdict
	}{
		{"colour-u0 pet-u0", "colour-u0", First},
		{"colour-u0", "colour-u0 pet-u0", Second},
		{"colour-u0 pet-u9", "", Tie},         // one right, one wrong
		{"sport-u0", "food-u0", Tie},          // true, but beside the point
		{"colour-u9", "I cannot say", Second}, // wrong is worse than nothing
	} {
		got, err := RubricJudge{facts{}}.Compare(context.Background(), Comparison{p, c.a, c.b})
		if err != nil || got != c.want {
			t.Errorf("%q against %q: %s, %v; want %s", c.a, c.b, got, err, c.want)
		}
	}
}

// biased answers by order or by content.
type biased struct {
	says  func(a, b string) Verdict
	calls int
}

func (b *biased) Biased() bool { return true }
func (b *biased) Compare(_ context.Context, c Comparison) (Verdict, error) {
	b.calls++
	return b.says(c.A, c.B), nil
}

// "To mitigate order effects (Wang et al., 2023), we randomized the order of the
// responses" (§5.2). Here a biased judge sees both orders, and its bias becomes a tie.
func TestBothOrders(t *testing.T) {
	content := func(a, b string) Verdict {
		if a == "good" {
			return First
		}
		return Second
	}
	for name, c := range map[string]struct {
		says  func(a, b string) Verdict
		want  Verdict
		calls int
	}{
		"by content": {content, First, 2},
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
		got, err := compare(context.Background(), j, Comparison{A: "good", B: "bad"})
		if err != nil || got != c.want || j.calls != c.calls {
			t.Errorf("%s: %s after %d calls (%v), want %s after %d", name, got, j.calls, err, c.want, c.calls)
		}
	}
}

// A model as judge sees persona, task and both responses; a refusal is no verdict, any
// other failure is an error.
func TestModelJudge(t *testing.T) {
	prompts, err := prompt.Embedded("default")
	if err != nil {
		t.Fatal(err)
	}
	broken := errors.New("broken")
	pair := testSplit(1, 1).Pairs[0]
	for name, c := range map[string]struct {
		text string
		err  error
		want Verdict
		fail error
	}{
		"verdict": {text: "B knows more.\nFinal Response: B", want: Second},
		"chatter": {text: "Hard to say.", want: Invalid},
		"refusal": {err: lm.ErrRefused, want: Invalid},
		"failure": {err: broken, want: Invalid, fail: broken},
	} {
		m := &lmtest.Script{Reply: func(lm.Chat, lm.Sampling) (string, error) { return c.text, c.err }}
		got, err := ModelJudge{m, prompts, lm.Sampling{}}.Compare(context.Background(), Comparison{pair, "first response", "second response"})
		if got != c.want || !errors.Is(err, c.fail) {
			t.Errorf("%s: %s, %v", name, got, err)
		}
		seen := m.Calls()[0].Chat[0].Content
		for _, part := range []string{pair.Persona.Text, pair.Task.Text, "first response", "second response"} {
			if !strings.Contains(seen, part) {
				t.Errorf("the judge does not see %q", part)
			}
		}
	}
}

func TestParseVerdict(t *testing.T) {
	for text, want := range map[string]Verdict{
		"Both are fine.\nFinal Response: A":                   First,
		"final response: b.":                                  Second,
		"**Final Response:** B":                               Second,
		"Final Response: Response A":                          First,
		"Final Response: A\nOn reflection\nFinal Response: B": Second,
		"Final Response: C":                                   Invalid,
		"A is better":                                         Invalid,
		"":                                                    Invalid,
		"Final Response: Bob":                                 Invalid,
	} {
		if got := ParseVerdict(text); got != want {
			t.Errorf("%q is %s, want %s", text, got, want)
		}
	}
}

func FuzzParseVerdict(f *testing.F) {
	f.Add("Final Response: A")
	f.Fuzz(func(t *testing.T, text string) {
		switch ParseVerdict(text) {
		case First, Second, Invalid:
		default:
			t.Errorf("%q", text)
		}
	})
}
