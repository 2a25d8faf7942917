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
