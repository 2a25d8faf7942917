package readback_test

import (
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"

	"stargate/export/exporttest"
	"stargate/export/readback"
	"stargate/lm"
	"stargate/lm/local"
)

// draw shows a row with what is trained in brackets.
func draw(text *local.Text, r readback.Row) string {
	var b strings.Builder
	on := false
	for i, id := range r.IDs {
		if (r.Weights[i] != 0) != on {
			on = !on
			b.WriteString(map[bool]string{true: "⟦", false: "⟧"}[on])
		}
		b.WriteString(text.Piece(id))
	}
	if on {
		b.WriteString("⟧")
	}
	return b.String()
}

func row(t *testing.T, v any) []byte {
	t.Helper()
	data, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

type object = map[string]any

var (
	user      = func(s string) object { return object{"role": "user", "content": s} }
	assistant = func(s string) object { return object{"role": "assistant", "content": s} }
)

// What each trainer trains of a small conversation: the rules, drawn.
func TestRules(t *testing.T) {
	trains := func(m object, on bool) object { m["train"] = on; return m }
	weight := func(m object, w int) object { m["weight"] = w; return m }
	for _, tt := range []struct {
		name, family string
		rules        readback.Rules
		row          object
		want         string
	}{
		{"TRL prompt and completion", "nano", readback.TRL{}.Read,
			object{"prompt": []any{user("a"), assistant("b"), user("c")}, "completion": []any{assistant("d")}},
			"<|user|>a<|end|><|assistant|>b<|end|><|user|>c<|end|><|assistant|>⟦d<|end|>⟧"},
		{"TRL trains the line break behind the end of turn", "chatml", readback.TRL{}.Read,
			object{"prompt": []any{user("a")}, "completion": []any{assistant("d")}},
			"<|im_start|>user\na<|im_end|>\n<|im_start|>assistant\n⟦d<|im_end|>\n⟧"},
		{"TRL standard text gets the end of sequence", "chatml", readback.TRL{}.Read,
			object{"prompt": "<|im_start|>user\na<|im_end|>\n<|im_start|>assistant\n", "completion": "d"},
			"<|im_start|>user\na<|im_end|>\n<|im_start|>assistant\n⟦d<|im_end|>⟧"},
		{"TRL standard text gets the tokenizer's beginning", "llama3", readback.TRL{}.Read,
			object{"prompt": "a", "completion": " b<|eot_id|>"}, "<|begin_of_text|>a⟦ b<|eot_id|>⟧"},
		{"TRL messages", "nano", readback.TRL{}.Read,
			object{"messages": []any{user("a"), assistant("b")}}, "<|user|>⟦a<|end|><|assistant|>b<|end|>⟧"},
		{"TRL assistant_only_loss trains every assistant message", "chatml, generation", readback.TRL{AssistantOnlyLoss: true}.Read,
			object{"messages": []any{user("a"), assistant("b"), user("c"), assistant("d")}},
			"<|im_start|>user\na<|im_end|>\n<|im_start|>assistant\n⟦b<|im_end|>⟧\n<|im_start|>user\nc<|im_end|>\n<|im_start|>assistant\n⟦d<|im_end|>⟧\n"},
		{"TRL with both masks trains what both have", "chatml, generation", readback.TRL{AssistantOnlyLoss: true}.Read,
			object{"prompt": []any{user("a"), assistant("b"), user("c")}, "completion": []any{assistant("d")}},
			"<|im_start|>user\na<|im_end|>\n<|im_start|>assistant\nb<|im_end|>\n<|im_start|>user\nc<|im_end|>\n<|im_start|>assistant\n⟦d<|im_end|>⟧\n"},
		{"TRL cuts at the end", "nano", readback.TRL{MaxLength: 5}.Read,
			object{"prompt": []any{user("a")}, "completion": []any{assistant("b")}}, "<|user|>a<|end|><|assistant|>⟦b⟧"},
		{"TRL tokenised with a mask", "nano", readback.TRL{}.Read,
			object{"input_ids": []int{3, 70, 1}, "completion_mask": []int{0, 1, 1}}, "<|user|>⟦" + "A<|end|>⟧"},
		{"labels", "nano", readback.Tokenized,
			object{"input_ids": []int{3, 70, 1}, "labels": []int{3, -100, 1}, "attention_mask": []int{1, 1, 1}}, "<|user|>A⟦<|end|>⟧"},
		{"axolotl per message", "nano", readback.Axolotl{}.Read,
			object{"messages": []any{trains(user("a"), false), trains(assistant("b"), false), trains(user("c"), false), trains(assistant("d"), true)}},
			"<|user|>a<|end|><|assistant|>b<|end|><|user|>c<|end|><|assistant|>⟦d<|end|>⟧"},
		{"axolotl without flags goes by role", "chatml", readback.Axolotl{RolesToTrain: []string{"assistant"}}.Read,
			object{"messages": []any{user("a"), assistant("b")}}, "<|im_start|>user\na<|im_end|>\n<|im_start|>assistant\n⟦b<|im_end|>⟧\n"},
		{"axolotl misses an end of turn that is not the end of sequence", "end of turn is not end of sequence", readback.Axolotl{RolesToTrain: []string{"assistant"}}.Read,
			object{"messages": []any{user("a"), assistant("b")}}, "<|begin_of_text|><|head|>user\na<|eot|><|head|>assistant\n⟦b⟧<|eot|>"},
		{"axolotl with eot_tokens", "end of turn is not end of sequence", readback.Axolotl{RolesToTrain: []string{"assistant"}, EOTTokens: []string{"<|eot|>"}}.Read,
			object{"messages": []any{user("a"), assistant("b")}}, "<|begin_of_text|><|head|>user\na<|eot|><|head|>assistant\n⟦b<|eot|>⟧"},
		{"axolotl takes a common beginning for no words", "nano", readback.Axolotl{RolesToTrain: []string{"assistant"}}.Read,
			object{"messages": []any{user("a"), assistant("[[b")}}, "<|user|>a<|end|><|assistant|>[[⟦b<|end|>⟧"},
		{"LLaMA-Factory sharegpt trains all answers", "nano", readback.LlamaFactory{}.Sharegpt,
			object{"conversations": []any{object{"from": "human", "value": "a"}, object{"from": "gpt", "value": "b"}, object{"from": "human", "value": "c"}, object{"from": "gpt", "value": "d"}}},
			"<|user|>a<|end|><|assistant|>⟦b<|end|>⟧<|user|>c<|end|><|assistant|>⟦d<|end|>⟧"},
		{"LLaMA-Factory mask_history trains the last", "nano", readback.LlamaFactory{MaskHistory: true}.Sharegpt,
			object{"conversations": []any{object{"from": "human", "value": "a"}, object{"from": "gpt", "value": "b"}, object{"from": "human", "value": "c"}, object{"from": "gpt", "value": "d"}}},
			"<|user|>a<|end|><|assistant|>b<|end|><|user|>c<|end|><|assistant|>⟦d<|end|>⟧"},
		{"LLaMA-Factory alpaca trains the history", "nano", readback.LlamaFactory{}.Alpaca,
			object{"instruction": "c", "output": "d", "history": []any{[]string{"a", "b"}}, "system": "s"},
			"<|system|>s<|end|><|user|>a<|end|><|assistant|>⟦b<|end|>⟧<|user|>c<|end|><|assistant|>⟦d<|end|>⟧"},
		{"LLaMA-Factory adds the template's system prompt and trains its line break", "chatml, default system", readback.LlamaFactory{}.Sharegpt,
			object{"conversations": []any{object{"from": "human", "value": "a"}, object{"from": "gpt", "value": "b"}}},
			"<|im_start|>system\nYou are helpful.<|im_end|>\n<|im_start|>user\na<|im_end|>\n<|im_start|>assistant\n⟦b<|im_end|>\n⟧"},
		{"LLaMA-Factory's mistral", "mistral", readback.LlamaFactory{Template: "mistral"}.Sharegpt,
			object{"conversations": []any{object{"from": "human", "value": "a"}, object{"from": "gpt", "value": "b"}}}, "<s>[INST] a[/INST]⟦ b</s>⟧"},
		{"OpenAI weights", "nano", readback.OpenAI,
			object{"messages": []any{user("a"), weight(assistant("b"), 0), user("c"), assistant("d")}},
			"<|user|>a<|end|><|assistant|>b<|end|><|user|>c<|end|><|assistant|>⟦d<|end|>⟧"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			text := exporttest.Text(t, tt.family)
			got, err := tt.rules(text, row(t, tt.row))
			if err != nil {
				t.Fatal(err)
			}
			if drawn := draw(text, got); drawn != tt.want {
				t.Errorf("it trains\n%q, wanted\n%q", drawn, tt.want)
			}
		})
	}
}

// Rows that a trainer leaves out or stops at are errors that say so.
func TestRowsThatAreNotTrained(t *testing.T) {
	human, gpt := object{"from": "human", "value": "a"}, object{"from": "gpt", "value": "b"}
	hidden := assistant("b")
	hidden["train"] = false
	for _, tt := range []struct {
		name, family string
		rules        readback.Rules
		row          object
		want         error
		says         string
	}{
		{"TRL assistant_only_loss without generation", "nano", readback.TRL{AssistantOnlyLoss: true}.Read, object{"messages": []any{user("a"), assistant("b")}}, readback.ErrRefused, "generation"},
		{"TRL cut before the answer", "nano", readback.TRL{MaxLength: 3}.Read, object{"prompt": []any{user("a")}, "completion": []any{assistant("b")}}, readback.ErrDropped, "no token"},
		{"TRL two formats", "nano", readback.TRL{}.Read, object{"prompt": "a", "completion": []any{assistant("b")}}, readback.ErrRefused, "two formats"},
		{"TRL nothing it knows", "nano", readback.TRL{}.Read, object{"a": 1}, nil, "neither"},
		{"sharegpt ending with a user", "nano", readback.LlamaFactory{}.Sharegpt, object{"conversations": []any{human, gpt, human}}, readback.ErrDropped, "end with an answer"},
		{"sharegpt out of turn", "nano", readback.LlamaFactory{}.Sharegpt, object{"conversations": []any{human, human}}, readback.ErrDropped, "wants"},
		{"LLaMA-Factory and a template that refuses", "mistral", readback.LlamaFactory{}.Sharegpt, object{"conversations": []any{human, gpt}}, readback.ErrNoSlots, "name one of its own"},
		{"LLaMA-Factory's unknown template", "mistral", readback.LlamaFactory{Template: "x"}.Sharegpt, object{"conversations": []any{human, gpt}}, nil, "llama3"},
		{"axolotl all masked", "nano", readback.Axolotl{}.Read, object{"messages": []any{user("a"), hidden}}, readback.ErrDropped, "no token"},
		{"labels of another text", "nano", readback.Tokenized, object{"input_ids": []int{3, 70}, "labels": []int{3, 71}}, nil, "label 1 is 71"},
		{"labels hidden from attention", "nano", readback.Tokenized, object{"input_ids": []int{3, 70}, "labels": []int{3, 70}, "attention_mask": []int{1, 0}}, nil, "hides token 1"},
		{"labels missing", "nano", readback.Tokenized, object{"input_ids": []int{3, 70}}, nil, "labels"},
		{"too few labels", "nano", readback.Tokenized, object{"input_ids": []int{3, 70}, "labels": []int{3}}, readback.ErrRefused, "1 labels of 2"},
		{"OpenAI weight on a user", "nano", readback.OpenAI, object{"messages": []any{object{"role": "user", "content": "a", "weight": 1}, assistant("b")}}, readback.ErrRefused, "no assistant message"},
		{"OpenAI half a weight", "nano", readback.OpenAI, object{"messages": []any{user("a"), object{"role": "assistant", "content": "b", "weight": 0.5}}}, readback.ErrRefused, "0.5"},
		{"OpenAI no weight left", "nano", readback.OpenAI, object{"messages": []any{user("a"), object{"role": "assistant", "content": "b", "weight": 0}}}, readback.ErrRefused, "no assistant message"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := tt.rules(exporttest.Text(t, tt.family), row(t, tt.row))
			if err == nil || tt.want != nil && !errors.Is(err, tt.want) || !strings.Contains(err.Error(), tt.says) {
				t.Errorf("got %v; want %v that says %q", err, tt.want, tt.says)
			}
		})
	}
}

func TestDPO(t *testing.T) {
	text := exporttest.Text(t, "nano")
	chosen, rejected, err := readback.DPO(text, row(t, object{"prompt": []any{user("a")}, "chosen": []any{assistant("b")}, "rejected": []any{assistant("c")}}))
	if err != nil {
		t.Fatal(err)
	}
	if a, b := draw(text, chosen), draw(text, rejected); a != "<|user|>a<|end|><|assistant|>⟦b<|end|>⟧" || b != "<|user|>a<|end|><|assistant|>⟦c<|end|>⟧" {
		t.Errorf("chosen %q, rejected %q", a, b)
	}
	if _, _, err := readback.DPO(text, []byte(`{"prompt":"a","chosen":"b"}`)); err == nil {
		t.Error("a row without rejected was read")
	}
}

// Without flags of their own, all rules train the same words of a plain conversation.
func TestRulesAgree(t *testing.T) {
	for _, e := range exporttest.Conversations() {
		if e.Key == "markup" { // axolotl's stand-in begins as this one does
			continue
		}
		var messages, conversation []any
		for _, m := range e.Messages {
			messages = append(messages, m)
			conversation = append(conversation, object{"from": map[lm.Role]string{lm.User: "human", lm.Assistant: "gpt"}[m.Role], "value": m.Content})
		}
		text := exporttest.Text(t, "nano")
		ids, mask, err := text.Encode(e.Messages, e.Loss)
		if err != nil {
			t.Fatal(err)
		}
		for name, got := range map[string]func() (readback.Row, error){
			"axolotl": func() (readback.Row, error) {
				return readback.Axolotl{RolesToTrain: []string{"assistant"}}.Read(text, row(t, object{"messages": messages}))
			},
			"OpenAI": func() (readback.Row, error) { return readback.OpenAI(text, row(t, object{"messages": messages})) },
			"LLaMA-Factory": func() (readback.Row, error) {
				return readback.LlamaFactory{}.Sharegpt(text, row(t, object{"conversations": conversation}))
			},
		} {
			r, err := got()
			if err != nil {
				t.Errorf("%s, %s: %v", e.Key, name, err)
				continue
			}
			trained := make([]bool, len(r.Weights))
			for i, w := range r.Weights {
				trained[i] = w != 0
			}
			if !slices.Equal(r.IDs, ids) || !slices.Equal(trained, mask) {
				t.Errorf("%s, %s: %s", e.Key, name, draw(text, r))
			}
		}
	}
}
