package lmtest

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"stargate/lm"
)

// Model is what [Conform] needs. A model that is also an [lm.Tuner] is tested as one; a
// driver that cannot score says [lm.ErrCannotScore], and its scoring is not tested.
type Model interface {
	lm.Generator
	lm.Scorer
}

// Conform checks the contracts of package lm against a driver. open makes a model for one
// subtest and arranges for its end with t.Cleanup. The model may be bad at language, but
// its completions should not all be empty.
func Conform(t *testing.T, open func(t *testing.T) Model) {
	for _, c := range []struct {
		name string
		test func(t *testing.T, m Model)
	}{
		{"greedy decoding ignores the seed", greedy},
		{"a seed names a completion", seeds},
		{"limits end completions", limits},
		{"stop strings end completions", stops},
		{"completions do not depend on company", company},
		{"scores are sums over tokens", scores},
		{"scores do not depend on company", scoresInCompany},
		{"an empty target is an error", emptyTarget},
		{"a long prompt is an error", tooLong},
		{"cancellation ends a call", cancellation},
		{"arguments are left alone", arguments},
		{"tuning makes another model", tuning},
	} {
		t.Run(c.name, func(t *testing.T) { c.test(t, open(t)) })
	}
}

func user(format string, args ...any) lm.Chat {
	return lm.Chat{{Role: lm.User, Content: fmt.Sprintf(format, args...)}}
}

// conversations are chats of one and three turns with common and different prefixes.
func conversations() []lm.Chat {
	var chats []lm.Chat
	for i := range 12 {
		chat := user("My name is Ada %d. I would like to plan a party for my friends.", i%4)
		if i%3 == 0 {
			chat = append(chat, lm.Message{Role: lm.Assistant, Content: "What do your friends like?"}, lm.Message{Role: lm.User, Content: fmt.Sprintf("They like %d things.", i)})
		}
		chats = append(chats, chat)
	}
	return chats
}

func generate(t *testing.T, m Model, chat lm.Chat, s lm.Sampling) lm.Completion {
	t.Helper()
	c, err := m.Generate(t.Context(), chat, s)
	if err != nil {
		t.Errorf("Generate(%v, %+v): %v", chat, s, err)
	}
	return c
}

// score is LogProb, or a skipped test when the model cannot.
func score(t *testing.T, m Model, chat lm.Chat, target string) lm.LogProb {
	t.Helper()
	l, err := m.LogProb(t.Context(), chat, target)
	if errors.Is(err, lm.ErrCannotScore) {
		t.Skip("the model cannot score")
	}
	if err != nil {
		t.Fatalf("LogProb(%v, %q): %v", chat, target, err)
	}
	return l
}

func greedy(t *testing.T, m Model) {
	for _, chat := range conversations()[:4] {
		a := generate(t, m, chat, lm.Sampling{MaxTokens: 12, Seed: 1})
		b := generate(t, m, chat, lm.Sampling{MaxTokens: 12, Seed: 2})
		if a.Text != b.Text || !slices.Equal(a.Tokens, b.Tokens) {
			t.Errorf("two greedy answers to %v: %q and %q", chat, a.Text, b.Text)
		}
	}
}

func seeds(t *testing.T, m Model) {
	texts := map[string]bool{}
	for seed := range uint64(8) {
		s := lm.Sampling{Temperature: 1, TopP: 0.95, MaxTokens: 12, Seed: seed}
		chat := conversations()[0]
		a, b := generate(t, m, chat, s), generate(t, m, chat, s)
		if a.Text != b.Text || !slices.Equal(a.Tokens, b.Tokens) {
			t.Errorf("seed %d gave %q and %q", seed, a.Text, b.Text)
		}
		texts[a.Text] = true
	}
	if len(texts) == 1 {
		t.Error("eight seeds gave one text: the seed is ignored")
	}
}

func limits(t *testing.T, m Model) {
	for _, most := range []int{1, 2, 5} {
		c := generate(t, m, conversations()[1], lm.Sampling{Temperature: 1, MaxTokens: most, Seed: 3})
		if c.Usage.CompletionTokens > most {
			t.Errorf("%d tokens drawn, at most %d allowed", c.Usage.CompletionTokens, most)
		}
		if c.Usage.PromptTokens <= 0 {
			t.Errorf("the prompt has %d tokens", c.Usage.PromptTokens)
		}
		if c.Tokens != nil && len(c.Tokens) != c.Usage.CompletionTokens {
			t.Errorf("%d tokens returned, %d counted", len(c.Tokens), c.Usage.CompletionTokens)
		}
		if c.Finish != lm.FinishStop && (c.Finish != lm.FinishLength || c.Usage.CompletionTokens < most) {
			t.Errorf("%d of %d tokens drawn, and the reason for the end is %q", c.Usage.CompletionTokens, most, c.Finish)
		}
	}
}

func stops(t *testing.T, m Model) {
	tried := false
	for seed := range uint64(8) {
		s := lm.Sampling{Temperature: 1, MaxTokens: 24, Seed: seed}
		free := generate(t, m, conversations()[2], s)
		stop := ascii(free.Text)
		if stop == "" {
			continue
		}
		tried = true
		s.Stop = []string{"\x00 never said", stop}
		cut := generate(t, m, conversations()[2], s)
		if want, _, _ := strings.Cut(free.Text, stop); cut.Text != want || cut.Finish != lm.FinishStop {
			t.Errorf("%q stopped at %q is %q (%s), want %q", free.Text, stop, cut.Text, cut.Finish, want)
		}
	}
	if !tried {
		t.Skip("no completion had a text to stop at")
	}
}

// ascii is two adjacent ASCII characters from the later half of a text.
func ascii(text string) string {
	for i := len(text) / 2; i+2 <= len(text); i++ {
		if text[i] < 0x80 && text[i+1] < 0x80 {
			return text[i : i+2]
		}
	}
	return ""
}

func company(t *testing.T, m Model) {
	chats := conversations()
	sampling := func(i int) lm.Sampling {
		return lm.Sampling{Temperature: float64(i%3) / 2, TopP: 0.9, MaxTokens: 4 + i, Seed: uint64(i)}
	}
	alone, together := make([]lm.Completion, len(chats)), make([]lm.Completion, len(chats))
	for i, chat := range chats {
		alone[i] = generate(t, m, chat, sampling(i))
	}
	var wg sync.WaitGroup
	for i, chat := range chats {
		wg.Go(func() { together[i] = generate(t, m, chat, sampling(i)) })
	}
	wg.Wait()
	for i := range chats {
		if alone[i].Text != together[i].Text || !slices.Equal(alone[i].Tokens, together[i].Tokens) {
			t.Errorf("request %d: %q alone, %q among others", i, alone[i].Text, together[i].Text)
		}
	}
}

const target = "I like the theme of the party."

func scores(t *testing.T, m Model) {
	for _, chat := range conversations() {
		l := score(t, m, chat, target)
		sum := 0.0
		for i, tok := range l.Tokens {
			if !(tok.LogProb <= 0) || math.IsInf(tok.LogProb, -1) {
				t.Errorf("token %d has log-probability %v", i, tok.LogProb)
			}
			sum += tok.LogProb
		}
		if len(l.Tokens) == 0 || math.Abs(sum-l.Sum) > 1e-9*math.Abs(sum) {
			t.Errorf("the sum is %v, that of %d tokens %v", l.Sum, len(l.Tokens), sum)
		}
		if l.Usage.CompletionTokens != len(l.Tokens) || l.Usage.PromptTokens <= 0 {
			t.Errorf("usage %+v for %d target tokens", l.Usage, len(l.Tokens))
		}
	}
	// A longer target says more: its first tokens are scored as before.
	chat := conversations()[0]
	short, long := score(t, m, chat, target), score(t, m, chat, target+" There are ten friends.")
	if len(long.Tokens) <= len(short.Tokens) {
		t.Errorf("%d tokens in the longer target, %d in the shorter", len(long.Tokens), len(short.Tokens))
	}
}

func scoresInCompany(t *testing.T, m Model) {
	chats := conversations()
	alone, together := make([]lm.LogProb, len(chats)), make([]lm.LogProb, len(chats))
	errs := make([]error, len(chats))
	for i, chat := range chats {
		alone[i] = score(t, m, chat, fmt.Sprint(target, " ", i))
	}
	var wg sync.WaitGroup
	for i, chat := range chats {
		wg.Go(func() { together[i], errs[i] = m.LogProb(t.Context(), chat, fmt.Sprint(target, " ", i)) })
		wg.Go(func() { generate(t, m, chat, lm.Sampling{Temperature: 1, MaxTokens: 8, Seed: uint64(i)}) })
	}
	wg.Wait()
	for i := range chats {
		if errs[i] != nil || alone[i].Sum != together[i].Sum || !slices.Equal(alone[i].Tokens, together[i].Tokens) {
			t.Errorf("score %d is %v alone, %v among others (%v)", i, alone[i].Sum, together[i].Sum, errs[i])
		}
	}
}

func emptyTarget(t *testing.T, m Model) {
	score(t, m, conversations()[0], target)
	if l, err := m.LogProb(t.Context(), conversations()[0], ""); !errors.Is(err, lm.ErrEmptyTarget) {
		t.Errorf("an empty target scores %v, %v; want ErrEmptyTarget", l.Sum, err)
	}
}

func tooLong(t *testing.T, m Model) {
	for words := 1 << 8; words <= 1<<18; words <<= 2 {
		chat := user("%s", strings.Repeat("very ", words))
		_, err := m.Generate(t.Context(), chat, lm.Sampling{MaxTokens: 1})
		if err == nil {
			continue
		}
		if !errors.Is(err, lm.ErrContextLength) {
			t.Errorf("a prompt of %d words: %v, want ErrContextLength", words, err)
		}
		if _, err := m.LogProb(t.Context(), chat, target); !errors.Is(err, lm.ErrContextLength) && !errors.Is(err, lm.ErrCannotScore) {
			t.Errorf("scoring behind a prompt of %d words: %v, want ErrContextLength", words, err)
		}
		return
	}
	t.Skip("the model has no limit within reach of this test")
}

func cancellation(t *testing.T, m Model) {
	before, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := m.Generate(before, conversations()[0], lm.Sampling{MaxTokens: 4}); !errors.Is(err, context.Canceled) {
		t.Errorf("a call whose context was cancelled before: %v", err)
	}
	during, cancel := context.WithCancel(t.Context())
	defer cancel()
	var wg sync.WaitGroup
	for i, chat := range conversations() {
		wg.Go(func() {
			if _, err := m.Generate(during, chat, lm.Sampling{Temperature: 1, Seed: uint64(i)}); err != nil && !errors.Is(err, context.Canceled) {
				t.Errorf("a call cancelled on its way: %v", err)
			}
		})
	}
	time.Sleep(2 * time.Millisecond)
	cancel()
	wg.Wait()
	generate(t, m, conversations()[0], lm.Sampling{MaxTokens: 4}) // the model still works
}

func arguments(t *testing.T, m Model) {
	backing := append(conversations()[0], lm.Message{Role: lm.User, Content: "not part of the chat"})
	want := slices.Clone(backing)
	chat := backing[:len(backing)-1]
	generate(t, m, chat, lm.Sampling{MaxTokens: 4, Stop: []string{"."}})
	if _, err := m.LogProb(t.Context(), chat, target); err != nil && !errors.Is(err, lm.ErrCannotScore) {
		t.Error(err)
	}
	if !slices.Equal(backing, want) {
		t.Error("a call changed the caller's messages")
	}
}

func tuning(t *testing.T, m Model) {
	tuner, ok := m.(lm.Tuner)
	if !ok {
		t.Skip("the model cannot be tuned")
	}
	var examples []lm.Example
	for i, chat := range conversations() {
		examples = append(examples, lm.Example{Key: fmt.Sprintf("example %d", i), Loss: []int{len(chat)},
			Messages: append(chat, lm.Message{Role: lm.Assistant, Content: target})})
	}
	h := lm.PaperHyper()
	h.BatchSize, h.HeldOut = 4, 0
	chat := conversations()[0]
	before := generate(t, m, chat, lm.Sampling{MaxTokens: 12})
	g, log, err := tuner.Tune(t.Context(), "m1", examples, h)
	if err != nil {
		t.Fatal(err)
	}
	if c, ok := g.(interface{ Close() }); ok {
		defer c.Close()
	}
	if g == nil || log.Examples != len(examples) || len(log.Steps) == 0 {
		t.Errorf("tuning on %d examples: model %v, log %+v", len(examples), g, log)
	}
	if _, err := g.Generate(t.Context(), chat, lm.Sampling{MaxTokens: 4}); err != nil {
		t.Errorf("the tuned model: %v", err)
	}
	if after := generate(t, m, chat, lm.Sampling{MaxTokens: 12}); after.Text != before.Text {
		t.Errorf("tuning changed the model itself: it said %q and now says %q", before.Text, after.Text)
	}
	examples[1].Loss = nil
	if _, _, err := tuner.Tune(t.Context(), "m2", examples, h); !errors.Is(err, lm.ErrNoLoss) {
		t.Errorf("an example without loss: %v, want ErrNoLoss", err)
	}
}
