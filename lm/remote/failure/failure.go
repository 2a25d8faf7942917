package failure

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// StatusError is an answer whose status is not 2xx.
type StatusError struct {
	Method     string
	URL        string // without user, query and fragment
	Status     int
	Header     http.Header
	Body       []byte        // the beginning, at most [MaxErrorBody]
	RetryAfter time.Duration // what the server asked for; 0: nothing
}

// MaxErrorBody is the most bytes of an error's body that are kept.
const MaxErrorBody = 8 << 10

// Error implements error: who said what.
func (e *StatusError) Error() string {
	what := e.Message()
	if what == "" {
		what = http.StatusText(e.Status)
	}
	return fmt.Sprintf("%s %s: status %d: %s", e.Method, e.URL, e.Status, what)
}

// Message is the server's own words: the message of an error object of OpenAI's, Anthropic's,
// vLLM's, SGLang's, TGI's, FastAPI's or llama.cpp's form, else the text of the body on one line.
func (e *StatusError) Message() string {
	message, _ := e.object()
	return message
}

// Code is the machine-readable kind of the error, "" where the server gives none: the code
// or else the type of the error object.
func (e *StatusError) Code() string {
	_, code := e.object()
	return code
}

func (e *StatusError) object() (message, code string) {
	var body struct {
		Error   json.RawMessage `json:"error"`
		Message json.RawMessage `json:"message"` // vLLM before 0.10, SGLang
		Detail  json.RawMessage `json:"detail"`  // FastAPI
		Type    string          `json:"type"`
		Kind    string          `json:"error_type"` // TGI
		Code    json.RawMessage `json:"code"`
	}
	if json.Unmarshal(e.Body, &body) != nil {
		return oneLine(string(e.Body)), ""
	}
	var inner struct {
		Message json.RawMessage `json:"message"`
		Type    string          `json:"type"`
		Code    json.RawMessage `json:"code"`
	}
	if json.Unmarshal(body.Error, &inner) == nil && len(inner.Message) > 0 {
		return jsonText(inner.Message), firstOf(textOnly(inner.Code), inner.Type)
	}
	for _, raw := range []json.RawMessage{body.Error, body.Message, body.Detail} {
		if text := jsonText(raw); text != "" {
			return text, firstOf(textOnly(body.Code), body.Kind, body.Type)
		}
	}
	return oneLine(string(e.Body)), ""
}

// jsonText is a JSON string's text, or the JSON of anything else but null.
func jsonText(raw json.RawMessage) string {
	if text := textOnly(raw); text != "" || len(raw) == 0 || string(raw) == "null" {
		return text
	}
	return oneLine(string(raw))
}

// textOnly is a JSON string's text, "" of anything else.
func textOnly(raw json.RawMessage) string {
	var text string
	if json.Unmarshal(raw, &text) != nil {
		return ""
	}
	return oneLine(text)
}

func firstOf(texts ...string) string {
	for _, t := range texts {
		if t != "" {
			return t
		}
	}
	return ""
}

// oneLine is a text without line breaks, of at most 500 bytes.
func oneLine(text string) string {
	text = strings.Join(strings.Fields(text), " ")
	const most = 500
	if len(text) <= most {
		return text
	}
	return strings.ToValidUTF8(text[:most], "") + " …"
}

// Temporary says whether the same request may succeed later: 408, 409, 425, 429 and 5xx, but
// for what lies with the request (501, 505), what the server calls final with the header
// X-Should-Retry: false, and an account without money.
func (e *StatusError) Temporary() bool {
	switch e.Header.Get("X-Should-Retry") { // OpenAI's and stargate's
	case "true":
		return true
	case "false":
		return false
	}
	switch e.Status {
	case http.StatusRequestTimeout, http.StatusConflict, http.StatusTooEarly:
		return true
	case http.StatusTooManyRequests:
		code := e.Code()
		return code != "insufficient_quota" && code != "billing_hard_limit_reached"
	case http.StatusNotImplemented, http.StatusHTTPVersionNotSupported:
		return false
	}
	return e.Status >= 500
}

// NoAnswerError is a request that got no whole answer: the connection could not be made, was
// cut, or was silent for too long.
type NoAnswerError struct {
	Method string
	URL    string // without user, query and fragment
	Hung   bool   // the time for one attempt was over
	Cut    bool   // the answer began and did not end
	Err    error
}

// Error implements error.
func (e *NoAnswerError) Error() string {
	what := "no answer"
	switch {
	case e.Hung:
		what = "no answer in the time for one attempt"
	case e.Cut:
		what = "the answer was cut off"
	}
	cause := e.Err
	if u, ok := errors.AsType[*url.Error](cause); ok { // it repeats method and address
		cause = u.Err
	}
	text := fmt.Sprintf("%s %s: %s: %v", e.Method, e.URL, what, cause)
	if advice := e.advice(); advice != "" {
		text += "; " + advice
	}
	return text
}

// advice is what to do about a connection that cannot be made, where the cause tells.
func (e *NoAnswerError) advice() string {
	_, plain := errors.AsType[tls.RecordHeaderError](e.Err)
	_, unknown := errors.AsType[x509.UnknownAuthorityError](e.Err)
	noName, isDNS := errors.AsType[*net.DNSError](e.Err)
	switch {
	case plain, errors.Is(e.Err, http.ErrSchemeMismatch):
		host, _, _ := strings.Cut(strings.TrimPrefix(e.URL, "https://"), "/")
		return "nobody speaks https there: try http://" + host
	case unknown:
		return "this machine does not know who signed the server's certificate: name a file with that authority's certificate in SSL_CERT_FILE"
	case isDNS && noName.IsNotFound:
		return "is the name of the machine right?"
	}
	return ""
}

// Hopeless says whether another attempt would end like this one: no connection can be made
// with this address, or the server cannot be trusted.
func (e *NoAnswerError) Hopeless() bool {
	_, plain := errors.AsType[tls.RecordHeaderError](e.Err)
	_, untrusted := errors.AsType[*tls.CertificateVerificationError](e.Err)
	return plain || untrusted || errors.Is(e.Err, http.ErrSchemeMismatch)
}

// Unwrap gives the cause.
func (e *NoAnswerError) Unwrap() error { return e.Err }

// Redact is an address without what may be secret in it: user, query and fragment.
func Redact(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return "(an address that cannot be read)"
	}
	u.User, u.RawQuery, u.Fragment, u.RawFragment, u.ForceQuery = nil, "", "", "", false
	return u.String()
}

// RetryAfter is what an answer's header asks for: the milliseconds of retry-after-ms
// (OpenAI), else Retry-After in either form of RFC 9110, section 10.2.3.
func RetryAfter(h http.Header, now time.Time) time.Duration {
	if ms, err := strconv.ParseFloat(h.Get("Retry-After-Ms"), 64); err == nil && ms >= 0 && ms < 1e9 {
		return time.Duration(ms * float64(time.Millisecond))
	}
	v := h.Get("Retry-After")
	if s, err := strconv.ParseFloat(v, 64); err == nil && s >= 0 && s < 1e6 {
		return time.Duration(s * float64(time.Second))
	}
	if t, err := http.ParseTime(v); err == nil {
		return max(0, t.Sub(now))
	}
	return 0
}
