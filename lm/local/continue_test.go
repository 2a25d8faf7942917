package local

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"

	"stargate/internal/llama"
	"stargate/lm"
)

// Continue is Generate, told in pieces.
func TestContinueIsGenerate(t *testing.T) {
	m := newTestModel(t, Options{Workers: 2})
	chats, samplings := requests()
	var wg sync.WaitGroup
	for i, chat := range chats {
		wg.Go(func() {
			s := samplings[i]
			if i%2 == 0 {
				s.Stop = []string{"thing", "e t", "the theme"}
			}
			want, err := m.Generate(t.Context(), chat, s)
			if err != nil {
				t.Error(err)
				return
			}
			prompt, err := m.Prompt(chat, true)
			if err != nil {
				t.Error(err)
				return
			}
			before := slices.Clone(prompt)
			var text strings.Builder
			var drawn []int32
			var finish lm.FinishReason
			got, err := m.Continue(t.Context(), Request{Prompt: prompt, Sampling: s, LogProbs: true, Alternatives: 3, Pause: time.Duration(i%2) * time.Millisecond, Each: func(p Piece) {
				text.WriteString(p.Text)
				for _, d := range p.Tokens {
					drawn = append(drawn, d.ID)
				}
				finish = p.Finish
			}})
			if err != nil {
				t.Error(err)
				return
			}
			if got.Text != want.Text || !slices.Equal(got.Tokens, want.Tokens) || got.Finish != want.Finish || got.Usage != want.Usage {
				t.Errorf("request %d: %+v, Generate gives %+v", i, got.Completion, want)
			}
			if text.String() != want.Text || finish != want.Finish {
				t.Errorf("request %d: the pieces make %q (%s), the completion is %q (%s)", i, text.String(), finish, want.Text, want.Finish)
			}
			if len(drawn) != len(got.Drawn) || !slices.Equal(drawn[:len(want.Tokens)], want.Tokens) {
				t.Errorf("request %d: the pieces have the tokens %v, the completion %v", i, drawn, want.Tokens)
			}
			if ended := len(got.Drawn) > len(got.Tokens); ended != (got.Finish == lm.FinishStop && got.StopString == "") {
				t.Errorf("request %d: an end token was drawn: %v, though finished by %q and stop string %q", i, ended, got.Finish, got.StopString)
			}
			if !slices.Equal(prompt, before) {
				t.Errorf("request %d: the caller's prompt changed", i)
			}
		})
	}
	wg.Wait()
}

// How probable a drawn token was, is what scoring says of the same text, to the last bit;
// and that does not depend on whether alternatives are wanted.
func TestLogProbsAgree(t *testing.T) {
	m := newTestModel(t, Options{Workers: 2})
	chat := user("My name is Ada. Help me plan a party.")
	prompt, err := m.Prompt(chat, true)
	if err != nil {
		t.Fatal(err)
	}
	c, err := m.Continue(t.Context(), Request{Prompt: prompt, Sampling: lm.Sampling{Temperature: 1.3, Seed: 4, MaxTokens: 30, TopP: 0.95}, LogProbs: true, Alternatives: 5, IgnoreEnd: true})
	if err != nil {
		t.Fatal(err)
	}
	whole := append(slices.Clone(prompt), c.Tokens...)
	plain, err := m.PromptLogProbs(t.Context(), whole, 0)
	if err != nil {
		t.Fatal(err)
	}
	named, err := m.PromptLogProbs(t.Context(), whole, 5)
	if err != nil {
		t.Fatal(err)
	}
	if len(plain) != len(whole)-1 || len(named) != len(plain) || len(c.Drawn) != 30 {
		t.Fatalf("%d and %d log-probabilities of %d tokens, %d drawn", len(plain), len(named), len(whole), len(c.Drawn))
	}
	for i, d := range c.Drawn {
		at := len(prompt) - 1 + i
		if plain[at].ID != d.ID || plain[at].LogProb != d.LogProb {
			t.Errorf("token %d: drawn %d at %v, scored %d at %v", i, d.ID, d.LogProb, plain[at].ID, plain[at].LogProb)
		}
		if !slices.Equal(named[at].Alternatives, d.Alternatives) || named[at].Rank != d.Rank {
			t.Errorf("token %d: alternatives %v, scored %v", i, d.Alternatives, named[at].Alternatives)
		}
	}
	for i := range plain {
		if plain[i].LogProb != named[i].LogProb || plain[i].ID != named[i].ID {
			t.Errorf("position %d: %v alone, %v beside alternatives", i+1, plain[i], named[i])
		}
		alternatives := named[i].Alternatives
		if len(alternatives) != 5 || !slices.IsSortedFunc(alternatives, func(a, b lm.TokenLogProb) int {
			switch {
			case a.LogProb > b.LogProb, a.LogProb == b.LogProb && a.ID < b.ID:
				return -1
			}
			return 1
		}) {
			t.Errorf("position %d: alternatives %v", i+1, alternatives)
		}
		if r := named[i].Rank; r <= 5 && alternatives[r-1].LogProb != named[i].LogProb {
			t.Errorf("position %d: rank %d at %v, alternatives %v", i+1, r, named[i].LogProb, alternatives)
		}
	}

	want, err := m.LogProb(t.Context(), chat, "I like the theme.")
	if err != nil {
		t.Fatal(err)
	}
	ids, n, err := m.Target(chat, "I like the theme.")
	if err != nil {
		t.Fatal(err)
	}
	all, err := m.PromptLogProbs(t.Context(), ids, 0)
	if err != nil {
		t.Fatal(err)
	}
	sum := 0.0
	for _, d := range all[n-1:] {
		sum += d.LogProb
	}
	if sum != want.Sum {
		t.Errorf("PromptLogProbs sum to %v, LogProb gives %v", sum, want.Sum)
	}
}

// Requests that name alternatives and others do not disturb each other, also when pages run out.
func TestAlternativesUnderPreemption(t *testing.T) {
	m := newTestModel(t, Options{Workers: 2, KVBytes: 24 * llama.PageBytes(testWeights(t, 300).Config)})
	var want [12][]Drawn
	for round := range 2 {
		var wg sync.WaitGroup
		for i := range 12 {
			wg.Go(func() {
				got, err := m.PromptLogProbs(t.Context(), m.Tokenize(fmt.Sprint(i, strings.Repeat(" I like thing number seven.", 9)), false), 2)
				switch {
				case err != nil:
					t.Error(err)
				case round == 1 && !slices.EqualFunc(got, want[i], func(a, b Drawn) bool {
					return a.ID == b.ID && a.LogProb == b.LogProb && a.Rank == b.Rank && slices.Equal(a.Alternatives, b.Alternatives)
				}):
					t.Errorf("request %d differs", i)
				case round == 0:
					want[i] = got
				}
			})
		}
		wg.Wait()
	}
	if m.Stats().Preempted == 0 {
		t.Error("no sequence was preempted; the test sees too little")
	}
}

// A request that is given up leaves the batch with the step that runs, and its pages with it.
func TestCancelledRequestLeavesTheBatch(t *testing.T) {
	config := testWeights(t, 300).Config
	config.MaxPositionEmbeddings = 1 << 14 // long enough never to end by itself
	w, err := llama.NewModel(config)
	if err != nil {
		t.Fatal(err)
	}
	w.Init(3)
	files, err := testFiles()
	if err != nil {
		t.Fatal(err)
	}
	m, err := New(w, files, Options{Workers: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	ctx, cancel := context.WithCancel(t.Context())
	began := make(chan struct{}, 8)
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			first := true
			_, err := m.Continue(ctx, Request{Prompt: []int32{3, 9, 4}, Sampling: lm.Sampling{Temperature: 1, Seed: uint64(i)}, IgnoreEnd: true, Each: func(Piece) {
				if first {
					first = false
					began <- struct{}{}
					<-ctx.Done() // never reads on: the scheduler does not wait for it
				}
			}})
			if !errors.Is(err, context.Canceled) {
				t.Errorf("a cancelled request ended with %v", err)
			}
		})
	}
	for range 8 {
		<-began
	}
	cancel()
	wg.Wait()
	deadline := time.Now().Add(5 * time.Second)
	for m.Stats().Running > 0 && time.Now().Before(deadline) {
		time.Sleep(time.Millisecond)
	}
	s := m.Stats()
	if s.Running > 0 || s.Drawn > 8*8000 {
		t.Errorf("%d sequences run on, %d tokens were drawn", s.Running, s.Drawn)
	}
	m.Close()
	for m.sched.tree.evict() {
	}
	if free := m.sched.cache.Free(); free != m.sched.cache.Capacity() {
		t.Errorf("%d of %d pages came back", free, m.sched.cache.Capacity())
	}
}

func TestContinueRefuses(t *testing.T) {
	m := newTestModel(t, Options{Workers: 1})
	for _, c := range []struct {
		prompt []int32
		want   string
	}{
		{nil, "no tokens"},
		{[]int32{1, 300}, "token 1 of the prompt is 300"},
		{[]int32{-1}, "token 0 of the prompt is -1"},
		{make([]int32, 256), lm.ErrContextLength.Error()},
	} {
		if _, err := m.Continue(t.Context(), Request{Prompt: c.prompt}); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("a prompt of %d tokens: %v, want %q", len(c.prompt), err, c.want)
		}
	}
	if _, err := m.PromptLogProbs(t.Context(), make([]int32, 257), 0); !errors.Is(err, lm.ErrContextLength) {
		t.Errorf("scoring more than the context: %v", err)
	}
}

// However tokens cut characters and stop strings, the pieces join to the text.
func TestPiecesJoin(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		alphabet := []string{"a", "b", "ab", "é", "\xc3", "\xa9", "\xe2\x82", "\xac", "€", "\xff", "\uFFFD", ""}
		d := &drawing{cut: -1, feed: newFeed(), stop: rapid.SliceOfN(rapid.SampledFrom([]string{"ab", "aab", "bé", "€a", "b"}), 0, 3).Draw(t, "stop")}
		var joined strings.Builder
		for _, piece := range rapid.SliceOf(rapid.SampledFrom(alphabet)).Draw(t, "pieces") {
			if d.extend(piece) {
				d.finish = lm.FinishStop
			}
			d.watch(nil)
			if p, ok := d.feed.take(); ok {
				joined.WriteString(p.Text)
			}
			if d.finish != "" {
				break
			}
		}
		if d.finish == "" {
			d.finish = lm.FinishLength
			d.watch(nil)
			p, _ := d.feed.take()
			joined.WriteString(p.Text)
		}
		s := &sequence{draw: d}
		if want := s.completion().Text; joined.String() != want {
			t.Fatalf("the pieces make %q, the text is %q", joined.String(), want)
		}
	})
}

func TestTokenizeBeginsAsTheTokenizerSays(t *testing.T) {
	files, err := testFiles()
	if err != nil {
		t.Fatal(err)
	}
	m := newTestModel(t, Options{Workers: 1})
	if ids := m.Tokenize("thing", true); !slices.Equal(ids, m.Tokenize("thing", false)) {
		t.Errorf("something was put in front of %v", ids)
	}
	for name, config := range map[string]string{
		"add_bos_token": `{"bos_token": "<|end|>", "add_bos_token": true, "chat_template": "x"}`,
		"not":           `{"bos_token": "<|end|>", "add_bos_token": false, "chat_template": "x"}`,
		"not asked for": `{"bos_token": "<|end|>", "chat_template": "x"}`,
	} {
		changed := map[string][]byte{"tokenizer.json": files["tokenizer.json"], "tokenizer_config.json": []byte(config)}
		first := beginning(m.codec.tokens, changed)
		if want := name == "add_bos_token"; slices.Equal(first, []int32{1}) != want {
			t.Errorf("%s: %v in front", name, first)
		}
	}
	template := []byte(`{"post_processor": {"type": "Sequence", "processors": [{"type": "ByteLevel"}, {"type": "TemplateProcessing",
		"single": [{"SpecialToken": {"id": "<|user|>", "type_id": 0}}, {"Sequence": {"id": "A"}}, {"SpecialToken": {"id": "<|end|>"}}]}]}}`)
	changed := map[string][]byte{"tokenizer.json": template, "tokenizer_config.json": []byte(`{"chat_template": "x"}`)}
	if first := beginning(m.codec.tokens, changed); !slices.Equal(first, []int32{3}) {
		t.Errorf("the post-processor's first token is 3, got %v", first)
	}
}
