package remote

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"

	"stargate/lm"
)

// ErrAudit: the server's scores must not be used. The text names the check and the pair that
// failed, by how much, and what that probably means.
var ErrAudit = errors.New("the scoring audit failed")

// AuditOptions say how strict an audit is.
type AuditOptions struct {
	// Tolerance is how far two scores of the same text may be apart, in nats per token: a sum
	// over n tokens may differ by Tolerance·(n+5). 0 is the default for the kind of server:
	// none at all for stargate serve, whose scores do not depend on their company, and 0.02 for
	// others, which compute in 16 bits and in another order when they batch.
	Tolerance float64
	// Exact wants equal bits, whatever Tolerance says.
	Exact bool
	// Reference scores the same model by other means, such as the embedded engine with the same
	// weights. nil: without.
	Reference lm.Scorer
	// ReferenceTolerance is Tolerance for the comparison with Reference (default 0.05: other
	// code, other precision).
	ReferenceTolerance float64
}

// Audit is what an audit found.
type Audit struct {
	Facts     Facts       `json:"facts"`
	Tolerance float64     `json:"tolerance"` // nats per token
	Pairs     []AuditPair `json:"pairs"`
	Checks    []Check     `json:"checks"`
}

// AuditPair is one of the eight pairs with its score.
type AuditPair struct {
	Name   string  `json:"name"`
	Prompt int     `json:"prompt"` // tokens
	Target int     `json:"target"` // tokens
	Sum    float64 `json:"sum"`    // nats, scored alone in the first way
}

// Check is one comparison over all pairs.
type Check struct {
	Name     string  `json:"name"`
	What     string  `json:"what"`
	Result   Result  `json:"result"`
	Pair     string  `json:"pair,omitempty"`     // where the difference is largest, or what failed
	Compared int     `json:"compared,omitempty"` // scores that were compared; 0: the check is not about numbers
	Largest  float64 `json:"largest"`            // difference of two sums, in nats
	Allowed  float64 `json:"allowed"`            // there
	Why      string  `json:"why,omitempty"`      // it failed, or was left out
}

// Result is how a check ended.
type Result string

// The results. NotOffered is no failure: the server has no second way.
const (
	Passed     Result = "ok"
	Failure    Result = "FAILED"
	NotOffered Result = "not offered"
)

// auditor is an audit under way.
type auditor struct {
	c         *Client
	o         AuditOptions
	out       Audit
	sequences []sequence
	scores    [][]float64 // of the first pass
}

// Audit scores eight pairs in several ways that have to agree: one at a time, again, all in
// one request, all at once in another order, in the second way of the server if it has one,
// and against what the server said while it drew text. It also checks that the tokens are
// those of the answer and nothing else, and that generation reads the same prompt.
//
// A server that cannot score is lm.ErrCannotScore. A failed check is ErrAudit; the Audit then
// holds all checks. It makes about sixty requests, one of eight texts each at most.
// Of several servers each is audited, and all have to give the same scores within the
// tolerance; the Audit is the first one's, or that of the one that failed.
func (c *Client) Audit(ctx context.Context, o AuditOptions) (Audit, error) {
	if o.Tolerance == 0 && c.facts.Server == Stargate {
		o.Exact = true
	}
	set(&o.Tolerance, 0.02)
	set(&o.ReferenceTolerance, 0.05)
	if o.Exact {
		o.Tolerance = 0
	}
	var first Audit
	for i, one := range c.each() {
		a, err := one.audit(ctx, o)
		if err != nil {
			return a, err
		}
		if i == 0 {
			first = a
		} else if err := first.Same(a); err != nil {
			return a, fmt.Errorf("%s and %s: %w", c.role.Addresses()[0], c.role.Addresses()[i], err)
		}
	}
	return first, nil
}

func (c *Client) audit(ctx context.Context, o AuditOptions) (Audit, error) {
	a := &auditor{c: c, o: o, out: Audit{Facts: c.facts, Tolerance: o.Tolerance}}
	if err := c.CanScore(); err != nil {
		return a.out, err
	}
	for _, step := range []func(context.Context) error{
		a.boundary, a.template, a.single, a.again, a.batched, a.permuted, a.secondWay, a.drawn, a.reference,
	} {
		if err := step(ctx); err != nil {
			return a.out, fmt.Errorf("audit: %w", err)
		}
		if len(a.sequences) < len(auditPairs) {
			break // without tokens there is nothing to compare
		}
	}
	if f := a.out.failed(); f != nil {
		return a.out, fmt.Errorf("%w: %s", ErrAudit, f)
	}
	return a.out, nil
}

// failed is the first check that failed, nil if none did.
func (a *Audit) failed() *Check {
	if i := slices.IndexFunc(a.Checks, func(c Check) bool { return c.Result == Failure }); i >= 0 {
		return &a.Checks[i]
	}
	return nil
}

// String says what failed.
func (c *Check) String() string {
	var b strings.Builder
	b.WriteString(c.Name)
	if c.Pair != "" {
		fmt.Fprintf(&b, ", pair %q", c.Pair)
	}
	if c.Largest > 0 {
		fmt.Fprintf(&b, ": two scores differ by %.4g nats, %.4g are allowed", c.Largest, c.Allowed)
	}
	if c.Why != "" {
		b.WriteString(": " + c.Why)
	}
	return b.String()
}

// fail notes a failed check. An error that is not the server's word ends the audit.
func (a *auditor) fail(c Check, err error) error {
	if !answered(err) && !errors.Is(err, lm.ErrContextLength) && !errors.Is(err, ErrWrongModel) {
		return err
	}
	if errors.Is(err, lm.ErrContextLength) {
		err = fmt.Errorf("%w: a run's prompts are longer than these: serve the model with a longer context", err)
	}
	c.Result, c.Why = Failure, err.Error()
	a.out.Checks = append(a.out.Checks, c)
	return nil
}

func (a *auditor) pass(c Check) error {
	c.Result = Passed
	a.out.Checks = append(a.out.Checks, c)
	return nil
}

func (a *auditor) skip(c Check, why string) error {
	c.Result, c.Why = NotOffered, why
	a.out.Checks = append(a.out.Checks, c)
	return nil
}

// boundary checks the tokens of every pair: they are the prompt's and then the answer's, they
// read back as the answer, and there is no end of the turn among them.
func (a *auditor) boundary(ctx context.Context) error {
	check := Check{Name: "boundary", What: "the scored tokens are the answer, all of it and nothing else"}
	for _, p := range auditPairs {
		check.Pair = p.key
		s, err := a.c.sequence(ctx, p.chat, p.target)
		if err != nil {
			return a.fail(check, err)
		}
		text, err := a.c.encoder.decode(ctx, s.target())
		if err != nil {
			return a.fail(check, err)
		}
		if got, want := strings.TrimSpace(text), strings.TrimSpace(p.target); got != want {
			return a.fail(check, fmt.Errorf("%w: the tokens to be scored read %q, the answer is %q: %s", ErrScore, got, want, misread(got, want)))
		}
		whole, err := a.c.encoder.whole(ctx, append(slices.Clip(p.chat), lm.Message{Role: lm.Assistant, Content: p.target}))
		if err != nil {
			return a.fail(check, err)
		}
		if slices.Equal(whole, s.ids) && len(a.c.facts.ends) > 0 {
			return a.fail(check, fmt.Errorf("%w: with and without an open end the chat has the same %d tokens: the end of the turn is counted", ErrScore, len(whole)))
		}
		a.sequences = append(a.sequences, s)
		a.out.Pairs = append(a.out.Pairs, AuditPair{Name: p.key, Prompt: s.from, Target: len(s.target())})
	}
	check.Pair = ""
	return a.pass(check)
}

func misread(got, want string) string {
	switch {
	case strings.HasPrefix(got, want):
		return "what stands behind the answer (the end of the turn) is counted"
	case strings.HasSuffix(got, want):
		return "the end of the prompt is counted: the boundary is shifted"
	case strings.HasSuffix(want, got):
		return "the beginning of the answer is left out: the boundary is shifted"
	case strings.HasPrefix(want, got):
		return "the end of the answer is left out"
	}
	return "the tokenizer is not that of the model, or changes texts"
}

// template checks that generation reads the prompt that scoring reads.
func (a *auditor) template(ctx context.Context) error {
	check := Check{Name: "template", What: "generating and scoring read the same prompt"}
	if a.c.facts.Server == TRL {
		return a.skip(check, "the server takes token ids only")
	}
	for i, p := range auditPairs[:3] {
		check.Pair = p.key
		q, err := a.c.chatRequest(p.chat, lm.Sampling{MaxTokens: 1}, false)
		if err != nil {
			return err
		}
		r, err := a.c.ask(ctx, q)
		if err != nil {
			return a.fail(check, err)
		}
		s := a.sequences[i]
		told, err := list32(r.prompt)
		switch {
		case err != nil:
			return a.fail(check, fmt.Errorf("%w: prompt_token_ids: %w", ErrGarbage, err))
		case told != nil && !slices.Equal(told, s.ids[:s.from]):
			return a.fail(check, fmt.Errorf("%w: the chat route makes other tokens of the chat (%d) than %s (%d): they use different templates or template settings", ErrScore, len(told), a.c.encoder.name(), s.from))
		case told == nil && r.billed != nil && r.billed.PromptTokens != s.from:
			return a.fail(check, fmt.Errorf("%w: the chat route counts %d tokens in the chat, %s %d: they use different templates or template settings", ErrScore, r.billed.PromptTokens, a.c.encoder.name(), s.from))
		case told == nil && r.billed == nil:
			return a.skip(check, "the server tells neither the prompt's tokens nor their number")
		}
	}
	check.Pair = ""
	return a.pass(check)
}

// single scores one pair at a time: what the other passes are compared with.
func (a *auditor) single(ctx context.Context) error {
	check := Check{Name: "single", What: "each pair scored alone, by " + a.c.scorings[0].name}
	scores := make([][]float64, len(a.sequences))
	for i, s := range a.sequences {
		r, err := a.c.score(ctx, a.c.scorings[0], []sequence{s})
		if err != nil {
			check.Pair = a.out.Pairs[i].Name
			return a.fail(check, err)
		}
		scores[i] = r.scores[0]
		a.out.Pairs[i].Sum = sum(s, scores[i]).Sum
	}
	a.scores = scores
	return a.pass(check)
}

// again repeats the first pass: now prefixes are cached.
func (a *auditor) again(ctx context.Context) error {
	return a.pairwise(ctx, Check{Name: "again", What: "each pair scored alone once more, when its prefix may be cached"}, a.c.scorings[0])
}

// secondWay scores by other means of the same server.
func (a *auditor) secondWay(ctx context.Context) error {
	check := Check{Name: "second way", What: "scored by other means of the server"}
	if len(a.c.scorings) < 2 {
		if why := a.c.facts.Unusable; len(why) > 0 {
			return a.skip(check, why[0])
		}
		return a.skip(check, "the server has only one way to score")
	}
	check.What = "scored by " + a.c.scorings[1].name
	return a.pairwise(ctx, check, a.c.scorings[1])
}

func (a *auditor) pairwise(ctx context.Context, check Check, way scoring) error {
	if a.scores == nil {
		return nil // single has failed and said why
	}
	got := make([][]float64, len(a.sequences))
	for i, s := range a.sequences {
		r, err := a.c.score(ctx, way, []sequence{s})
		if err != nil {
			check.Pair = a.out.Pairs[i].Name
			return a.fail(check, err)
		}
		got[i] = r.scores[0]
	}
	return a.compare(check, got)
}

// batched scores all pairs in one request, where there is such a thing.
func (a *auditor) batched(ctx context.Context) error {
	check := Check{Name: "batched", What: "all pairs in one request"}
	if a.scores == nil {
		return nil
	}
	if !a.c.scorings[0].batch {
		return a.skip(check, "a request holds one text")
	}
	r, err := a.c.score(ctx, a.c.scorings[0], a.sequences)
	if err != nil {
		return a.fail(check, err)
	}
	return a.compare(check, r.scores)
}

// permuted scores all pairs at the same time in another order, as a run does.
func (a *auditor) permuted(ctx context.Context) error {
	check := Check{Name: "permuted", What: "all pairs at once, in another order"}
	if a.scores == nil {
		return nil
	}
	got, errs := make([][]float64, len(a.sequences)), make([]error, len(a.sequences))
	var g errgroup.Group
	for _, i := range permutation {
		g.Go(func() error {
			r, err := a.c.score(ctx, a.c.scorings[0], []sequence{a.sequences[i]})
			if err == nil {
				got[i] = r.scores[0]
			}
			errs[i] = err
			return nil
		})
	}
	_ = g.Wait() // the errors are in errs
	for i, err := range errs {
		if err != nil {
			check.Pair = a.out.Pairs[i].Name
			return a.fail(check, err)
		}
	}
	return a.compare(check, got)
}

// compare holds scores of all pairs to those of the first pass.
func (a *auditor) compare(check Check, got [][]float64) error {
	names := make([]string, len(a.out.Pairs))
	for i, p := range a.out.Pairs {
		names[i] = p.Name
	}
	a.out.Checks = append(a.out.Checks, judge(check, names, got, a.scores, a.o.Tolerance))
	return nil
}

// reference compares with another scorer of the same model.
func (a *auditor) reference(ctx context.Context) error {
	if a.o.Reference == nil || a.scores == nil {
		return nil
	}
	check := Check{Name: "reference", What: "scored by an independent program with the same weights"}
	got := make([][]float64, len(a.sequences))
	names := make([]string, len(a.sequences))
	for i, p := range auditPairs {
		check.Pair, names[i] = p.key, p.key
		l, err := a.o.Reference.LogProb(ctx, p.chat, p.target)
		if err != nil {
			return fmt.Errorf("the reference: %w", err)
		}
		ids := make([]int32, len(l.Tokens))
		for k, t := range l.Tokens {
			ids[k] = t.ID
			got[i] = append(got[i], t.LogProb)
		}
		if !slices.Equal(ids, a.sequences[i].target()) {
			return a.fail(check, fmt.Errorf("%w: the reference has other tokens for the answer (%d, the server %d): it is another model, or another tokenizer", ErrScore, len(ids), len(a.sequences[i].target())))
		}
	}
	// The server's values are on trial, the reference's are what they should be.
	a.out.Checks = append(a.out.Checks, judge(check, names, a.scores, got, a.o.ReferenceTolerance))
	return nil
}

// Same says whether two audits are of the same model: the same tokens, and scores within the
// wider of the two tolerances. A run that goes on finds out with it that the server has got
// other weights under the old name.
func (a Audit) Same(b Audit) error {
	if len(a.Pairs) != len(b.Pairs) {
		return fmt.Errorf("%w: %d pairs against %d", ErrAudit, len(a.Pairs), len(b.Pairs))
	}
	for i, p := range a.Pairs {
		q := b.Pairs[i]
		if p.Prompt != q.Prompt || p.Target != q.Target {
			return fmt.Errorf("%w: pair %q has %d and %d tokens now, %d and %d before: the server has another tokenizer or chat template under the name %s", ErrAudit, q.Name, q.Prompt, q.Target, p.Prompt, p.Target, b.Facts.Model)
		}
		if allowed := max(a.Tolerance, b.Tolerance, 0.02) * float64(p.Target+5); math.Abs(p.Sum-q.Sum) > allowed {
			return fmt.Errorf("%w: pair %q scores %.4f now and %.4f before: the server has other weights under the name %s", ErrAudit, q.Name, q.Sum, p.Sum, b.Facts.Model)
		}
	}
	return nil
}
