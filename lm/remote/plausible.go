package remote

import (
	"errors"
	"fmt"

	"stargate/lm"
)

// errCutShort: an answer is shorter than it should be. If it is the same each time, the server
// has a limit of its own (vLLM: max_new_tokens of the model's generation_config.json), and the
// answer is what the model says within it.
var errCutShort = errors.New("it is cut short")

// slack is by how many tokens servers stop short of their context.
const slack = 8

// plausible refuses an answer that no model gave: one that ended by itself without a token, or
// was cut short with room for more. A gateway or a server in trouble says such things with
// status 200. It can be told where every token is counted, the one that ends a turn too, and
// the context is known; of other servers an answer is taken as it is.
func (c *Client) plausible(q request, r reply) error {
	if r.billed == nil || r.Finish == "" {
		return nil
	}
	switch c.facts.Server {
	case VLLM, SGLang, Stargate:
	default:
		return nil
	}
	in, out := r.billed.PromptTokens, r.billed.CompletionTokens
	switch {
	case r.Finish == lm.FinishStop && out == 0:
		return fmt.Errorf("%w: it ends without a token, not even the one that ends a turn", ErrGarbage)
	case r.Finish == lm.FinishLength && in+out+slack < c.facts.MaxLength && (q.send == 0 || out < q.send) && int64(out) != c.counts.limit.Load():
		return fmt.Errorf("%w: %w: %d tokens of at most %d, in a context of %d with %d in the prompt", ErrGarbage, errCutShort, out, q.send, c.facts.MaxLength, in)
	}
	return nil
}
