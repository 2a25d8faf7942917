package chattemplate

import (
	"errors"
	"fmt"
	"strings"

	"stargate/internal/jinja"
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
	if !t.jinja.HasGeneration() {
		return "", nil, ErrNoGeneration
	}
	for _, m := range chat {
		if strings.ContainsAny(m.Content, openMark+closeMark) {
			return "", nil, fmt.Errorf("%w: a message has a character of Unicode's last private plane, which marks the assistant's words while rendering", ErrTemplate)
		}
	}
	marked, err := t.render(chat, false, jinja.Options{Open: openMark, Close: closeMark})
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
