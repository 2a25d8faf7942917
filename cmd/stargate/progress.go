package main

import (
	"fmt"
	"io"
	"log/slog"
	"math"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"
	"golang.org/x/term"

	"stargate/runner"
)

// progress shows how far a run is: bars with remaining time on a terminal, a log line per
// stage and every few seconds elsewhere.
type progress struct {
	mu      sync.Mutex
	bars    *mpb.Progress // nil off a terminal
	bar     *mpb.Bar
	cost    atomic.Uint64 // bits of the cost so far
	log     *slog.Logger
	stage   string
	started time.Time
	spoke   time.Time
	last    runner.Event
}

// quiet is how long a log is silent within a stage.
const quiet = 10 * time.Second

func newProgress(w io.Writer) *progress {
	p := &progress{log: slog.New(slog.NewTextHandler(w, nil))}
	if f, ok := w.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		p.bars = mpb.New(mpb.WithOutput(w), mpb.WithWidth(40))
	}
	return p
}

func (p *progress) observe(e runner.Event) {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := time.Now()
	if e.Stage != p.stage {
		p.finish()
		p.stage, p.started, p.spoke = e.Stage, now, now
		p.last = runner.Event{}
		if p.bars != nil {
			p.bar = p.bars.AddBar(int64(e.Total),
				mpb.PrependDecorators(decor.Name(fmt.Sprintf("%-28s", e.Stage))),
				mpb.AppendDecorators(decor.CountersNoUnit("%d/%d "), decor.OnComplete(decor.AverageETA(decor.ET_STYLE_GO), "done"), decor.Any(func(decor.Statistics) string { return p.costText() })))
		}
	}
	if e.Done < p.last.Done { // reports of concurrent work may overtake each other
		return
	}
	p.last = e
	p.cost.Store(math.Float64bits(e.Cost))
	if p.bar != nil {
		p.bar.SetCurrent(int64(e.Done))
		return
	}
	if now.Sub(p.spoke) >= quiet && e.Done > 0 {
		p.spoke = now
		left := time.Duration(float64(now.Sub(p.started)) / float64(e.Done) * float64(e.Total-e.Done))
		p.log.Info(e.Stage, append([]any{"done", e.Done, "of", e.Total, "left", left.Round(time.Second)}, p.costLog()...)...)
	}
}

// costText is what the servers' prices add up to so far; "" where nothing costs anything.
func (p *progress) costText() string {
	if c := math.Float64frombits(p.cost.Load()); c > 0 {
		return fmt.Sprintf("  cost %.2f", c)
	}
	return ""
}

func (p *progress) costLog() []any {
	if c := math.Float64frombits(p.cost.Load()); c > 0 {
		return []any{"cost", fmt.Sprintf("%.2f", c)}
	}
	return nil
}

// finish ends the current stage.
func (p *progress) finish() {
	switch {
	case p.stage == "":
	case p.bar != nil:
		p.bar.SetTotal(p.bar.Current(), true)
		p.bar = nil
	case p.bars == nil:
		p.log.Info(p.stage, append([]any{"done", p.last.Done, "of", p.last.Total, "took", time.Since(p.started).Round(10 * time.Millisecond)}, p.costLog()...)...)
	}
}

func (p *progress) close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.finish()
	if p.bars != nil {
		p.bars.Wait()
	}
}

// announce begins a run of several.
func (p *progress) announce(what string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.finish()
	p.stage, p.bar = "", nil
	if p.bars != nil {
		fmt.Fprintln(p.bars, what)
		return
	}
	p.log.Info(what)
}
