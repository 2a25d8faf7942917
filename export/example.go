package export

import (
	"errors"
	"fmt"
	"math"

	"stargate/lm"
	"stargate/lm/local"
)

// Schema names the form of a line; docs/example.schema.json describes it.
const Schema = "stargate.example.v1"

// Example is one training example as it is kept: what was said, in which tokens, and how much
// each of them counts in the loss.
type Example struct {
	Schema     string     `json:"schema"`
	Key        string     `json:"key"` // names the example in errors and orders shuffles; no two in a file
	Messages   lm.Chat    `json:"messages"`
	Loss       []int      `json:"loss"`      // indices of the assistant messages that are trained, ascending
	IDs        []int32    `json:"input_ids"` // the whole conversation in the model's template
	Weights    []float32  `json:"weights"`   // of predicting each token from those before it; 0 = not trained
	Provenance Provenance `json:"provenance"`
}

// Provenance is where an example comes from. Digests are SHA-256, in hexadecimal.
type Provenance struct {
	Origin    *Origin `json:"origin,omitempty"`    // the conversation of a run; nil = of elsewhere
	Model     string  `json:"model,omitempty"`     // of the base model of the run
	Tokenizer string  `json:"tokenizer"`           // of the tokenizer.json that made the ids
	Template  string  `json:"template"`            // of the chat template that made them
	Weighting string  `json:"weighting,omitempty"` // how weights were chosen; "" = 1 for every trained token
	Version   string  `json:"version,omitempty"`   // of this program
}

// Origin is the selected conversation s*_ij that an example was made of (Algorithm 1, lines 4
// and 5).
type Origin struct {
	Run       string  `json:"run"`         // name of the experiment
	Identity  string  `json:"identity"`    // of the run: digest of all that determines its result
	Iteration int     `json:"iteration"`   // from 1
	Split     string  `json:"split"`       // "A" or "B"
	Pair      string  `json:"pair"`        // task and persona
	Sample    int     `json:"sample"`      // of the pair's simulations, from 0
	Score     float64 `json:"score"`       // log p(gold | task, conversation) under the base model, in nats
	GoldToks  int     `json:"gold_tokens"` // that the score is the sum over
	Margin    float64 `json:"margin"`      // score above the mean of the pair's conversations, per gold token
}

// Encode makes an example of a conversation. All its trained tokens get the same weight, above
// 0. It fails with [lm.ErrNoLoss] where there would be none.
func Encode(t *local.Text, e lm.Example, weight float64, p Provenance) (Example, error) {
	if w := float32(weight); !(w > 0) || math.IsInf(float64(w), 0) {
		return Example{}, fmt.Errorf("example %q: weight %g, want a number above 0", e.Key, weight)
	}
	ids, mask, err := t.Encode(e.Messages, e.Loss)
	if err != nil {
		return Example{}, fmt.Errorf("example %q: %w", e.Key, err)
	}
	p.Tokenizer, p.Template = t.TokenizerDigest(), t.TemplateDigest()
	out := Example{Schema: Schema, Key: e.Key, Messages: e.Messages, Loss: e.Loss, IDs: ids, Weights: make([]float32, len(ids)), Provenance: p}
	for i, on := range mask {
		if on {
			out.Weights[i] = float32(weight)
		}
	}
	if err := out.validate(); err != nil {
		return Example{}, fmt.Errorf("example %q: %w", e.Key, err)
	}
	if out.Trained() == 0 {
		return Example{}, fmt.Errorf("example %q: %w", e.Key, lm.ErrNoLoss)
	}
	return out, nil
}

// Trained is the number of tokens with a weight.
func (e Example) Trained() int {
	n := 0
	for _, w := range e.Weights {
		if w != 0 {
			n++
		}
	}
	return n
}

// Uniform tells whether every weight is 0 or 1: what a mask can say.
func (e Example) Uniform() bool {
	for _, w := range e.Weights {
		if w != 0 && w != 1 {
			return false
		}
	}
	return true
}

// validate checks the form of an example, whatever tokenizer made it. Whether it is fit to
// train on is [Audit]'s question.
func (e Example) validate() error {
	switch {
	case e.Schema != Schema:
		return fmt.Errorf("the schema is %q, this program knows %q", e.Schema, Schema)
	case e.Key == "":
		return errors.New("the key is empty")
	case len(e.Messages) == 0:
		return errors.New("there are no messages")
	case len(e.IDs) == 0:
		return errors.New("there are no tokens")
	case e.Provenance.Tokenizer == "" || e.Provenance.Template == "":
		return errors.New("the provenance does not say which tokenizer and which template made the tokens")
	case len(e.Weights) != len(e.IDs):
		return fmt.Errorf("%d weights for %d tokens", len(e.Weights), len(e.IDs))
	}
	for i, m := range e.Messages {
		if m.Role != lm.System && m.Role != lm.User && m.Role != lm.Assistant {
			return fmt.Errorf("message %d has the role %q; known are system, user and assistant", i, m.Role)
		}
	}
	last := -1
	for _, i := range e.Loss {
		if i <= last {
			return fmt.Errorf("loss names message %d after %d; the indices must ascend", i, last)
		}
		if i >= len(e.Messages) || e.Messages[i].Role != lm.Assistant {
			return fmt.Errorf("loss names message %d of %d, which is not an assistant message", i, len(e.Messages))
		}
		last = i
	}
	for i, w := range e.Weights {
		if !(w >= 0) || math.IsInf(float64(w), 0) {
			return fmt.Errorf("weight %d is %g, want a number from 0", i, w)
		}
		if e.IDs[i] < 0 {
			return fmt.Errorf("token %d is %d, want an id from 0", i, e.IDs[i])
		}
	}
	return nil
}
