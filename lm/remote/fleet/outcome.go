package fleet

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"

	"stargate/lm/remote/failure"
)

// Outcome is how an attempt ended.
type Outcome int

// The outcomes. All but OK, Refused and Cancelled are tried again.
const (
	OK          Outcome = iota
	Busy                // 429, 503, 529: the server has too much to do, or a rate limit is reached
	ServerError         // another status that may pass: 408, 409, 425, 5xx
	Refused             // what will not pass: the request, the key, the model, the money, the certificate
	Unreachable         // no connection, or none that answered
	Cut                 // the answer began and did not end
	Hung                // no answer in the time for one attempt
	Cancelled           // the caller gave up, or another attempt was faster
	numOutcomes
)

var outcomeNames = [numOutcomes]string{"ok", "busy", "server-error", "refused", "unreachable", "cut", "hung", "cancelled"}

// String is the outcome's name in reports.
func (o Outcome) String() string { return outcomeNames[o] }

// MarshalText makes outcomes keys of JSON objects.
func (o Outcome) MarshalText() ([]byte, error) { return []byte(o.String()), nil }

// outcomes counts attempts.
type outcomes [numOutcomes]int64

func (c *outcomes) add(d *outcomes) {
	for i := range c {
		c[i] += d[i]
	}
}

// failures lists what is not OK: "3 hung, 1 busy".
func (c *outcomes) failures() string {
	var parts []string
	for o := OK + 1; o < numOutcomes; o++ {
		if c[o] > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", c[o], o))
		}
	}
	return strings.Join(parts, ", ")
}

// statusOverloaded is Anthropic's 529.
const statusOverloaded = 529

// outcomeOf names what an attempt's error means. ctx is the call's.
func outcomeOf(ctx context.Context, err error) Outcome {
	if err == nil {
		return OK
	}
	if status, ok := errors.AsType[*failure.StatusError](err); ok {
		switch {
		case !status.Temporary():
			return Refused
		case status.Status == http.StatusTooManyRequests, status.Status == http.StatusServiceUnavailable, status.Status == statusOverloaded:
			return Busy
		}
		return ServerError
	}
	none, ok := errors.AsType[*failure.NoAnswerError](err)
	switch {
	case ctx.Err() != nil:
		return Cancelled
	case !ok, none.Hopeless():
		return Refused // an answer of a size that no request can want, a foreign certificate, https spoken to http
	case none.Hung:
		return Hung
	case none.Cut:
		return Cut
	}
	return Unreachable
}

// refusedConnection: nobody listens there. One such failure is enough to know.
func refusedConnection(err error) bool {
	op, ok := errors.AsType[*net.OpError](err)
	return ok && op.Op == "dial"
}
