package jinja

import (
	"errors"
	"fmt"
)

// Limits of every template, whatever its budget. Published chat templates have up to 30 KiB and
// nest a dozen deep.
const (
	maxSource = 128 << 10 // bytes of a template
	maxTokens = 1 << 13   // in one tag
	maxParse  = 200       // expressions or blocks inside each other
	maxDepth  = 1000      // expressions, blocks, macros and containers inside each other, while rendering; Python's own limit
	maxRange  = 100_000   // elements of a range, as in Jinja's sandbox
)

// bytesPerStep is how many bytes cost a step, read or made.
const bytesPerStep = 64

// ErrLimit marks a template that asks for more than it may have.
var ErrLimit = errors.New("over a limit of templates")

// RaisedError is what a template says by raise_exception.
type RaisedError struct{ Message string }

func (e *RaisedError) Error() string { return e.Message }

// failure is how an error leaves the parser and the evaluator: as a panic that Parse and Render
// recover, as in text/template.
type failure struct{ error }

func fail(format string, args ...any) { panic(failure{fmt.Errorf(format, args...)}) }

// catch makes an error of a failure; at tells the line. Other panics are bugs and go on.
func catch(err *error, at *int) {
	switch r := recover().(type) {
	case nil:
	case failure:
		*err = fmt.Errorf("line %d: %w", *at, r.error)
	default:
		panic(r)
	}
}

// spend takes steps from the rendering's budget.
func (r *rendering) spend(steps int) {
	if r.Steps -= steps; r.Steps < 0 || steps < 0 {
		fail("%w: it takes too many steps", ErrLimit)
	}
}

// touch pays for bytes read or made.
func (r *rendering) touch(bytes int) { r.spend(1 + bytes/bytesPerStep) }

// enter counts what is inside each other; the caller leaves.
func (r *rendering) enter() {
	if r.depth++; r.depth > maxDepth {
		fail("%w: more than %d levels", ErrLimit, maxDepth)
	}
}

func (r *rendering) leave() { r.depth-- }
