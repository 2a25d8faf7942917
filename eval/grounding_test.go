package eval

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"stargate"
	"stargate/lm"
)

// States is what the tiny world knows of texts: "pet-u3" is the pet of persona u3.
func (truth) States(text string) []Fact {
	var out []Fact
	for _, word := range strings.FieldsFunc(text, func(r rune) bool { return strings.ContainsRune(" .,", r) }) {
		for _, a := range attributes {
			if strings.HasPrefix(word, a+"-") {
				out = append(out, Fact{a, word})
			}
		}
	}
	return out
}

// A fact counts once; it was told if the task or an answer states the same value. A question
// tells nothing.
func TestToldAndInventedFacts(t *testing.T) {
	task := stargate.Task{Text: "Plan the trip of sport-u1."}
	turns := []stargate.Turn{{Question: "Do you like food-u2?", Answer: "I like pet-u1 and colour-u1."}}
	for response, want := range map[string][2]int{
		"I suggest pet-u1, pet-u1 and sport-u1.": {2, 0},
		"I suggest pet-u2 and colour-u1.":        {1, 1}, // another value than was told
		"I suggest food-u2, food-u2.":            {0, 1},
		"I suggest nothing.":                     {0, 0},
	} {
		told, invented := factsOf(truth{}, task, turns, response)
		if got := [2]int{told, invented}; got != want {
			t.Errorf("%s: told and invented %v, want %v", response, got, want)
		}
	}
}

// §6: trained on golds a model "hallucinates": it states what a gold would state though
// nobody told it. One that repeats what it heard invents nothing.
func TestFinetuningOnGoldLeadsToHallucinations(t *testing.T) {
	w := newWorld(t, 6, 3, knowing, knowing, knowing)
	w.Config.MaxTurns = 1 // one of two relevant values is told
	gold := asker(knowing)
	honest := gold.Reply
	gold.Reply = func(chat lm.Chat, s lm.Sampling) (string, error) {
		text, err := honest(chat, s)
		if s.Temperature == 0 {
			text += " And colour-u0, pet-u0, sport-u0, food-u0."
		}
		return text, err
	}
	w.Models[2].Policy = stargate.NewQuestioner(gold, embedded(t), w.Config)
	e := w.run(t)
	got := e.Result.Grounding
	// Of the four added values all are news to u1 and u2, and all but the told one to u0.
	const third = 1. / 3
	want := []Grounding{{Model: "m0", Told: 1, N: 18}, {Model: "m1", Told: 1, N: 18}, {Model: "m2", Told: 1, Invented: 4 - third, N: 18}}
	for i := range got {
		if got[i].Low > got[i].Invented || got[i].High < got[i].Invented {
			t.Errorf("%s: interval [%g, %g] of %g", got[i].Model, got[i].Low, got[i].High, got[i].Invented)
		}
		got[i].SEM, got[i].Low, got[i].High = 0, 0, 0
	}
	if diff := cmp.Diff(want, got, cmpopts.EquateApprox(0, 1e-12)); diff != "" {
		t.Error(diff)
	}
	w.Truth = nil
	if g := w.run(t).Result.Grounding; g != nil {
		t.Errorf("without a known truth: %+v", g)
	}
}
