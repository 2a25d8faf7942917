package local

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"stargate/internal/chattemplate"
	"stargate/internal/kernel"
	"stargate/internal/llama"
	"stargate/internal/sample"
	"stargate/internal/tokenizer"
	"stargate/lm"
)

// testWeights are a small random model with large weights, so that what it says depends on
// what it reads.
func testWeights(t testing.TB, vocab int) *llama.Model {
	t.Helper()
	w, err := randomWeights(vocab)
	if err != nil {
		t.Fatal(err)
	}
	return w
}

func randomWeights(vocab int) (*llama.Model, error) {
	end := int32(1)
	w, err := llama.NewModel(llama.Config{ModelType: "mistral", VocabSize: vocab, HiddenSize: 32, IntermediateSize: 48, NumHiddenLayers: 2,
		NumAttentionHeads: 4, NumKeyValueHeads: 2, HeadDim: 8, MaxPositionEmbeddings: 256, EOSTokenID: &end})
	if err != nil {
		return nil, err
	}
	w.Init(3)
	for _, p := range w.Params() {
		if p.Decay {
			for i := range p.Data {
				p.Data[i] *= 12
			}
		}
	}
	return w, nil
}

// testFiles are a tokenizer with the built-in model's template.
var testFiles = sync.OnceValues(func() (map[string][]byte, error) {
	texts := func(yield func(string) bool) {
		for _, s := range []string{"What would you like to cook tonight?", "I like thing number seven.", "the theme of the thing there", "My name is Ada. Help me plan a party."} {
			for range 20 {
				if !yield(s) {
					return
				}
			}
		}
	}
	tok, err := tokenizer.Train(texts, tokenizer.Options{VocabSize: 300, MinFrequency: 2,
		Special: []string{"<|pad|>", "<|end|>", "<|system|>", "<|user|>", "<|assistant|>"}})
	if err != nil {
		return nil, err
	}
	data, err := json.Marshal(tok)
	if err != nil {
		return nil, err
	}
	config, err := json.Marshal(tokenizer.Config{EOSToken: "<|end|>", ChatTemplate: chattemplate.Nano})
	if err != nil {
		return nil, err
	}
	return map[string][]byte{tokenizer.File: data, tokenizer.ConfigFile: config, tokenizer.GenerationFile: []byte(`{"eos_token_id": [1, 0]}`)}, nil
})

func newTestModel(t testing.TB, o Options) *Model {
	t.Helper()
	files, err := testFiles()
	if err != nil {
		t.Fatal(err)
	}
	m, err := New(testWeights(t, 300), files, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(m.Close)
	return m
}

func user(text string) lm.Chat { return lm.Chat{{Role: lm.User, Content: text}} }

// requests are conversations that share prefixes and differ in everything else.
func requests() (chats []lm.Chat, samplings []lm.Sampling) {
	for i := range 24 {
		chat := user(fmt.Sprintf("My name is Ada. Help me plan a party for %d of my friends there.", i%3))
		if i%2 == 1 {
			chat = append(chat, lm.Message{Role: lm.Assistant, Content: "What would you like to cook?"}, lm.Message{Role: lm.User, Content: strings.Repeat("thing ", i)})
		}
		chats = append(chats, chat)
		samplings = append(samplings, lm.Sampling{Temperature: float64(i%4) * 0.4, TopP: 0.9, MaxTokens: 5 + 3*i%40, Seed: uint64(i / 2)})
	}
	return chats, samplings
}

// answers are the completions and scores of all requests, asked by so many goroutines.
func answers(t *testing.T, m *Model, callers int) (completions []lm.Completion, scores []lm.LogProb) {
	t.Helper()
	chats, samplings := requests()
	completions, scores = make([]lm.Completion, len(chats)), make([]lm.LogProb, len(chats))
	var wg sync.WaitGroup
	for w := range callers {
		wg.Go(func() {
			for i := w; i < len(chats); i += callers {
				var err, err2 error
				completions[i], err = m.Generate(t.Context(), chats[i], samplings[i])
				scores[i], err2 = m.LogProb(t.Context(), chats[i], fmt.Sprintf("I like thing number %d.", i))
				if err := errors.Join(err, err2); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	return completions, scores
}

// Whatever the options and however many callers, the results are the same to the last bit.
func TestResultsDependOnRequestsAlone(t *testing.T) {
	wantC, wantS := answers(t, newTestModel(t, Options{Workers: 1}), 1)
	distinct := map[string]bool{}
	for _, c := range wantC {
		distinct[c.Text] = true
	}
	if len(distinct) < 12 {
		t.Errorf("only %d of %d completions differ; the test sees too little", len(distinct), len(wantC))
	}
	for _, c := range []struct {
		name    string
		o       Options
		callers int
	}{
		{"one by one, two workers", Options{Workers: 2}, 1},
		{"all at once", Options{Workers: 2}, 24},
		{"eight workers", Options{Workers: 8}, 24},
		{"small chunks", Options{Workers: 2, BatchTokens: 7}, 24},
		{"three places", Options{Workers: 2, Sequences: 3, Queue: 1}, 24},
		{"no prefix cache", Options{Workers: 2, NoPrefixCache: true}, 24},
		{"no prefix cache, few pages", Options{Workers: 2, NoPrefixCache: true, KVBytes: 24 * llama.PageBytes(testWeights(t, 300).Config)}, 24},
		{"few pages", Options{Workers: 2, KVBytes: 24 * llama.PageBytes(testWeights(t, 300).Config)}, 24},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := newTestModel(t, c.o)
			for round := range 2 { // the second finds its prefixes cached
				gotC, gotS := answers(t, m, c.callers)
				for i := range wantC {
					if gotC[i].Text != wantC[i].Text || !slices.Equal(gotC[i].Tokens, wantC[i].Tokens) || gotC[i].Finish != wantC[i].Finish {
						t.Fatalf("round %d: completion %d is %+v, want %+v", round, i, gotC[i], wantC[i])
					}
					if gotS[i].Sum != wantS[i].Sum || !slices.Equal(gotS[i].Tokens, wantS[i].Tokens) {
						t.Fatalf("round %d: score %d is %v, want %v", round, i, gotS[i].Sum, wantS[i].Sum)
					}
				}
			}
			s := m.sched
			t.Logf("%d tokens computed in %d steps, %d reused, %d preemptions", s.computed.Load(), s.steps.Load(), s.reused.Load(), s.preempted.Load())
			if c.name == "few pages" && s.preempted.Load() == 0 {
				t.Error("no sequence was preempted; the test sees too little")
			}
		})
	}
}

// The samples of a pair read their prompt once, to its last token but one, wherever it ends in a
// page; only the prediction at the last is each sample's own.
func TestSamplesShareTheirPrompt(t *testing.T) {
	for n := range llama.PageTokens {
		m := newTestModel(t, Options{Workers: 2})
		prompt := m.Tokenize(strings.Repeat("the theme of the thing there ", 8), false)
		prompt = prompt[:2*llama.PageTokens+n+1]
		var samples []*sequence
		m.engine.do(func(*kernel.Pool) { // no step before all are there
			for c := range 10 {
				d := &drawing{sampler: sample.New(lm.Sampling{Temperature: 1, Seed: uint64(c)}), most: 30, cut: -1, ignoreEnd: true}
				q := &sequence{ctx: t.Context(), tokens: slices.Clip(prompt), prompt: len(prompt), draw: d}
				samples = append(samples, q)
				if err := m.sched.enqueue(q); err != nil {
					t.Fatal(err)
				}
			}
		})
		for _, q := range samples {
			if err := <-q.done; err != nil {
				t.Fatal(err)
			}
		}
		own := 0 // tokens that every sample reads by itself: too few to copy
		if n < leastTail {
			own = n
		}
		if got, want := m.sched.computed.Load()-m.sched.drawn.Load(), int64(len(prompt)-1+9*own); got != want {
			t.Errorf("a prompt of %d tokens: %d read by ten samples, want %d", len(prompt), got, want)
		}
	}
}

// All pages come back, whatever happens.
func TestNoPageIsLost(t *testing.T) {
	m := newTestModel(t, Options{Workers: 2, KVBytes: 24 * llama.PageBytes(testWeights(t, 300).Config)})
	answers(t, m, 24)
	m.Close()
	for m.sched.tree.evict() {
	}
	if got, want := m.sched.cache.Free(), m.sched.cache.Capacity(); got != want {
		t.Errorf("%d of %d pages free after the last request", got, want)
	}
}

func TestStopStringsEndTheText(t *testing.T) {
	m := newTestModel(t, Options{Workers: 1})
	s := lm.Sampling{MaxTokens: 40, Temperature: 1, Seed: 5}
	free, err := m.Generate(t.Context(), user("Help me."), s)
	if err != nil {
		t.Fatal(err)
	}
	word := regexp.MustCompile(`[a-zA-Z]{4}`).FindAllString(free.Text, -1)
	if len(word) < 2 {
		t.Fatalf("the completion %q has too few letters for this test", free.Text)
	}
	s.Stop = []string{word[1][1:], "never said"} // across the border of two tokens, most likely
	cut, err := m.Generate(t.Context(), user("Help me."), s)
	if err != nil {
		t.Fatal(err)
	}
	want, _, _ := strings.Cut(free.Text, s.Stop[0])
	if cut.Text != want || cut.Finish != lm.FinishStop {
		t.Errorf("stopped at %q: %q (%s), want %q", s.Stop[0], cut.Text, cut.Finish, want)
	}
	if !slices.Equal(cut.Tokens, free.Tokens[:len(cut.Tokens)]) {
		t.Error("a stop string changed the tokens before it")
	}
}

func TestSaveAndOpen(t *testing.T) {
	m := newTestModel(t, Options{Workers: 1})
	dir := filepath.Join(t.TempDir(), "models", "m1")
	if err := m.Save(dir); err != nil {
		t.Fatal(err)
	}
	again, err := OpenDir(dir, Options{Workers: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer again.Close()
	if again.Digest() != m.Digest() {
		t.Error("the digest of what was saved is not that of the model")
	}
	a, errA := m.LogProb(t.Context(), user("Hello"), "I like thing.")
	b, errB := again.LogProb(t.Context(), user("Hello"), "I like thing.")
	if err := errors.Join(errA, errB); err != nil || a.Sum != b.Sum {
		t.Errorf("scores %v and %v, %v", a.Sum, b.Sum, err)
	}
	if err := m.Save(dir); !errors.Is(err, os.ErrExist) {
		t.Errorf("saving over a model: %v, want ErrExist", err)
	}
	if entries, err := os.ReadDir(filepath.Dir(dir)); err != nil || len(entries) != 1 {
		t.Errorf("beside the model there is %v, %v", entries, err)
	}
}

func TestOpenNamesWhatIsMissing(t *testing.T) {
	if _, err := OpenDir(t.TempDir(), Options{}); err == nil || !strings.Contains(err.Error(), "config.json") {
		t.Errorf("opening an empty directory: %v", err)
	}
}

// The mask, drawn: loss under the questions and their end, nowhere else.
func TestMaskCoversAssistantTurnsAndTheirEnd(t *testing.T) {
	m := newTestModel(t, Options{Workers: 1})
	chat := append(user("Help me."), lm.Message{Role: lm.Assistant, Content: "What thing?"}, lm.Message{Role: lm.User, Content: "A theme."},
		lm.Message{Role: lm.Assistant, Content: "the plan"})
	for _, c := range []struct {
		loss []int
		want string
	}{
		{[]int{1, 3}, "<|user|>Help me.<|end|><|assistant|>[What thing?<|end|>]<|user|>A theme.<|end|><|assistant|>[the plan<|end|>]"},
		{[]int{1}, "<|user|>Help me.<|end|><|assistant|>[What thing?<|end|>]<|user|>A theme.<|end|><|assistant|>the plan<|end|>"},
		{[]int{3}, "<|user|>Help me.<|end|><|assistant|>What thing?<|end|><|user|>A theme.<|end|><|assistant|>[the plan<|end|>]"},
	} {
		ids, mask, err := m.Encode(chat, c.loss)
		if err != nil {
			t.Fatal(err)
		}
		var b strings.Builder
		on := false
		for i, id := range ids {
			if mask[i] != on {
				b.WriteString(map[bool]string{true: "[", false: "]"}[mask[i]])
				on = mask[i]
			}
			b.WriteString(m.Decode([]int32{id}))
		}
		if on {
			b.WriteByte(']')
		}
		if b.String() != c.want {
			t.Errorf("loss on %v:\n%s\nwant\n%s", c.loss, b.String(), c.want)
		}
	}
	if _, _, err := m.Encode(chat, []int{2}); err == nil {
		t.Error("loss on a user message was accepted")
	}
}

// A score is the sum of what the model would have assigned to the same tokens as training.
func TestScoreIsTrainingLoss(t *testing.T) {
	m := newTestModel(t, Options{Workers: 1})
	chat, target := user("My name is Ada. Help me plan a party."), "I like the theme of the thing."
	l, err := m.LogProb(t.Context(), chat, target)
	if err != nil {
		t.Fatal(err)
	}
	ids, mask, err := m.Encode(append(slices.Clone(chat), lm.Message{Role: lm.Assistant, Content: target}), []int{1})
	if err != nil {
		t.Fatal(err)
	}
	mask[len(mask)-1] = false // end of turn
	trainer := llama.NewTrainer(m.weights.full, m.engine.pool)
	loss, n, err := trainer.Loss([]llama.Sequence{{Tokens: ids, Loss: mask}})
	if err != nil || n != len(l.Tokens) || math.Abs(loss+l.Sum) > 1e-5*loss {
		t.Errorf("score %v over %d tokens, training loss %v over %d (%v)", l.Sum, len(l.Tokens), loss, n, err)
	}
	for i, tok := range l.Tokens {
		if want := ids[len(ids)-1-n+i]; tok.ID != want {
			t.Errorf("token %d is %d, want %d", i, tok.ID, want)
		}
	}
}
