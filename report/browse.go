package report

import (
	"fmt"
	"math"

	"stargate"
)

// group is a set of pairs in the browser of conversations: an iteration, or the test
// split.
type group struct {
	ID, Title, Note string
	Rest            string // what gives the pairs that are not in the sample; "" where all are
	Pairs           []pairItem
}

type pairItem struct {
	Task, Name, Persona, Gold, Key, Summary string
	Candidates                              []candidate
}

// candidate is one conversation, its score as text and as a bar between the pair's worst
// (empty) and best (full).
type candidate struct {
	Name, Score, Bar, Note string
	Open, Selected         bool
	Tag, TagClass          string
	Talk                   []talk
	Redrawn                []string
}

// talk is one line of a conversation. Loss marks what the model is trained to say,
// masked what is shown to it without.
type talk struct {
	Role, Text, Class string
	Loss              bool
	Mark, MarkClass   string
}

func groups(d Data) []group {
	var out []group
	for _, it := range d.Iterations {
		g := group{ID: fmt.Sprintf("iteration-%d", it.N), Title: fmt.Sprintf("Iteration %d: m%d asks, m%d is trained", it.N, it.N-1, it.N),
			Note: sampled(len(it.Sample), it.Pairs, "split "+it.Split)}
		if len(it.Sample) < it.Pairs {
			g.Rest = fmt.Sprintf("stargate report RUN --pair list --iteration %d", it.N)
		}
		for _, p := range it.Sample {
			g.Pairs = append(g.Pairs, trainingPair(p))
		}
		out = append(out, g)
	}
	if len(d.Test.Sample) > 0 {
		g := group{ID: "test", Title: "Test split: the same pairs, every model", Note: sampled(len(d.Test.Sample), d.Test.Pairs, "the test split")}
		for _, p := range d.Test.Sample {
			g.Pairs = append(g.Pairs, testPair(p))
		}
		out = append(out, g)
	}
	return out
}

func sampled(shown, all int, of string) string {
	if shown == all {
		return "All " + plural(all, "pair") + " of " + of + "."
	}
	return fmt.Sprintf("%s of the %s of %s, chosen by a hash of their names.", count(shown), plural(all, "pair"), of)
}

func trainingPair(p PairView) pairItem {
	item := newPair(p)
	lo, hi := scoreRange(p)
	for _, c := range p.Conversations {
		k := candidate{Name: fmt.Sprintf("#%d", c.Sample+1), Selected: c.Selected, Open: c.Selected, Note: plural(len(c.Turns), "turn"), Redrawn: c.Redrawn,
			Talk: c.talk(c.Selected)}
		k.score(c, lo, hi)
		switch {
		case c.Selected:
			k.Tag, k.TagClass = "selected", "sel"
			item.Summary = k.Score
		case c.Outcome != string(stargate.Complete):
			k.Tag, k.TagClass = "dropped: "+c.Outcome, "drop"
		}
		item.Candidates = append(item.Candidates, k)
	}
	if item.Summary == "" {
		item.Summary = "none selected"
	}
	return item
}

func testPair(p PairView) pairItem {
	item := newPair(p)
	lo, hi := scoreRange(p)
	for _, c := range p.Conversations {
		k := candidate{Name: c.Model, Open: true, Note: plural(len(c.Turns), "turn"), Redrawn: c.Redrawn, Talk: c.talk(false)}
		k.score(c, lo, hi)
		if c.Outcome != string(stargate.Complete) {
			k.Tag, k.TagClass = "dropped: "+c.Outcome, "drop"
		}
		item.Candidates = append(item.Candidates, k)
	}
	if n := len(item.Candidates); n > 0 {
		item.Summary = item.Candidates[0].Score
		if n > 1 {
			item.Summary += " → " + item.Candidates[n-1].Score
		}
	}
	return item
}

func newPair(p PairView) pairItem {
	return pairItem{Task: p.Pair.Task.Text, Name: p.Pair.Persona.Name, Persona: p.Pair.Persona.Text, Gold: p.Pair.Gold, Key: p.Pair.Key()}
}

func scoreRange(p PairView) (lo, hi float64) {
	lo, hi = math.Inf(1), math.Inf(-1)
	for _, c := range p.Conversations {
		if c.LogProb != nil {
			lo, hi = min(lo, *c.LogProb), max(hi, *c.LogProb)
		}
	}
	return lo, hi
}

func (k *candidate) score(c ConversationView, lo, hi float64) {
	if c.LogProb == nil {
		k.Score = "–"
		return
	}
	k.Score = nats(*c.LogProb)
	width := 100.0
	if hi > lo {
		width = 4 + 96*(*c.LogProb-lo)/(hi-lo)
	}
	k.Bar = px(width)
}

// talk lists a conversation line by line.
func (c ConversationView) talk(trained bool) []talk {
	var out []talk
	said, heard := "plain", "plain"
	if trained {
		heard = "masked"
	}
	for i, t := range c.Turns {
		q := talk{Role: fmt.Sprintf("question %d", i+1), Text: t.Question, Class: said, Loss: trained}
		if i < len(c.Relevant) {
			q.Mark, q.MarkClass = "not relevant", "irrel"
			if c.Relevant[i] {
				q.Mark, q.MarkClass = "✓ relevant", "rel"
			}
		}
		out = append(out, q, talk{Role: fmt.Sprintf("answer %d", i+1), Text: t.Answer, Class: heard})
	}
	if c.Response != "" {
		out = append(out, talk{Role: "response", Text: c.Response, Class: said, Loss: trained})
	}
	return out
}
