package shard

import (
	"cmp"
	"fmt"
	"slices"

	"stargate"
	"stargate/ledger"
)

// Turn is a question and its answer.
type Turn struct {
	Question string `parquet:"question"`
	Answer   string `parquet:"answer"`
}

// Conversation is a row: one simulated dialogue of a pair, complete or dropped, with what
// selection and the response made of it. Texts that are no UTF-8 are escaped as in the
// ledger on Postgres.
type Conversation struct {
	Iteration       int32    `parquet:"iteration"` // η, from 1
	Split           string   `parquet:"split,dict"`
	Task            string   `parquet:"task,dict"`    // id
	Persona         string   `parquet:"persona,dict"` // id
	Sample          int32    `parquet:"sample"`       // c, from 0
	Outcome         string   `parquet:"outcome,dict"` // "complete", or why it was dropped
	Turns           []Turn   `parquet:"turns,list"`
	Redrawn         []string `parquet:"redrawn,list"`                   // flaws of turns that were drawn again
	LogProb         *float64 `parquet:"logprob,optional"`               // of the gold response, in nats; of complete ones
	GoldTokens      *int32   `parquet:"gold_tokens,optional"`           // that it is summed over
	Rank            *int32   `parquet:"rank,optional"`                  // 0 = the pair's best; NULL = not chosen
	Response        *string  `parquet:"response,optional"`              // of chosen ones: what to train on after it
	ResponseOutcome *string  `parquet:"response_outcome,dict,optional"` // "complete", or why it cannot be trained on
}

// Conversations are the rows of one pair, ordered by sample.
func Conversations(iteration int, split string, c stargate.Candidates, selected []stargate.Selected) []Conversation {
	row := func(s stargate.Conversation) Conversation {
		r := Conversation{Iteration: int32(iteration), Split: split, Task: c.Pair.Task.ID, Persona: c.Pair.Persona.ID, Sample: int32(s.Sample), Outcome: string(s.Outcome)}
		for _, t := range s.Turns {
			r.Turns = append(r.Turns, Turn{ledger.EscapeText(t.Question), ledger.EscapeText(t.Answer)})
		}
		for _, f := range s.Redrawn {
			r.Redrawn = append(r.Redrawn, string(f))
		}
		return r
	}
	var rows []Conversation
	for _, s := range c.Scored {
		r := row(s.Conversation)
		r.LogProb, r.GoldTokens = new(s.LogProb), new(int32(s.Tokens))
		rows = append(rows, r)
	}
	for rank, i := range c.Best {
		rows[i].Rank = new(int32(rank))
	}
	for _, sel := range selected {
		for i := range rows {
			if rows[i].Sample == int32(sel.Best.Sample) {
				rows[i].Response, rows[i].ResponseOutcome = new(ledger.EscapeText(sel.Response)), new(string(sel.Outcome))
			}
		}
	}
	for _, s := range c.Dropped {
		rows = append(rows, row(s))
	}
	slices.SortFunc(rows, func(a, b Conversation) int { return cmp.Compare(a.Sample, b.Sample) })
	return rows
}

// Candidates is the inverse of Conversations: what the rows of one pair were made from.
func Candidates(pair stargate.Pair, rows []Conversation) (c stargate.Candidates, selected []stargate.Selected, err error) {
	c.Pair = pair
	type chosen struct {
		rank int32
		at   int
		row  Conversation
	}
	var best []chosen
	for _, r := range rows {
		if r.Task != pair.Task.ID || r.Persona != pair.Persona.ID {
			return c, nil, fmt.Errorf("shards: pair %s: a row is of pair %s/%s", pair.Key(), r.Task, r.Persona)
		}
		s := stargate.Conversation{Pair: pair.Key(), Sample: int(r.Sample), Outcome: stargate.Outcome(r.Outcome)}
		for _, t := range r.Turns {
			s.Turns = append(s.Turns, stargate.Turn{Question: ledger.UnescapeText(t.Question), Answer: ledger.UnescapeText(t.Answer)})
		}
		for _, f := range r.Redrawn {
			s.Redrawn = append(s.Redrawn, stargate.Flaw(f))
		}
		if r.LogProb == nil || r.GoldTokens == nil {
			c.Dropped = append(c.Dropped, s)
			continue
		}
		if r.Rank != nil {
			best = append(best, chosen{*r.Rank, len(c.Scored), r})
		}
		c.Scored = append(c.Scored, stargate.Scored{Conversation: s, LogProb: *r.LogProb, Tokens: int(*r.GoldTokens)})
	}
	slices.SortFunc(best, func(a, b chosen) int { return cmp.Compare(a.rank, b.rank) })
	for _, b := range best {
		c.Best = append(c.Best, b.at)
		if b.row.Response != nil && b.row.ResponseOutcome != nil {
			selected = append(selected, stargate.Selected{Pair: pair, Best: c.Scored[b.at], Response: ledger.UnescapeText(*b.row.Response), Outcome: stargate.Outcome(*b.row.ResponseOutcome)})
		}
	}
	return c, selected, nil
}
