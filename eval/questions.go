package eval

import (
	"strings"

	"stargate"
	"stargate/eval/stats"
)

// asksBadly are the flaws that a question, and only a question, can have.
var asksBadly = map[stargate.Flaw]bool{
	stargate.NoQuestion: true, stargate.SeveralQuestions: true, stargate.AnswerLeak: true, stargate.PersonaLeak: true,
}

// questions describes what each model asked.
func (e *Evaluation) questions(in Input) {
	for m, model := range in.Models {
		e.Result.Questions = append(e.Result.Questions, in.describe(model.Name, e.Rated[m]))
	}
}

func (in Input) describe(model string, rated []stargate.Candidates) Questions {
	q := Questions{Model: model, Relevant: -1, Redundant: -1}
	var all tally
	distinct := map[string]bool{}
	var parts []stats.Part
	for _, c := range rated {
		t := in.tally(c)
		all.add(t)
		for _, s := range c.Scored {
			for _, turn := range s.Turns {
				distinct[turn.Question] = true
			}
		}
		if t.asked > 0 {
			parts = append(parts, stats.Part{Task: c.Pair.Task.ID, Persona: c.Pair.Persona.ID, Hits: t.hit, N: t.asked})
		}
	}
	q.N = all.asked
	if q.N == 0 {
		return q
	}
	q.Wellformed, q.Distinct, q.Words = float64(all.wellformed)/float64(all.drawn), float64(len(distinct))/float64(q.N), float64(all.words)/float64(q.N)
	q.Redundant = float64(all.redundant) / float64(q.N)
	if in.Truth != nil {
		est := stats.Ratio(parts)
		q.Relevant, q.RelevantSEM = est.Mean, est.SEM
	}
	return q
}

// tally counts the questions of one pair.
type tally struct {
	asked, words int // in complete conversations
	drawn        int // those thrown away included
	wellformed   int // recognised as questions
	hit          int // relevant and new; 0 without a truth
	redundant    int // asked before in the conversation
}

func (t *tally) add(o tally) {
	t.asked, t.words, t.drawn = t.asked+o.asked, t.words+o.words, t.drawn+o.drawn
	t.wellformed, t.hit, t.redundant = t.wellformed+o.wellformed, t.hit+o.hit, t.redundant+o.redundant
}

func (in Input) tally(c stargate.Candidates) (t tally) {
	relevant := map[string]bool{}
	if in.Truth != nil {
		for _, a := range in.Truth.Relevant(c.Pair.Task) {
			relevant[a] = true
		}
	}
	for _, s := range c.Dropped {
		t.drawn += flawed(s)
		if asksBadly[stargate.Flaw(s.Outcome)] {
			t.drawn++
		}
	}
	for _, s := range c.Scored {
		t.drawn += flawed(s.Conversation)
		before := map[string]bool{}
		for _, turn := range s.Turns {
			t.asked++
			t.drawn++
			t.words += len(strings.Fields(turn.Question))
			about, ok := turn.Question, true
			if in.Truth != nil {
				about, ok = in.Truth.Classify(turn.Question)
			}
			if !ok {
				continue
			}
			t.wellformed++
			if before[about] {
				t.redundant++
			} else if relevant[about] {
				t.hit++
			}
			before[about] = true
		}
	}
	return t
}

func flawed(s stargate.Conversation) int {
	n := 0
	for _, f := range s.Redrawn {
		if asksBadly[f] {
			n++
		}
	}
	return n
}

// RelevantShare is the share of questions that ask for something relevant and new, in all
// candidates and in the selected ones; -1 without a truth.
func RelevantShare(truth Truth, rated []stargate.Candidates) (all, selected float64) {
	if truth == nil {
		return -1, -1
	}
	var hits, n [2]int
	for _, c := range rated {
		relevant := map[string]bool{}
		for _, a := range truth.Relevant(c.Pair.Task) {
			relevant[a] = true
		}
		chosen := map[int]bool{}
		for _, i := range c.Best {
			chosen[i] = true
		}
		for i, s := range c.Scored {
			seen := map[string]bool{}
			for _, t := range s.Turns {
				a, ok := truth.Classify(t.Question)
				hit := 0
				if ok && relevant[a] && !seen[a] {
					hit = 1
				}
				seen[a] = true
				hits[0], n[0] = hits[0]+hit, n[0]+1
				if chosen[i] {
					hits[1], n[1] = hits[1]+hit, n[1]+1
				}
			}
		}
	}
	return float64(hits[0]) / float64(max(n[0], 1)), float64(hits[1]) / float64(max(n[1], 1))
}

// Margin is the mean over pairs of the best minus the mean candidate, in nats: how much
// there was to select.
func Margin(rated []stargate.Candidates) float64 {
	sum, n := 0.0, 0
	for _, c := range rated {
		if len(c.Scored) == 0 || len(c.Best) == 0 {
			continue
		}
		mean := 0.0
		for _, s := range c.Scored {
			mean += s.LogProb / float64(len(c.Scored))
		}
		sum += c.Scored[c.Best[0]].LogProb - mean
		n++
	}
	return sum / float64(max(n, 1))
}
