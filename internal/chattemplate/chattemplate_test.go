package chattemplate

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"stargate/lm"
)

var chat = []lm.Message{{Role: lm.User, Content: "Hi."}, {Role: lm.Assistant, Content: "What?"}, {Role: lm.User, Content: "That."}, {Role: lm.Assistant, Content: "Done."}}

// Loss falls on the words of the assistant and what ends its turn, and on nothing else.
func TestSpans(t *testing.T) {
	for name, want := range map[string]string{
		"nano": "What?<|end|>|Done.<|end|>", "chatml": "What?<|im_end|>\n|Done.<|im_end|>\n", "llama2": " What? </s>| Done. </s>",
		"mistral": " What?</s>| Done.</s>", "llama3": "What?<|eot_id|>|Done.<|eot_id|>", "gemma": "What?<end_of_turn>\n\n|Done.<end_of_turn>\n\n",
		"zephyr": "What?</s>\n|Done.</s>\n", "thinking": "What?<|im_end|>\n|Done.<|im_end|>\n",
	} {
		text, spans, err := load(t, name).Spans(chat)
		if err != nil {
			t.Error(name, err)
			continue
		}
		var got []string
		for _, s := range spans {
			if chat[s.Message].Role != lm.Assistant {
				t.Errorf("%s: a span for message %d", name, s.Message)
			}
			got = append(got, text[s.Start:s.End])
		}
		if s := strings.Join(got, "|"); s != want {
			t.Errorf("%s: loss on %q, want %q", name, s, want)
		}
	}
}

// Where a later message changes how an earlier one is rendered, there is no place for loss.
func TestSpansErrors(t *testing.T) {
	thoughts := []lm.Message{chat[0], {Role: lm.Assistant, Content: "<think>hm</think>What?"}, chat[2], chat[3]}
	if _, _, err := load(t, "thinking").Spans(thoughts); !errors.Is(err, ErrTemplate) || !strings.Contains(err.Error(), "message 2") {
		t.Errorf("thoughts that are left out later: %v", err)
	}
	system := append([]lm.Message{{Role: lm.System, Content: "Ask."}}, chat...)
	if _, _, err := load(t, "mistral").Spans(system); !errors.Is(err, ErrTemplate) {
		t.Errorf("a system message that moves to the last turn: %v", err)
	}
}

func TestErrors(t *testing.T) {
	for _, source := range []string{"{% for %}", "{{ unclosed", "{% include '/etc/hostname' %}", "{% extends 'x' %}"} {
		tpl, err := New(source, Vars{})
		if err == nil {
			_, err = tpl.Render(chat, true)
		}
		if !errors.Is(err, ErrTemplate) {
			t.Errorf("%s: %v", source, err)
		}
	}
	if _, err := load(t, "llama2").Render(chat[1:], true); !errors.Is(err, ErrTemplate) || !strings.Contains(err.Error(), "alternate") {
		t.Errorf("raise_exception: %v", err)
	}
	if _, err := load(t, "nano").Render(nil, true); err != nil {
		t.Errorf("an empty chat: %v", err)
	}
}

// A template is safe for concurrent use.
func TestConcurrent(t *testing.T) {
	tpl := load(t, "llama3")
	var group sync.WaitGroup
	for g := range 8 {
		group.Go(func() {
			for i := range 20 {
				c := []lm.Message{{Role: lm.User, Content: fmt.Sprint(g, i)}}
				want := strings.ReplaceAll(alone, "HERE", c[0].Content)
				if got, err := tpl.Render(c, true); err != nil || got != want {
					t.Errorf("%q, %v; want %q", got, err, want)
				}
			}
		})
	}
	group.Wait()
}

const alone = "<s><|start_header_id|>system<|end_header_id|>\n\nToday: 26 Jul 2024\n\n<|eot_id|><|start_header_id|>user<|end_header_id|>\n\nHERE<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\n"

func BenchmarkRender(b *testing.B) {
	for _, name := range []string{"nano", "chatml", "llama2", "llama3"} {
		tpl := load(b, name)
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := tpl.Render(chat[:3], true); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
