package chattemplate

import (
	"fmt"
	"slices"
	"strings"

	"stargate/lm"
)

// A skeleton renders the conversations of one shape without the Jinja machine, which is two
// orders of magnitude slower: a run renders 10⁵ chats. It is learnt by rendering contents
// that can be recognised, and used only after it gave what Jinja gives for many others; for
// contents of a kind where it did not, Jinja renders.
type skeleton struct {
	gaps []string // before the first content, between contents, behind the last

	bare  bool     // contents that are empty or begin or end with white space are kept as they are
	avoid []string // contents with one of these are treated specially by the template
}

// shape is all a skeleton's texts depend on: the roles in order, and the prompt.
type shape struct {
	roles  string
	prompt bool
}

// The longest conversations learnt, and how many shapes a template keeps; a run has a dozen.
const (
	maxMessages = 24
	maxShapes   = 256
)

func (t *Template) skeleton(chat []lm.Message, prompt bool) *skeleton {
	if len(chat) == 0 || len(chat) > maxMessages {
		return nil
	}
	var roles [16 * maxMessages]byte
	key := roles[:0]
	for _, m := range chat {
		key = append(append(key, m.Role...), 0)
	}
	t.mu.RLock()
	s, known := t.skeletons[shape{string(key), prompt}]
	full := len(t.skeletons) >= maxShapes
	t.mu.RUnlock()
	if known || full {
		return s
	}
	s = t.learn(chat, prompt) // two callers may learn the same; they learn the same thing
	t.mu.Lock()
	t.skeletons[shape{string(key), prompt}] = s
	t.mu.Unlock()
	return s
}

func (s *skeleton) render(chat []lm.Message) (string, bool) {
	size := 0
	for i, m := range chat {
		if !s.bare && (m.Content == "" || strings.TrimSpace(m.Content) != m.Content) {
			return "", false
		}
		for _, a := range s.avoid {
			if strings.Contains(m.Content, a) {
				return "", false
			}
		}
		size += len(s.gaps[i]) + len(m.Content)
	}
	var b strings.Builder
	b.Grow(size + len(s.gaps[len(chat)]))
	for i, m := range chat {
		b.WriteString(s.gaps[i])
		b.WriteString(m.Content)
	}
	b.WriteString(s.gaps[len(chat)])
	return b.String(), true
}

// learn is nil if the template does more than put text around contents.
func (t *Template) learn(chat []lm.Message, prompt bool) *skeleton {
	marks := make([]string, len(chat))
	for i := range marks {
		marks[i] = fmt.Sprintf("\u2042mark %d\u2042", i)
	}
	rest, ok := t.probe(chat, prompt, marks)
	if !ok {
		return nil
	}
	s := &skeleton{}
	for _, mark := range marks {
		gap, after, ok := strings.Cut(rest, mark)
		if !ok || strings.Contains(after, mark) {
			return nil
		}
		s.gaps, rest = append(s.gaps, gap), after
	}
	s.gaps = append(s.gaps, rest)

	agrees := func(contents ...string) bool {
		probe := make([]lm.Message, len(chat))
		for i := range chat {
			probe[i] = lm.Message{Role: chat[i].Role, Content: contents[i%len(contents)]}
		}
		want, err := t.jinja.render(probe, prompt)
		got, ok := s.render(probe)
		return err == nil && (!ok || got == want)
	}
	for i := range plainProbes {
		if !agrees(append(slices.Clone(plainProbes[i:]), plainProbes[:i]...)...) {
			return nil
		}
	}
	s.bare = true
	for _, p := range bareProbes {
		if !agrees(p) || !agrees(p, "plain") || !agrees("plain", p) {
			s.bare = false
			break
		}
	}
	// What a template looks for in contents ('</think>', '[INST]') stands in its code.
	for _, l := range t.literals {
		core := strings.TrimSpace(l)
		if core != "" && !(agrees("a "+core+" b") && agrees(core+" b") && agrees("a "+core) && agrees(core) && agrees("plain", core+" b", "a "+core)) {
			s.avoid = append(s.avoid, core)
		}
	}
	return s
}

func (t *Template) probe(chat []lm.Message, prompt bool, contents []string) (string, bool) {
	probe := make([]lm.Message, len(chat))
	for i := range chat {
		probe[i] = lm.Message{Role: chat[i].Role, Content: contents[i]}
	}
	text, err := t.jinja.render(probe, prompt)
	return text, err == nil
}

// plainProbes are contents that templates might treat differently: markup, quotes, several
// lines, scripts, numbers, length.
var plainProbes = []string{
	"a", "Hello there.\n\nTwo lines?\n\n\n- and\ta list", "<b>&amp; 'quoted' \"words\" \\n</b>", "{{ braces }} {% if %} {# c #}", "é🙂 ÀÉ 你好 \u00a0\u200b.",
	"42", "None", "True", "[1, 2]", "UPPER lower Title", "a  b   c", "line one\r\nline two", strings.Repeat("long ", 2000) + "text", "the same", "the same",
}

var bareProbes = []string{"", " ", "\n", " a", "a ", "\na\n", "\ta\u00a0"}

// literalsOf lists the strings in the template's code, each once, in order. Strings with a
// quote of the other kind or an escape inside are cut there, which only finds more.
func literalsOf(source string) []string {
	var found []string
	for rest := source; ; {
		open := strings.IndexByte(rest, '{')
		if open < 0 || open+1 >= len(rest) {
			return found
		}
		closing := map[byte]string{'{': "}}", '%': "%}"}[rest[open+1]]
		if closing == "" {
			rest = rest[open+1:]
			continue
		}
		rest = rest[open+2:]
		code, after, _ := strings.Cut(rest, closing)
		rest = after
		for _, piece := range strings.FieldsFunc(code, func(r rune) bool { return r == '\'' || r == '"' || r == '\\' }) {
			if !slices.Contains(found, piece) {
				found = append(found, piece)
			}
		}
	}
}
