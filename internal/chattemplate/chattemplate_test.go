package chattemplate

import (
	"errors"
	"strings"
	"testing"

	"stargate/lm"
)

// Templates in the manner of three families, in our own words.
var templates = map[string]string{
	"nano":   Nano,
	"chatml": `{% for m in messages %}{{ '<|im_start|>' + m['role'] + '\n' + m['content'] | trim + '<|im_end|>\n' }}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}`,
	"inst": `{{ bos_token }}{% for m in messages %}{% if (m['role'] == 'user') != (loop.index0 % 2 == 0) %}{{ raise_exception('roles must alternate') }}{% endif %}` +
		`{% if m['role'] == 'user' %}{{ '[INST] ' + m['content'] + ' [/INST]' }}{% else %}{{ m['content'] + eos_token }}{% endif %}{% endfor %}`,
}

var chat = []lm.Message{{Role: lm.User, Content: "Hi."}, {Role: lm.Assistant, Content: "What?"}, {Role: lm.User, Content: "That."}, {Role: lm.Assistant, Content: "Done."}}

func load(t testing.TB, name string) *Template {
	t.Helper()
	tpl, err := New(templates[name], Vars{BOS: "<s>", EOS: "</s>"})
	if err != nil {
		t.Fatal(err)
	}
	return tpl
}

func TestRender(t *testing.T) {
	for name, want := range map[string]string{
		"nano":   "<|user|>Hi.<|end|><|assistant|>What?<|end|><|user|>That.<|end|><|assistant|>",
		"chatml": "<|im_start|>user\nHi.<|im_end|>\n<|im_start|>assistant\nWhat?<|im_end|>\n<|im_start|>user\nThat.<|im_end|>\n<|im_start|>assistant\n",
		"inst":   "<s>[INST] Hi. [/INST]What?</s>[INST] That. [/INST]",
	} {
		tpl := load(t, name)
		if tpl.linear == nil {
			t.Errorf("%s is linear, but was not recognised", name)
		}
		if got, err := tpl.Render(chat[:3], true); err != nil || got != want {
			t.Errorf("%s: %q, %v; want %q", name, got, err, want)
		}
		if got, err := tpl.render(chat[:3], true); err != nil || got != want {
			t.Errorf("%s by Jinja: %q, %v", name, got, err)
		}
	}
}

func TestSpans(t *testing.T) {
	for name, want := range map[string]string{
		"nano": "What?<|end|>|Done.<|end|>", "chatml": "What?<|im_end|>\n|Done.<|im_end|>\n", "inst": "What?</s>|Done.</s>",
	} {
		text, spans, err := load(t, name).Spans(chat)
		if err != nil {
			t.Fatal(name, err)
		}
		var got []string
		for _, s := range spans {
			got = append(got, text[s.Start:s.End])
		}
		if s := strings.Join(got, "|"); s != want {
			t.Errorf("%s: loss on %q, want %q", name, s, want)
		}
	}
}

func TestErrors(t *testing.T) {
	if _, err := New("{% for %}", Vars{}); !errors.Is(err, ErrTemplate) {
		t.Errorf("a broken template: %v", err)
	}
	if _, err := load(t, "inst").Render(chat[1:], true); !errors.Is(err, ErrTemplate) || !strings.Contains(err.Error(), "alternate") {
		t.Errorf("raise_exception: %v", err)
	}
	last, err := New(`{% for m in messages %}{% if loop.last %}[LAST]{% endif %}{{ m['content'] }}{% endfor %}`, Vars{})
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := last.Spans(chat); !errors.Is(err, ErrTemplate) {
		t.Errorf("a template that looks ahead: %v", err)
	}
}

func BenchmarkRender(b *testing.B) {
	tpl := load(b, "nano")
	for b.Loop() {
		if _, err := tpl.Render(chat[:3], true); err != nil {
			b.Fatal(err)
		}
	}
}
