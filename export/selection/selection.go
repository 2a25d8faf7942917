package selection

import (
	"fmt"
	"slices"

	"stargate"
	"stargate/export"
	"stargate/lm"
	"stargate/lm/local"
	"stargate/prompt"
)

// Run is where an iteration comes from; it becomes the provenance of examples.
type Run struct {
	Name     string      // of the experiment
	Identity string      // digest of all that determines the run's result
	Model    string      // digest of the base model
	Version  string      // of this program
	Prompts  *prompt.Set // of the run
}

func (r Run) provenance(it stargate.Iteration, c stargate.Candidates, chosen stargate.Scored) export.Provenance {
	return export.Provenance{Model: r.Model, Version: r.Version, Origin: &export.Origin{
		Run: r.Name, Identity: r.Identity, Iteration: it.N, Split: it.Split, Pair: chosen.Pair, Sample: chosen.Sample,
		Score: chosen.LogProb, GoldToks: chosen.Tokens, Margin: Margin(c, chosen),
	}}
}

// Margin is how much better a conversation explains the gold than the mean of its pair's
// conversations does, in nats per token of the gold.
func Margin(c stargate.Candidates, chosen stargate.Scored) float64 {
	if len(c.Scored) == 0 || chosen.Tokens == 0 {
		return 0
	}
	sum := 0.0
	for _, s := range c.Scored {
		sum += s.LogProb
	}
	return (chosen.LogProb - sum/float64(len(c.Scored))) / float64(chosen.Tokens)
}

// Examples are an iteration's selected conversations in the tokens of t, in the order in which
// they were selected: those that the run trained on, without those that its trainer left out
// because they were too long. They are encoded anew each time the source is ranged over.
func Examples(t *local.Text, r Run, it stargate.Iteration, w export.Weighting) (export.Source, error) {
	type item struct {
		example    lm.Example
		provenance export.Provenance
	}
	var items []item
	var margins []float64
	byPair := candidates(it)
	for _, s := range it.Selected {
		es, err := stargate.Examples(r.Prompts, []stargate.Selected{s})
		if err != nil {
			return nil, err
		}
		for _, e := range es { // none, if the response cannot be trained on
			if slices.Contains(it.Log.Dropped, e.Key) {
				continue
			}
			p := r.provenance(it, byPair[s.Pair.Key()], s.Best)
			p.Weighting = w.String()
			items = append(items, item{e, p})
			margins = append(margins, p.Origin.Margin)
		}
	}
	weights, err := w.Of(margins)
	if err != nil {
		return nil, err
	}
	return func(yield func(export.Example, error) bool) {
		for i, x := range items {
			e, err := export.Encode(t, x.example, weights[i], x.provenance)
			if !yield(e, err) || err != nil {
				return
			}
		}
	}, nil
}

func candidates(it stargate.Iteration) map[string]stargate.Candidates {
	m := make(map[string]stargate.Candidates, len(it.Candidates))
	for _, c := range it.Candidates {
		m[c.Pair.Key()] = c
	}
	return m
}

// Comparisons says what came of looking for preferences.
type Comparisons struct {
	Pairs   int // with conversations to compare
	Alone   int // of these, with one conversation that could be scored
	Close   int // whose margin was too small
	SameAsk int // that never parted at a question: the questions were the same, or the answers parted first
}

// Preferences compares the best conversation of every pair with the worst, at the first question
// in which they differ. Up to there both are word for word the same, so the two questions are
// ways on from one place: what a trainer of comparisons needs. That the better conversation had
// the better question there is likely, not certain: what came later counts in the score too.
//
// Answers of the user are never compared: they are not the model's to choose. The margin is the
// difference of the two scores, in nats per token of the gold; pairs below least are left out.
func Preferences(r Run, it stargate.Iteration, least float64) ([]export.Preference, Comparisons, error) {
	var out []export.Preference
	var n Comparisons
	for _, c := range it.Candidates {
		if len(c.Best) == 0 {
			continue
		}
		n.Pairs++
		best := c.Scored[c.Best[0]]
		worst := best
		for _, s := range c.Scored {
			if s.LogProb < worst.LogProb {
				worst = s
			}
		}
		margin := 0.0
		if best.Tokens > 0 {
			margin = (best.LogProb - worst.LogProb) / float64(best.Tokens)
		}
		switch {
		case len(c.Scored) < 2:
			n.Alone++
			continue
		case !(margin > 0) || margin < least:
			n.Close++
			continue
		}
		k, parted := parting(best.Turns, worst.Turns)
		if !parted {
			n.SameAsk++
			continue
		}
		chat, err := r.Prompts.Response(c.Pair.Persona.Name, c.Pair.Task.Text, turns(best.Turns))
		if err != nil {
			return nil, n, fmt.Errorf("pair %s: %w", c.Pair.Key(), err)
		}
		out = append(out, export.Preference{
			Key: c.Pair.Key(), Prompt: chat[:2*k+1], Chosen: best.Turns[k].Question, Rejected: worst.Turns[k].Question,
			Margin: margin, RejectedSample: worst.Sample, RejectedScore: worst.LogProb, Provenance: r.provenance(it, c, best),
		})
	}
	return out, n, nil
}

// parting is the first turn in which two conversations differ by the question.
func parting(a, b []stargate.Turn) (k int, parted bool) {
	for k = range min(len(a), len(b)) {
		if a[k].Question != b[k].Question {
			return k, true
		}
		if a[k].Answer != b[k].Answer {
			return k, false
		}
	}
	return k, false
}

func turns(s []stargate.Turn) []prompt.Turn {
	out := make([]prompt.Turn, len(s))
	for i, t := range s {
		out[i] = prompt.Turn(t)
	}
	return out
}
