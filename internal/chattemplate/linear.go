package chattemplate

import (
	"strings"

	"stargate/lm"
)

// linear renders templates that merely put fixed text around each message, without the
// Jinja machine: a run renders 10⁵ chats. The texts are learnt by rendering probes, and
// the result is used only for the roles and shapes whose probes it reproduced exactly.
type linear struct {
	start  string
	around map[lm.Role][2]string
	prompt string
}

// mark is a content that no template changes.
const mark = "\u2042probe\u2042"

// learn returns nil unless the template behaves linearly on all probes.
func (t *Template) learn() *linear {
	l := &linear{around: map[lm.Role][2]string{}}
	user := lm.Message{Role: lm.User, Content: mark}
	one, err := t.render([]lm.Message{user}, false)
	if err != nil || strings.Count(one, mark) != 1 {
		return nil
	}
	two, err := t.render([]lm.Message{user, {Role: lm.Assistant, Content: mark}, user}, false)
	if err != nil || strings.Count(two, mark) != 3 {
		return nil
	}
	prompted, err := t.render([]lm.Message{user}, true)
	if err != nil || !strings.HasPrefix(prompted, one) {
		return nil
	}
	l.prompt = prompted[len(one):]
	first, last, _ := strings.Cut(one, mark)
	parts := strings.Split(two, mark) // start+user | user end + assistant | assistant end + user | user end
	if parts[0] != first || parts[3] != last || !strings.HasPrefix(parts[1], last) {
		return nil
	}
	l.around[lm.Assistant] = [2]string{parts[1][len(last):], ""}
	// The user's own prefix is what the first message and a later one share.
	for start := 0; start <= len(first); start++ {
		if prefix := first[start:]; strings.HasSuffix(parts[2], prefix) {
			l.start = first[:start]
			l.around[lm.User] = [2]string{prefix, last}
			l.around[lm.Assistant] = [2]string{parts[1][len(last):], parts[2][:len(parts[2])-len(prefix)]}
			if t.agrees(l) {
				return l
			}
		}
	}
	return nil
}

// agrees compares the two ways on conversations of every shape the loop renders.
func (t *Template) agrees(l *linear) bool {
	contents := []string{"a", "Hello there.\n\nTwo lines?", "x y", "<b>&amp; 'quoted' \"words\"", "{{ braces }} {% x %}", "é🙂"}
	for n := 1; n <= 8; n++ {
		var chat []lm.Message
		for i := range n {
			role := lm.User
			if i%2 == 1 {
				role = lm.Assistant
			}
			chat = append(chat, lm.Message{Role: role, Content: contents[(i+n)%len(contents)]})
		}
		for _, prompt := range []bool{false, true} {
			want, err := t.render(chat, prompt)
			got, ok := l.render(chat, prompt)
			if err != nil || !ok || got != want {
				return false
			}
		}
	}
	return true
}

// render refuses what the probes did not cover: other roles or orders, and contents that
// templates trim.
func (l *linear) render(chat []lm.Message, prompt bool) (string, bool) {
	var b strings.Builder
	b.WriteString(l.start)
	for i, m := range chat {
		want := lm.User
		if i%2 == 1 {
			want = lm.Assistant
		}
		if m.Role != want || m.Content == "" || strings.TrimSpace(m.Content) != m.Content {
			return "", false
		}
		around := l.around[m.Role]
		b.WriteString(around[0])
		b.WriteString(m.Content)
		b.WriteString(around[1])
	}
	if prompt {
		b.WriteString(l.prompt)
	}
	return b.String(), len(chat) > 0
}
