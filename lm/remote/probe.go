package remote

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"stargate/lm"
)

// Facts are what a server says of itself and what it was seen to do.
type Facts struct {
	Server    Server   `json:"server"`
	Version   string   `json:"version,omitempty"`
	Model     string   `json:"model"`              // the name in requests
	Root      string   `json:"root,omitempty"`     // where the server says that it got the model
	Revision  string   `json:"revision,omitempty"` // of the weights, where the server tells: a commit, a digest, a snapshot's name
	MaxLength int      `json:"max_length,omitempty"`
	Served    []string `json:"served,omitempty"` // all models of the server

	Encoder  string   `json:"encoder,omitempty"`  // what turns chats into tokens
	Template string   `json:"template,omitempty"` // digest of the tokens of some chats: another template or tokenizer has another
	Scoring  []string `json:"scoring,omitempty"`  // ways to score that gave an answer, best first
	Unusable []string `json:"unusable,omitempty"` // ways that did not, with the reason
	WhyNot   string   `json:"why_not,omitempty"`  // it cannot score: the reason and a way out

	Notes []string `json:"notes,omitempty"` // what a user should know of this kind of server

	ends   []int32 // tokens that end a turn
	atOnce int     // requests that are worth having in flight; 0: as many as it takes
}

// brief is what tells servers apart, on one line.
func (f Facts) brief() string {
	return fmt.Sprintf("%s %s, model %s (revision %q), %d tokens, template %.8s, scoring by %s", f.Server, f.Version, f.Model, f.Revision, f.MaxLength, f.Template, strings.Join(f.Scoring, " and "))
}

// probe fills in the facts.
func (c *Client) probe(ctx context.Context) error {
	if c.role.API == Anthropic {
		c.facts.Server, c.facts.Model, c.dialect = Claude, c.role.Model, dialects[Claude]
		c.facts.WhyNot = whyNot[Claude]
		if c.role.Model == "" {
			return fmt.Errorf("%w: model: missing", ErrRole)
		}
		return c.probeAnthropic(ctx)
	}
	if err := c.detect(ctx); err != nil {
		return err
	}
	if err := c.probeEncoder(ctx); err != nil {
		return err
	}
	if c.facts.Server == Hosted && c.role.Route == ChatRoute {
		if err := c.greet(ctx); err != nil {
			return err
		}
	}
	return c.probeScoring(ctx)
}

func (c *Client) probeAnthropic(ctx context.Context) error {
	var m struct {
		ID string `json:"id"`
	}
	absent, err := c.get(ctx, c.role.Prefix+"/models/"+url.PathEscape(c.role.Model), &m)
	if err != nil {
		return err
	}
	if absent || m.ID == "" {
		return c.greet(ctx)
	}
	c.facts.Revision = m.ID // an alias resolves to a snapshot
	return nil
}

// greet asks a paid model for a few tokens: it shows whether the key and the name are good,
// which spelling of max_tokens it takes, and which snapshot answers.
func (c *Client) greet(ctx context.Context) error {
	r, err := c.generate(ctx, lm.Chat{{Role: lm.User, Content: "Say hello."}}, lm.Sampling{MaxTokens: 16})
	if errors.Is(err, lm.ErrRefused) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("a first word with the model: %w", err)
	}
	c.facts.Revision = firstOf(c.facts.Revision, r.model)
	return nil
}

// probeChats are what the template's digest is made of.
var probeChats = []lm.Chat{
	{{Role: lm.User, Content: "Which of the two roads is shorter?"}},
	{{Role: lm.User, Content: "I am going on a journey."}, {Role: lm.Assistant, Content: "Where to?"}, {Role: lm.User, Content: "To the coast, where it's warm."}},
}

const probeTarget = "That depends on where you are, and on"

// probeEncoder finds what turns chats into tokens, and looks at what it makes of some.
func (c *Client) probeEncoder(ctx context.Context) error {
	switch {
	case c.role.Tokenizer != "":
		e, err := newDirectoryEncoder(c.role.Tokenizer)
		if err != nil {
			return err
		}
		c.encoder, c.facts.ends = e, e.text.Ends()
	case c.facts.Server == VLLM || c.facts.Server == Stargate || c.facts.Server == SGLang || c.facts.Server == Hosted && c.role.Route == CompletionsRoute:
		c.encoder = serverEncoder{c}
	default:
		return nil
	}
	h := sha256.New()
	for i, chat := range probeChats {
		s, err := c.encoder.target(ctx, chat, probeTarget)
		if err != nil {
			return c.noTarget(ctx, err)
		}
		told := binary.LittleEndian.AppendUint64(nil, uint64(s.from))
		for _, id := range s.ids {
			told = binary.LittleEndian.AppendUint32(told, uint32(id))
		}
		h.Write(told)
		if i == 0 {
			c.probed = s
		}
	}
	c.facts.Encoder, c.facts.Template = c.encoder.name(), hex.EncodeToString(h.Sum(nil))
	return c.findEnds(ctx)
}

// noTarget settles what is left where the tokens of an answer cannot be told: perhaps those of
// a prompt.
func (c *Client) noTarget(ctx context.Context, err error) error {
	if !answered(err) {
		return err
	}
	c.facts.WhyNot = fmt.Sprintf("the server does not tell the tokens of an answer (%v); give the role a tokenizer directory", err)
	if _, err := c.encoder.prompt(ctx, probeChats[0]); err != nil {
		c.encoder = nil
		return unlessAnswered(err)
	}
	c.facts.Encoder = c.encoder.name()
	return nil
}

// findEnds checks that the tokens of an answer read back as the answer, and learns which
// token the template puts behind it.
func (c *Client) findEnds(ctx context.Context) error {
	s := c.probed
	text, err := c.encoder.decode(ctx, s.target())
	if err != nil {
		return unlessAnswered(err)
	}
	if got := strings.TrimSpace(text); got != probeTarget {
		c.facts.WhyNot = fmt.Sprintf("the tokens of an answer read %q instead of %q: %s; give the role a tokenizer directory", got, probeTarget, misread(got, probeTarget))
		return nil
	}
	whole, err := c.encoder.whole(ctx, append(slices.Clip(probeChats[0]), lm.Message{Role: lm.Assistant, Content: probeTarget}))
	if err != nil {
		return unlessAnswered(err)
	}
	if len(whole) <= len(s.ids) || !slices.Equal(whole[:len(s.ids)], s.ids) {
		return nil
	}
	end := whole[len(s.ids)]
	if text, err = c.encoder.decode(ctx, []int32{end}); err != nil {
		return unlessAnswered(err)
	}
	if strings.TrimSpace(text) != "" && !slices.Contains(c.facts.ends, end) { // a line break is no mark
		c.facts.ends = append(c.facts.ends, end)
	}
	return nil
}

// answered says whether an error is the server's word on this request, so that something
// else can be tried, rather than trouble on the way to it.
func answered(err error) bool {
	if errors.Is(err, ErrKey) || errors.Is(err, ErrQuota) || errors.Is(err, ErrBudget) {
		return false
	}
	if status, ok := errors.AsType[*StatusError](err); ok {
		return status.Status < 500 && status.Status != 429 || status.Status == 501
	}
	return errors.Is(err, ErrGarbage) || errors.Is(err, ErrScore) || errors.Is(err, ErrUnsupported) || errors.Is(err, lm.ErrCannotScore) || errors.Is(err, lm.ErrEmptyTarget)
}

func unlessAnswered(err error) error {
	if answered(err) {
		return nil
	}
	return err
}

// whyNot are the kinds of servers that cannot score.
var whyNot = map[Server]string{
	LlamaCpp: "llama.cpp gives log-probabilities of the tokens it draws only, not of a given text; let this model play another role, or score with the same GGUF file behind stargate serve",
	Ollama:   "Ollama gives log-probabilities of the tokens it draws only, not of a given text; let this model play another role, or score with the same model behind stargate serve",
	Claude:   "this API gives no log-probabilities; let this model play the oracle, the judge or the roleplayer, and score with vLLM, SGLang or stargate serve",
	Hosted:   "a chat API gives log-probabilities of what it draws only, not of a given text; let this model play another role, and score with vLLM, SGLang or stargate serve (a server with prompt_logprobs or echo needs a tokenizer directory in the role)",
	TGI:      "TGI scores texts, not token ids: give the role a tokenizer directory, and start the server with --enable-prefill-logprobs",
	TRL:      "TRL's server has no tokenizer: give the role a tokenizer directory",
}

// ways are the candidates of each kind of server.
var ways = map[Server][]scoring{
	VLLM:     {promptLogProbs, echo},
	Stargate: {promptLogProbs, echo},
	SGLang:   {sglangLogProbs, sglangFromStart},
	TRL:      {trlJSON, trlBinary},
	TGI:      {tgiPrefill},
	Hosted:   {promptLogProbs, echo},
}

// probeScoring tries the ways to score.
func (c *Client) probeScoring(ctx context.Context) error {
	candidates := ways[c.facts.Server]
	if len(candidates) == 0 || c.encoder == nil {
		c.facts.WhyNot = firstOf(c.facts.WhyNot, whyNot[c.facts.Server], "nothing is known of how this server scores")
	}
	if c.facts.WhyNot != "" {
		return nil
	}
	for _, way := range candidates {
		_, err := c.score(ctx, way, []sequence{c.probed})
		switch {
		case err == nil:
			c.scorings = append(c.scorings, way)
			c.facts.Scoring = append(c.facts.Scoring, way.name)
		case answered(err):
			c.facts.Unusable = append(c.facts.Unusable, fmt.Sprintf("%s: %v", way.name, err))
		default:
			return err
		}
	}
	if len(c.scorings) == 0 {
		c.facts.WhyNot = "no way to score works (" + strings.Join(c.facts.Unusable, "; ") + "); " + remedy(c.facts.Server)
	}
	return nil
}

func remedy(s Server) string {
	switch s {
	case VLLM:
		return "vLLM scores with prompt_logprobs: look at --max-logprobs and --logprobs-mode (raw_logprobs)"
	case SGLang:
		return "SGLang scores with return_logprob on its native route /generate: reach the server itself, not a gateway"
	case TGI:
		return whyNot[TGI]
	}
	return "let this model play another role, or use stargate serve"
}
