package report

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"

	"stargate"
	"stargate/eval"
)

// IterationView is what the page shows of one iteration beyond report.json: its counts and
// a sample of its pairs.
type IterationView struct {
	N        int            `json:"n"`     // η
	Split    string         `json:"split"` // A or B
	Pairs    int            `json:"pairs"` // simulated; the sample below is bounded
	Complete int            `json:"complete"`
	HeldOut  int            `json:"held_out"` // examples kept for the evaluation loss
	Tokens   int            `json:"tokens"`   // trained tokens per epoch
	Dropped  map[string]int `json:"dropped"`  // conversations, responses and examples given up, by flaw
	Redrawn  map[string]int `json:"redrawn"`  // turns thrown away and drawn again, by flaw
	Sample   []PairView     `json:"sample"`
}

// PairView is one task and persona with the conversations held about it.
type PairView struct {
	Pair          stargate.Pair      `json:"pair"`
	Conversations []ConversationView `json:"conversations"`
}

// ConversationView is one conversation as the browser shows it.
type ConversationView struct {
	Model    string          `json:"model,omitempty"` // who asked, where a pair holds conversations of several models
	Sample   int             `json:"sample"`
	Turns    []stargate.Turn `json:"turns"`
	Relevant []bool          `json:"relevant,omitempty"` // by turn: asks for something that matters and was not asked before; none where the truth is not known
	LogProb  *float64        `json:"logprob,omitempty"`  // of the gold, nats; nil if dropped before scoring
	Selected bool            `json:"selected,omitempty"` // trained on: its questions and response carry loss
	Response string          `json:"response,omitempty"`
	Outcome  string          `json:"outcome"`           // "complete", or the flaw
	Redrawn  []string        `json:"redrawn,omitempty"` // flaws of turns drawn again
}

// ViewOf boils an iteration down to at most limit pairs, picked by a hash of their names
// and kept in the split's order, so that every run of a split shows the same ones. Counts
// are of all pairs. With truth (nil where there is none) each question is marked relevant
// or not.
func ViewOf(it stargate.Iteration, truth eval.Truth, limit int) IterationView {
	pairs := make([]stargate.Pair, len(it.Candidates))
	for i, c := range it.Candidates {
		pairs[i] = c.Pair
	}
	selected := map[string][]stargate.Selected{}
	for _, s := range it.Selected {
		selected[s.Pair.Key()] = append(selected[s.Pair.Key()], s)
	}
	v := NewViewer(it.N, it.Split, pairs, truth, limit)
	for i, c := range it.Candidates {
		v.Add(i, c, selected[c.Pair.Key()])
	}
	return v.View(it)
}

// Viewer collects an [IterationView] pair by pair, so that the candidates need not be in memory
// all at once.
type Viewer struct {
	view   IterationView
	truth  eval.Truth
	picked map[int]bool
}

// NewViewer begins to collect what [ViewOf] tells; pairs are all of the split.
func NewViewer(n int, split string, pairs []stargate.Pair, truth eval.Truth, limit int) *Viewer {
	keys := make([]string, len(pairs))
	for i, p := range pairs {
		keys[i] = p.Key()
	}
	v := &Viewer{view: IterationView{N: n, Split: split, Pairs: len(pairs), Dropped: map[string]int{}, Redrawn: map[string]int{}}, truth: truth, picked: map[int]bool{}}
	for _, i := range Pick(keys, limit) {
		v.picked[i] = true
	}
	return v
}

// Add takes what came of the split's i-th pair; pairs come in their order.
func (v *Viewer) Add(i int, c stargate.Candidates, selected []stargate.Selected) {
	eval.Count([]stargate.Candidates{c}, v.view.Dropped, v.view.Redrawn)
	v.view.Complete += len(c.Scored)
	for _, s := range selected {
		if s.Outcome != stargate.Complete {
			v.view.Dropped["response: "+string(s.Outcome)]++
		}
	}
	if v.picked[i] {
		v.view.Sample = append(v.view.Sample, pairView(c, selected, v.truth))
	}
}

// View is what was collected, with what the fine-tune of the iteration told.
func (v *Viewer) View(it stargate.Iteration) IterationView {
	view := v.view
	view.HeldOut, view.Tokens = it.Log.HeldOut, it.Log.Tokens
	if n := len(it.Log.Dropped); n > 0 {
		view.Dropped["example: "+string(stargate.TooLong)] = n
	}
	return view
}

// TestOf takes at most limit pairs of the test split, each with the first complete
// conversation that every model had about it.
func TestOf(e *eval.Evaluation, truth eval.Truth, limit int) TestView {
	var v TestView
	if len(e.Rated) == 0 {
		return v
	}
	v.Pairs = len(e.Rated[0])
	keys := make([]string, v.Pairs)
	for i, c := range e.Rated[0] {
		keys[i] = c.Pair.Key()
	}
	for _, i := range Pick(keys, limit) {
		p := PairView{Pair: e.Rated[0][i].Pair}
		for m, rated := range e.Rated {
			var c ConversationView
			switch r := rated[i]; {
			case len(r.Scored) > 0:
				c = conversationView(r.Scored[0].Conversation, r.Pair, truth)
				c.LogProb = &r.Scored[0].LogProb
			case len(r.Dropped) > 0:
				c = conversationView(r.Dropped[0], r.Pair, truth)
			default:
				continue
			}
			c.Model = e.Result.Models[m]
			p.Conversations = append(p.Conversations, c)
		}
		v.Sample = append(v.Sample, p)
	}
	return v
}

func pairView(c stargate.Candidates, selected []stargate.Selected, truth eval.Truth) PairView {
	p := PairView{Pair: c.Pair}
	for _, s := range c.Scored {
		cv := conversationView(s.Conversation, c.Pair, truth)
		cv.LogProb = &s.LogProb
		for _, sel := range selected {
			if sel.Best.Sample == s.Sample {
				cv.Selected = sel.Outcome == stargate.Complete
				cv.Response = sel.Response
				if !cv.Selected {
					cv.Outcome = "response: " + string(sel.Outcome)
				}
			}
		}
		p.Conversations = append(p.Conversations, cv)
	}
	for _, s := range c.Dropped {
		p.Conversations = append(p.Conversations, conversationView(s, c.Pair, truth))
	}
	// The selected first, then by score; the dropped last.
	slices.SortStableFunc(p.Conversations, func(a, b ConversationView) int {
		if a.Selected != b.Selected {
			if a.Selected {
				return -1
			}
			return 1
		}
		switch {
		case a.LogProb != nil && b.LogProb != nil && *a.LogProb != *b.LogProb:
			return cmp.Compare(*b.LogProb, *a.LogProb)
		case (a.LogProb == nil) != (b.LogProb == nil):
			if b.LogProb == nil {
				return -1
			}
			return 1
		}
		return cmp.Compare(a.Sample, b.Sample)
	})
	return p
}

func conversationView(s stargate.Conversation, p stargate.Pair, truth eval.Truth) ConversationView {
	v := ConversationView{Sample: s.Sample, Turns: s.Turns, Outcome: string(s.Outcome)}
	for _, f := range s.Redrawn {
		v.Redrawn = append(v.Redrawn, string(f))
	}
	if truth != nil {
		wanted := truth.Relevant(p.Task)
		seen := map[string]bool{}
		for _, t := range s.Turns {
			a, ok := truth.Classify(t.Question)
			v.Relevant = append(v.Relevant, ok && !seen[a] && slices.Contains(wanted, a))
			seen[a] = true
		}
	}
	return v
}

// Pick chooses at most limit of the named items by a hash of their names and gives their
// indices in the items' order.
func Pick(keys []string, limit int) []int {
	hash := make([]string, len(keys))
	order := make([]int, len(keys))
	for i, k := range keys {
		sum := sha256.Sum256([]byte("browse " + k))
		hash[i], order[i] = hex.EncodeToString(sum[:]), i
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(hash[a], hash[b]) })
	order = order[:min(max(limit, 0), len(order))]
	slices.Sort(order)
	return order
}

// label names an iteration's model: m1, m2, …
func (v IterationView) label() string { return fmt.Sprintf("m%d", v.N) }
