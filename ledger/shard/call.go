package shard

import (
	"fmt"

	"stargate/ledger"
	"stargate/lm"
)

// Call is a row: one settled model call with a result. Rows are ordered by key, each key
// once.
type Call struct {
	Key       [32]byte  `parquet:"key"`
	Model     string    `parquet:"model,dict"` // digest of the weights
	Kind      string    `parquet:"kind,dict"`  // generate | score
	TokensIn  int64     `parquet:"tokens_in"`
	TokensOut int64     `parquet:"tokens_out"`
	Finish    string    `parquet:"finish,dict"`      // generate: why the completion ended
	Text      string    `parquet:"text"`             // generate: the completion
	LogProb   *float64  `parquet:"logprob,optional"` // score: sum over the target's tokens, in nats
	Tokens    []int32   `parquet:"tokens,list"`      // ids of the completion or of the target
	LogProbs  []float64 `parquet:"logprobs,list"`    // score: of each token, in nats
}

func rowOfCall(c ledger.Call) Call {
	r := Call{Key: c.Key, Model: c.Model, Kind: string(c.Kind)}
	if c.Kind == ledger.Score {
		r.TokensIn, r.TokensOut = int64(c.LogProb.Usage.PromptTokens), int64(c.LogProb.Usage.CompletionTokens)
		r.LogProb = new(c.LogProb.Sum)
		for _, t := range c.LogProb.Tokens {
			r.Tokens, r.LogProbs = append(r.Tokens, t.ID), append(r.LogProbs, t.LogProb)
		}
		return r
	}
	r.TokensIn, r.TokensOut = int64(c.Completion.Usage.PromptTokens), int64(c.Completion.Usage.CompletionTokens)
	r.Finish, r.Text, r.Tokens = string(c.Completion.Finish), ledger.EscapeText(c.Completion.Text), c.Completion.Tokens
	return r
}

// call is what the row was made from, without the role that asked.
func (r Call) call() (ledger.Call, error) {
	c := ledger.Call{Key: r.Key, Model: r.Model, Kind: ledger.Kind(r.Kind)}
	usage := lm.Usage{PromptTokens: int(r.TokensIn), CompletionTokens: int(r.TokensOut)}
	if c.Kind != ledger.Score {
		c.Completion = lm.Completion{Text: ledger.UnescapeText(r.Text), Tokens: r.Tokens, Finish: lm.FinishReason(r.Finish), Usage: usage}
		return c, nil
	}
	if r.LogProb == nil || len(r.Tokens) != len(r.LogProbs) {
		return c, fmt.Errorf("call %s: %w: it is a score of %d tokens with %d log-probabilities", c.Key, ErrDamaged, len(r.Tokens), len(r.LogProbs))
	}
	c.LogProb = lm.LogProb{Sum: *r.LogProb, Usage: usage}
	for i, id := range r.Tokens {
		c.LogProb.Tokens = append(c.LogProb.Tokens, lm.TokenLogProb{ID: id, LogProb: r.LogProbs[i]})
	}
	return c, nil
}
