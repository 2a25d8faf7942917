package chattemplate

import (
	"errors"
	"fmt"

	"stargate/internal/jinja"
	"stargate/lm"
)

// A template comes with a model from anywhere and is a program. What it may take: going through
// every message costs published templates some hundred steps for each, and one for each 64 bytes
// of it.
const (
	stepsPerRendering = 1 << 20 // 0.1 s on a slow core, and 64 MiB
	stepsPerMessage   = 1 << 13
)

// render gives a template what transformers gives it: tools and documents are none.
//
// strftime_now is not defined: templates that would print today's date print the date they
// have for that case, so that a rendering depends on the conversation alone.
func (t *Template) render(chat []lm.Message, addGenerationPrompt bool, options jinja.Options) (string, error) {
	options.Steps = t.steps
	messages := make([]any, len(chat))
	for i, m := range chat {
		options.Steps += stepsPerMessage + len(m.Content)
		messages[i] = jinja.NewDict("role", string(m.Role), "content", m.Content)
	}
	variables := []jinja.Variable{
		{Name: "messages", Value: jinja.NewList(messages...)}, {Name: "tools"}, {Name: "documents"},
		{Name: "add_generation_prompt", Value: addGenerationPrompt},
	}
	// A token the model does not have is undefined, as in transformers.
	if t.vars.BOS != "" {
		variables = append(variables, jinja.Variable{Name: "bos_token", Value: t.vars.BOS})
	}
	if t.vars.EOS != "" {
		variables = append(variables, jinja.Variable{Name: "eos_token", Value: t.vars.EOS})
	}
	text, err := t.jinja.Render(variables, options)
	var raised *jinja.RaisedError
	switch {
	case errors.As(err, &raised):
		return "", fmt.Errorf("%w: it refuses this conversation: %w", ErrTemplate, raised)
	case err != nil:
		return "", fmt.Errorf("%w: %w", ErrTemplate, err)
	}
	return text, nil
}
