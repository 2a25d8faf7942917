package chattemplate

import (
	"errors"
	"fmt"
	"strings"

	"stargate/internal/jinja"
	"stargate/lm"
)

// Nano is the template of the built-in model: a marker for the role, the text, an end
// marker, and nothing that costs a further token.
const Nano = `{% for message in messages %}{{ '<|' + message['role'] + '|>' + message['content'] + '<|end|>' }}{% endfor %}{% if add_generation_prompt %}{{ '<|assistant|>' }}{% endif %}`

// ErrTemplate marks a template that cannot render a conversation, or whose renderings do
// not show where the assistant's words are.
var ErrTemplate = errors.New("chat template")

// Vars are what templates ask for besides the messages; an empty one is undefined.
type Vars struct{ BOS, EOS string }

// Template is a parsed template, safe for concurrent use.
type Template struct {
	jinja *jinja.Template
	vars  Vars
	steps int // that a rendering may take, besides those of its messages
}

// New parses a Jinja template.
func New(source string, vars Vars) (*Template, error) {
	t, err := jinja.Parse(source)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrTemplate, err)
	}
	return &Template{t, vars, stepsPerRendering}, nil
}

// Render is the text of a conversation; with addGenerationPrompt it ends where the
// assistant's next message begins. It is what Jinja renders, byte for byte.
func (t *Template) Render(chat []lm.Message, addGenerationPrompt bool) (string, error) {
	return t.render(chat, addGenerationPrompt, jinja.Options{})
}

// Span is where an assistant message stands in a rendering: its words and what the
// template puts behind them up to the next message (the end-of-turn marker).
type Span struct {
	Message    int // index into the conversation
	Start, End int // bytes
}

// Spans renders a conversation and finds its assistant messages: message i lies between
// the rendering of the messages before it with a generation prompt and the rendering up to
// it. So a span is exactly what the model would have had to generate. A template for which
// these are not prefixes of each other is an error.
func (t *Template) Spans(chat []lm.Message) (text string, spans []Span, err error) {
	if text, err = t.Render(chat, false); err != nil {
		return "", nil, err
	}
	for i, m := range chat {
		if m.Role != lm.Assistant {
			continue
		}
		before, err := t.Render(chat[:i], true)
		if err != nil {
			return "", nil, fmt.Errorf("before message %d: %w", i+1, err)
		}
		upTo, err := t.Render(chat[:i+1], false)
		if err != nil {
			return "", nil, fmt.Errorf("up to message %d: %w", i+1, err)
		}
		if !strings.HasPrefix(upTo, before) || !strings.HasPrefix(text, upTo) {
			return "", nil, fmt.Errorf("%w: the rendering of message %d changes with what follows it, so its tokens cannot be found", ErrTemplate, i+1)
		}
		spans = append(spans, Span{i, len(before), len(upTo)})
	}
	return text, spans, nil
}
