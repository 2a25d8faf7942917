package stargate_test

import (
	"context"
	"fmt"
	"hash/fnv"
	"strings"
	"sync"
	"testing"

	"stargate"
	"stargate/lm"
	"stargate/prompt"
)

// fake is a scripted model that keeps what it was asked. Its zero value asks, answers and
// responds in well-formed sentences that depend on the request alone.
type fake struct {
	mu       sync.Mutex
	generate func(chat lm.Chat, s lm.Sampling) (lm.Completion, error)
	logprob  func(chat lm.Chat, target string) (lm.LogProb, error)

	generated []call
	scored    []call
	tuned     [][]lm.Example
	models    []*fake // made by Tune
	name      string
}

type call struct {
	chat     lm.Chat
	sampling lm.Sampling
	target   string
}

func (f *fake) Generate(_ context.Context, chat lm.Chat, s lm.Sampling) (lm.Completion, error) {
	f.mu.Lock()
	f.generated = append(f.generated, call{chat: chat, sampling: s})
	f.mu.Unlock()
	if f.generate != nil {
		return f.generate(chat, s)
	}
	last := chat[len(chat)-1].Content
	text := "Thank you, here is my response."
	switch {
	case strings.HasSuffix(last, "Ask me."):
		text = fmt.Sprintf("What about thing %d?", s.Seed%97)
	case strings.HasSuffix(last, "?"):
		text = fmt.Sprintf("I like thing %d.", s.Seed%89)
	}
	return lm.Completion{Text: text, Finish: lm.FinishStop}, nil
}

func (f *fake) LogProb(_ context.Context, chat lm.Chat, target string) (lm.LogProb, error) {
	f.mu.Lock()
	f.scored = append(f.scored, call{chat: chat, target: target})
	f.mu.Unlock()
	if f.logprob != nil {
		return f.logprob(chat, target)
	}
	h := fnv.New32a()
	for _, m := range chat {
		h.Write([]byte(m.Content))
	}
	return lm.LogProb{Sum: -float64(h.Sum32() % 1000), Tokens: make([]lm.TokenLogProb, 4)}, nil
}

func (f *fake) Tune(_ context.Context, name string, examples []lm.Example, _ lm.Hyper) (lm.Generator, lm.TuneLog, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.tuned = append(f.tuned, examples)
	m := &fake{name: name, generate: f.generate}
	f.models = append(f.models, m)
	return m, lm.TuneLog{Examples: len(examples)}, nil
}

// world is a small experiment on fakes.
type world struct {
	base, roleplayer *fake
	in               stargate.Input
}

func newWorld(t *testing.T) *world {
	t.Helper()
	prompts, err := prompt.Embedded("nano")
	if err != nil {
		t.Fatal(err)
	}
	cfg := stargate.Paper()
	cfg.Seed = 7
	w := &world{base: &fake{name: "base"}, roleplayer: &fake{name: "roleplayer"}}
	w.in = stargate.Input{
		Config: cfg, Prompts: prompts,
		Base:       stargate.NewBase(w.base, prompts),
		Roleplayer: stargate.NewRoleplayer(w.roleplayer, prompts, cfg),
		A:          split("A", 4, 3), B: split("B", 4, 3),
	}
	return w
}

func split(name string, tasks, personas int) stargate.Split {
	s := stargate.Split{Name: name}
	for j := range personas {
		for i := range tasks {
			s.Pairs = append(s.Pairs, stargate.Pair{
				Task:    stargate.Task{ID: fmt.Sprintf("%s-t%d", name, i), Text: fmt.Sprintf("Help me with %s %d.", name, i)},
				Persona: stargate.Persona{ID: fmt.Sprintf("%s-u%d", name, j), Name: "Ada", Text: fmt.Sprintf("Secret-%s-%d is what I am.", name, j)},
				Gold:    fmt.Sprintf("Gold of %s %d %d.", name, i, j),
			})
		}
	}
	return s
}

func run(t *testing.T, w *world) []stargate.Iteration {
	t.Helper()
	its, err := stargate.Run(context.Background(), w.in)
	if err != nil {
		t.Fatal(err)
	}
	return its
}
