package report

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	cdplog "github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

// openBrowser starts a fresh headless Chromium, or skips where none is installed.
func openBrowser(t *testing.T) context.Context {
	t.Helper()
	var path string
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome", "google-chrome-stable"} {
		if p, err := exec.LookPath(name); err == nil {
			path = p
			break
		}
	}
	if path == "" {
		t.Skip("no chromium or google-chrome in PATH")
	}
	opts := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(path), chromedp.NoSandbox, chromedp.DisableGPU, chromedp.NoFirstRun)
	for _, flag := range []string{"disable-quic", "disable-background-networking", "disable-component-update", "disable-sync"} {
		opts = append(opts, chromedp.Flag(flag, true))
	}
	ctx, stop := context.WithTimeout(t.Context(), 5*time.Minute)
	t.Cleanup(stop)
	ctx, stop = chromedp.NewExecAllocator(ctx, opts...) // with a profile folder of its own
	t.Cleanup(stop)
	ctx, stop = chromedp.NewContext(ctx)
	t.Cleanup(stop)
	return ctx
}

// watched collects what a reader would see in the browser's console, and every request.
type watched struct {
	mu       sync.Mutex
	problems []string
	requests []string
}

func watch(t *testing.T, ctx context.Context) *watched {
	t.Helper()
	w := &watched{}
	err := chromedp.Listen(ctx, func(ev any) {
		w.mu.Lock()
		defer w.mu.Unlock()
		switch e := ev.(type) {
		case *cdplog.EventEntryAdded:
			w.problems = append(w.problems, e.Entry.Text)
		case *runtime.EventExceptionThrown:
			w.problems = append(w.problems, (&chromedp.ExceptionError{ExceptionDetails: e.ExceptionDetails}).Error())
		case *runtime.EventConsoleAPICalled:
			w.problems = append(w.problems, fmt.Sprint("console.", e.Type))
		case *network.EventRequestWillBeSent:
			w.requests = append(w.requests, e.Request.URL)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := chromedp.Call(ctx, network.Enable, network.EnableParams{}); err != nil {
		t.Fatal(err)
	}
	return w
}

func serve(t *testing.T, d Data) string {
	t.Helper()
	dir := t.TempDir()
	if err := Write(dir, d); err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(http.FileServer(http.Dir(dir)))
	t.Cleanup(server.Close)
	return server.URL + "/" + PageFile
}

func do(t *testing.T, ctx context.Context, steps ...chromedp.Action[chromedp.Void]) {
	t.Helper()
	if err := chromedp.Do(ctx, steps...); err != nil {
		t.Fatal(err)
	}
}

// js is the value of an expression in the page.
func js[T any](t *testing.T, ctx context.Context, expression string) T {
	t.Helper()
	v, err := chromedp.Run(ctx, chromedp.Evaluate[T](expression))
	if err != nil {
		t.Fatalf("%s: %v", expression, err)
	}
	return v
}

// text is what an element reads, with white space made plain.
func text(t *testing.T, ctx context.Context, selector string) string {
	t.Helper()
	return strings.Join(strings.Fields(js[string](t, ctx, fmt.Sprintf("document.querySelector(%q).innerText", selector))), " ")
}

// TestBrowser opens the page in a real browser: it loads alone, without a complaint in the
// console; its tables hold the numbers; the filter and the details work.
func TestBrowser(t *testing.T) {
	ctx := openBrowser(t)
	seen := watch(t, ctx)
	url := serve(t, fakeData())
	do(t, ctx, chromedp.Navigate(url))
	holds := func(what, got, want string) {
		t.Helper()
		if !strings.Contains(got, want) {
			t.Errorf("%s: got %q, want %q in it", what, got, want)
		}
	}
	holds("headline", text(t, ctx, "h1"), "asks better questions: 83 % of them are relevant")
	holds("gold row", text(t, ctx, "#table-gold tbody tr"), "Q-experimental −17.92 ±0.31 −12.40 ±0.31 −9.61 ±0.31 −8.13 ±0.31 +9.79 ±0.12 500")
	holds("win row", text(t, ctx, "#table-wins tbody tr:nth-child(2)"), "m2 0.757 0.705 – 0.803 300 200 39 61 1 0.660 0.720 0.740 0.727")
	if js[bool](t, ctx, "document.documentElement.scrollWidth > document.documentElement.clientWidth") {
		t.Error("the page scrolls sideways")
	}
	if n := js[int](t, ctx, `[...document.querySelectorAll("svg.chart")].filter(s => s.getBoundingClientRect().height > 100).length`); n != 13 {
		t.Errorf("%d figures are drawn, want 13", n)
	}

	holds("count", text(t, ctx, "#filter-count"), "160 of 160 pairs")
	do(t, ctx, chromedp.SendKeys(chromedp.CSS("#filter-text"), "holiday ADA"))
	if got := text(t, ctx, "#filter-count"); strings.HasPrefix(got, "160 ") || strings.HasPrefix(got, "0 ") {
		t.Errorf("the filter left %q", got)
	}
	do(t, ctx, chromedp.SendKeys(chromedp.CSS("#filter-text"), " nowhere-at-all"))
	holds("empty filter", text(t, ctx, "#filter-count"), "0 of 160 pairs shown: no task")
	if !js[bool](t, ctx, `{const f = document.getElementById("filter-text"), s = document.getElementById("filter-group");
		f.value = ""; f.dispatchEvent(new Event("input")); s.value = "test"; s.dispatchEvent(new Event("change"));
		[...document.querySelectorAll("section.group")].every(g => g.hidden === (g.id !== "test"))}`) {
		t.Error("choosing a group does not hide the others")
	}
	// By keyboard, as everything on the page can be used.
	do(t, ctx, chromedp.Focus(chromedp.CSS("#test details.pair > summary")), chromedp.KeyEvent("\r"))
	if !js[bool](t, ctx, `document.querySelector("#test details.pair").open && document.querySelector("#test details.pair dd.gold").getBoundingClientRect().height > 0`) {
		t.Error("Enter does not open a pair")
	}

	seen.mu.Lock()
	defer seen.mu.Unlock()
	for _, p := range seen.problems {
		t.Errorf("console: %s", p)
	}
	for _, r := range seen.requests {
		if r != url && !strings.HasPrefix(r, "data:") {
			t.Errorf("the page asked for %s; it must stand alone", r)
		}
	}
	if len(seen.requests) == 0 {
		t.Error("no request was seen, not even the page's: the check above is void")
	}
}

// TestBrowserHostile opens a page whose every text tries to run a script.
func TestBrowserHostile(t *testing.T) {
	ctx := openBrowser(t)
	do(t, ctx, chromedp.Navigate(serve(t, hostileData())))
	if js[bool](t, ctx, "Boolean(window.owned)") {
		t.Error("text of a conversation ran as a script")
	}
	if got := js[string](t, ctx, `document.querySelector("details.pair summary b").textContent`); got != hostile {
		t.Errorf("task reads %q, want the text as it is: %q", got, hostile)
	}
	// Even a script that got into the page would not run: the policy allows only ours.
	if js[bool](t, ctx, `{const s = document.createElement("script"); s.textContent = "window.owned = 1"; document.body.append(s); Boolean(window.owned)}`) {
		t.Error("the content security policy let a foreign script run")
	}
}

// TestBrowserAccessible holds the pages against the rules of axe-core, in light and dark and on
// a narrow screen: make axe.
func TestBrowserAccessible(t *testing.T) {
	path := os.Getenv("STARGATE_AXE")
	if path == "" {
		t.Skip("set STARGATE_AXE to axe.min.js of the package axe-core; make axe does")
	}
	axe, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	ctx := openBrowser(t)
	for _, p := range []struct{ name, url string }{{"everything", serve(t, fakeEverything())}, {"contest", serve(t, fakeContest())}, {"ablations", serveAblations(t, recordedAblations(t))}} {
		for _, s := range []struct {
			scheme string
			width  int64
		}{{"light", 1200}, {"dark", 1200}, {"light", 400}} {
			media := emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: s.scheme}}}
			if _, err := chromedp.Call(ctx, emulation.SetEmulatedMedia, media); err != nil {
				t.Fatal(err)
			}
			do(t, ctx, chromedp.EmulateViewport(s.width, 900), chromedp.Navigate(p.url), chromedp.Evaluate[chromedp.Void](`document.querySelectorAll("section.group").forEach(g => g.querySelectorAll("details.pair").forEach((d, i) => { if (i > 1) d.remove(); else d.open = true }))`),
				chromedp.Evaluate[chromedp.Void](string(axe)+"; undefined"))
			found, err := chromedp.Run(ctx, chromedp.Evaluate[string](`axe.run(document, {resultTypes: ["violations"]}).then(r => r.violations.map(v => v.id + " (" + v.impact + "): " + v.help + ": " + v.nodes.slice(0, 3).map(n => n.target.join(" ")).join(", ")).join("\n"))`, chromedp.EvalAwaitPromise))
			if err != nil {
				t.Fatal(err)
			}
			if found != "" {
				t.Errorf("%s, %s, %d wide:\n%s", p.name, s.scheme, s.width, found)
			}
		}
	}
}
