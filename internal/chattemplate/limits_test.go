package chattemplate

import (
	"errors"
	"strings"
	"testing"

	"stargate/lm"
)

// A template that would take for ever ends with an error.
func TestHostileTemplateEnds(t *testing.T) {
	for _, source := range []string{
		`{% for i in range(90000) %}{% for j in range(90000) %}{% endfor %}{% endfor %}`,
		`{% set ns = namespace(x='ab') %}{% for i in range(99) %}{% set ns.x = ns.x ~ ns.x %}{% endfor %}`,
		`{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}`,
	} {
		tpl, err := New(source, Vars{})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := tpl.Render(twoTurns, true); !errors.Is(err, ErrTemplate) {
			t.Errorf("%s: %v", source, err)
		}
	}
}

// A long conversation is no hostile template.
func TestLongConversationsRender(t *testing.T) {
	var chat []lm.Message
	for range 500 {
		chat = append(chat, lm.Message{Role: lm.User, Content: strings.Repeat("word ", 200)}, lm.Message{Role: lm.Assistant, Content: "Yes."})
	}
	huge := []lm.Message{{Role: lm.User, Content: strings.Repeat("word ", 1<<20)}}
	for name := range sources(t) {
		tpl := load(t, name)
		for _, c := range [][]lm.Message{chat, huge} {
			if _, err := tpl.Render(c, true); err != nil && !strings.Contains(err.Error(), "refuses this conversation") {
				t.Errorf("%s, %d messages: %v", name, len(c), err)
			}
		}
	}
}

// Any template and any conversation end in a text or an error.
func FuzzRender(f *testing.F) {
	for _, source := range sources(f) {
		f.Add(source, "Hello.", "Hi <b>", true)
	}
	f.Fuzz(func(t *testing.T, source, question, answer string, prompt bool) {
		if len(source) > 2<<10 || len(question)+len(answer) > 1<<8 {
			return // small inputs find as much, and sooner
		}
		tpl, err := New(source, Vars{BOS: "<s>", EOS: "</s>"})
		if err != nil {
			if !errors.Is(err, ErrTemplate) {
				t.Errorf("New: %v", err)
			}
			return
		}
		tpl.steps = 1 << 10
		chat := []lm.Message{{Role: lm.System, Content: "s"}, {Role: lm.User, Content: question}, {Role: lm.Assistant, Content: answer}}
		if _, err := tpl.Render(chat, prompt); err != nil && !errors.Is(err, ErrTemplate) {
			t.Errorf("Render: %v", err)
		}
	})
}
