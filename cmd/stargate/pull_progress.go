package main

import (
	"fmt"
	"io"
	"log/slog"
	"os"
	"sync"
	"time"

	"github.com/dustin/go-humanize"
	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"
	"golang.org/x/term"

	"stargate/hub"
)

// pullProgress shows how far a download is: one bar with speed and remaining time on a
// terminal, a log line per file and every few seconds elsewhere.
type pullProgress struct {
	log *slog.Logger

	mu    sync.Mutex
	name  string
	bars  *mpb.Progress // nil off a terminal
	bar   *mpb.Bar
	began time.Time
	spoke time.Time
	last  hub.Event
}

func newPullProgress(w io.Writer, name string) *pullProgress {
	p := &pullProgress{name: name, began: time.Now(), spoke: time.Now()}
	if f, ok := w.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		p.bars = mpb.New(mpb.WithOutput(w), mpb.WithWidth(40))
		w = p.bars // log lines go above the bar
	}
	p.log = slog.New(slog.NewTextHandler(w, nil))
	return p
}

func (p *pullProgress) observe(e hub.Event) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.last = e
	if e.Kept == e.Done && e.Done == e.Total {
		return // nothing to download so far
	}
	if p.bars != nil {
		if p.bar == nil {
			p.bar = p.bars.AddBar(e.Total, mpb.PrependDecorators(decor.Name(p.name)), mpb.AppendDecorators(decor.Any(func(decor.Statistics) string { return p.state() })))
		}
		p.bar.SetTotal(e.Total, false)
		p.bar.SetCurrent(min(e.Done, e.Total-1)) // it ends in close
		return
	}
	if now := time.Now(); e.File != "" || now.Sub(p.spoke) >= quiet {
		p.spoke = now
		log := p.log
		if e.File != "" {
			log = log.With("file", e.File)
		}
		log.Info(p.name, "have", remaining(e, now.Sub(p.began)))
	}
}

// state is read by the goroutine that draws.
func (p *pullProgress) state() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return remaining(p.last, time.Since(p.began))
}

// remaining tells how much is there, how fast it comes and when it will be done. Bytes of an
// earlier pull tell nothing of the speed.
func remaining(e hub.Event, took time.Duration) string {
	text := fmt.Sprintf("%s of %s", humanize.Bytes(uint64(e.Done)), humanize.Bytes(uint64(e.Total)))
	came := float64(e.Done - e.Kept)
	if came <= 0 || took < time.Second {
		return text
	}
	speed := came / took.Seconds()
	text += fmt.Sprintf(", %s/s", humanize.Bytes(uint64(speed)))
	if e.Done < e.Total {
		text += fmt.Sprintf(", %s left", time.Duration(float64(e.Total-e.Done)/speed*float64(time.Second)).Round(time.Second))
	}
	return text
}

// close ends the bar, full or where it is.
func (p *pullProgress) close(done bool) {
	p.mu.Lock()
	bar, last := p.bar, p.last
	p.mu.Unlock()
	if bar != nil {
		if done {
			bar.SetCurrent(last.Total)
			bar.SetTotal(last.Total, true)
		} else {
			bar.Abort(false)
		}
	}
	if p.bars != nil {
		p.bars.Wait()
	}
}
