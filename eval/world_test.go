package eval

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"stargate"
	"stargate/lm"
	"stargate/lm/lmtest"
	"stargate/prompt"
)

// The tiny world of these tests: a persona has a value for each of four attributes, a task
// depends on two of them, its gold names the two values, and
//
//	log p(gold | context) = -10 + 4 · (values of the gold that the context holds).
//
// So a conversation about nothing relevant scores -10, one relevant answer -6, two -2.
var attributes = []string{"colour", "pet", "sport", "food"}

func relevantTo(task string) []string {
	if strings.Contains(task, "present") {
		return attributes[:2]
	}
	return attributes[2:]
}

func question(attribute string) string { return "Which " + attribute + " do you like?" }

func asksFor(question string) (string, bool) {
	for _, a := range attributes {
		if strings.Contains(question, " "+a+" ") {
			return a, true
		}
	}
	return "", false
}

type truth struct{}

func (truth) Relevant(t stargate.Task) []string      { return relevantTo(t.Text) }
func (truth) Classify(q string) (string, bool)       { return asksFor(q) }
func (truth) Ask(attribute string, _ uint64) string  { return question(attribute) }
func (truth) Chance() float64                        { return 0.5 }
func value(attribute string, p stargate.Pair) string { return attribute + "-" + p.Persona.ID }

// facts is the rubric: relevant values of the persona in a response, and values of others.
type facts struct{}

func (facts) Points(p stargate.Pair, response string) (right, wrong int) {
	for _, a := range attributes {
		switch {
		case !strings.Contains(response, a+"-"):
		case !strings.Contains(response, value(a, p)):
			wrong++
		case slices.Contains(relevantTo(p.Task.Text), a):
			right++
		}
	}
	return right, wrong
}

func testSplit(tasks, personas int) stargate.Split {
	s := stargate.Split{Name: "test"}
	for j := range personas {
		for i := range tasks {
			p := stargate.Pair{
				Task:    stargate.Task{ID: fmt.Sprintf("t%d", i), Text: fmt.Sprintf("Plan the %s of number %d.", []string{"present", "trip"}[i%2], i)},
				Persona: stargate.Persona{ID: fmt.Sprintf("u%d", j), Name: "Ada"},
			}
			var all, gold []string
			for _, a := range attributes {
				all = append(all, value(a, p))
			}
			for _, a := range relevantTo(p.Task.Text) {
				gold = append(gold, value(a, p))
			}
			p.Persona.Text = strings.Join(all, " ")
			p.Gold = strings.Join(gold, " ")
			s.Pairs = append(s.Pairs, p)
		}
	}
	return s
}

// asker is a policy: ask chooses the attribute of the k-th question; the response repeats
// every value that was heard.
func asker(ask func(task string, k int, seed uint64) string) *lmtest.Script {
	return &lmtest.Script{Reply: func(chat lm.Chat, s lm.Sampling) (string, error) {
		if strings.HasSuffix(chat[len(chat)-1].Content, "Ask me.") {
			return ask(chat[0].Content, len(chat)/2, s.Seed), nil
		}
		response := "I suggest"
		for _, m := range chat {
			for _, word := range strings.Fields(m.Content) {
				if m.Role == lm.User && strings.Contains(word, "-u") {
					response += " " + strings.TrimSuffix(word, ".")
				}
			}
		}
		return response + ".", nil
	}}
}

var (
	// clueless asks for what does not matter, knowing for what does, mixed for anything.
	clueless = func(task string, k int, _ uint64) string {
		return question(attributes[(slices.Index(attributes, relevantTo(task)[0])+2+k%2)%4])
	}
	knowing = func(task string, k int, _ uint64) string { return question(relevantTo(task)[k%2]) }
	mixed   = func(_ string, _ int, seed uint64) string { return question(attributes[seed%4]) }
	// clumsy is mixed and does not always ask.
	clumsy = func(task string, k int, seed uint64) string {
		if seed%3 == 0 {
			return "Here is a plan."
		}
		return mixed(task, k, seed)
	}
)

// player answers truthfully from the persona in its first message.
func player() *lmtest.Script {
	return &lmtest.Script{Reply: func(chat lm.Chat, _ lm.Sampling) (string, error) {
		last := chat[len(chat)-1].Content
		asked, ok := asksFor(last[strings.LastIndex(last, "\n")+1:])
		if !ok {
			return "I do not know.", nil
		}
		for _, word := range strings.Fields(chat[0].Content) {
			if strings.HasPrefix(word, asked+"-") {
				return "I like " + word + ".", nil
			}
		}
		return "", fmt.Errorf("no %s in %q", asked, chat[0].Content)
	}}
}

// scorer is the base model; it is also m0 and asks as ask says.
func scorer(ask func(task string, k int, seed uint64) string) *lmtest.Script {
	m := asker(ask)
	m.Score = func(chat lm.Chat, gold string) (float64, error) {
		score := -10.0
		for _, v := range strings.Fields(gold) {
			if slices.ContainsFunc(chat, func(m lm.Message) bool { return m.Role == lm.User && strings.Contains(m.Content, v) }) {
				score += 4
			}
		}
		return score, nil
	}
	return m
}

// world is an evaluation of m0 … with the given ways of asking.
type world struct {
	Input
	base, roleplayer *lmtest.Script
}

func newWorld(t testing.TB, tasks, personas int, policies ...func(string, int, uint64) string) *world {
	t.Helper()
	prompts := embedded(t)
	cfg := stargate.Paper()
	cfg.Seed, cfg.Samples, cfg.Concurrency = 7, 3, 4
	w := &world{base: scorer(policies[0]), roleplayer: player()}
	w.Input = Input{
		Experiment: "tiny", Config: cfg, Base: stargate.NewBase(w.base, prompts), Roleplayer: stargate.NewRoleplayer(w.roleplayer, prompts, cfg),
		Test: testSplit(tasks, personas), Judge: RubricJudge{Rubric: facts{}}, Truth: truth{}, WinPairs: 3 * tasks * personas, // all, whatever their lengths
		Resamples: 200,
	}
	for i, ask := range policies {
		var m lm.Generator = w.base
		if i > 0 {
			m = asker(ask)
		}
		w.Models = append(w.Models, Model{fmt.Sprintf("m%d", i), stargate.NewQuestioner(m, prompts, cfg)})
	}
	return w
}

func embedded(t testing.TB) *prompt.Set {
	t.Helper()
	prompts, err := prompt.Embedded("nano")
	if err != nil {
		t.Fatal(err)
	}
	return prompts
}

func (w *world) run(t testing.TB) *Evaluation {
	t.Helper()
	e, err := Run(context.Background(), w.Input)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func encode(t testing.TB, r *Result) []byte {
	t.Helper()
	out, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	return out
}
