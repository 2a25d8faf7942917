package batch

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"stargate/ledger"
)

// box keeps the state of jobs and all answers as documents of a ledger. Documents are
// written once, so that a job's life is a row of them: plan, file, intent, id, end.
type box struct{ ledger *ledger.Ledger }

const (
	answerPrefix = "batch answer "
	jobPrefix    = "batch job "
)

// plan is what a job is made of.
type plan struct {
	Provider string    `json:"provider"` // address, without secrets
	Lines    []Line    `json:"lines"`
	Planned  time.Time `json:"planned"`
}

// named is a document with one name in it: the id of a file or a job.
type named struct {
	ID string `json:"id"`
}

// intent says that a job may have been created from now on.
type intent struct {
	At time.Time `json:"at"`
}

// end is what a job came to.
type end struct {
	Status   string         `json:"status"`
	Answered int            `json:"answered"`
	Missing  map[string]int `json:"missing,omitempty"` // lines without an answer, by reason
}

func (b box) answer(ctx context.Context, id string) (a Answer, found bool, err error) {
	found, err = b.ledger.Get(ctx, answerPrefix+id, &a)
	return a, found, err
}

func (b box) keep(ctx context.Context, id string, a Answer) error {
	if _, found, err := b.answer(ctx, id); err != nil || found { // the first answer counts: it may have been used
		return err
	}
	return b.ledger.Put(ctx, answerPrefix+id, a)
}

// note stores a fact of a job and waits for the disk: facts stand for money.
func (b box) note(ctx context.Context, tag, fact string, v any) error {
	key := jobPrefix + tag + " " + fact
	if err := b.ledger.Put(ctx, key, v); err != nil {
		return err
	}
	_, err := b.ledger.Step(ctx, key, "batch job "+tag, func(context.Context) (json.RawMessage, error) { return json.RawMessage("true"), nil })
	return err
}

func (b box) fact(ctx context.Context, tag, fact string, v any) (bool, error) {
	return b.ledger.Get(ctx, jobPrefix+tag+" "+fact, v)
}

// unfinished are the tags of a provider's jobs that have not ended, oldest first by name.
func (b box) unfinished(ctx context.Context, provider string) ([]string, error) {
	ended, planned := map[string]bool{}, []string{}
	err := b.ledger.Documents(ctx, jobPrefix, func(key string, body json.RawMessage) error {
		tag, fact, ok := strings.Cut(strings.TrimPrefix(key, jobPrefix), " ")
		switch {
		case !ok:
			return fmt.Errorf("batch: document %q is none of a job", key)
		case fact == "end":
			ended[tag] = true // comes before the plan in the order of keys
		case fact == "plan" && !ended[tag]:
			var p plan
			if err := json.Unmarshal(body, &p); err != nil {
				return fmt.Errorf("batch: document %q: %w", key, err)
			}
			if p.Provider == provider {
				planned = append(planned, tag)
			}
		}
		return nil
	})
	return planned, err
}
