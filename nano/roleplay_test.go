package nano

import (
	"context"
	"errors"
	"testing"

	"stargate/lm"
	"stargate/prompt"
)

// The rule reads persona and question from the very prompt a model gets, at every turn of a
// conversation.
func TestRuleRoleplayerAnswersFromItsPrompt(t *testing.T) {
	w, err := Default()
	if err != nil {
		t.Fatal(err)
	}
	prompts, err := prompt.Embedded("nano")
	if err != nil {
		t.Fatal(err)
	}
	split, err := w.Split(7, "test", 8, 8)
	if err != nil {
		t.Fatal(err)
	}
	ask := func(r RuleRoleplayer, p Persona, task Task, so []prompt.Turn, q string, seed uint64) string {
		chat, err := prompts.Answer(p.Name, p.Text, task.Text, so, q)
		if err != nil {
			t.Fatal(err)
		}
		c, err := r.Generate(context.Background(), chat, lm.Sampling{Seed: seed})
		if err != nil {
			t.Fatal(err)
		}
		return c.Text
	}
	other := split.Personas[1]
	for _, p := range split.Personas {
		var so []prompt.Turn
		for _, a := range w.Attributes {
			q := a.Questions[0]
			right := ask(RuleRoleplayer{World: w}, p, split.Tasks[0], so, q, 1)
			facts := w.Facts(right)
			if len(facts) != 1 || facts[0] != (Fact{a.ID, p.Values[a.ID]}) {
				t.Fatalf("%q got %q, want %s %q", q, right, a.ID, p.Values[a.ID])
			}
			if got := ask(RuleRoleplayer{World: w, Silent: 1}, p, split.Tasks[0], so, q, 1); got != NoAnswer {
				t.Errorf("silent: %q", got)
			}
			wrong := w.Facts(ask(RuleRoleplayer{World: w, Wrong: 1}, p, split.Tasks[0], so, q, 1))
			if len(wrong) != 1 || wrong[0].Attribute != a.ID || wrong[0].Value == p.Values[a.ID] {
				t.Errorf("wrong: %v, persona has %q", wrong, p.Values[a.ID])
			}
			if so = append(so, prompt.Turn{Question: q, Answer: right}); len(so) == 3 {
				so = nil
			}
		}
		if got := ask(RuleRoleplayer{World: w}, p, split.Tasks[0], nil, "What is the meaning of it all?", 1); got != NoAnswer {
			t.Errorf("a question of no attribute got %q", got)
		}
	}
	if a, b := ask(RuleRoleplayer{World: w}, other, split.Tasks[0], nil, w.Attributes[0].Questions[0], 5), ask(RuleRoleplayer{World: w}, other, split.Tasks[0], nil, w.Attributes[0].Questions[0], 5); a != b {
		t.Errorf("the same seed gave %q and %q", a, b)
	}
	if _, err := (RuleRoleplayer{World: w}).Generate(context.Background(), lm.Chat{{Role: lm.System, Content: "x"}}, lm.Sampling{}); !errors.Is(err, errNoQuestion) {
		t.Errorf("a prompt without a question: %v", err)
	}
	for _, r := range []RuleRoleplayer{{Silent: -.1}, {Silent: .6, Wrong: .6}} {
		if r.Validate() == nil {
			t.Errorf("%+v was accepted", r)
		}
	}
}
