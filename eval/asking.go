package eval

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"stargate"
	"stargate/eval/judge"
	"stargate/eval/reply"
	"stargate/eval/stats"
	"stargate/lm"
)

// WhenToAsk is what the models do when nobody tells them to ask: they are given the task as
// for a response, and may ask or answer; after an answer the task is repeated, and they may
// again. It needs a world whose truth is known.
//
// Every pair is played twice. Open, as it is: something relevant is missing. And told: the
// user says at once everything that matters, so that no question is needed. A step at which
// something relevant is still missing needs a question; any other needs an answer.
type WhenToAsk struct {
	Rows []Asking `json:"rows"`
	// ToldLogProb is log p(gold | told task) under Q_BASE: near the positive control, the
	// base model can use what it was told; near the negative one, "told" tests nothing.
	ToldLogProb float64 `json:"told_logprob"`
	ToldSEM     float64 `json:"told_sem"`
	N           int     `json:"n"` // pairs
}

// Asking is one model's behaviour on the open or the told tasks.
type Asking struct {
	Model     string      `json:"model"`
	Tasks     string      `json:"tasks"` // "open" or "told"
	N         int         `json:"n"`     // pairs
	First     judge.Rate  `json:"first"` // asks before anything was said
	Questions float64     `json:"questions"`
	Stopped   judge.Rate  `json:"stopped"`             // answers within the most turns
	OverAsk   *judge.Rate `json:"over_ask,omitempty"`  // of steps that need no question, those at which it asks
	UnderAsk  *judge.Rate `json:"under_ask,omitempty"` // of steps that need one, those at which it answers
}

// Kinds of tasks of [Asking].
const (
	Open = "open"
	Told = "told"
)

// Teller is what a [Truth] may also know: how a user says everything that matters to a task.
type Teller interface {
	Tell(p stargate.Pair) string
}

// steps are the decisions of one conversation.
type steps struct {
	needed, asked []bool
	questions     int
	stopped, lost bool // lost: an answer stayed malformed, or nothing fitted any more
}

func (e *Evaluation) whenToAsk(ctx context.Context, in Input) error {
	if !in.WhenToAsk {
		return nil
	}
	teller, ok := in.Truth.(Teller)
	if !ok {
		return errors.New("evaluation: when to ask needs a world whose truth is known")
	}
	n := len(in.Test.Pairs)
	w := &WhenToAsk{Rows: []Asking{}}
	told := newCell(n)
	err := in.eachPair(ctx, "told tasks", func(ctx context.Context, i int) error {
		p := in.Test.Pairs[i]
		scored, err := told.keep(i, "told", p, func() (lm.LogProb, error) {
			return in.Base.LogProb(ctx, p.Persona.Name, toldTask(teller, p), nil, p.Gold)
		})
		summarise(told, newCell(n), i, scored)
		return err
	})
	if err != nil {
		return err
	}
	est := stats.Mean(told.observations(in, nil, 0))
	w.ToldLogProb, w.ToldSEM, w.N = est.Mean, est.SEM, est.N
	for _, model := range in.Models {
		for _, kind := range []string{Open, Told} {
			all := make([]steps, n)
			err := in.eachPair(ctx, "when to ask "+model.Name+", "+kind, func(ctx context.Context, i int) (err error) {
				all[i], err = in.free(ctx, model, in.Test.Pairs[i], kind, teller)
				return err
			})
			if err != nil {
				return fmt.Errorf("when to ask, %s: %w", model.Name, err)
			}
			if row, ok := e.askingOf(in, model.Name, kind, all); ok {
				w.Rows = append(w.Rows, row)
			}
		}
	}
	e.Result.WhenToAsk = w
	return nil
}

func toldTask(t Teller, p stargate.Pair) stargate.Task {
	return stargate.Task{ID: p.Task.ID + " told", Text: t.Tell(p) + " " + p.Task.Text}
}

// free lets a model ask or answer until it answers, at most one turn more than a
// conversation has.
func (in Input) free(ctx context.Context, model Model, p stargate.Pair, kind string, teller Teller) (steps, error) {
	var s steps
	task, missing := p.Task, map[string]bool{}
	if kind == Told {
		task = toldTask(teller, p)
	} else {
		for _, a := range in.Truth.Relevant(p.Task) {
			missing[a] = true
		}
	}
	var turns []stargate.Turn
	for k := 0; ; k++ {
		c, err := model.Policy.Respond(ctx, p.Persona.Name, task, turns)
		switch {
		case errors.Is(err, lm.ErrContextLength), errors.Is(err, lm.ErrRefused):
			s.lost = true
			return s, nil
		case err != nil:
			return s, fmt.Errorf("pair %s, step %d: %w", p.Key(), k+1, err)
		}
		text := strings.TrimSpace(c.Text)
		about, asks := in.asks(text)
		s.needed, s.asked = append(s.needed, len(missing) > 0), append(s.asked, asks)
		if !asks {
			s.stopped = true
			return s, nil
		}
		s.questions++
		if k == in.Config.MaxTurns {
			return s, nil
		}
		answer, flaw, err := in.answerNamed(ctx, p, turns, text, "asking answer", model.Name, p.Key(), kind, k)
		if err != nil {
			return s, fmt.Errorf("pair %s, answer %d: %w", p.Key(), k+1, err)
		}
		if flaw != "" {
			s.lost = true
			return s, nil
		}
		delete(missing, about)
		turns = append(turns, stargate.Turn{Question: text, Answer: answer})
	}
}

// asks tells whether a text asks, and for which attribute where that is known.
func (in Input) asks(text string) (about string, asks bool) {
	if in.Truth != nil {
		if a, ok := in.Truth.Classify(text); ok {
			return a, true
		}
	}
	return "", reply.Read(text) == reply.Asks
}

func (e *Evaluation) askingOf(in Input, model, kind string, all []steps) (Asking, bool) {
	row := Asking{Model: model, Tasks: kind}
	var first, stopped []stats.Observation
	var over, under []stats.Part
	for i, s := range all {
		p := in.Test.Pairs[i]
		if s.lost {
			e.Result.Dropped["when to ask: conversation"]++
		}
		if len(s.asked) == 0 {
			continue
		}
		row.N++
		row.Questions += float64(s.questions)
		at := func(b bool) stats.Observation {
			o := stats.Observation{Task: p.Task.ID, Persona: p.Persona.ID}
			if b {
				o.Value = 1
			}
			return o
		}
		first, stopped = append(first, at(s.asked[0])), append(stopped, at(s.stopped))
		o, u := stats.Part{Task: p.Task.ID, Persona: p.Persona.ID}, stats.Part{Task: p.Task.ID, Persona: p.Persona.ID}
		for k, needed := range s.needed {
			switch {
			case needed:
				u.N++
				if !s.asked[k] {
					u.Hits++
				}
			default:
				o.N++
				if s.asked[k] {
					o.Hits++
				}
			}
		}
		if o.N > 0 {
			over = append(over, o)
		}
		if u.N > 0 {
			under = append(under, u)
		}
	}
	if row.N == 0 {
		return row, false
	}
	row.Questions /= float64(row.N)
	row.First, row.Stopped = *rateOf(first), *rateOf(stopped)
	row.OverAsk, row.UnderAsk = ratioRate(over), ratioRate(under)
	return row, true
}

func rateOf(obs []stats.Observation) *judge.Rate {
	est, low, high := stats.Share(obs)
	return &judge.Rate{Rate: est.Mean, Low: low, High: high, N: est.N}
}

// ratioRate is a share of all steps, clustered; nil without steps.
func ratioRate(parts []stats.Part) *judge.Rate {
	if len(parts) == 0 {
		return nil
	}
	est, n := stats.Ratio(parts), 0
	for _, p := range parts {
		n += p.N
	}
	low, high := est.Interval()
	if est.SEM == 0 {
		low, high = stats.Wilson(est.Mean, n)
	}
	return &judge.Rate{Rate: est.Mean, Low: max(0, low), High: min(1, high), N: n}
}
