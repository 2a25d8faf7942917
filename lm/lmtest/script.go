package lmtest

import (
	"context"
	"fmt"
	"hash/fnv"
	"maps"
	"slices"
	"strings"
	"sync"

	"stargate/lm"
)

// Script is a scripted model: a Generator, Scorer and Tuner whose answers are functions of
// the request. The zero value is ready to use: it replies with a sentence, scores with
// numbers and tunes to a copy of itself, all of which depend on the request alone, so it
// keeps every contract of package lm.
//
// Its tokens are words: a text of n words has n tokens, whose ids are hashes of the words.
// The fields must not change once the model is in use. It is safe for concurrent use.
type Script struct {
	// Name is set by Tune; it goes into the default reply, so that models differ.
	Name string
	// Reply gives the assistant's text. MaxTokens and Stop are applied to what it returns.
	Reply func(chat lm.Chat, s lm.Sampling) (string, error)
	// Score gives log p(target | chat) in nats; it is spread evenly over the tokens.
	Score func(chat lm.Chat, target string) (float64, error)
	// Fit makes the tuned model.
	Fit func(name string, examples []lm.Example, h lm.Hyper) (lm.Generator, lm.TuneLog, error)
	// Context is the most words a prompt and its continuation may have; 0 means no limit.
	Context int

	mu    sync.Mutex
	calls []Call
}

// Call is one request a Script received.
type Call struct {
	Verb     string // "generate", "logprob" or "tune"
	Chat     lm.Chat
	Sampling lm.Sampling  // generate
	Target   string       // logprob
	Name     string       // tune
	Examples []lm.Example // tune
	Hyper    lm.Hyper     // tune
}

var (
	_ lm.Generator = (*Script)(nil)
	_ lm.Scorer    = (*Script)(nil)
	_ lm.Tuner     = (*Script)(nil)
)

// Replies is a Reply that looks the last message of the chat up: table maps a part of it
// to the answer. The longest part that occurs wins, ties going to the alphabetically
// first; a message without an entry is an error that quotes it.
func Replies(table map[string]string) func(lm.Chat, lm.Sampling) (string, error) {
	keys := slices.SortedFunc(maps.Keys(table), func(a, b string) int {
		if len(a) != len(b) {
			return len(b) - len(a)
		}
		return strings.Compare(a, b)
	})
	return func(chat lm.Chat, _ lm.Sampling) (string, error) {
		last := chat[len(chat)-1].Content
		for _, k := range keys {
			if strings.Contains(last, k) {
				return table[k], nil
			}
		}
		return "", fmt.Errorf("the script has no reply to %q; add a part of it to the table", last)
	}
}

// Calls are the requests so far. Concurrent requests stand in the order of their arrival.
func (m *Script) Calls() []Call {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.calls)
}

func (m *Script) record(c Call) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.calls = append(m.calls, c)
}

// Generate implements [lm.Generator].
func (m *Script) Generate(ctx context.Context, chat lm.Chat, s lm.Sampling) (lm.Completion, error) {
	if err := ctx.Err(); err != nil {
		return lm.Completion{}, err
	}
	m.record(Call{Verb: "generate", Chat: slices.Clone(chat), Sampling: s})
	prompt := count(chat)
	if m.Context > 0 && prompt >= m.Context {
		return lm.Completion{}, fmt.Errorf("the prompt has %d of at most %d words: %w", prompt, m.Context, lm.ErrContextLength)
	}
	reply := m.Reply
	if reply == nil {
		reply = m.sentence
	}
	text, err := reply(chat, s)
	if err != nil {
		return lm.Completion{}, err
	}
	c := lm.Completion{Text: text, Finish: lm.FinishStop}
	for _, stop := range s.Stop {
		if i := strings.Index(c.Text, stop); stop != "" && i >= 0 {
			c.Text = c.Text[:i]
		}
	}
	words := strings.Fields(c.Text)
	room := len(words)
	if m.Context > 0 {
		room = m.Context - prompt
	}
	if s.MaxTokens > 0 {
		room = min(room, s.MaxTokens)
	}
	if len(words) > room {
		words = words[:room]
		c.Text, c.Finish = strings.Join(words, " "), lm.FinishLength
	}
	c.Tokens = ids(words)
	c.Usage = lm.Usage{PromptTokens: prompt, CompletionTokens: len(words)}
	return c, nil
}

// LogProb implements [lm.Scorer].
func (m *Script) LogProb(ctx context.Context, chat lm.Chat, target string) (lm.LogProb, error) {
	if err := ctx.Err(); err != nil {
		return lm.LogProb{}, err
	}
	m.record(Call{Verb: "logprob", Chat: slices.Clone(chat), Target: target})
	words := strings.Fields(target)
	prompt := count(chat)
	switch {
	case len(words) == 0:
		return lm.LogProb{}, lm.ErrEmptyTarget
	case m.Context > 0 && prompt+len(words) > m.Context:
		return lm.LogProb{}, fmt.Errorf("prompt and target have %d of at most %d words: %w", prompt+len(words), m.Context, lm.ErrContextLength)
	}
	score := m.Score
	if score == nil {
		score = m.number
	}
	sum, err := score(chat, target)
	if err != nil {
		return lm.LogProb{}, err
	}
	l := lm.LogProb{Usage: lm.Usage{PromptTokens: prompt, CompletionTokens: len(words)}}
	for _, id := range ids(words) {
		l.Tokens = append(l.Tokens, lm.TokenLogProb{ID: id, LogProb: sum / float64(len(words))})
	}
	for _, t := range l.Tokens { // the sum of the parts, to the last bit
		l.Sum += t.LogProb
	}
	return l, nil
}

// Tune implements [lm.Tuner].
func (m *Script) Tune(ctx context.Context, name string, examples []lm.Example, h lm.Hyper) (lm.Generator, lm.TuneLog, error) {
	if err := ctx.Err(); err != nil {
		return nil, lm.TuneLog{}, err
	}
	m.record(Call{Verb: "tune", Name: name, Examples: slices.Clone(examples), Hyper: h})
	for _, e := range examples {
		if len(e.Loss) == 0 {
			return nil, lm.TuneLog{}, fmt.Errorf("example %s: %w", e.Key, lm.ErrNoLoss)
		}
	}
	if m.Fit != nil {
		return m.Fit(name, examples, h)
	}
	log := lm.TuneLog{
		Steps:        []lm.TuneStep{{Step: 1, Loss: 1, LearningRate: h.LearningRate, GradNorm: 1}},
		EvalLossBase: 1, EvalLoss: 0.5, Examples: len(examples),
	}
	for _, e := range examples {
		for _, i := range e.Loss {
			log.Tokens += len(strings.Fields(e.Messages[i].Content)) + 1 // and the end of the turn
		}
	}
	return &Script{Name: name, Reply: m.Reply, Score: m.Score, Fit: m.Fit, Context: m.Context}, log, nil
}

// sentence is the default reply: greedy requests get one answer, others one per seed.
func (m *Script) sentence(chat lm.Chat, s lm.Sampling) (string, error) {
	seed := s.Seed
	if s.Temperature == 0 {
		seed = 0
	}
	h := digest(m.Name, chat, fmt.Sprint(seed))
	return fmt.Sprintf("I would like to know about thing %d and thing %d.", h%97, h/97%89), nil
}

// number is the default score: about -2 nats per word.
func (m *Script) number(chat lm.Chat, target string) (float64, error) {
	h := digest("score", chat, target)
	return -float64(len(strings.Fields(target))) * (1.5 + float64(h%1000)/1000), nil
}

func digest(name string, chat lm.Chat, extra string) uint64 {
	h := fnv.New64a()
	fmt.Fprintf(h, "%q", name)
	for _, m := range chat {
		fmt.Fprintf(h, "%q%q", m.Role, m.Content)
	}
	fmt.Fprintf(h, "%q", extra)
	return h.Sum64()
}

func count(chat lm.Chat) int {
	n := 0
	for _, m := range chat {
		n += len(strings.Fields(m.Content))
	}
	return n
}

func ids(words []string) []int32 {
	out := make([]int32, len(words))
	for i, w := range words {
		h := fnv.New32a()
		fmt.Fprint(h, w)
		out[i] = int32(h.Sum32() >> 1)
	}
	return out
}
