package eval

import (
	"context"
	"fmt"
	"strconv"

	"stargate"
	"stargate/eval/stats"
)

// Credit is what questions were worth: the gain in log p(gold | task, conversation) from
// before a turn to after it, under Q_BASE. A pair is one observation: the mean over its
// questions.
type Credit struct {
	Model     string  `json:"model"`
	By        string  `json:"by"`   // "turn", or "kind" where the truth is known
	Key       string  `json:"key"`  // the turn's number; or "relevant", "repeated", "other"
	Gain      float64 `json:"gain"` // nats a question
	SEM       float64 `json:"sem"`
	Low       float64 `json:"low"` // 95 % interval, clustered
	High      float64 `json:"high"`
	N         int     `json:"n"`         // pairs
	Questions int     `json:"questions"` // in all
}

// What a question is where the truth is known.
const (
	RelevantQuestion = "relevant" // asks for a relevant attribute, for the first time
	RepeatedQuestion = "repeated" // asks for what was asked before
	OtherQuestion    = "other"
)

// creditKey names a group of questions.
type creditKey struct{ by, key string }

// gains collects the questions' gains of one pair.
type gains map[creditKey][]float64

// credit scores the gold after every turn. The scores after no turn and after the last are
// known already, so that only conversations of two turns or more cost anything.
func (e *Evaluation) credit(ctx context.Context, in Input) error {
	if !in.Credit {
		return nil
	}
	neg := e.cells[cellKey{in.Models[0].Name, Negative, All}]
	for m, model := range in.Models {
		all := make([]gains, len(in.Test.Pairs))
		err := in.eachPair(ctx, "credit "+model.Name, func(ctx context.Context, i int) (err error) {
			if neg.ok[i] {
				all[i], err = in.gains(ctx, e.Rated[m][i], neg.value[i])
			}
			return err
		})
		if err != nil {
			return fmt.Errorf("credit of %s: %w", model.Name, err)
		}
		e.Result.Credit = append(e.Result.Credit, in.credits(model.Name, all)...)
	}
	return nil
}

func (in Input) gains(ctx context.Context, c stargate.Candidates, neg float64) (gains, error) {
	out := gains{}
	relevant := map[string]bool{}
	if in.Truth != nil {
		for _, a := range in.Truth.Relevant(c.Pair.Task) {
			relevant[a] = true
		}
	}
	for _, s := range c.Scored {
		before, seen := neg, map[string]bool{}
		for k, t := range s.Turns {
			after := s.LogProb
			if k+1 < len(s.Turns) {
				lp, err := in.Base.LogProb(ctx, c.Pair.Persona.Name, c.Pair.Task, s.Turns[:k+1], c.Pair.Gold)
				if err != nil { // a shorter context than one that fitted
					return nil, fmt.Errorf("pair %s, conversation %d, after turn %d: %w", c.Pair.Key(), s.Sample, k+1, err)
				}
				after = lp.Sum
			}
			out.add(creditKey{"turn", strconv.Itoa(k + 1)}, after-before)
			if in.Truth != nil {
				kind := OtherQuestion
				if a, ok := in.Truth.Classify(t.Question); ok {
					switch {
					case seen[a]:
						kind = RepeatedQuestion
					case relevant[a]:
						kind = RelevantQuestion
					}
					seen[a] = true
				}
				out.add(creditKey{"kind", kind}, after-before)
			}
			before = after
		}
	}
	return out, nil
}

func (g gains) add(k creditKey, v float64) { g[k] = append(g[k], v) }

// credits are the means of each group that any pair has.
func (in Input) credits(model string, all []gains) []Credit {
	var keys []creditKey
	for k := 1; k <= in.Config.MaxTurns; k++ {
		keys = append(keys, creditKey{"turn", strconv.Itoa(k)})
	}
	for _, kind := range []string{RelevantQuestion, RepeatedQuestion, OtherQuestion} {
		keys = append(keys, creditKey{"kind", kind})
	}
	var out []Credit
	for _, k := range keys {
		var obs []stats.Observation
		questions := 0
		for i, g := range all {
			if len(g[k]) == 0 {
				continue
			}
			sum := 0.0
			for _, v := range g[k] {
				sum += v
			}
			questions += len(g[k])
			p := in.Test.Pairs[i]
			obs = append(obs, stats.Observation{Task: p.Task.ID, Persona: p.Persona.ID, Value: sum / float64(len(g[k]))})
		}
		if len(obs) == 0 {
			continue
		}
		est := stats.Mean(obs)
		c := Credit{Model: model, By: k.by, Key: k.key, Gain: est.Mean, SEM: est.SEM, N: est.N, Questions: questions}
		c.Low, c.High = est.Interval()
		out = append(out, c)
	}
	return out
}
