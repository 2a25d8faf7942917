package eval

import (
	"context"
	"strings"
	"testing"

	"stargate"
	"stargate/lm"
)

// Tell is how a user of the tiny world says everything that matters.
func (truth) Tell(p stargate.Pair) string {
	var told []string
	for _, a := range relevantTo(p.Task.Text) {
		told = append(told, "I like "+value(a, p)+".")
	}
	return strings.Join(told, " ")
}

// decides is a policy that is given the task as for a response: it asks for the first of
// the attributes that ask names and that it has not heard of, and answers when there is none.
func decides(ask func(task string, heard string) string) func(lm.Chat, lm.Sampling) (string, error) {
	return func(chat lm.Chat, s lm.Sampling) (string, error) {
		if strings.HasSuffix(chat[len(chat)-1].Content, "Ask me.") {
			return mixed("", 0, s.Seed), nil
		}
		heard := ""
		for _, m := range chat {
			heard += m.Content + "\n"
		}
		if a := ask(chat[0].Content, heard); a != "" {
			return question(a), nil
		}
		return "Here is a plan.", nil
	}
}

func asking(t *testing.T, r *Result, model, tasks string) Asking {
	t.Helper()
	for _, a := range r.WhenToAsk.Rows {
		if a.Model == model && a.Tasks == tasks {
			return a
		}
	}
	t.Fatalf("no row of %s, %s: %+v", model, tasks, r.WhenToAsk)
	return Asking{}
}

// Four models: one never asks, one asks for what is missing and stops, one always asks, and
// one asks once whatever it was told.
func TestWhenToAskByHand(t *testing.T) {
	w := newWorld(t, 4, 3, mixed, mixed, mixed, mixed)
	w.WhenToAsk = true
	w.WinPairs = 0
	policies := []func(task, heard string) string{
		func(_, _ string) string { return "" },
		func(task, heard string) string {
			for _, a := range relevantTo(task) {
				if !strings.Contains(heard, a+"-") {
					return a
				}
			}
			return ""
		},
		func(task, heard string) string { return relevantTo(task)[strings.Count(heard, "Which")%2] },
		func(task, heard string) string {
			if strings.Contains(heard, "Which") {
				return ""
			}
			return relevantTo(task)[0]
		},
	}
	w.base.Reply = decides(policies[0])
	for i := 1; i < 4; i++ {
		m := asker(mixed)
		m.Reply = decides(policies[i])
		w.Models[i].Policy = stargate.NewQuestioner(m, embedded(t), w.Config)
	}
	r := w.run(t).Result
	type row struct {
		first, questions, stopped, over, under float64
	}
	for model, want := range map[string]map[string]row{
		"m0": {Open: {0, 0, 1, -1, 1}, Told: {0, 0, 1, 0, -1}},
		"m1": {Open: {1, 2, 1, 0, 0}, Told: {0, 0, 1, 0, -1}},
		// Four questions: of its steps two need a question, and two do not.
		"m2": {Open: {1, 4, 0, 1, 0}, Told: {1, 4, 0, 1, -1}},
		// It asks for one of two and then answers: under-asking at one of two needed steps.
		"m3": {Open: {1, 1, 1, -1, 0.5}, Told: {1, 1, 1, 0.5, -1}},
	} {
		for tasks, want := range want {
			a := asking(t, r, model, tasks)
			got := row{a.First.Rate, a.Questions, a.Stopped.Rate, -1, -1}
			if a.OverAsk != nil {
				got.over = a.OverAsk.Rate
			}
			if a.UnderAsk != nil {
				got.under = a.UnderAsk.Rate
			}
			if got != want || a.N != 12 {
				t.Errorf("%s, %s: %+v over %d pairs, want %+v", model, tasks, got, a.N, want)
			}
		}
	}
	if r.WhenToAsk.ToldLogProb != -2 || r.WhenToAsk.N != 12 { // both values are in the context
		t.Errorf("told: %+v", r.WhenToAsk)
	}
	if err := validate(t, reportSchema(t), encode(t, r)); err != nil {
		t.Error(err)
	}
}

// A world whose truth is not known cannot say when a question is needed.
func TestWhenToAskNeedsATruth(t *testing.T) {
	w := newWorld(t, 4, 3, mixed)
	w.WhenToAsk, w.Truth = true, nil
	if _, err := Run(context.Background(), w.Input); err == nil {
		t.Error("no error")
	}
}

// A model that was trained on questions alone answers with a question: the win check says
// how often.
func TestResponsesThatAsk(t *testing.T) {
	w := newWorld(t, 6, 3, mixed, mixed, knowing)
	m := asker(mixed)
	honest := m.Reply
	m.Reply = func(chat lm.Chat, s lm.Sampling) (string, error) {
		if s.Temperature == 0 {
			return "Which colour do you like?", nil
		}
		return honest(chat, s)
	}
	w.Models[1].Policy = stargate.NewQuestioner(m, embedded(t), w.Config)
	checks := w.run(t).Result.WinChecks
	if checks[0].Asks != 1 || checks[1].Asks != 0 {
		t.Errorf("%+v", checks)
	}
}
