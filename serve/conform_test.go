package serve

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"stargate/lm"
	"stargate/lm/local"
)

// question is the i-th of conversations that share beginnings.
func question(i int) string {
	return fmt.Sprintf("My name is Ada. Help me plan a party for %d of my friends. %s", i%4, strings.Repeat("thing ", i%7))
}

// What HTTP answers is what a call in the process answers, bit for bit, whoever else asks.
func TestScoresAreThoseInProcess(t *testing.T) {
	m := testModel(t, 256, local.Options{Workers: 2})
	c := newClient(t, New(m, Options{}))
	var wg sync.WaitGroup
	for i := range 24 {
		wg.Go(func() {
			chat := lm.Chat{{Role: lm.User, Content: question(i)}}
			target := fmt.Sprintf("I like thing number %d.", i)
			want, err := m.LogProb(t.Context(), chat, target)
			if err != nil {
				t.Error(err)
				return
			}
			ids, n, err := m.Target(chat, target)
			if err != nil {
				t.Error(err)
				return
			}
			check := func(route string, got []float64) {
				if len(got) != len(want.Tokens) {
					t.Errorf("%s: %d log-probabilities, want %d", route, len(got), len(want.Tokens))
					return
				}
				sum := 0.0
				for k, lp := range got {
					if lp != want.Tokens[k].LogProb {
						t.Errorf("%s: token %d has %v, in process %v", route, k, lp, want.Tokens[k].LogProb)
					}
					sum += lp
				}
				if sum != want.Sum {
					t.Errorf("%s: the sum is %v, in process %v", route, sum, want.Sum)
				}
			}

			// vLLM's form (PEERS 5.1), with and without alternatives.
			var vllm struct {
				Choices []struct {
					PromptLogProbs []map[string]struct{ LogProb float64 } `json:"prompt_logprobs"`
					PromptTokenIDs []int32                                `json:"prompt_token_ids"`
				}
			}
			c.post("/v1/completions", object{"prompt": [][]int32{ids}, "max_tokens": 1, "temperature": 1.0, "prompt_logprobs": i % 3, "return_token_ids": true, "add_special_tokens": false, "seed": 0}, &vllm)
			if len(vllm.Choices) != 1 || !slices.Equal(vllm.Choices[0].PromptTokenIDs, ids) || len(vllm.Choices[0].PromptLogProbs) != len(ids) {
				t.Errorf("prompt_logprobs: %+v", vllm)
				return
			}
			var got []float64
			for k := n; k < len(ids); k++ {
				got = append(got, vllm.Choices[0].PromptLogProbs[k][strconv.Itoa(int(ids[k]))].LogProb)
			}
			check("prompt_logprobs", got)

			// The older form: echo with logprobs.
			var echo struct {
				Choices []struct {
					LogProbs struct {
						TokenLogProbs []float64 `json:"token_logprobs"` // null reads as 0
					}
				}
			}
			c.post("/v1/completions", object{"prompt": ids, "max_tokens": 0, "echo": true, "logprobs": i % 2}, &echo)
			if len(echo.Choices) != 1 || len(echo.Choices[0].LogProbs.TokenLogProbs) != len(ids) {
				t.Errorf("echo: %+v", echo)
				return
			}
			check("echo", echo.Choices[0].LogProbs.TokenLogProbs[n:])

			// The chat form.
			var chatForm struct {
				PromptLogProbs []map[string]struct{ LogProb float64 } `json:"prompt_logprobs"`
				PromptTokenIDs []int32                                `json:"prompt_token_ids"`
			}
			c.post("/v1/chat/completions", object{"messages": append(user(question(i)), object{"role": "assistant", "content": target}), "continue_final_message": true,
				"add_generation_prompt": false, "max_tokens": 0, "prompt_logprobs": 0, "return_token_ids": true}, &chatForm)
			if !slices.Equal(chatForm.PromptTokenIDs, ids) {
				t.Errorf("chat: the prompt has the tokens %v, want %v", chatForm.PromptTokenIDs, ids)
				return
			}
			got = got[:0]
			for k := n; k < len(ids); k++ {
				got = append(got, chatForm.PromptLogProbs[k][strconv.Itoa(int(ids[k]))].LogProb)
			}
			check("chat", got)
		})
	}
	wg.Wait()
}

// A completion with a seed is the one of the process; streamed, its pieces join to it.
func TestCompletionsAreThoseInProcess(t *testing.T) {
	m := testModel(t, 256, local.Options{Workers: 2})
	c := newClient(t, New(m, Options{}))
	var wg sync.WaitGroup
	for i := range 24 {
		wg.Go(func() {
			s := lm.Sampling{Temperature: float64(i%4) * 0.5, TopP: 0.9, TopK: i % 3 * 40, MaxTokens: 3 + 2*i, Seed: uint64(i)}
			body := object{"messages": user(question(i)), "temperature": s.Temperature, "top_p": s.TopP, "top_k": s.TopK, "max_tokens": s.MaxTokens, "seed": s.Seed, "return_token_ids": true, "logprobs": true}
			if i%2 == 0 {
				s.Stop = []string{"the", "e t", "a"}
				body["stop"] = s.Stop
			}
			want, err := m.Generate(t.Context(), lm.Chat{{Role: lm.User, Content: question(i)}}, s)
			if err != nil {
				t.Error(err)
				return
			}
			var got struct {
				Choices []struct {
					Message      struct{ Content string }
					FinishReason lm.FinishReason `json:"finish_reason"`
					TokenIDs     []int32         `json:"token_ids"`
					LogProbs     json.RawMessage
				}
				Usage usage
			}
			c.post("/v1/chat/completions", body, &got)
			if len(got.Choices) != 1 {
				t.Errorf("request %d: %+v", i, got)
				return
			}
			x := got.Choices[0]
			if x.Message.Content != want.Text || x.FinishReason != want.Finish || len(x.TokenIDs) < len(want.Tokens) || !slices.Equal(x.TokenIDs[:len(want.Tokens)], want.Tokens) {
				t.Errorf("request %d: %+v, in process %+v", i, x, want)
			}

			body["stream"], body["stream_options"] = true, object{"include_usage": true}
			var text strings.Builder
			var tokens []int32
			var finish lm.FinishReason
			var used usage
			events := c.stream("/v1/chat/completions", body)
			for _, event := range events[:max(0, len(events)-1)] {
				var piece struct {
					Choices []struct {
						Delta        struct{ Content string }
						FinishReason *lm.FinishReason `json:"finish_reason"`
						TokenIDs     []int32          `json:"token_ids"`
					}
					Usage *usage
				}
				if err := json.Unmarshal([]byte(event), &piece); err != nil {
					t.Error(err)
				}
				if piece.Usage != nil {
					used = *piece.Usage
				}
				for _, x := range piece.Choices {
					text.WriteString(x.Delta.Content)
					tokens = append(tokens, x.TokenIDs...)
					if x.FinishReason != nil {
						finish = *x.FinishReason
					}
				}
			}
			if text.String() != want.Text || finish != want.Finish || !slices.Equal(tokens, x.TokenIDs) || used != got.Usage {
				t.Errorf("request %d: streamed %q %v (%s, %v), whole %q %v (%s, %v)", i, text.String(), tokens, finish, used, want.Text, x.TokenIDs, want.Finish, got.Usage)
			}
		})
	}
	wg.Wait()
}

// Choices: the first is the request for one, the others differ; streamed they are the same.
func TestChoices(t *testing.T) {
	m := testModel(t, 256, local.Options{Workers: 2})
	c := newClient(t, New(m, Options{}))
	body := object{"prompt": []string{"I like the", "What would"}, "n": 3, "seed": 11, "max_tokens": 12, "temperature": 1.5}
	type answer struct {
		Choices []struct {
			Index int
			Text  string
		}
		Usage usage
	}
	var all, one answer
	c.post("/v1/completions", body, &all)
	if len(all.Choices) != 6 {
		t.Fatalf("%d choices of 2 prompts with n 3", len(all.Choices))
	}
	distinct := map[string]bool{}
	for i, x := range all.Choices {
		if x.Index != i {
			t.Errorf("choice %d has index %d", i, x.Index)
		}
		distinct[x.Text] = true
	}
	if len(distinct) != 6 {
		t.Errorf("only %d of 6 choices differ", len(distinct))
	}
	c.post("/v1/completions", object{"prompt": "What would", "seed": 11, "max_tokens": 12, "temperature": 1.5}, &one)
	if one.Choices[0].Text != all.Choices[3].Text {
		t.Errorf("alone %q, first of three %q", one.Choices[0].Text, all.Choices[3].Text)
	}
	if want := len(m.Tokenize("I like the", true)) + len(m.Tokenize("What would", true)); all.Usage.PromptTokens != want {
		t.Errorf("%d prompt tokens, want %d", all.Usage.PromptTokens, want)
	}
	body["stream"] = true
	texts := make([]string, 6)
	events := c.stream("/v1/completions", body)
	for _, event := range events[:max(0, len(events)-1)] {
		var piece answer
		if err := json.Unmarshal([]byte(event), &piece); err != nil {
			t.Fatal(err)
		}
		for _, x := range piece.Choices {
			texts[x.Index] += x.Text
		}
	}
	for i, x := range all.Choices {
		if texts[i] != x.Text {
			t.Errorf("choice %d streamed %q, whole %q", i, texts[i], x.Text)
		}
	}
}

// What tokenize gives, completions takes; what detokenize gives, tokenize takes.
func TestTokenizeRoundTrip(t *testing.T) {
	m := testModel(t, 256, local.Options{Workers: 1})
	c := newClient(t, New(m, Options{}))
	for _, text := range []string{"I like thing number seven.", "Zoë’s café €", "<|user|>Hi<|end|>", "\x00 \n"} {
		var ids struct{ Tokens []int32 }
		var back struct{ Prompt string }
		c.post("/tokenize", object{"prompt": text}, &ids)
		c.post("/detokenize", object{"tokens": ids.Tokens}, &back)
		if back.Prompt != text {
			t.Errorf("%q came back as %q", text, back.Prompt)
		}
	}
}
