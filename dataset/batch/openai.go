package batch

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"net/url"
	"strings"

	"stargate/lm/remote"
)

// openAI is OpenAI's batch API, which many others speak too: a file of lines is uploaded, a
// batch is created from it, and its answers are two files (OpenAI API reference, "Batch").
type openAI struct {
	*caller
	prefix string // before "/files"
	window string
}

// OpenAI speaks the batch API at a role's address, with the role's key.
func OpenAI(r remote.Role, getenv func(string) string) (Provider, error) {
	c, err := newCaller(r, getenv)
	if err != nil {
		return nil, err
	}
	prefix := strings.TrimRight(r.Prefix, "/")
	if prefix == "" {
		prefix = "/v1"
	}
	return &openAI{caller: c, prefix: prefix, window: "24h"}, nil
}

func (o *openAI) Address() string { return remote.Redact(o.base + o.prefix) }

// Limits are 50,000 lines and 200 MB at OpenAI and half the bytes at others; ours are below
// both, because a job of fewer lines brings its answers earlier.
func (o *openAI) Limits() (lines, bytes int) { return 10_000, 90 << 20 }

func (o *openAI) upload(ctx context.Context, tag string, lines []Line) (string, error) {
	var b bytes.Buffer
	form := multipart.NewWriter(&b)
	if err := form.WriteField("purpose", "batch"); err != nil {
		return "", err
	}
	w, err := form.CreateFormFile("file", "stargate-"+tag+".jsonl")
	if err != nil {
		return "", err
	}
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	for _, l := range lines {
		err := e.Encode(struct {
			ID     string          `json:"custom_id"`
			Method string          `json:"method"`
			URL    string          `json:"url"`
			Body   json.RawMessage `json:"body"`
		}{l.ID, http.MethodPost, o.route(l.Path), l.Body})
		if err != nil {
			return "", fmt.Errorf("batch line %.12s…: %w", l.ID, err)
		}
	}
	if err := form.Close(); err != nil {
		return "", err
	}
	var file named
	err = o.again(ctx, func() error {
		return o.once(ctx, http.MethodPost, o.prefix+"/files", form.FormDataContentType(), b.Bytes(), func(r io.Reader) error { return decode(r, "files", &file) })
	})
	if err == nil && file.ID == "" {
		err = fmt.Errorf("%w: the uploaded file has no id", errFormat)
	}
	return file.ID, err
}

// route is the path as a batch knows it: with /v1, wherever the API itself lives.
func (o *openAI) route(path string) string { return "/v1" + strings.TrimPrefix(path, o.prefix) }

func (o *openAI) create(ctx context.Context, tag, file string, lines []Line) (string, bool, error) {
	body, err := json.Marshal(map[string]any{"input_file_id": file, "endpoint": o.route(lines[0].Path), "completion_window": o.window,
		"metadata": map[string]string{tagField: tag}})
	if err != nil {
		return "", false, err
	}
	return createOnce(ctx, o.caller, o.prefix+"/batches", body)
}

// tagField is where a job carries its tag.
const tagField = "stargate"

// createOnce posts a job. Only an answer with a status below 500 says for sure that none was
// made.
func createOnce(ctx context.Context, c *caller, path string, body []byte) (id string, unsure bool, err error) {
	var job named
	err = c.once(ctx, http.MethodPost, path, "application/json", body, func(r io.Reader) error { return decode(r, path, &job) })
	var status *remote.StatusError
	switch {
	case errors.As(err, &status):
		return "", status.Status >= 500, err
	case err != nil:
		return "", true, err
	case job.ID == "":
		return "", true, fmt.Errorf("%w: the created batch has no id", errFormat)
	}
	return job.ID, false, nil
}

// openAIBatch is a batch object.
type openAIBatch struct {
	ID       string            `json:"id"`
	Status   string            `json:"status"`
	Input    string            `json:"input_file_id"`
	Output   *string           `json:"output_file_id"`
	Error    *string           `json:"error_file_id"`
	Metadata map[string]string `json:"metadata"`
	Created  int64             `json:"created_at"`
	Counts   struct {
		Total     int `json:"total"`
		Completed int `json:"completed"`
		Failed    int `json:"failed"`
	} `json:"request_counts"`
	Errors *struct {
		Data []struct {
			Code    string `json:"code"`
			Message string `json:"message"`
			Line    *int   `json:"line"`
		} `json:"data"`
	} `json:"errors"`
}

// find goes through the list of batches, newest first, to those from well before the time.
func (o *openAI) find(ctx context.Context, m made) (string, bool, error) {
	after := ""
	for {
		var page struct {
			Data    []openAIBatch `json:"data"`
			HasMore bool          `json:"has_more"`
		}
		query := url.Values{"limit": {"100"}}
		if after != "" {
			query.Set("after", after)
		}
		if err := o.get(ctx, o.prefix+"/batches?"+query.Encode(), &page); err != nil {
			return "", false, fmt.Errorf("look for a batch that may have been created: %w", err)
		}
		for _, b := range page.Data {
			if b.Metadata[tagField] == m.tag || b.Input == m.file {
				return b.ID, true, nil
			}
		}
		last := len(page.Data) - 1
		if !page.HasMore || last < 0 || page.Data[last].Created > 0 && page.Data[last].Created < m.since.Unix()-clockSkew {
			return "", false, nil
		}
		after = page.Data[last].ID
	}
}

// clockSkew is how far apart the provider's clock and ours may be, in seconds.
const clockSkew = 3600

func (o *openAI) status(ctx context.Context, id string) (status, error) {
	var b openAIBatch
	if err := o.get(ctx, o.prefix+"/batches/"+url.PathEscape(id), &b); err != nil {
		return status{}, err
	}
	s := status{id: id, state: b.Status, total: b.Counts.Total, answered: b.Counts.Completed, errored: b.Counts.Failed}
	switch b.Status {
	case "completed", "expired", "cancelled":
		s.ended = true
	case "failed":
		s.ended, s.failed = true, "no reason given"
		if b.Errors != nil && len(b.Errors.Data) > 0 {
			e := b.Errors.Data[0]
			s.failed, s.later = fmt.Sprintf("%s: %s", e.Code, e.Message), strings.Contains(e.Code, "limit")
			if e.Line != nil {
				s.failed += fmt.Sprintf(" (line %d)", *e.Line)
			}
		}
	}
	for _, f := range []*string{b.Output, b.Error} {
		if f != nil && *f != "" {
			s.files = append(s.files, *f)
		}
	}
	return s, nil
}

func (o *openAI) answers(ctx context.Context, s status, visit func(string, *Answer, string) error) error {
	for _, file := range s.files {
		err := o.lines(ctx, o.prefix+"/files/"+url.PathEscape(file)+"/content", func(text []byte) error {
			var line struct {
				ID       string `json:"custom_id"`
				Response *struct {
					Status int             `json:"status_code"`
					Body   json.RawMessage `json:"body"`
				} `json:"response"`
				Error *struct {
					Code    string `json:"code"`
					Message string `json:"message"`
				} `json:"error"`
			}
			if err := json.Unmarshal(text, &line); err != nil || line.ID == "" {
				return fmt.Errorf("%w: file %s: a line without custom_id: %.200s", errFormat, file, text)
			}
			switch {
			case line.Response != nil && final(line.Response.Status) && json.Valid(line.Response.Body):
				return visit(line.ID, &Answer{line.Response.Status, line.Response.Body}, "")
			case line.Response != nil:
				return visit(line.ID, nil, fmt.Sprintf("status %d", line.Response.Status))
			case line.Error != nil:
				return visit(line.ID, nil, line.Error.Code)
			}
			return visit(line.ID, nil, "neither response nor error")
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// final says whether the same request would get the same answer again.
func final(code int) bool {
	return code/100 == 2 || code/100 == 4 && code != http.StatusRequestTimeout && code != http.StatusConflict && code != http.StatusTooManyRequests && code != http.StatusTooEarly
}
