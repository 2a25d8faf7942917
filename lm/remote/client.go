package remote

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"sync/atomic"

	"github.com/go-json-experiment/json/jsontext"

	"stargate/lm"
	"stargate/lm/remote/fleet"
)

// Client is a model behind HTTP: an [lm.Generator], and an [lm.Scorer] where its server can
// score. It is safe for concurrent use; one request per call is what it wants, the server
// batches.
type Client struct {
	role      Role
	facts     Facts
	transport Transport
	account   *Account
	end       func() // nil: the transport is the caller's
	log       *slog.Logger
	counts    *counts
	dialect   dialect
	encoder   encoder // nil: nothing turns chats into this model's tokens
	scorings  []scoring
	probed    sequence      // of the probe
	adapter   string        // LoRA adapter by name, "" for the base model
	density   *atomic.Int64 // tokens per 1024 bytes of text, at most, as seen; 0: none seen yet
	completed *atomic.Bool  // hosted: the server wants max_completion_tokens
}

var (
	_ lm.Generator = (*Client)(nil)
	_ lm.Scorer    = (*Client)(nil)
)

// Options are what a client needs besides its role.
type Options struct {
	Name      string    // who plays the role, for errors: "scorer"
	Transport Transport // nil: a fleet for the role ([Role.Fleet]), which Close ends
	Account   *Account  // nil: nothing is limited or counted
	Getenv    func(string) string
	Log       *slog.Logger // nil: silent
}

// Open asks the server what it is and what it can do, and makes a client for it. It fails
// when the server cannot be reached, does not accept the key, or does not have the model; of
// several servers, each is asked, and all have to be the same. Scores are not trusted yet: see
// [Client.Audit]. Close the client when done.
func Open(ctx context.Context, r Role, o Options) (*Client, error) {
	if err := r.Validate(); err != nil {
		return nil, err
	}
	if o.Getenv == nil {
		o.Getenv = os.Getenv
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	set(&o.Name, "remote")
	c := &Client{role: r.withDefaults(), transport: o.Transport, account: o.Account, log: o.Log,
		counts: new(counts), density: new(atomic.Int64), completed: new(atomic.Bool)}
	if c.transport == nil {
		settings, err := r.Fleet(o.Name, o.Getenv)
		if err != nil {
			return nil, err
		}
		settings.Log = o.Log
		f, err := fleet.New(settings)
		if err != nil {
			return nil, fmt.Errorf("%w: %w", ErrRole, err)
		}
		c.transport, c.end = f, f.Close
	}
	if err := c.probeAll(ctx); err != nil {
		c.Close()
		return nil, err
	}
	if t, ok := c.transport.(limited); ok && r.Concurrency == 0 && c.facts.atOnce > 0 {
		t.Limit(c.facts.atOnce)
	}
	return c, nil
}

// Probe asks a server what it is and what it can do, for people who only look.
func Probe(ctx context.Context, r Role, o Options) (Facts, error) {
	c, err := Open(ctx, r, o)
	if err != nil {
		return Facts{}, err
	}
	defer c.Close()
	return c.facts, nil
}

// Close ends the transport that Open made.
func (c *Client) Close() {
	if c.end != nil {
		c.end()
	}
}

// Stats says what the fleet that Open made did so far; ok is false for a transport of the
// caller's own.
func (c *Client) Stats() (s fleet.Stats, ok bool) {
	f, ok := c.transport.(*fleet.Fleet)
	if !ok {
		return s, false
	}
	return f.Stats(), true
}

// probeAll probes each server; what the first one says holds for all, if the others agree.
func (c *Client) probeAll(ctx context.Context) error {
	for i, one := range c.each() {
		if err := one.probe(ctx); err != nil {
			return err
		}
		if i == 0 {
			c.role, c.facts, c.dialect, c.scorings = one.role, one.facts, one.dialect, one.scorings
			c.encoder = one.encoder
			if _, ok := c.encoder.(serverEncoder); ok {
				c.encoder = serverEncoder{c}
			}
			continue
		}
		if a, b := c.facts, one.facts; a.Server != b.Server || a.Model != b.Model || a.MaxLength != b.MaxLength || a.Revision != b.Revision || a.Template != b.Template || !slices.Equal(a.Scoring, b.Scoring) {
			return fmt.Errorf("%w: urls: %s and %s are not the same: %s and %s", ErrRole, c.role.Addresses()[0], c.role.Addresses()[i], a.brief(), b.brief())
		}
	}
	return nil
}

// each is a client of each server by itself.
func (c *Client) each() []*Client {
	all, ok := c.transport.(several)
	if !ok {
		return []*Client{c}
	}
	var out []*Client
	for _, s := range all.Each() {
		one := *c
		one.transport, one.end = s, nil
		if _, ok := one.encoder.(serverEncoder); ok {
			one.encoder = serverEncoder{&one}
		}
		out = append(out, &one)
	}
	return out
}

// Facts are what the probe found.
func (c *Client) Facts() Facts { return c.facts }

// Counts are the calls so far by outcome.
func (c *Client) Counts() Counts { return c.counts.read() }

// Generate implements [lm.Generator].
//
// Reasoning is no part of the text (see [Thinking]). Tokens are set where the server tells the
// ids it drew; they are never made from the text. Besides the errors of the interface there
// are those of this package; what a transport repeats was repeated.
func (c *Client) Generate(ctx context.Context, chat lm.Chat, s lm.Sampling) (lm.Completion, error) {
	r, err := c.generate(ctx, chat, s)
	if err != nil {
		c.counts.add(outcomeOf(err))
		return lm.Completion{}, fmt.Errorf("generate: %w", err)
	}
	switch {
	case r.Text == "" && r.Finish == lm.FinishStop:
		c.counts.add(Empty)
	case r.Finish == lm.FinishLength:
		c.counts.add(Truncated)
	default:
		c.counts.add(OK)
	}
	return r.Completion, nil
}

func (c *Client) generate(ctx context.Context, chat lm.Chat, s lm.Sampling) (reply, error) {
	if err := ctx.Err(); err != nil {
		return reply{}, err
	}
	if err := checkSampling(s); err != nil {
		return reply{}, err
	}
	if s.TopK > 0 && !c.dialect.topK && !c.omits("top_k") {
		return reply{}, fmt.Errorf("%w: %s does not heed top_k: leave it out of the sampling, or let the role omit it", ErrUnsupported, c.facts.Server)
	}
	q, err := c.request(ctx, chat, s)
	if err != nil {
		return reply{}, err
	}
	r, err := c.ask(ctx, q)
	if errors.Is(err, errMaxTokens) {
		c.completed.Store(true)
		if q, err = c.request(ctx, chat, s); err != nil {
			return reply{}, err
		}
		r, err = c.ask(ctx, q)
	}
	if errors.Is(err, lm.ErrContextLength) && s.MaxTokens > 0 && c.dialect.roomUnasked && c.role.Route == ChatRoute {
		// The prompt may fit, with less room behind it than was asked for. Then what fits is
		// less than MaxTokens, so no limit is the same limit.
		s.MaxTokens = 0
		whole, bad := c.request(ctx, chat, s)
		if bad != nil {
			return reply{}, bad
		}
		whole.out = q.out
		return c.ask(ctx, whole)
	}
	return r, err
}

// request is one question to the server: a generation, or a score.
type request struct {
	path    string
	body    []byte
	in, out int // tokens at most; in is an estimate where the ids are not known
	send    int // the limit that the request names, in tokens; 0: none
	text    int // bytes of text that in was estimated from; 0: it is exact
	parse   func(answer []byte) (reply, error)
}

// reply is an answer that was read.
type reply struct {
	lm.Completion
	logprobs []float64      // of Tokens, where they were asked for
	scores   [][]float64    // of each scored sequence's target
	prompt   jsontext.Value // ids of the prompt in JSON, where the server tells them: only audits read them
	billed   *lm.Usage      // nil: the server did not tell
	model    string         // who answered; "": it did not tell
}

// request builds the generation in the form of the role's API and route.
func (c *Client) request(ctx context.Context, chat lm.Chat, s lm.Sampling) (request, error) {
	switch {
	case c.role.API == Anthropic:
		return c.messagesRequest(chat, s)
	case c.role.Route == ChatRoute && c.facts.Server != TRL:
		return c.chatRequest(chat, s, false)
	}
	ids, err := c.promptIDs(ctx, chat)
	if err != nil {
		return request{}, err
	}
	if n := c.facts.MaxLength; n > 0 && len(ids) >= n {
		return request{}, fmt.Errorf("the prompt has %d tokens, room is for %d and a completion: %w", len(ids), n, lm.ErrContextLength)
	}
	return c.continuation(ids, s, false)
}

// continuation asks what follows token ids; with logprobs, also how probable it was.
func (c *Client) continuation(ids []int32, s lm.Sampling, logprobs bool) (request, error) {
	switch c.facts.Server {
	case SGLang:
		return c.sglangGenerate(ids, s, logprobs)
	case TRL:
		return c.trlGenerate(ids, s, logprobs)
	}
	return c.completionRequest(ids, s, logprobs)
}

func (c *Client) promptIDs(ctx context.Context, chat lm.Chat) ([]int32, error) {
	if c.encoder == nil {
		return nil, fmt.Errorf("%w: nothing turns a chat into token ids: the server has no /tokenize for messages; give the role a tokenizer directory, or route: chat", ErrUnsupported)
	}
	return c.encoder.prompt(ctx, chat)
}

// limit is the max_tokens to send, 0 for none, and the most tokens an answer may have.
func (c *Client) limit(s lm.Sampling, prompt int) (send, most int) {
	if s.MaxTokens > 0 {
		return s.MaxTokens, s.MaxTokens
	}
	if c.role.MaxTokens > 0 {
		return c.role.MaxTokens, c.role.MaxTokens
	}
	const usual = 4096
	if !c.dialect.roomUnasked {
		return usual, usual
	}
	if n := c.facts.MaxLength; n > 0 {
		return 0, max(1, n-prompt)
	}
	return 0, usual
}

func (c *Client) omits(field string) bool { return slices.Contains(c.role.Omit, field) }

// tries is how often an answer that is no good is asked for: of a server that fails one time
// in five, one call in three thousand fails.
const tries = 5

// ask makes a request until an answer is good, or not worth repeating.
func (c *Client) ask(ctx context.Context, q request) (reply, error) {
	short := "" // the text of the answers so far, if each was cut short there
	for try := 1; ; try++ {
		r, err := c.once(ctx, q)
		always := errors.Is(err, errCutShort) && r.Text != "" && (try == 1 || r.Text == short)
		short = ""
		if always {
			short = r.Text
		}
		var bad Outcome
		switch {
		case errors.Is(err, ErrGarbage), errors.Is(err, ErrWrongModel):
			bad = outcomeOf(err)
		case err == nil && q.out > 0 && r.Text == "" && r.Finish == lm.FinishStop && (c.facts.Server == Hosted || c.facts.Server == Claude):
			bad = Empty // a server that heeds seeds would say nothing again
		default:
			return r, err
		}
		if try == tries && always {
			c.counts.limit.Store(int64(r.billed.CompletionTokens))
			return r, nil
		}
		if try == tries {
			if err != nil {
				err = fmt.Errorf("%w (%d answers)", err, try)
			}
			return r, err
		}
		c.counts.again(bad)
		c.log.Debug("asking again", "path", q.path, "outcome", bad, "error", err)
	}
}

// once makes a request, pays for it and reads the answer.
func (c *Client) once(ctx context.Context, q request) (reply, error) {
	hold, err := c.account.Reserve(ctx, q.in, q.out)
	if err != nil {
		return reply{}, err
	}
	defer hold.Release()
	answer, _, err := c.transport.Post(ctx, q.path, q.body, q.in+q.out)
	if err != nil {
		if none, ok := errors.AsType[*NoAnswerError](err); ok && (none.Hung || none.Cut) {
			hold.Estimate() // it may have been billed
		}
		return reply{}, c.explain(err)
	}
	r, err := q.parse(answer)
	c.recycle(answer)
	if r.billed == nil {
		hold.Estimate()
	} else {
		hold.Settle(*r.billed)
		c.learn(q.text, r.billed.PromptTokens)
	}
	// An answer of another model is that above all, whatever else is wrong with it.
	if other := c.checkModel(r.model); other != nil {
		return r, other
	}
	if err == nil {
		err = c.plausible(q, r)
	}
	return r, err
}

// recycle gives the memory of an answer that was read back to the transport. What was read
// from it is a copy.
func (c *Client) recycle(answer []byte) {
	if t, ok := c.transport.(recycler); ok {
		t.Recycle(answer)
	}
}

// estimate is the most tokens that a chat is likely to have: a byte is a token at worst, and
// what was seen so far, with a fifth on top, once something was.
func (c *Client) estimate(chat lm.Chat) (tokens, bytes int) {
	for _, m := range chat {
		bytes += len(m.Content)
	}
	tokens = bytes
	if seen := c.density.Load(); seen > 0 {
		tokens = min(tokens, int(int64(bytes)*seen*6/5/1024))
	}
	return tokens + 16*len(chat) + 16, bytes
}

// learn notes how many tokens a text had.
func (c *Client) learn(bytes, tokens int) {
	if bytes <= 0 || tokens <= 0 {
		return
	}
	now := int64(tokens)*1024/int64(bytes) + 1
	for {
		seen := c.density.Load()
		if now <= seen || c.density.CompareAndSwap(seen, now) {
			return
		}
	}
}
