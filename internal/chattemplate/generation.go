package chattemplate

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/nikolalohinski/gonja/v2/builtins"
	"github.com/nikolalohinski/gonja/v2/exec"
	"github.com/nikolalohinski/gonja/v2/nodes"
	"github.com/nikolalohinski/gonja/v2/parser"
	"github.com/nikolalohinski/gonja/v2/tokens"

	"stargate/lm"
)

// {% generation %}…{% endgeneration %} is transformers' own addition to Jinja: it renders as if
// it were not there, and apply_chat_template(return_assistant_tokens_mask=True) tells which
// characters came from within (transformers, utils/chat_template_utils.py).

// Range is a part of a text, in bytes.
type Range struct{ Start, End int }

// ErrNoGeneration: the template does not say which words are the assistant's.
var ErrNoGeneration = errors.New("the chat template has no {% generation %} block")

// Generated renders a whole conversation and tells which parts came from within
// {% generation %} blocks. It fails with [ErrNoGeneration] for a template without one.
func (t *Template) Generated(chat []lm.Message) (text string, ranges []Range, err error) {
	if !t.generation {
		return "", nil, ErrNoGeneration
	}
	for _, m := range chat {
		if strings.ContainsAny(m.Content, openMark+closeMark) {
			return "", nil, fmt.Errorf("%w: a message has a character of Unicode's last private plane, which marks the assistant's words while rendering", ErrTemplate)
		}
	}
	marked, err := t.jinja.renderMarked(chat)
	if err != nil {
		return "", nil, err
	}
	var b strings.Builder
	for rest := marked; ; {
		before, within, found := strings.Cut(rest, openMark)
		b.WriteString(before)
		if !found {
			return b.String(), ranges, nil
		}
		words, after, closed := strings.Cut(within, closeMark)
		if !closed || strings.Contains(words, openMark) {
			return "", nil, fmt.Errorf("%w: {%% generation %%} blocks are inside each other", ErrTemplate)
		}
		ranges = append(ranges, Range{b.Len(), b.Len() + len(words)})
		b.WriteString(words)
		rest = after
	}
}

// What stands around a block's text while a rendering is marked.
const openMark, closeMark = "\U00100000", "\U00100001"

// markVariable is the variable of a rendering that is marked. No template can name it.
const markVariable = "mark generation"

// controlStructures are gonja's and generation.
var controlStructures = exec.NewControlStructureSet(map[string]parser.ControlStructureParser{"generation": parseGeneration}).Update(builtins.ControlStructures)

// hasGeneration tells whether a parsed template can mark anything: the tag stands in a block
// of code.
func hasGeneration(source string) bool {
	for rest := source; ; {
		_, after, found := strings.Cut(rest, "{%")
		if !found {
			return false
		}
		if strings.HasPrefix(strings.TrimLeft(after, "-+ \t\r\n"), "generation") {
			return true
		}
		rest = after
	}
}

type generationBlock struct {
	location *tokens.Token
	body     *nodes.Wrapper
}

func parseGeneration(p, args *parser.Parser) (nodes.ControlStructure, error) {
	g := &generationBlock{location: p.Current()}
	body, end, err := p.WrapUntil("endgeneration")
	if err != nil {
		return nil, err
	}
	g.body = body
	if !args.End() || !end.End() {
		return nil, args.Error("generation takes no arguments", nil)
	}
	return g, nil
}

func (g *generationBlock) Position() *tokens.Token { return g.location }

func (g *generationBlock) String() string {
	return fmt.Sprintf("generation(Line=%d Col=%d)", g.location.Line, g.location.Col)
}

// Execute renders the body, in a scope of its own.
func (g *generationBlock) Execute(r *exec.Renderer, _ *nodes.ControlStructureBlock) error {
	if !r.Environment.Context.Has(markVariable) {
		return r.ExecuteWrapper(g.body)
	}
	if _, err := io.WriteString(r.Output, openMark); err != nil {
		return err
	}
	if err := r.ExecuteWrapper(g.body); err != nil {
		return err
	}
	_, err := io.WriteString(r.Output, closeMark)
	return err
}
