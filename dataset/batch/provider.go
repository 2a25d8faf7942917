package batch

import (
	"context"
	"time"
)

// Provider is a batch API. [OpenAI] and [Anthropic] are the two there are.
type Provider interface {
	// Address names the provider's account in the ledger; it holds no secret.
	Address() string
	// Limits are the most lines and bytes of one job.
	Limits() (lines, bytes int)
	// upload sends the lines where the API wants them in a file first, else it returns "".
	upload(ctx context.Context, tag string, lines []Line) (file string, err error)
	// create makes the job. It may have been made even if an error comes back: unsure says so.
	create(ctx context.Context, tag, file string, lines []Line) (id string, unsure bool, err error)
	// find looks for a job that an earlier create may have made.
	find(ctx context.Context, made made) (id string, found bool, err error)
	// status asks how far a job is.
	status(ctx context.Context, id string) (status, error)
	// answers visits what an ended job brought, in any order: an answer, or the reason why a
	// line has none.
	answers(ctx context.Context, s status, visit func(id string, a *Answer, missing string) error) error
}

// made is what is known of a job whose id was lost.
type made struct {
	tag   string
	file  string
	since time.Time
	lines []Line
}

// status is how far a job is.
type status struct {
	id                       string
	state                    string // in the provider's words
	ended                    bool
	failed                   string // why nothing of it was done
	later                    bool   // failed for want of room: the same job may be taken later
	total, answered, errored int
	files                    []string // of answers and errors, or the address of results
}
