package stargate

import (
	"fmt"

	"stargate/lm"
	"stargate/prompt"
)

// Examples renders selected conversations for training (Algorithm 1, line 6): the
// messages the base model was scored on, then the response. Loss falls on the questions
// and on the response; "critically, we mask the answers h from the loss" (§3). A selected
// conversation whose response cannot be trained on is left out, whole: a target is never
// cut.
func Examples(prompts *prompt.Set, selected []Selected) ([]lm.Example, error) {
	var out []lm.Example
	for _, s := range selected {
		if s.Outcome != Complete {
			continue
		}
		chat, err := prompts.Response(s.Pair.Persona.Name, s.Pair.Task.Text, turns(s.Best.Turns))
		if err != nil {
			return nil, fmt.Errorf("pair %s: %w", s.Pair.Key(), err)
		}
		if s.Response != "" {
			chat = append(chat, lm.Message{Role: lm.Assistant, Content: s.Response})
		}
		e := lm.Example{Key: fmt.Sprintf("%s#%d", s.Pair.Key(), s.Best.Sample), Messages: chat}
		for i, m := range chat {
			if m.Role == lm.Assistant {
				e.Loss = append(e.Loss, i)
			}
		}
		out = append(out, e)
	}
	return out, nil
}
