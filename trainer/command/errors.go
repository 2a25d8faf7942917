package command

import (
	"errors"
	"fmt"
	"strings"
)

// Errors of training that callers branch on.
var (
	// ErrStalled: the program wrote no line for longer than Config.Stall.
	ErrStalled = errors.New("the program went silent")
	// ErrOutput: the program ended well, but what it left is no model.
	ErrOutput = errors.New("the program ended without an error but left no usable model")
)

// AttemptError is an attempt that failed.
type AttemptError struct {
	Attempt int
	Of      int    // the most attempts there could be
	Code    int    // exit status; -1 if none was written down
	Detail  string // "exit status 1", "TIMEOUT", "signal: killed"
	Log     string // path of everything the program printed
	Tail    []string
	Err     error // ErrStalled, or nil
}

func (e *AttemptError) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "attempt %d of %d: ", e.Attempt, e.Of)
	if e.Err != nil {
		fmt.Fprintf(&b, "%v, ", e.Err)
	}
	fmt.Fprintf(&b, "%s; the log is %s", e.Detail, e.Log)
	if len(e.Tail) == 0 {
		b.WriteString(", and it is empty")
		return b.String()
	}
	b.WriteString(" and ends:")
	for _, line := range e.Tail {
		b.WriteString("\n  " + line)
	}
	return b.String()
}

// Unwrap gives ErrStalled.
func (e *AttemptError) Unwrap() error { return e.Err }

// Exit statuses of a shell that another attempt would only repeat.
const (
	exitNotExecutable = 126
	exitNotFound      = 127
)

// final: another attempt would fail the same way, or somebody ended this one on purpose.
func (e *AttemptError) final() bool {
	return e.Code == exitNotExecutable || e.Code == exitNotFound || strings.HasPrefix(e.Detail, "CANCELLED")
}
