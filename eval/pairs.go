package eval

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"maps"
	"slices"
	"strings"

	"stargate"
	"stargate/eval/judge"
)

// PairRecord is what an evaluation measured on one pair of the test split: a line of
// pairs.jsonl. From these lines all numbers of report.json can be made again, and two runs
// can be compared pair by pair.
type PairRecord struct {
	Pair    string        `json:"pair"`
	Task    string        `json:"task"`
	Persona string        `json:"persona"`
	Digest  string        `json:"digest"` // of the texts of task, persona and gold: the same digest is the same item in another run
	Turns   int           `json:"turns"`  // length of its conversations
	Tokens  int           `json:"tokens"` // of the gold; 0 where no conversation was scored
	Neg     *float64      `json:"neg,omitempty"`
	Pos     *float64      `json:"pos,omitempty"`
	Models  []ModelRecord `json:"models"`
}

// ModelRecord is one model's part of a [PairRecord]. Log-probabilities are in nats.
type ModelRecord struct {
	Model     string        `json:"model"`
	LogProbs  []float64     `json:"logprobs"` // log p(gold) after each complete conversation
	Rand      *float64      `json:"rand,omitempty"`
	RandTop   *float64      `json:"rand_top1,omitempty"`
	Told      *float64      `json:"pos_qa,omitempty"`
	ToldTop   *float64      `json:"pos_qa_top1,omitempty"`
	Asked     int           `json:"asked"`              // questions in the complete conversations
	Relevant  int           `json:"relevant,omitempty"` // of these, relevant and new; 0 without a truth
	Redundant int           `json:"redundant,omitempty"`
	Verdict   judge.Verdict `json:"verdict,omitempty"` // against m0, where judged
}

// Compared is a pair whose responses were judged: a line of responses.jsonl.
type Compared struct {
	Pair      stargate.Pair            `json:"pair"`
	Turns     int                      `json:"turns"`
	Base      string                   `json:"base"`      // the model that all others are compared with
	Responses map[string]string        `json:"responses"` // by model; "" where there is none
	Ballots   map[string][]NamedBallot `json:"ballots"`   // by model
}

// NamedBallot is a judge's ballot.
type NamedBallot struct {
	Judge string `json:"judge"`
	judge.Ballot
}

// record makes the lines of pairs.jsonl and responses.jsonl.
func (e *Evaluation) record(in Input) {
	m0 := in.Models[0].Name
	for i, p := range in.Test.Pairs {
		r := PairRecord{Pair: p.Key(), Task: p.Task.ID, Persona: p.Persona.ID, Digest: Digest(p), Turns: in.turns(p),
			Neg: e.at(m0, Negative, All, i), Pos: e.at(m0, Positive, All, i)}
		for m, model := range in.Models {
			of := ModelRecord{Model: model.Name, LogProbs: []float64{},
				Rand: e.at(model.Name, QRandom, All, i), RandTop: e.at(model.Name, QRandom, Top1, i),
				Told: e.at(model.Name, PositiveExperiment, All, i), ToldTop: e.at(model.Name, PositiveExperiment, Top1, i)}
			for _, s := range e.Rated[m][i].Scored {
				of.LogProbs = append(of.LogProbs, s.LogProb)
				r.Tokens = s.Tokens
			}
			t := in.tally(e.Rated[m][i])
			of.Asked, of.Relevant, of.Redundant = t.asked, t.hit, t.redundant
			r.Models = append(r.Models, of)
		}
		e.Pairs = append(e.Pairs, r)
	}
	panel := in.panel()
	for _, c := range e.compared {
		p := in.Test.Pairs[c.pair]
		line := Compared{Pair: p, Turns: in.turns(p), Base: m0, Responses: map[string]string{}, Ballots: map[string][]NamedBallot{}}
		for m, model := range in.Models {
			line.Responses[model.Name] = c.responses[m]
			for j, b := range c.ballots[m] {
				line.Ballots[model.Name] = append(line.Ballots[model.Name], NamedBallot{panel[j].Name, b})
			}
		}
		e.Compared = append(e.Compared, line)
	}
	for m := range in.Models {
		if m == 0 || len(e.compared) == 0 {
			continue
		}
		pairs, verdicts := e.verdicts(in, m)
		for k, v := range verdicts {
			e.Pairs[pairs[k]].Models[m].Verdict = v
		}
	}
}

// JudgeRecords are the ballots of judged responses, model by model, for an audit of the
// judges. A comparison in which a response is missing is no judge's matter and left out.
func JudgeRecords(compared []Compared) []judge.Record {
	var out []judge.Record
	models := map[string]bool{}
	for _, c := range compared {
		for m := range c.Ballots {
			models[m] = true
		}
	}
	for _, m := range slices.SortedFunc(maps.Keys(models), func(a, b string) int { return cmp.Or(cmp.Compare(len(a), len(b)), cmp.Compare(a, b)) }) { // m2 before m10
		for _, c := range compared {
			response, base := c.Responses[m], c.Responses[c.Base]
			if response == "" || base == "" {
				continue
			}
			for _, b := range c.Ballots[m] {
				out = append(out, judge.Record{Pair: c.Pair.Key(), Task: c.Pair.Task.ID, Persona: c.Pair.Persona.ID, Model: m, Base: c.Base, Judge: b.Judge,
					Ballot: b.Ballot, WordsA: len(strings.Fields(response)), WordsB: len(strings.Fields(base))})
			}
		}
	}
	return out
}

// at is a cell's value for pair i, nil where it has none.
func (e *Evaluation) at(model, condition, subset string, i int) *float64 {
	c, ok := e.cells[cellKey{model, condition, subset}]
	if !ok || !c.ok[i] {
		return nil
	}
	return &c.value[i]
}

// Digest names the texts of a pair.
func Digest(p stargate.Pair) string {
	h := sha256.New()
	for _, s := range []string{p.Task.Text, p.Persona.Name, p.Persona.Text, p.Gold} {
		sum := sha256.Sum256([]byte(s))
		h.Write(sum[:])
	}
	return hex.EncodeToString(h.Sum(nil))[:16]
}
