package batch

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"stargate/ledger"
	"stargate/lm"
)

// Question is one call that shall be answered.
type Question struct {
	Chat     lm.Chat
	Sampling lm.Sampling
}

// Options are how a [Filler] goes about it. Zero fields mean the default.
type Options struct {
	Rounds   int           // times lines are sent that a job left unanswered (default 3)
	Poll     time.Duration // first pause between looks at a job (default 15s); it grows
	MaxPoll  time.Duration // longest pause (default 8 × Poll)
	Grace    time.Duration // how long a job that may have been created has to show up before another is (default 2m)
	MaxLines int           // lines per job; 0 = what the provider's limits allow
	Parallel int           // jobs at a time (default 8)
	Observe  func(Progress)
	Log      *slog.Logger // nil: silent
}

func (o Options) withDefaults() Options {
	for _, d := range []struct {
		field *time.Duration
		value time.Duration
	}{{&o.Poll, 15 * time.Second}, {&o.MaxPoll, 8 * o.Poll}, {&o.MaxPoll, 2 * time.Minute}, {&o.Grace, 2 * time.Minute}} {
		if *d.field == 0 {
			*d.field = d.value
		}
	}
	if o.Rounds == 0 {
		o.Rounds = 3
	}
	if o.Parallel == 0 {
		o.Parallel = 8
	}
	if o.Observe == nil {
		o.Observe = func(Progress) {}
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return o
}

// Progress tells how far the jobs are.
type Progress struct {
	Jobs     int // under way
	Answered int // lines of them, as the provider counts
	Errored  int
	Total    int
}

// Filler brings the answers of many questions into a ledger by batches.
type Filler struct {
	driver   lm.Generator // over a Transport of the same ledger, without a journal
	provider Provider
	box      box
	o        Options

	mu   sync.Mutex
	jobs map[string]Progress // by tag
}

// NewFiller makes a filler. driver turns questions into requests: it is that of a
// [Transport] of the same ledger, and not journaled, because collecting ends every call with
// an error.
func NewFiller(driver lm.Generator, p Provider, l *ledger.Ledger, o Options) *Filler {
	return &Filler{driver: driver, provider: p, box: box{l}, o: o.withDefaults(), jobs: map[string]Progress{}}
}

// Fill returns when every question has an answer in the ledger, or a final error. It first
// finishes what an earlier process planned. Questions without an answer after all rounds are
// an [ErrUnanswered] that gives the provider's reasons.
func (f *Filler) Fill(ctx context.Context, questions []Question) error {
	if err := f.resume(ctx); err != nil {
		return err
	}
	reasons := map[string]int{}
	for round := 1; ; round++ {
		lines, err := f.collect(ctx, questions)
		if err != nil {
			return err
		}
		if len(lines) == 0 {
			return nil
		}
		if round > f.o.Rounds {
			return fmt.Errorf("%w: %d requests after %d rounds (%s); repeat the command to send them again", ErrUnanswered, len(lines), f.o.Rounds, listed(reasons))
		}
		reasons = map[string]int{}
		if round > 1 { // what failed a moment ago fails again at once
			if err := sleep(ctx, f.o.Poll); err != nil {
				return err
			}
		}
		if err := f.send(ctx, lines, reasons); err != nil {
			return err
		}
	}
}

func listed(reasons map[string]int) string {
	var out []string
	for _, r := range slices.Sorted(maps.Keys(reasons)) {
		out = append(out, fmt.Sprintf("%d × %s", reasons[r], r))
	}
	if len(out) == 0 {
		return "the jobs did not mention them"
	}
	return strings.Join(out, ", ")
}

// collect asks the driver every question and notes the requests that have no answer yet.
func (f *Filler) collect(ctx context.Context, questions []Question) ([]Line, error) {
	c := &collector{seen: map[string]bool{}}
	ctx = context.WithValue(ctx, collectorKey{}, c)
	for i, q := range questions {
		_, err := f.driver.Generate(ctx, q.Chat, q.Sampling)
		switch {
		case err == nil, errors.Is(err, errCollected), errors.Is(err, lm.ErrRefused), errors.Is(err, lm.ErrContextLength):
		default:
			return nil, fmt.Errorf("batch: question %d of %d: %w", i+1, len(questions), err)
		}
	}
	return c.lines, nil
}

// send plans jobs for lines and sees them through.
func (f *Filler) send(ctx context.Context, lines []Line, reasons map[string]int) error {
	most, bytes := f.provider.Limits()
	if f.o.MaxLines > 0 {
		most = min(most, f.o.MaxLines)
	}
	var tags []string
	for _, part := range split(lines, most, bytes) {
		tag, err := newTag()
		if err != nil {
			return err
		}
		if err := f.box.note(ctx, tag, "plan", plan{f.provider.Address(), part, time.Now().UTC()}); err != nil {
			return err
		}
		tags = append(tags, tag)
	}
	return f.each(ctx, tags, reasons)
}

// newTag names a job. It is drawn: a job that is sent again is another job.
func newTag() (string, error) {
	var b [10]byte
	if _, err := rand.Read(b[:]); err != nil {
		return "", err
	}
	return hex.EncodeToString(b[:]), nil
}

// resume finishes the jobs of an earlier process.
func (f *Filler) resume(ctx context.Context) error {
	tags, err := f.box.unfinished(ctx, f.provider.Address())
	if err != nil {
		return err
	}
	return f.each(ctx, tags, map[string]int{})
}

// each sees several jobs through and adds up why lines have no answer.
func (f *Filler) each(ctx context.Context, tags []string, reasons map[string]int) error {
	var mu sync.Mutex
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(f.o.Parallel)
	for _, tag := range tags {
		g.Go(func() error {
			e, err := f.finish(ctx, tag)
			if err != nil {
				return fmt.Errorf("batch job %s: %w", tag, err)
			}
			mu.Lock()
			defer mu.Unlock()
			for r, n := range e.Missing {
				reasons[r] += n
			}
			return nil
		})
	}
	return g.Wait()
}

func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}
