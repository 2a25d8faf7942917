package serve

import (
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"
	"os"
	"reflect"
	"strconv"
	"strings"
	"time"
)

// read decodes the body of a request into v, a pointer to a struct whose fields are all
// that this server acts on.
func (s *Server) read(w *answer, r *http.Request, v any) error {
	if kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || kind != "application/json" {
		return &failure{status: http.StatusUnsupportedMediaType, code: "unsupported_media_type", message: "the body has to be JSON: send the header Content-Type: application/json"}
	}
	c := http.NewResponseController(w.ResponseWriter)
	if err := deadline(c.SetReadDeadline, time.Now().Add(s.opts.Limits.Idle)); err != nil {
		return invalid("", "reading the body: %v", err)
	}
	data, err := io.ReadAll(http.MaxBytesReader(w, r.Body, s.opts.Limits.Body))
	if err == nil {
		err = deadline(c.SetReadDeadline, time.Time{})
	}
	var tooLong *http.MaxBytesError
	switch {
	case errors.As(err, &tooLong):
		return &failure{status: http.StatusRequestEntityTooLarge, code: "body_too_large", message: "the body is longer than this server's limit of " + bytesText(tooLong.Limit)}
	case errors.Is(err, os.ErrDeadlineExceeded):
		return &failure{status: http.StatusRequestTimeout, code: "slow_body", message: "the body did not arrive in time"}
	case err != nil:
		return invalid("", "reading the body: %v", err)
	}
	var body map[string]json.RawMessage
	if err := json.Unmarshal(data, &body); err != nil {
		return &failure{status: http.StatusBadRequest, code: "invalid_json", message: "the body is no JSON object: " + err.Error()}
	}
	if body == nil {
		return &failure{status: http.StatusBadRequest, code: "invalid_json", message: "the body is null, a JSON object is wanted"}
	}
	if err := checkFields(body, knownFields(reflect.TypeOf(v).Elem())); err != nil {
		return err
	}
	err = json.Unmarshal(data, v)
	var wrong *json.UnmarshalTypeError
	var f *failure
	switch {
	case errors.As(err, &wrong):
		// The structs that fields are grouped in are no part of the protocol.
		field := strings.TrimPrefix(strings.TrimPrefix(wrong.Field, "drawFields."), "template.")
		return invalid(field, "%s: a JSON %s does not fit, want %s", field, wrong.Value, kindText(wrong.Type.Kind()))
	case errors.As(err, &f):
		return f
	case err != nil:
		return invalid("", "reading the body: %v", err)
	}
	return nil
}

// kindText is a kind of Go value as a reader of JSON knows it.
func kindText(k reflect.Kind) string {
	switch k {
	case reflect.Bool:
		return "true or false"
	case reflect.String:
		return "a text"
	case reflect.Float64:
		return "a number"
	case reflect.Slice:
		return "a list"
	case reflect.Struct, reflect.Map:
		return "an object"
	}
	return "an integer"
}

func bytesText(n int64) string { return strconv.FormatInt(n, 10) + " bytes" }

// deadline sets a deadline where the connection has them; a writer of a test waits.
func deadline(set func(time.Time) error, at time.Time) error {
	if err := set(at); !errors.Is(err, http.ErrNotSupported) {
		return err
	}
	return nil
}
