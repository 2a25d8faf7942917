package report

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/performance"
	"github.com/chromedp/cdproto/systeminfo"
	"github.com/chromedp/chromedp"

	"stargate"
	"stargate/eval"
)

// largeData is a run of pairs per iteration, ten conversations each, and of as many test
// pairs as half of that, with a sample of each on the page. Long texts have the lengths that
// the paper's limits allow: 700 tokens for a gold and a response.
func largeData(pairs, sample int, long bool) Data {
	r := rand.New(rand.NewPCG(9, 9))
	d := fakeData()
	d.Iterations = nil
	for n := 1; n <= 3; n++ {
		it := fakeIteration(r, n, pairs)
		if long {
			lengthen(it.Candidates)
			for i := range it.Selected {
				it.Selected[i].Response = strings.Repeat(it.Selected[i].Response+" ", 38)
			}
		}
		d.Iterations = append(d.Iterations, ViewOf(it, fakeTruth{}, sample))
	}
	e := fakeEvaluation(r, pairs/2)
	if long {
		for _, rated := range e.Rated {
			lengthen(rated)
		}
	}
	d.Test = TestOf(e, fakeTruth{}, sample)
	left := &eval.LeftOut{} // as many of a large run's pairs as a flaky oracle leaves without a gold
	for i := range pairs / 10 {
		left.Pairs = append(left.Pairs, eval.LeftOutPair{Split: "A", Task: fmt.Sprint("t", i), Persona: fmt.Sprint("u", i%17), Reason: "refused"})
	}
	d.Result.LeftOut = left
	return d
}

func lengthen(candidates []stargate.Candidates) {
	for i := range candidates {
		p := &candidates[i].Pair
		p.Gold, p.Persona.Text = strings.Repeat(p.Gold+" ", 30), strings.Repeat(p.Persona.Text+" ", 8)
		for _, c := range candidates[i].Scored {
			for t := range c.Turns {
				c.Turns[t].Question, c.Turns[t].Answer = strings.Repeat(c.Turns[t].Question+" ", 4), strings.Repeat(c.Turns[t].Answer+" ", 12)
			}
		}
	}
}

// The page grows with the sample, not with the run: what it writes of each iteration, of the
// test split and of the pairs left out is bounded.
func TestPageDoesNotGrowWithTheRun(t *testing.T) {
	size := func(pairs int) int {
		var b bytes.Buffer
		if err := HTML(&b, largeData(pairs, 10, false)); err != nil {
			t.Fatal(err)
		}
		return b.Len()
	}
	small, large := size(1000), size(3000)
	if large > small+small/20 {
		t.Errorf("the page of 1,000 pairs an iteration has %d bytes, that of 3,000 has %d", small, large)
	}
}

// TestBrowserLarge measures pages of a run of 10⁵ conversations (docs/bench/report.md):
// STARGATE_LARGE=1 go test -run BrowserLarge -v ./report
func TestBrowserLarge(t *testing.T) {
	if os.Getenv("STARGATE_LARGE") == "" {
		t.Skip("set STARGATE_LARGE=1 to measure pages of 10⁵ conversations")
	}
	for _, c := range []struct {
		texts  string
		sample int
	}{{"short", 24}, {"long", 24}, {"short", 240}, {"long", 240}, {"short", 3334}} {
		start := time.Now()
		d := largeData(3334, c.sample, c.texts == "long")
		built := time.Since(start)
		dir := t.TempDir()
		start = time.Now()
		if err := Write(dir, d); err != nil {
			t.Fatal(err)
		}
		wrote := time.Since(start)
		file := filepath.Join(dir, PageFile)
		info, err := os.Stat(file)
		if err != nil {
			t.Fatal(err)
		}
		ctx := openBrowser(t)
		do(t, ctx, chromedp.Navigate("about:blank"))
		if _, err := chromedp.Call(ctx, performance.Enable, performance.EnableParams{}); err != nil {
			t.Fatal(err)
		}
		start = time.Now()
		do(t, ctx, chromedp.Navigate("file://"+file))
		opened := time.Since(start)
		painted, err := chromedp.Run(ctx, chromedp.Evaluate[float64](`new Promise(done => requestAnimationFrame(() => requestAnimationFrame(() => done(performance.now()))))`, chromedp.EvalAwaitPromise))
		if err != nil {
			t.Fatal(err)
		}
		conversations := js[int](t, ctx, `document.querySelectorAll("details.candidate").length`)
		typed := js[float64](t, ctx, `{const f = document.getElementById("filter-text"), start = performance.now();
			f.value = "holiday ada"; f.dispatchEvent(new Event("input")); document.body.offsetHeight; performance.now() - start}`)
		all := js[float64](t, ctx, `{const start = performance.now(); document.getElementById("open-all").click(); document.body.offsetHeight; performance.now() - start}`)
		m, err := chromedp.Call(ctx, performance.GetMetrics, cdp.Empty{})
		if err != nil {
			t.Fatal(err)
		}
		processes, err := chromedp.CallBrowser(ctx, systeminfo.GetProcessInfo, cdp.Empty{})
		if err != nil {
			t.Fatal(err)
		}
		resident := 0.0 // of the processes that render, MB; there is but one page
		for _, p := range processes.ProcessInfo {
			if p.Type == "renderer" {
				resident = max(resident, residentMB(p.ID))
			}
		}
		metric := map[string]float64{}
		for _, x := range m.Metrics {
			metric[x.Name] = x.Value
		}
		t.Logf("| %s | %d | %d | %.1f | %.1f | %.2f | %.2f | %.2f | %.0f | %.1f | %.0f | %.0f | %.0f | layout %.2f, styles %.2f, tasks %.2f",
			c.texts, c.sample, conversations, float64(info.Size())/1e6, built.Seconds(), wrote.Seconds(), opened.Seconds(), painted/1e3, metric["Nodes"], metric["JSHeapUsedSize"]/1e6, resident, typed, all, metric["LayoutDuration"], metric["RecalcStyleDuration"], metric["TaskDuration"])
		chromedp.Cancel(ctx)
	}
}

// residentMB is the memory of a process that is in use, on Linux; 0 elsewhere.
func residentMB(pid int64) float64 {
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", pid))
	if err != nil {
		return 0
	}
	var size, resident float64
	if _, err := fmt.Sscan(string(raw), &size, &resident); err != nil {
		return 0
	}
	return resident * float64(os.Getpagesize()) / 1e6
}
