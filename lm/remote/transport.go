package remote

import (
	"context"
	"net/http"
	"time"

	"stargate/lm/remote/failure"
	"stargate/lm/remote/fleet"
)

// Transport brings requests to a server and answers back. It knows nothing of models: it
// retries what a later attempt may not meet, waits where a server asks for it, and keeps to
// the role's limits. Package lm/remote/fleet has the one that runs use.
type Transport interface {
	// Post sends body (JSON) to path (for example "/v1/chat/completions") and returns the
	// answer's body. load is the request's expected tokens, prompt and answer together, for
	// admission. An answer whose status is not 2xx is a *[StatusError], after retries; no
	// answer is a *[NoAnswerError].
	Post(ctx context.Context, path string, body []byte, load int) ([]byte, http.Header, error)
	// Get asks for path. Its errors are those of Post.
	Get(ctx context.Context, path string) ([]byte, http.Header, error)
}

// limited is a transport that can be told to have fewer requests in flight at once.
type limited interface {
	Limit(most int)
}

// recycler is a transport that takes the memory of an answer back.
type recycler interface {
	Recycle(answer []byte)
}

// several is a transport to several servers, each of which can be reached by itself.
type several interface {
	Transport
	Each() []fleet.Single
}

// The errors of a transport; package failure has them, so that transports need not know
// drivers.
type (
	// StatusError is an answer whose status is not 2xx.
	StatusError = failure.StatusError
	// NoAnswerError is a request that got no whole answer: the connection could not be made,
	// was cut, or was silent for too long.
	NoAnswerError = failure.NoAnswerError
)

// MaxErrorBody is the most bytes of an error's body that are kept.
const MaxErrorBody = failure.MaxErrorBody

// Redact is an address without what may be secret in it: user, query and fragment.
func Redact(address string) string { return failure.Redact(address) }

// RetryAfter is what an answer's header asks for: the milliseconds of retry-after-ms
// (OpenAI), else Retry-After in either form of RFC 9110, section 10.2.3.
func RetryAfter(h http.Header, now time.Time) time.Duration { return failure.RetryAfter(h, now) }
