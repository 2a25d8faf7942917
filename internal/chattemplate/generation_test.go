package chattemplate

import (
	"errors"
	"strings"
	"testing"

	"stargate/lm"
)

var twoTurns = []lm.Message{{Role: lm.User, Content: "Hi."}, {Role: lm.Assistant, Content: "Hello. "}, {Role: lm.User, Content: "Bye."}, {Role: lm.Assistant, Content: "Bye!"}}

// A template with generation blocks renders as it would without them, and tells what is in them.
func TestGenerated(t *testing.T) {
	for name, tt := range map[string]struct{ source, text, within string }{
		"inline": {
			`{% for m in messages %}<{{ m.role }}>{% if m.role == 'assistant' %}{% generation %}{{ m.content }}<end>{% endgeneration %}{% else %}{{ m.content }}<end>{% endif %}{% endfor %}`,
			"<user>Hi.<end><assistant>Hello. <end><user>Bye.<end><assistant>Bye!<end>", "Hello. <end>|Bye!<end>",
		},
		"in lines, with spaces trimmed": {
			"{% for m in messages %}\n    {%- if m.role == 'assistant' %}\n    {% generation %}\n{{ m.content | trim }};\n    {%- endgeneration %}\n    {%- else %}\n({{ m.content }})\n    {%- endif %}\n{% endfor %}",
			"(Hi.)Hello.;(Bye.)Bye!;", "Hello.;|Bye!;",
		},
		"with a variable of the block's own": {
			`{% set x = 1 %}{% for m in messages %}{%- generation -%} {% set x = 2 %}{{ x }} {%- endgeneration -%}{% endfor %}{{ x }}`,
			"22221", "2|2|2|2",
		},
	} {
		t.Run(name, func(t *testing.T) {
			tpl, err := New(tt.source, Vars{})
			if err != nil {
				t.Fatal(err)
			}
			plain, err := tpl.Render(twoTurns, false)
			if err != nil || plain != tt.text {
				t.Errorf("rendered %q, %v; want %q", plain, err, tt.text)
			}
			text, ranges, err := tpl.Generated(twoTurns)
			if err != nil || text != plain {
				t.Fatalf("marked %q, %v; want %q", text, err, plain)
			}
			var within []string
			for _, r := range ranges {
				within = append(within, text[r.Start:r.End])
			}
			if got := strings.Join(within, "|"); got != tt.within {
				t.Errorf("within: %q, want %q", got, tt.within)
			}
		})
	}
}

func TestNoGeneration(t *testing.T) {
	tpl, err := New(Nano, Vars{})
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := tpl.Generated(twoTurns); !errors.Is(err, ErrNoGeneration) {
		t.Errorf("got %v", err)
	}
	marked, err := New(`{% generation %}{{ messages[0].content }}{% endgeneration %}`, Vars{})
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := marked.Generated([]lm.Message{{Role: lm.User, Content: "a" + openMark}}); !errors.Is(err, ErrTemplate) {
		t.Errorf("a message with a mark: %v", err)
	}
	nested, err := New(`{% generation %}{% generation %}a{% endgeneration %}{% endgeneration %}`, Vars{})
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := nested.Generated(twoTurns); !errors.Is(err, ErrTemplate) {
		t.Errorf("nested blocks: %v", err)
	}
	for _, bad := range []string{`{% generation %}`, `{% generation x %}a{% endgeneration %}`} {
		if _, err := New(bad, Vars{}); !errors.Is(err, ErrTemplate) {
			t.Errorf("%s: %v", bad, err)
		}
	}
}
