package nano

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"stargate/lm"
)

// RuleRoleplayer plays the Roleplayer by rule instead of by a model: it finds the persona's
// value of the attribute that is asked for in its prompt, and says it in one of the world's
// sentences. It is the user one would wish for, or with Silent and Wrong a worse one, and so
// the yardstick for Roleplayers that are models.
//
// It sees what a model would see, the rendered prompt, and nothing else.
type RuleRoleplayer struct {
	World  *World
	Silent float64 // share of questions it has no answer to
	Wrong  float64 // share of questions it answers with another value
}

var _ lm.Generator = RuleRoleplayer{}

// NoAnswer is what it says to a question that it has no answer to, or does not understand.
const NoAnswer = "I do not know."

var errNoQuestion = errors.New("the roleplayer's prompt does not end with a question to the persona")

// Generate implements [lm.Generator]. Temperature is ignored; the seed chooses the sentence.
// It fails where the prompt is not a Roleplayer's.
func (r RuleRoleplayer) Generate(_ context.Context, chat lm.Chat, s lm.Sampling) (lm.Completion, error) {
	if len(chat) == 0 || chat[len(chat)-1].Role != lm.User {
		return lm.Completion{}, errNoQuestion
	}
	prompt := chat[len(chat)-1].Content
	known := map[string]string{}
	in := 0
	for _, m := range chat {
		in += len(words(m.Content))
		for _, f := range r.World.Facts(m.Content) {
			if known[f.Attribute] == "" { // the persona comes first
				known[f.Attribute] = f.Value
			}
		}
	}
	question := strings.TrimSpace(prompt[strings.LastIndexByte(strings.TrimRight(prompt, " \n"), '\n')+1:])
	if question == "" {
		return lm.Completion{}, errNoQuestion
	}
	text := r.answer(question, known, s.Seed)
	return lm.Completion{Text: text, Finish: lm.FinishStop, Usage: lm.Usage{PromptTokens: in, CompletionTokens: len(words(text))}}, nil
}

func (r RuleRoleplayer) answer(question string, known map[string]string, seed uint64) string {
	id, ok := r.World.Classify(question)
	if !ok || known[id] == "" {
		return NoAnswer
	}
	draw := stream("roleplay by rule", seed)
	mood := draw.Float64()
	a := r.World.Attributes[r.World.attribute[id]]
	value, form := known[id], pick(draw, a.Answers)
	switch {
	case mood < r.Silent:
		return NoAnswer
	case mood < r.Silent+r.Wrong:
		for value == known[id] {
			value = pick(draw, a.Values)
		}
	}
	return fill(form, value)
}

// Validate says what is wrong with the shares.
func (r RuleRoleplayer) Validate() error {
	if r.Silent < 0 || r.Wrong < 0 || r.Silent+r.Wrong > 1 {
		return fmt.Errorf("silent %g and wrong %g: want shares whose sum is at most 1", r.Silent, r.Wrong)
	}
	return nil
}
