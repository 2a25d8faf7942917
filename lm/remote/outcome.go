package remote

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"sync/atomic"

	"stargate/lm"
)

// Errors callers branch on, besides those of package lm. Each comes wrapped with the server,
// what it said, and what to do next.
var (
	// ErrKey: the server did not accept the API key (401, 403).
	ErrKey = errors.New("the server does not accept the API key")
	// ErrQuota: the account has no money or quota left; waiting does not help.
	ErrQuota = errors.New("the account's quota is used up")
	// ErrGarbage: an answer that is not what the API promises.
	ErrGarbage = errors.New("the answer is not what the API promises")
	// ErrWrongModel: another model answered than the one asked.
	ErrWrongModel = errors.New("another model answered")
	// ErrUnsupported: the server would not heed a field of the request.
	ErrUnsupported = errors.New("the server cannot do this")
	// ErrScore: log-probabilities that cannot be right.
	ErrScore = errors.New("log-probabilities that cannot be right")
)

// Outcome is what a call came to. Every call of a [Client] has exactly one.
type Outcome string

// The outcomes. Truncated and Empty are answers; the others but OK are errors.
const (
	OK            Outcome = "ok"
	Truncated     Outcome = "truncated"      // the answer reached max_tokens or the context
	Empty         Outcome = "empty"          // an answer without text
	Refused       Outcome = "refused"        // lm.ErrRefused
	ContextLength Outcome = "context-length" // lm.ErrContextLength
	BadRequest    Outcome = "bad-request"    // any other 4xx
	KeyRefused    Outcome = "key"            // ErrKey
	QuotaUsedUp   Outcome = "quota"          // ErrQuota
	RateLimited   Outcome = "rate-limited"   // 429, to the last attempt
	ServerFailed  Outcome = "server-error"   // 5xx, to the last attempt
	Hung          Outcome = "hung"           // no answer in the time for one attempt
	Cut           Outcome = "cut"            // the answer ended before its end
	Unreachable   Outcome = "unreachable"    // no connection
	Garbage       Outcome = "garbage"        // ErrGarbage
	WrongModel    Outcome = "wrong-model"    // ErrWrongModel
	BadScore      Outcome = "bad-score"      // ErrScore
	Unsupported   Outcome = "unsupported"    // ErrUnsupported, lm.ErrCannotScore
	OverBudget    Outcome = "budget"         // ErrBudget: the call was not made
	Cancelled     Outcome = "cancelled"      // the caller gave up
	Failed        Outcome = "failed"         // anything else
)

var outcomes = []Outcome{OK, Truncated, Empty, Refused, ContextLength, BadRequest, KeyRefused, QuotaUsedUp, RateLimited, ServerFailed,
	Hung, Cut, Unreachable, Garbage, WrongModel, BadScore, Unsupported, OverBudget, Cancelled, Failed}

// counts counts outcomes, and what was repeated on the way.
type counts struct {
	of     [24]atomic.Int64 // by place in outcomes
	repeat [24]atomic.Int64
	limit  atomic.Int64 // tokens of an answer beyond which the server draws none, whatever is asked; 0: none is known
}

func (c *counts) add(o Outcome) { c.of[place(o)].Add(1) }

// again counts an answer that was thrown away and asked for again.
func (c *counts) again(o Outcome) { c.repeat[place(o)].Add(1) }

func place(o Outcome) int {
	for i, known := range outcomes {
		if known == o {
			return i
		}
	}
	panic("unknown outcome " + string(o))
}

// Counts are the calls of a client by outcome.
type Counts struct {
	Calls map[Outcome]int64 `json:"calls"`
	// Repeated are answers that were thrown away and asked for again, by what was wrong with
	// them. What a transport repeats (429, 5xx, no answer) is counted by the transport.
	Repeated map[Outcome]int64 `json:"repeated,omitempty"`
}

func (c *counts) read() Counts {
	out := Counts{Calls: map[Outcome]int64{}, Repeated: map[Outcome]int64{}}
	for i, o := range outcomes {
		if n := c.of[i].Load(); n > 0 {
			out.Calls[o] = n
		}
		if n := c.repeat[i].Load(); n > 0 {
			out.Repeated[o] = n
		}
	}
	return out
}

// outcomeOf names what a failed call came to.
func outcomeOf(err error) Outcome {
	for _, c := range []struct {
		err error
		is  Outcome
	}{
		{context.Canceled, Cancelled}, {ErrBudget, OverBudget}, {lm.ErrRefused, Refused}, {lm.ErrContextLength, ContextLength}, {ErrKey, KeyRefused},
		{ErrQuota, QuotaUsedUp}, {ErrWrongModel, WrongModel}, {ErrScore, BadScore}, {ErrGarbage, Garbage}, {ErrUnsupported, Unsupported}, {lm.ErrCannotScore, Unsupported},
	} {
		if errors.Is(err, c.err) {
			return c.is
		}
	}
	if none, ok := errors.AsType[*NoAnswerError](err); ok {
		switch {
		case none.Hung:
			return Hung
		case none.Cut:
			return Cut
		}
		return Unreachable
	}
	if status, ok := errors.AsType[*StatusError](err); ok {
		switch {
		case status.Status == http.StatusTooManyRequests:
			return RateLimited
		case status.Status >= 500:
			return ServerFailed
		}
		return BadRequest
	}
	if errors.Is(err, context.DeadlineExceeded) { // the caller's own
		return Cancelled
	}
	return Failed
}

// tooLong are the words for a prompt beyond the context, where a server has no code for it:
// vLLM and SGLang ("maximum context length", "longer than the model's context length"),
// Anthropic ("prompt is too long"), TGI ("must have less than", "must be <="), TRL, LMDeploy.
var tooLong = regexp.MustCompile(`(?i)maximum context length|context length|context window|context size|prompt is too long|input is too long|` +
	"`?inputs`? (tokens .*)?must (have less than|be <=)|exceeds? max_model_len|max(imum)?_(model|seq)_len")

var tooLongCodes = map[string]bool{"context_length_exceeded": true, "exceed_context_size_error": true, "string_above_max_length": true}

var refusals = map[string]bool{"content_filter": true, "content_policy_violation": true, "refused": true, "responsible_ai_policy_violation": true}

// explain gives an error of the transport its meaning.
func (c *Client) explain(err error) error {
	status, ok := errors.AsType[*StatusError](err)
	if !ok {
		return err
	}
	code, message := status.Code(), status.Message()
	switch {
	case refusals[code]:
		return fmt.Errorf("%w: %w", lm.ErrRefused, err)
	case status.Status == http.StatusUnauthorized, status.Status == http.StatusForbidden:
		advice := "name the variable that holds it with api_key_env"
		if c.role.APIKeyEnv != "" {
			advice = "look at what " + c.role.APIKeyEnv + " holds: it may have expired, or belong to another server"
		}
		return fmt.Errorf("%w (%s): %w", ErrKey, advice, err)
	case status.Status == http.StatusPaymentRequired, status.Status == http.StatusTooManyRequests && !status.Temporary():
		return fmt.Errorf("%w: %w", ErrQuota, err)
	case status.Status == http.StatusBadRequest || status.Status == http.StatusRequestEntityTooLarge || status.Status == http.StatusUnprocessableEntity:
		if tooLongCodes[code] || tooLong.MatchString(message) {
			return fmt.Errorf("%w: %w", lm.ErrContextLength, err)
		}
		name := refusedField(status)
		if name == "max_tokens" && c.facts.Server == Hosted {
			return fmt.Errorf("%w: %w: %w", ErrUnsupported, errMaxTokens, err)
		}
		if name != "" {
			return fmt.Errorf("%w (the role may go without it: omit: [%s]): %w", ErrUnsupported, name, err)
		}
	}
	return err
}

// errMaxTokens: the server wants max_completion_tokens, as OpenAI's reasoning models do.
var errMaxTokens = errors.New("max_tokens is not the name this server knows")

// refusedField is the sampling field that a server does not take, "" if that is not the
// trouble.
func refusedField(e *StatusError) string {
	var body struct {
		Error struct {
			Param string `json:"param"`
			Code  string `json:"code"`
		} `json:"error"`
	}
	message := e.Message()
	if json.Unmarshal(e.Body, &body) == nil && strings.HasPrefix(body.Error.Code, "unsupported") {
		message = body.Error.Param + " unsupported"
	}
	if !unsupported.MatchString(message) {
		return ""
	}
	for _, name := range omittable {
		if regexp.MustCompile(`\b` + name + `\b`).MatchString(message) {
			return name
		}
	}
	return ""
}

var unsupported = regexp.MustCompile(`(?i)unsupported|not supported|does not support|unknown field|unrecognized|not permitted|deprecated|cannot both be specified`)
