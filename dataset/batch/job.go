package batch

import (
	"context"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"
)

// finish sees a planned job through from wherever it stands.
func (f *Filler) finish(ctx context.Context, tag string) (end, error) {
	var e end
	var p plan
	if found, err := f.box.fact(ctx, tag, "plan", &p); err != nil || !found {
		return e, fmt.Errorf("its plan is not there (%v)", err)
	}
	defer f.progress(tag, nil)
	id, err := f.created(ctx, tag, p)
	if err != nil {
		return e, err
	}
	s, err := f.wait(ctx, tag, id, len(p.Lines))
	if err != nil {
		return e, err
	}
	e = end{Status: s.state, Missing: map[string]int{}}
	if s.failed != "" {
		if !s.later {
			return e, f.refused(ctx, tag, id, s)
		}
		e.Missing["job not taken: "+s.failed] = len(p.Lines)
	} else if err := f.fetch(ctx, s, p, &e); err != nil {
		return e, fmt.Errorf("%s: %w", id, err)
	}
	f.o.Log.Info("batch job ended", "job", id, "status", s.state, "answered", e.Answered, "missing", len(p.Lines)-e.Answered)
	return e, f.box.note(ctx, tag, "end", e)
}

// refused ends a job that the provider did not take: nothing of it was done or billed.
func (f *Filler) refused(ctx context.Context, tag, id string, s status) error {
	if err := f.box.note(ctx, tag, "end", end{Status: s.state}); err != nil {
		return err
	}
	return fmt.Errorf("the provider refused %s: %s", id, s.failed)
}

// created is the id of the job: the one noted, one that an earlier process may have created,
// or a new one.
func (f *Filler) created(ctx context.Context, tag string, p plan) (string, error) {
	var job, file named
	if found, err := f.box.fact(ctx, tag, "id", &job); err != nil || found {
		return job.ID, err
	}
	if found, err := f.box.fact(ctx, tag, "file", &file); err != nil {
		return "", err
	} else if !found {
		id, err := f.provider.upload(ctx, tag, p.Lines)
		if err != nil {
			return "", fmt.Errorf("upload %d lines: %w", len(p.Lines), err)
		}
		file.ID = id
		if err := f.box.note(ctx, tag, "file", file); err != nil {
			return "", err
		}
	}
	var meant intent
	before, err := f.box.fact(ctx, tag, "intent", &meant)
	if err != nil {
		return "", err
	}
	if !before {
		meant.At = time.Now().UTC()
		if err := f.box.note(ctx, tag, "intent", meant); err != nil {
			return "", err
		}
	}
	m := made{tag: tag, file: file.ID, since: meant.At, lines: p.Lines}
	if job.ID, err = f.make(ctx, m, before); err != nil {
		return "", err
	}
	f.o.Log.Info("batch job created", "job", job.ID, "lines", len(p.Lines))
	return job.ID, f.box.note(ctx, tag, "id", job)
}

// creations is how often a create is tried that surely made no job.
const creations = 4

// make creates the job, unless one that may have been created shows up first.
func (f *Filler) make(ctx context.Context, m made, unsure bool) (string, error) {
	var last error
	for try := range creations {
		if unsure {
			id, found, err := f.search(ctx, m)
			if err != nil || found {
				return id, err
			}
		}
		id, again, err := f.provider.create(ctx, m.tag, m.file, m.lines)
		if err == nil {
			return id, nil
		}
		if ctx.Err() != nil {
			return "", ctx.Err()
		}
		last = fmt.Errorf("create a job of %d lines: %w", len(m.lines), err)
		if !again && !temporary(err) {
			return "", last
		}
		unsure = again
		if again {
			m.since = time.Now().UTC()
		}
		if err := sleep(ctx, f.o.Poll<<try); err != nil {
			return "", err
		}
	}
	return "", last
}

// search looks for the job now, and once more when its time of grace is over.
func (f *Filler) search(ctx context.Context, m made) (string, bool, error) {
	for {
		id, found, err := f.provider.find(ctx, m)
		if err != nil || found {
			return id, found, err
		}
		left := f.o.Grace - time.Since(m.since)
		if left <= 0 {
			return "", false, nil
		}
		if err := sleep(ctx, min(left, f.o.Poll)); err != nil {
			return "", false, err
		}
	}
}

// wait looks at the job until it has ended.
func (f *Filler) wait(ctx context.Context, tag, id string, lines int) (status, error) {
	for pause := f.o.Poll; ; pause = min(pause*3/2, f.o.MaxPoll) {
		s, err := f.provider.status(ctx, id)
		if err != nil {
			return s, fmt.Errorf("%s: %w", id, err)
		}
		f.progress(tag, &Progress{Answered: s.answered, Errored: s.errored, Total: max(s.total, lines)})
		if s.ended {
			return s, nil
		}
		if err := sleep(ctx, pause); err != nil {
			return s, err
		}
	}
}

// progress notes how far one job is, or with nil that it is gone, and tells all together.
func (f *Filler) progress(tag string, p *Progress) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if p == nil {
		delete(f.jobs, tag)
		return
	}
	f.jobs[tag] = *p
	all := Progress{Jobs: len(f.jobs)}
	for _, j := range f.jobs {
		all.Answered, all.Errored, all.Total = all.Answered+j.Answered, all.Errored+j.Errored, all.Total+j.Total
	}
	f.o.Observe(all)
}

// keepers is how many answers are stored at a time: the ledger commits them in groups.
const keepers = 64

// fetch stores every answer of an ended job.
func (f *Filler) fetch(ctx context.Context, s status, p plan, e *end) error {
	left := make(map[string]bool, len(p.Lines))
	for _, l := range p.Lines {
		left[l.ID] = true
	}
	why := map[string]string{}
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(keepers)
	seen := map[string]bool{}
	err := f.provider.answers(ctx, s, func(id string, a *Answer, missing string) error {
		switch {
		case seen[id]:
			return nil // a transfer that was begun anew
		case !left[id]:
			return fmt.Errorf("%w: it has an answer to a request that is not ours: %.20s", errFormat, id)
		case a == nil:
			why[id] = missing
			return nil
		}
		seen[id] = true
		kept := *a
		g.Go(func() error { return f.box.keep(gctx, id, kept) })
		return nil
	})
	if stored := g.Wait(); stored != nil {
		return stored
	}
	if err != nil {
		return err
	}
	e.Answered = len(seen)
	for id := range left {
		if !seen[id] {
			reason := why[id]
			if reason == "" {
				reason = s.state + ", without a line"
			}
			e.Missing[reason]++
		}
	}
	return nil
}
