//go:build unix

package temporaltest

import (
	"syscall"
	"testing"
)

// Pause freezes the server until Resume: its connections stay, and nothing answers.
func (s *Server) Pause(tb testing.TB) { s.signal(tb, syscall.SIGSTOP) }

// Resume lets a paused server go on.
func (s *Server) Resume(tb testing.TB) { s.signal(tb, syscall.SIGCONT) }

// signal sends a signal, if the server runs.
func (s *Server) signal(tb testing.TB, signal syscall.Signal) {
	tb.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.cmd == nil {
		return
	}
	if err := s.cmd.Process.Signal(signal); err != nil {
		tb.Errorf("signal %s to the Temporal server: %v", signal, err)
	}
}
