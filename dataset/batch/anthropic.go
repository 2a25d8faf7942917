package batch

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"stargate/lm/remote"
)

// anthropic is Anthropic's message batches: the lines travel in the request that creates the
// batch, and results are one stream (Anthropic API reference, "Message Batches").
type anthropic struct {
	*caller
	prefix string
	poll   time.Duration
}

// Anthropic speaks the batch API at a role's address, with the role's key.
func Anthropic(r remote.Role, getenv func(string) string) (Provider, error) {
	r.API = remote.Anthropic
	c, err := newCaller(r, getenv)
	if err != nil {
		return nil, err
	}
	prefix := strings.TrimRight(r.Prefix, "/")
	if prefix == "" {
		prefix = "/v1"
	}
	return &anthropic{caller: c, prefix: prefix, poll: 15 * time.Second}, nil
}

func (a *anthropic) Address() string { return remote.Redact(a.base + a.prefix) }

// Limits are 100,000 lines and 256 MB at Anthropic; ours are below.
func (a *anthropic) Limits() (lines, bytes int) { return 10_000, 90 << 20 }

// upload does nothing: there are no files.
func (a *anthropic) upload(context.Context, string, []Line) (string, error) { return "", nil }

func (a *anthropic) create(ctx context.Context, _, _ string, lines []Line) (string, bool, error) {
	type request struct {
		ID     string          `json:"custom_id"`
		Params json.RawMessage `json:"params"`
	}
	requests := make([]request, len(lines))
	for i, l := range lines {
		requests[i] = request{l.ID, l.Body}
	}
	body, err := json.Marshal(map[string]any{"requests": requests})
	if err != nil {
		return "", false, err
	}
	return createOnce(ctx, a.caller, a.prefix+"/messages/batches", body)
}

type messageBatch struct {
	ID      string    `json:"id"`
	State   string    `json:"processing_status"` // in_progress, canceling, ended
	Created time.Time `json:"created_at"`
	Results *string   `json:"results_url"`
	Counts  struct {
		Processing int `json:"processing"`
		Succeeded  int `json:"succeeded"`
		Errored    int `json:"errored"`
		Canceled   int `json:"canceled"`
		Expired    int `json:"expired"`
	} `json:"request_counts"`
}

func (m messageBatch) total() int {
	return m.Counts.Processing + m.Counts.Succeeded + m.Counts.Errored + m.Counts.Canceled + m.Counts.Expired
}

func (a *anthropic) status(ctx context.Context, id string) (status, error) {
	var m messageBatch
	if err := a.get(ctx, a.prefix+"/messages/batches/"+url.PathEscape(id), &m); err != nil {
		return status{}, err
	}
	return a.statusOf(m), nil
}

func (a *anthropic) statusOf(m messageBatch) status {
	s := status{id: m.ID, state: m.State, ended: m.State == "ended", total: m.total(), answered: m.Counts.Succeeded, errored: m.Counts.Errored + m.Counts.Expired + m.Counts.Canceled}
	if m.Results != nil && *m.Results != "" {
		s.files = []string{a.prefix + "/messages/batches/" + url.PathEscape(m.ID) + "/results"} // on our own address: a gateway's batches are the gateway's
	}
	return s
}

// find has no tag to go by: this API carries none. A batch of about that time and of that
// many lines is ours if its results are to our lines, which shows when it has ended.
func (a *anthropic) find(ctx context.Context, m made) (string, bool, error) {
	wanted := map[string]bool{}
	for _, l := range m.lines {
		wanted[l.ID] = true
	}
	after := ""
	for {
		var page struct {
			Data    []messageBatch `json:"data"`
			HasMore bool           `json:"has_more"`
			LastID  string         `json:"last_id"`
		}
		query := url.Values{"limit": {"100"}}
		if after != "" {
			query.Set("after_id", after)
		}
		if err := a.get(ctx, a.prefix+"/messages/batches?"+query.Encode(), &page); err != nil {
			return "", false, fmt.Errorf("look for a batch that may have been created: %w", err)
		}
		for _, b := range page.Data {
			if b.Created.Before(m.since.Add(-clockSkew * time.Second)) {
				return "", false, nil
			}
			if b.total() != len(m.lines) {
				continue
			}
			ours, err := a.holds(ctx, b.ID, wanted)
			if err != nil || ours {
				return b.ID, ours, err
			}
		}
		if !page.HasMore || page.LastID == "" {
			return "", false, nil
		}
		after = page.LastID
	}
}

var errSeen = errors.New("seen")

// holds waits for a batch to end and looks at its first result.
func (a *anthropic) holds(ctx context.Context, id string, wanted map[string]bool) (ours bool, err error) {
	for {
		s, err := a.status(ctx, id)
		if err != nil {
			return false, err
		}
		if s.ended {
			err := a.answers(ctx, s, func(id string, _ *Answer, _ string) error {
				ours = wanted[id]
				return errSeen
			})
			if errors.Is(err, errSeen) {
				err = nil
			}
			return ours, err
		}
		if err := sleep(ctx, a.poll); err != nil {
			return false, err
		}
	}
}

func (a *anthropic) answers(ctx context.Context, s status, visit func(string, *Answer, string) error) error {
	for _, path := range s.files {
		err := a.lines(ctx, path, func(text []byte) error {
			var line struct {
				ID     string `json:"custom_id"`
				Result struct {
					Type    string          `json:"type"` // succeeded, errored, canceled, expired
					Message json.RawMessage `json:"message"`
					Error   json.RawMessage `json:"error"`
				} `json:"result"`
			}
			if err := json.Unmarshal(text, &line); err != nil || line.ID == "" {
				return fmt.Errorf("%w: a result without custom_id: %.200s", errFormat, text)
			}
			switch line.Result.Type {
			case "succeeded":
				return visit(line.ID, &Answer{http.StatusOK, line.Result.Message}, "")
			case "errored":
				if kind := errorType(line.Result.Error); kind == "invalid_request_error" {
					return visit(line.ID, &Answer{http.StatusBadRequest, line.Result.Error}, "")
				}
				return visit(line.ID, nil, errorType(line.Result.Error))
			}
			return visit(line.ID, nil, line.Result.Type)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// errorType is the type of an error object, which may be wrapped in one of type "error".
func errorType(data json.RawMessage) string {
	var e struct {
		Type  string `json:"type"`
		Error struct {
			Type string `json:"type"`
		} `json:"error"`
	}
	if json.Unmarshal(data, &e) != nil {
		return "error"
	}
	if e.Error.Type != "" {
		return e.Error.Type
	}
	return e.Type
}
