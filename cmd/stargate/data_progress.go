package main

import (
	"fmt"
	"io"
	"log/slog"
	"os"
	"sync"
	"time"

	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"
	"golang.org/x/term"

	"stargate/dataset/batch"
	"stargate/dataset/build"
	"stargate/lm/remote"
)

// dataProgress shows how far a build is, when it will be done and what it has cost so far:
// bars on a terminal, a log line every few seconds elsewhere.
type dataProgress struct {
	log    *slog.Logger
	oracle *oracle // set once it is open

	mu      sync.Mutex
	bars    *mpb.Progress // nil off a terminal
	bar     *mpb.Bar
	batch   *mpb.Bar // while batches are under way
	stage   string
	started time.Time
	spoke   time.Time
	last    build.Progress
	stop    chan struct{}
	ended   sync.WaitGroup
}

func newDataProgress(w io.Writer) *dataProgress {
	p := &dataProgress{log: slog.New(slog.NewTextHandler(w, nil)), stop: make(chan struct{})}
	if f, ok := w.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		p.bars = mpb.New(mpb.WithOutput(w), mpb.WithWidth(40))
		p.log = slog.New(slog.DiscardHandler)
	}
	return p
}

// watch reports batches, which are silent for hours, until close.
func (p *dataProgress) watch() {
	every := quiet
	if p.bars != nil {
		every = time.Second
	}
	p.ended.Go(func() {
		tick := time.NewTicker(every)
		defer tick.Stop()
		for {
			select {
			case <-p.stop:
				p.showBatches(nil)
				return
			case <-tick.C:
				p.showBatches(p.oracle.batches.Load())
			}
		}
	})
}

// showBatches says how far the batches are; nil: none is under way.
func (p *dataProgress) showBatches(b *batch.Progress) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case b == nil && p.batch != nil:
		p.batch.SetTotal(p.batch.Current(), true)
		p.batch = nil
	case b == nil:
	case p.bars == nil:
		p.log.Info("batches", "jobs", b.Jobs, "answered", b.Answered, "errors", b.Errored, "of", b.Total)
	default:
		if p.batch == nil {
			p.batch = p.bars.AddBar(int64(b.Total), mpb.PrependDecorators(decor.Name(fmt.Sprintf("%-28s", "waiting for batches"))),
				mpb.AppendDecorators(decor.CountersNoUnit("%d/%d "), decor.Elapsed(decor.ET_STYLE_GO)))
		}
		p.batch.SetTotal(int64(b.Total), false)
		p.batch.SetCurrent(int64(b.Answered + b.Errored))
	}
}

func (p *dataProgress) observe(e build.Progress) {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := time.Now()
	if e.Stage != p.stage {
		p.finish()
		p.stage, p.started, p.spoke, p.last = e.Stage, now, now, build.Progress{}
		if p.bars != nil {
			p.bar = p.bars.AddBar(int64(e.Total),
				mpb.PrependDecorators(decor.Name(fmt.Sprintf("%-28s", e.Stage))),
				mpb.AppendDecorators(decor.CountersNoUnit("%d/%d "), decor.OnComplete(decor.AverageETA(decor.ET_STYLE_GO), "done"),
					decor.Any(func(decor.Statistics) string { return " " + p.oracle.money() })))
		}
	}
	p.last = e
	if p.bar != nil {
		p.bar.SetCurrent(int64(e.Done))
		return
	}
	if now.Sub(p.spoke) >= quiet && e.Done > 0 {
		p.spoke = now
		left := time.Duration(float64(now.Sub(p.started)) / float64(e.Done) * float64(e.Total-e.Done))
		p.log.Info(e.Stage, "done", e.Done, "of", e.Total, "left", left.Round(time.Second), "so far", p.oracle.money())
	}
}

// finish ends the current stage.
func (p *dataProgress) finish() {
	switch {
	case p.stage == "":
	case p.bar != nil:
		p.bar.SetTotal(p.bar.Current(), true)
		p.bar = nil
	case p.bars == nil:
		p.log.Info(p.stage, "done", p.last.Done, "of", p.last.Total, "took", time.Since(p.started).Round(10*time.Millisecond), "so far", p.oracle.money())
	}
	p.stage = ""
}

func (p *dataProgress) close() {
	close(p.stop)
	p.ended.Wait()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.finish()
	if p.bars != nil {
		p.bars.Wait()
	}
}

// money says what the model has cost so far, in tokens and, with a price, in its currency.
func (p *oracle) money() string {
	s := p.spent()
	text := fmt.Sprintf("%d calls, %d tokens in, %d out", s.Calls, s.TokensIn, s.TokensOut)
	if p.price != (remote.Price{}) {
		text += fmt.Sprintf(", cost %.4g", p.cost())
	}
	return text
}
