package serve

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"time"

	"stargate/lm"
	"stargate/lm/local"
)

// shape turns results into the objects of a route.
type shape interface {
	whole() any                              // the answer, when all is done
	first(job int) []any                     // streamed: before a job's first token
	next(job, choice int, p local.Piece) any // streamed: a piece
	last(u usage) any                        // streamed: the usage, if asked for
}

// deliver does the work and answers, at once or as a stream.
func (s *Server) deliver(w *answer, r *http.Request, d *drawFields, jobs []*job, sh shape) error {
	if d.StreamOptions != nil && !d.Stream {
		return invalid("stream_options", "stream_options is for stream: true only")
	}
	ctx, cancel := context.WithTimeoutCause(r.Context(), s.opts.Limits.Time, errTimeLimit)
	defer cancel()
	if d.Stream {
		return s.stream(ctx, w, d, jobs, sh)
	}
	began := time.Now()
	err := run(ctx, jobs, nil, nil)
	s.meter.tokens(countUsage(jobs))
	if err != nil {
		return s.classify(err, context.Cause(ctx))
	}
	s.meter.completion(began, time.Time{})
	return w.send(http.StatusOK, sh.whole())
}

// stream answers with server-sent events: one object per piece, then "[DONE]" (OpenAI API
// reference, Streaming). Until the first piece an error has its status; then it is an event.
func (s *Server) stream(ctx context.Context, w *answer, d *drawFields, jobs []*job, sh shape) error {
	began := time.Now()
	var first time.Time
	e := &events{w: w}
	err := run(ctx, jobs, func(i int) error {
		for _, x := range sh.first(i) {
			if err := e.send(x); err != nil {
				return err
			}
		}
		if !jobs[i].draw {
			for k := range jobs[i].results {
				if err := e.send(sh.next(i, k, local.Piece{Finish: lm.FinishLength})); err != nil {
					return err
				}
			}
		}
		return nil
	}, func(i, k int, p local.Piece) error {
		if first.IsZero() {
			first = time.Now()
		}
		return e.send(sh.next(i, k, p))
	})
	u := countUsage(jobs)
	s.meter.tokens(u)
	if err != nil {
		f := s.classify(err, context.Cause(ctx))
		if w.status != 0 {
			_ = e.send(f.wire()) // the client may be gone
			e.done()
		}
		return f
	}
	s.meter.completion(began, first)
	if o := d.StreamOptions; o != nil && o.IncludeUsage {
		if err := e.send(sh.last(u)); err != nil {
			return nil // the client went away
		}
	}
	e.done()
	return nil
}

// events writes server-sent events.
type events struct{ w *answer }

// send writes one event and what is buffered with it.
func (e *events) send(v any) error {
	data, err := encode(v)
	if err != nil {
		return err
	}
	return e.data(data)
}

func (e *events) data(data []byte) error {
	if e.w.status == 0 {
		h := e.w.Header()
		h.Set("Content-Type", "text/event-stream")
		h.Set("Cache-Control", "no-cache")
		h.Set("X-Accel-Buffering", "no") // proxies pass pieces on
		e.w.WriteHeader(http.StatusOK)
	}
	event := make([]byte, 0, len(data)+8)
	event = append(append(append(event, "data: "...), data...), "\n\n"...)
	if _, err := e.w.Write(event); err != nil {
		return err
	}
	if err := http.NewResponseController(e.w).Flush(); err != nil && !errors.Is(err, http.ErrNotSupported) {
		return err
	}
	return nil
}

func (e *events) done() { _ = e.data([]byte("[DONE]")) }

// newID is an id that no other answer has.
func newID(prefix string) string {
	var b [12]byte
	_, _ = rand.Read(b[:]) // never fails
	return prefix + hex.EncodeToString(b[:])
}

func now() int64 { return time.Now().Unix() }

// checkBatch limits the completions of a request.
func (s *Server) checkBatch(prompts, n int) error {
	if most := s.opts.Limits.Batch; n > most || prompts > most || prompts*n > most {
		field := "n"
		if prompts > 1 {
			field = "prompt"
		}
		return &failure{status: http.StatusBadRequest, param: field, code: "batch_too_large",
			message: fmt.Sprintf("%d prompts with %d choices each are more than this server's limit of %d completions in a request; send several requests", prompts, n, most)}
	}
	return nil
}

// checkPromptLogProbs checks vLLM's field, with vLLM's restriction.
func (d *drawFields) checkPromptLogProbs() error {
	if d.Stream {
		return invalid("prompt_logprobs", "prompt_logprobs cannot be streamed")
	}
	return alternatives("prompt_logprobs", *d.PromptLogProbs)
}
