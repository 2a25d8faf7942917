package batchtest

import (
	"encoding/json"
	"fmt"
	"net/http"
	"time"
)

// message is the body of an Anthropic message, or an error. The caller holds mu.
func (s *Server) message(body map[string]any) (int, map[string]any) {
	r := s.reply(body)
	if r.Status != 0 {
		return r.Status, map[string]any{"type": "error", "error": map[string]any{"type": r.Code, "message": "the test says so"}}
	}
	s.billed[last(body)]++
	switch {
	case r.Refusal != "":
		r.Finish = "refusal"
	case r.Finish == "":
		r.Finish = "end_turn"
	case r.Finish == "length":
		r.Finish = "max_tokens"
	}
	return http.StatusOK, map[string]any{"id": "m", "type": "message", "role": "assistant", "model": body["model"],
		"content": []any{map[string]any{"type": "text", "text": r.Text}}, "stop_reason": r.Finish,
		"usage": map[string]any{"input_tokens": len(last(body)) / 4, "output_tokens": len(r.Text) / 4}}
}

func (s *Server) messages(w http.ResponseWriter, r *http.Request) {
	var body map[string]any
	if !read(r, &body) {
		http.Error(w, "not JSON", http.StatusBadRequest)
		return
	}
	s.mu.Lock()
	status, out := s.message(body)
	s.live++
	s.mu.Unlock()
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	write(w, out)
}

func (s *Server) createMessages(w http.ResponseWriter, r *http.Request) {
	var body struct {
		Requests []line `json:"requests"`
	}
	if !read(r, &body) || len(body.Requests) == 0 {
		http.Error(w, `{"type":"error","error":{"type":"invalid_request_error","message":"no requests"}}`, http.StatusBadRequest)
		return
	}
	s.mu.Lock()
	j := &job{id: fmt.Sprintf("msgbatch_%d", len(s.jobs)), made: time.Now(), lines: body.Requests, anthropic: true}
	n := s.take(j)
	s.mu.Unlock()
	if s.OnCreate != nil && !s.OnCreate(n) {
		panic(http.ErrAbortHandler)
	}
	write(w, s.messageBatch(j))
}

func (s *Server) messageBatch(j *job) map[string]any {
	counts := map[string]int{"processing": len(j.lines)}
	b := map[string]any{"id": j.id, "type": "message_batch", "processing_status": "in_progress", "created_at": j.made.UTC().Format(time.RFC3339), "request_counts": counts}
	if j.polls > s.Polls {
		b["processing_status"], b["results_url"] = "ended", "https://elsewhere.invalid/"+j.id // a client goes to the address it was given
		counts["processing"], counts["succeeded"], counts["expired"] = 0, j.done, len(j.lines)-j.done
	}
	return b
}

func (s *Server) statusMessages(w http.ResponseWriter, r *http.Request) { s.poll(w, r, s.messageBatch) }

func (s *Server) listMessages(w http.ResponseWriter, _ *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	data := s.listed(true, s.messageBatch)
	write(w, map[string]any{"data": data, "has_more": false})
}

func (s *Server) results(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	j := s.find(r.PathValue("id"))
	var out []string
	if j != nil {
		for i := len(j.lines) - 1; i >= 0; i-- {
			l := j.lines[i]
			result := map[string]any{"type": "expired"}
			if i < j.done {
				before := s.billed[last(l.Params)]
				status, body := s.message(l.Params)
				s.billed[last(l.Params)] = before
				if result = map[string]any{"type": "succeeded", "message": body}; status/100 != 2 {
					result = map[string]any{"type": "errored", "error": body}
				}
			}
			data, err := json.Marshal(map[string]any{"custom_id": l.ID, "result": result})
			if err != nil {
				panic(err)
			}
			out = append(out, string(data))
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
