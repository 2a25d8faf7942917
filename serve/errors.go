package serve

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"stargate/lm"
	"stargate/lm/local"
)

// failure is an error as a client sees it: OpenAI's error object, its status, and when to
// try again.
type failure struct {
	status  int
	param   string // the field at fault
	code    string
	message string
	retry   time.Duration // Retry-After; 0: none
	final   bool          // the same request would fail again
}

func (f *failure) Error() string { return f.message }

// invalid is a request that has to be changed.
func invalid(param, format string, args ...any) *failure {
	return &failure{status: http.StatusBadRequest, param: param, code: "invalid_value", message: fmt.Sprintf(format, args...)}
}

var (
	errEnding    = errors.New("the server is ending")
	errTimeLimit = errors.New("the time limit of a request is over")
)

// classify turns any error into what the client is told; cause is why the request's
// context ended, if it did.
func (s *Server) classify(err, cause error) *failure {
	var f *failure
	switch {
	case errors.As(err, &f):
		return f
	case errors.Is(err, lm.ErrContextLength):
		return &failure{status: http.StatusBadRequest, code: "context_length_exceeded", message: err.Error()}
	case errors.Is(err, lm.ErrEmptyTarget):
		return &failure{status: http.StatusBadRequest, param: "messages", code: "empty_target", message: err.Error()}
	case errors.Is(err, lm.ErrCannotScore):
		return &failure{status: http.StatusBadRequest, code: "cannot_score", message: err.Error()}
	case errors.Is(err, lm.ErrRefused):
		return &failure{status: http.StatusForbidden, code: "refused", message: err.Error()}
	case errors.Is(err, lm.ErrNonFinite):
		return &failure{status: http.StatusInternalServerError, code: "non_finite", message: err.Error(), final: true}
	case errors.Is(err, local.ErrClosed), errors.Is(cause, errEnding):
		return &failure{status: http.StatusServiceUnavailable, code: "ending", message: "the server is ending; ask again when it is back", retry: 5 * time.Second}
	case errors.Is(cause, errTimeLimit):
		return &failure{status: http.StatusGatewayTimeout, code: "timeout", final: true,
			message: fmt.Sprintf("the answer took longer than the server's limit of %v; ask for fewer tokens or choices", s.opts.Limits.Time)}
	case errors.Is(err, context.Canceled):
		return &failure{status: statusGone, code: "cancelled", message: "the client went away"}
	}
	return &failure{status: http.StatusInternalServerError, code: "internal", message: err.Error()}
}

// statusGone is what nginx logs for a client that did not wait: nobody reads the answer, but
// the metrics count it.
const statusGone = 499

// kind is the type of OpenAI's error object.
func (f *failure) kind() string {
	switch {
	case f.status == http.StatusUnauthorized:
		return "authentication_error"
	case f.status == http.StatusForbidden:
		return "permission_error"
	case f.status == http.StatusNotFound:
		return "not_found_error"
	case f.status == http.StatusTooManyRequests:
		return "rate_limit_error"
	case f.status == http.StatusNotImplemented:
		return "not_implemented_error"
	case f.status >= 500:
		return "server_error"
	}
	return "invalid_request_error"
}

// wireError is the body of an error: {"error": {…}} (OpenAI API reference, Errors).
type wireError struct {
	Error struct {
		Message string  `json:"message"`
		Type    string  `json:"type"`
		Param   *string `json:"param"`
		Code    *string `json:"code"`
	} `json:"error"`
}

func (f *failure) wire() wireError {
	var e wireError
	e.Error.Message, e.Error.Type = f.message, f.kind()
	if f.param != "" {
		e.Error.Param = &f.param
	}
	if f.code != "" {
		e.Error.Code = &f.code
	}
	return e
}

// fail answers with an error, if nothing has been answered.
func (s *Server) fail(a *answer, r *http.Request, err error) {
	f := s.classify(err, context.Cause(r.Context()))
	if f.status >= 500 && f.status != http.StatusNotImplemented {
		s.opts.Log.Error("request failed", "path", r.URL.Path, "status", f.status, "error", err)
	}
	if a.status != 0 {
		return
	}
	if f.retry > 0 {
		a.Header().Set("Retry-After", strconv.Itoa(int(f.retry.Seconds())))
	}
	if f.final {
		a.Header().Set("X-Should-Retry", "false") // OpenAI's clients heed it
	}
	_ = a.send(f.status, f.wire()) // strings only: it can be encoded
}
