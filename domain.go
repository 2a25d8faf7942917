package stargate

import (
	"errors"
	"fmt"
	"strings"
)

// Task is what a user wants done: t_i.
type Task struct {
	ID   string `json:"id"`
	Text string `json:"text"`
}

// Persona is who the user is: u_j. Only the Roleplayer and the Oracle see Text.
type Persona struct {
	ID   string `json:"id"`
	Name string `json:"name"`
	Text string `json:"text"`
}

// Pair is a task, a persona and the Oracle's gold response to the two: (t_i, u_j, g_ij).
type Pair struct {
	Task    Task    `json:"task"`
	Persona Persona `json:"persona"`
	Gold    string  `json:"gold"`
}

// Key names a pair in seeds, ledgers and errors.
func (p Pair) Key() string { return p.Task.ID + "/" + p.Persona.ID }

// Split is one of the paper's three disjoint sets of pairs: "A", "B" or "test".
type Split struct {
	Name  string `json:"name"`
	Pairs []Pair `json:"pairs"`
}

// Turn is a question q and its answer h.
type Turn struct {
	Question string `json:"question"`
	Answer   string `json:"answer"`
}

// Conversation is s_ij^c = [q1, h1, …, qk, hk]: the c-th simulated dialogue of a pair.
// A dropped conversation is data too: Outcome says why it ended.
type Conversation struct {
	Pair    string  `json:"pair"`   // Pair.Key
	Sample  int     `json:"sample"` // c, from 0
	Turns   []Turn  `json:"turns"`
	Outcome Outcome `json:"outcome"`
	Redrawn []Flaw  `json:"redrawn,omitempty"` // flaws of turns that were thrown away and drawn again
}

// Outcome is "complete", or the flaw for which the conversation was dropped.
type Outcome string

// Complete marks a conversation that ended with an answer, as every one should.
const Complete Outcome = "complete"

// Scored is a conversation with the log-probability of its pair's gold response under
// Q_BASE.
type Scored struct {
	Conversation
	LogProb float64 `json:"logprob"` // nats, summed over the gold's tokens
	Tokens  int     `json:"tokens"`  // of the gold
}

// Candidates are all conversations of one pair with the chosen ones: what selection saw.
type Candidates struct {
	Pair    Pair           `json:"pair"`
	Scored  []Scored       `json:"scored"`  // complete conversations, by sample
	Dropped []Conversation `json:"dropped"` // the others
	Best    []int          `json:"best"`    // indices into Scored, best first; empty if all were dropped
}

// Selected is a chosen conversation s*_ij with the response to train on: r_ij, or the gold.
type Selected struct {
	Pair     Pair    `json:"pair"`
	Best     Scored  `json:"best"`
	Response string  `json:"response"` // empty without regularisation
	Outcome  Outcome `json:"outcome"`  // complete, or why the response cannot be trained on
}

// ErrData marks data that Algorithm 1 must not run on; the text names the item.
var ErrData = errors.New("data")

// Validate checks a split: nothing empty, no pair twice.
func (s Split) Validate() error {
	if len(s.Pairs) == 0 {
		return fmt.Errorf("%w: split %s has no pairs", ErrData, s.Name)
	}
	seen := make(map[string]bool, len(s.Pairs))
	for _, p := range s.Pairs {
		for _, f := range []struct{ what, text string }{
			{"task", p.Task.Text}, {"persona", p.Persona.Text}, {"persona name", p.Persona.Name}, {"gold response", p.Gold},
		} {
			if strings.TrimSpace(f.text) == "" {
				return fmt.Errorf("%w: split %s, pair %s: the %s is empty", ErrData, s.Name, p.Key(), f.what)
			}
		}
		if seen[p.Key()] {
			return fmt.Errorf("%w: split %s holds pair %s twice", ErrData, s.Name, p.Key())
		}
		seen[p.Key()] = true
	}
	return nil
}

// CheckDisjoint reports the first task wording or persona that two splits share. The
// authors' own data shares three tasks between A and B.
func CheckDisjoint(splits ...Split) error {
	tasks, personas := map[string]string{}, map[string]string{}
	for _, s := range splits {
		for _, p := range s.Pairs {
			for _, c := range []struct {
				seen       map[string]string
				what, text string
			}{{tasks, "task", p.Task.Text}, {personas, "persona", p.Persona.Text}} {
				key := strings.Join(strings.Fields(strings.ToLower(c.text)), " ")
				if other, ok := c.seen[key]; ok && other != s.Name {
					return fmt.Errorf("%w: splits %s and %s share a %s: %q", ErrData, other, s.Name, c.what, c.text)
				}
				c.seen[key] = s.Name
			}
		}
	}
	return nil
}
