// Package batchtest is a test tool: a server that speaks the batch APIs of OpenAI and
// Anthropic beside live calls, counts what it would bill, and fails where it is told to.
package batchtest

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"time"
)

// Server is the test server. [New] sets its fields.
type Server struct {
	*httptest.Server

	// Answer gives the text for a request's body; nil echoes the last message.
	Answer func(body map[string]any) Reply
	// Polls is how often a job is looked at before it has ended.
	Polls int
	// Expire is how many lines of a job's end are left undone, by its number from 0.
	Expire func(job int, lines int) int
	// OnCreate runs after a job was taken and before the client hears of it; false cuts the
	// connection.
	OnCreate func(job int) bool
	// OnStatus, OnUpload and OnContent run before those requests are answered; false cuts the
	// connection in the middle of the answer.
	OnStatus, OnUpload, OnContent func() bool
	// Hide keeps a new job out of lists and lookups by its tag for so many list requests.
	Hide int
	// Refuse fails jobs as a whole with this code, by their number.
	Refuse func(job int) string

	mu     sync.Mutex
	files  map[string][]byte
	jobs   []*job
	billed map[string]int
	live   int
	lists  int
}

// Reply is what the model says.
type Reply struct {
	Text    string
	Finish  string // "" = stop
	Refusal string
	Status  int    // not 0: an error with this status and the code
	Code    string // of the error
}

type job struct {
	id, input, tag string
	made           time.Time
	lines          []line
	polls, listed  int
	done           int // lines done; the rest expired
	failed         string
	anthropic      bool
}

type line struct {
	ID     string         `json:"custom_id"`
	URL    string         `json:"url"`
	Body   map[string]any `json:"body"`
	Params map[string]any `json:"params"`
}

// New starts a server on this machine, after set has given it its ways.
func New(set ...func(*Server)) *Server {
	s := &Server{files: map[string][]byte{}, billed: map[string]int{}}
	for _, f := range set {
		f(s)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /v1/models", func(w http.ResponseWriter, _ *http.Request) {
		write(w, map[string]any{"data": []any{map[string]any{"id": "oracle"}}})
	})
	mux.HandleFunc("GET /v1/models/{id}", func(w http.ResponseWriter, r *http.Request) { write(w, map[string]any{"id": r.PathValue("id")}) })
	mux.HandleFunc("POST /v1/chat/completions", s.chat)
	mux.HandleFunc("POST /v1/messages", s.messages)
	mux.HandleFunc("POST /v1/files", s.upload)
	mux.HandleFunc("POST /v1/batches", s.create)
	mux.HandleFunc("GET /v1/batches", s.list)
	mux.HandleFunc("GET /v1/batches/{id}", s.status)
	mux.HandleFunc("GET /v1/files/{id}/content", s.content)
	mux.HandleFunc("POST /v1/messages/batches", s.createMessages)
	mux.HandleFunc("GET /v1/messages/batches", s.listMessages)
	mux.HandleFunc("GET /v1/messages/batches/{id}", s.statusMessages)
	mux.HandleFunc("GET /v1/messages/batches/{id}/results", s.results)
	s.Server = httptest.NewServer(mux)
	return s
}

// Billed is how often each request was billed, by its last message; batches and live calls
// together.
func (s *Server) Billed() map[string]int {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := map[string]int{}
	for k, n := range s.billed {
		out[k] = n
	}
	return out
}

// Jobs is how many jobs were created.
func (s *Server) Jobs() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.jobs)
}

// Live is how many live calls were answered.
func (s *Server) Live() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.live
}

func write(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	if err := json.NewEncoder(w).Encode(v); err != nil {
		panic(http.ErrAbortHandler)
	}
}

// last is the text of a request's last message.
func last(body map[string]any) string {
	messages, _ := body["messages"].([]any)
	if len(messages) == 0 {
		return ""
	}
	m, _ := messages[len(messages)-1].(map[string]any)
	text, _ := m["content"].(string)
	return text
}

func (s *Server) reply(body map[string]any) Reply {
	if s.Answer == nil {
		return Reply{Text: "You said: " + last(body)}
	}
	return s.Answer(body)
}

// answer is the body of a chat completion, or an error with its status. The caller holds mu.
func (s *Server) answer(body map[string]any) (int, map[string]any) {
	r := s.reply(body)
	if r.Status != 0 {
		return r.Status, map[string]any{"error": map[string]any{"message": "the test says so", "code": r.Code, "type": r.Code}}
	}
	s.billed[last(body)]++
	message := map[string]any{"role": "assistant", "content": r.Text}
	if r.Refusal != "" {
		message["refusal"] = r.Refusal
	}
	if r.Finish == "" {
		r.Finish = "stop"
	}
	return http.StatusOK, map[string]any{"id": "c", "object": "chat.completion", "model": body["model"],
		"choices": []any{map[string]any{"index": 0, "message": message, "finish_reason": r.Finish}},
		"usage":   map[string]any{"prompt_tokens": len(last(body)) / 4, "completion_tokens": len(r.Text) / 4}}
}

func read(r *http.Request, into any) bool {
	data, err := io.ReadAll(r.Body)
	return err == nil && json.Unmarshal(data, into) == nil
}

func (s *Server) chat(w http.ResponseWriter, r *http.Request) {
	var body map[string]any
	if !read(r, &body) {
		http.Error(w, "not JSON", http.StatusBadRequest)
		return
	}
	s.mu.Lock()
	status, out := s.answer(body)
	s.live++
	s.mu.Unlock()
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	write(w, out)
}

func (s *Server) upload(w http.ResponseWriter, r *http.Request) {
	if err := r.ParseMultipartForm(64 << 20); err != nil || r.FormValue("purpose") != "batch" {
		http.Error(w, "want a multipart form with purpose batch", http.StatusBadRequest)
		return
	}
	f, _, err := r.FormFile("file")
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	data, err := io.ReadAll(f)
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	s.mu.Lock()
	id := fmt.Sprintf("file-%d", len(s.files))
	s.files[id] = data
	s.mu.Unlock()
	if s.OnUpload != nil && !s.OnUpload() {
		panic(http.ErrAbortHandler)
	}
	write(w, map[string]any{"id": id, "object": "file"})
}

func (s *Server) create(w http.ResponseWriter, r *http.Request) {
	var body struct {
		Input    string            `json:"input_file_id"`
		Endpoint string            `json:"endpoint"`
		Window   string            `json:"completion_window"`
		Metadata map[string]string `json:"metadata"`
	}
	s.mu.Lock()
	if !read(r, &body) || s.files[body.Input] == nil || body.Endpoint != "/v1/chat/completions" || body.Window != "24h" {
		s.mu.Unlock()
		http.Error(w, `{"error":{"message":"no such file, endpoint or window"}}`, http.StatusBadRequest)
		return
	}
	j := &job{id: fmt.Sprintf("batch_%d", len(s.jobs)), input: body.Input, tag: body.Metadata["stargate"], made: time.Now()}
	for _, text := range strings.Split(strings.TrimSpace(string(s.files[body.Input])), "\n") {
		var l line
		if json.Unmarshal([]byte(text), &l) != nil || l.URL != body.Endpoint {
			j.failed = "invalid_json_line"
		}
		j.lines = append(j.lines, l)
	}
	n := s.take(j)
	s.mu.Unlock()
	if s.OnCreate != nil && !s.OnCreate(n) {
		panic(http.ErrAbortHandler)
	}
	write(w, s.batch(j))
}

// take begins a job. The caller holds mu.
func (s *Server) take(j *job) int {
	n := len(s.jobs)
	s.jobs = append(s.jobs, j)
	j.done = len(j.lines)
	if s.Expire != nil {
		j.done -= s.Expire(n, len(j.lines))
	}
	if s.Refuse != nil {
		j.failed = s.Refuse(n)
	}
	if j.failed != "" {
		j.done = 0
	}
	for _, l := range j.lines[:j.done] {
		body := l.Body
		if j.anthropic {
			body = l.Params
		}
		if s.reply(body).Status == 0 {
			s.billed[last(body)]++
		}
	}
	return n
}

func (s *Server) batch(j *job) map[string]any {
	b := map[string]any{"id": j.id, "object": "batch", "status": "in_progress", "input_file_id": j.input, "created_at": j.made.Unix(),
		"metadata":       map[string]string{"stargate": j.tag},
		"request_counts": map[string]int{"total": len(j.lines), "completed": min(j.polls, j.done)}}
	if j.polls <= s.Polls {
		return b
	}
	switch {
	case j.failed != "":
		b["status"] = "failed"
		b["errors"] = map[string]any{"data": []any{map[string]any{"code": j.failed, "message": "the test says so", "line": 1}}}
		return b
	case j.done < len(j.lines):
		b["status"] = "expired"
	default:
		b["status"] = "completed"
	}
	b["output_file_id"], b["error_file_id"] = "out-"+j.id, "err-"+j.id
	return b
}

func (s *Server) find(id string) *job {
	for _, j := range s.jobs {
		if j.id == id {
			return j
		}
	}
	return nil
}

func (s *Server) status(w http.ResponseWriter, r *http.Request) { s.poll(w, r, s.batch) }

// poll answers how far a batch is, as shown says it.
func (s *Server) poll(w http.ResponseWriter, r *http.Request, shown func(*job) map[string]any) {
	s.mu.Lock()
	j := s.find(r.PathValue("id"))
	if j == nil {
		s.mu.Unlock()
		http.NotFound(w, r)
		return
	}
	j.polls++
	b := shown(j)
	s.mu.Unlock()
	if s.OnStatus != nil && !s.OnStatus() {
		panic(http.ErrAbortHandler)
	}
	write(w, b)
}

// listed are the batches of one API, newest first, as shown says them. Call it with mu held.
func (s *Server) listed(anthropic bool, shown func(*job) map[string]any) []any {
	s.lists++
	data := []any{}
	for i := len(s.jobs) - 1; i >= 0; i-- {
		j := s.jobs[i]
		if j.listed++; j.listed > s.Hide && j.anthropic == anthropic {
			data = append(data, shown(j))
		}
	}
	return data
}

func (s *Server) list(w http.ResponseWriter, _ *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	data := s.listed(false, s.batch)
	write(w, map[string]any{"object": "list", "data": data, "has_more": false})
}

// content writes a job's answers last line first: their order means nothing.
func (s *Server) content(w http.ResponseWriter, r *http.Request) {
	kind, id, _ := strings.Cut(r.PathValue("id"), "-")
	s.mu.Lock()
	j := s.find(id)
	var out []string
	if j != nil {
		for i := len(j.lines) - 1; i >= 0; i-- {
			l := j.lines[i]
			v := map[string]any{"id": "r", "custom_id": l.ID}
			bad := true
			if i >= j.done {
				v["error"] = map[string]any{"code": "batch_expired", "message": "too late"}
			} else {
				before := s.billed[last(l.Body)]
				status, body := s.answer(l.Body)
				s.billed[last(l.Body)] = before // it was billed when it was done
				v["response"] = map[string]any{"status_code": status, "request_id": "q", "body": body}
				bad = status/100 != 2
			}
			if bad == (kind == "err") {
				data, err := json.Marshal(v)
				if err != nil {
					panic(err)
				}
				out = append(out, string(data))
			}
		}
	}
	s.mu.Unlock()
	half := len(out) / 2
	send(w, out[:half])
	if s.OnContent != nil && !s.OnContent() {
		if f, ok := w.(http.Flusher); ok {
			f.Flush()
		}
		panic(http.ErrAbortHandler)
	}
	send(w, out[half:])
}

func send(w io.Writer, lines []string) {
	for _, l := range lines {
		if _, err := io.WriteString(w, l+"\n"); err != nil {
			panic(http.ErrAbortHandler)
		}
	}
}
