package simserver

import "time"

// Report is what a server did since it started or was [Server.Reset]. Times are its own.
type Report struct {
	Work
	Cancelled int           `json:"cancelled"` // sequences whose client went away
	Elapsed   time.Duration `json:"elapsed"`   // from the first request to the last answer
	Least     time.Duration `json:"least"`     // the time the same work takes a batch that is always full
	Share     float64       `json:"share"`     // Least/Elapsed: the share of the server's own maximum
}

// Report says what the server did, and how much faster it could have been.
func (s *Server) Report() Report {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.rearm(s.engine.advance(s.now()))
	w := s.engine.work
	b := s.window.work
	r := Report{Cancelled: s.cancelled, Elapsed: s.window.last - s.window.first, Work: Work{
		Requests: w.Requests - b.Requests, Prompt: w.Prompt - b.Prompt, Prefilled: w.Prefilled - b.Prefilled,
		Cached: w.Cached - b.Cached, Scored: w.Scored - b.Scored, Completion: w.Completion - b.Completion,
	}}
	r.Least = s.opts.Hardware.Least(r.Work)
	if r.Elapsed > 0 {
		r.Share = r.Least.Seconds() / r.Elapsed.Seconds()
	}
	return r
}

// Reset begins a new report. The prefix cache stays as it is.
func (s *Server) Reset() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.rearm(s.engine.advance(s.now()))
	s.window, s.cancelled = window{work: s.engine.work}, 0
}
