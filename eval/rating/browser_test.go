package rating

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"stargate/eval/judge"
)

func openBrowser(t *testing.T) context.Context {
	t.Helper()
	path := ""
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome", "google-chrome-stable"} {
		if p, err := exec.LookPath(name); err == nil && path == "" {
			path = p
		}
	}
	if path == "" {
		t.Skip("no chromium or google-chrome in PATH")
	}
	opts := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(path), chromedp.NoSandbox, chromedp.DisableGPU, chromedp.NoFirstRun)
	for _, flag := range []string{"disable-quic", "disable-background-networking", "disable-component-update", "disable-sync"} {
		opts = append(opts, chromedp.Flag(flag, true))
	}
	ctx, stop := context.WithTimeout(t.Context(), 2*time.Minute)
	t.Cleanup(stop)
	ctx, stop = chromedp.NewExecAllocator(ctx, opts...)
	t.Cleanup(stop)
	ctx, stop = chromedp.NewContext(ctx)
	t.Cleanup(stop)
	return ctx
}

func do(t *testing.T, ctx context.Context, steps ...chromedp.Action[chromedp.Void]) {
	t.Helper()
	if err := chromedp.Do(ctx, steps...); err != nil {
		t.Fatal(err)
	}
}

func js[T any](t *testing.T, ctx context.Context, expression string) T {
	t.Helper()
	v, err := chromedp.Run(ctx, chromedp.Evaluate[T](expression))
	if err != nil {
		t.Fatalf("%s: %v", expression, err)
	}
	return v
}

func servePage(t *testing.T, s Sheet) string {
	t.Helper()
	var b bytes.Buffer
	if err := WriteHTML(&b, s); err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		if _, err := w.Write(b.Bytes()); err != nil {
			t.Error(err)
		}
	}))
	t.Cleanup(server.Close)
	return server.URL
}

// A rater in a real browser: chooses by keyboard, comes back after the page was closed, and
// downloads what ReadAnswers reads.
func TestBrowser(t *testing.T) {
	s, k := sheet(t, Options{Models: []string{"m1"}, Items: 6, Repeats: 0.5, Seed: 2})
	s.Items[0].A += `</title><script>window.owned=1</script>, "quoted"`
	url := servePage(t, s)
	ctx := openBrowser(t)
	do(t, ctx, chromedp.Navigate(url))
	if js[bool](t, ctx, "Boolean(window.owned)") {
		t.Error("text of a reply ran as a script")
	}
	do(t, ctx, chromedp.SendKeys(chromedp.CSS("#rater"), "Eve"))
	for n, i := range s.Items {
		if n == 1 {
			continue // left open
		}
		value := "A"
		if prefersTuned(i) != "A" {
			value = "B"
		}
		do(t, ctx, chromedp.Focus(chromedp.CSS(fmt.Sprintf("#item-%s input[value=%s]", i.ID, value))), chromedp.KeyEvent(" "))
	}
	do(t, ctx, chromedp.SendKeys(chromedp.CSS("#c-"+s.Items[2].ID), `=1+1, "hm"`), chromedp.Navigate("about:blank"), chromedp.Navigate(url))
	if got := js[string](t, ctx, `document.getElementById("progress").textContent`); got != "8 of 9 answered" {
		t.Errorf("after coming back: %q", got)
	}
	if got := js[string](t, ctx, `new URL(document.getElementById("next").href).hash`); got != "#item-"+s.Items[1].ID {
		t.Errorf("the next open item is %q", got)
	}
	js[bool](t, ctx, `(URL.createObjectURL = (b) => { b.text().then((t) => window.kept = t); return "#"; }, document.getElementById("download").click(), true)`)
	do(t, ctx, chromedp.Sleep(300*time.Millisecond))
	text := js[string](t, ctx, "window.kept")
	a, err := ReadAnswers(strings.NewReader(text))
	if err != nil || a.Rater != "Eve" || len(a.Answers) != 8 || a.Skipped != 1 {
		t.Fatalf("%+v, %v of %q", a, err, text)
	}
	records, err := k.Records(a, a.Rater)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range records {
		if r.Ballot.Verdict != judge.First {
			t.Errorf("%+v", r)
		}
	}
	if dir := os.Getenv("STARGATE_SCREENS"); dir != "" { // to look at
		for name, width := range map[string]int64{"rating-wide": 1100, "rating-narrow": 390} {
			do(t, ctx, chromedp.EmulateViewport(width, 900), chromedp.Navigate(url))
			png, err := chromedp.Run(ctx, chromedp.FullScreenshot(100))
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(dir, name+".png"), png, 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
}
