package report

import (
	"context"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	cdppage "github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

// look is how somebody sees a page.
type look struct {
	name, media, scheme, contrast string
	width                         int64
}

var looks = []look{
	{"light", "", "light", "none", 1200}, {"dark", "", "dark", "none", 1200}, {"forced", "", "dark", "active", 1200},
	{"narrow-400", "", "light", "none", 400}, {"narrow-320", "", "light", "none", 320}, {"print", "print", "light", "none", 800},
}

// see opens a page as l says, with the second pair of each group open and few pairs shown.
func see(t *testing.T, ctx context.Context, url string, l look) {
	t.Helper()
	do(t, ctx, chromedp.EmulateViewport(l.width, 900))
	media := emulation.SetEmulatedMediaParams{Media: l.media, Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: l.scheme}, {Name: "forced-colors", Value: l.contrast}}}
	if _, err := chromedp.Call(ctx, emulation.SetEmulatedMedia, media); err != nil {
		t.Fatal(err)
	}
	do(t, ctx, chromedp.Navigate(url), chromedp.Evaluate[chromedp.Void](
		`document.querySelectorAll("section.group").forEach(g => g.querySelectorAll("details.pair").forEach((d, i) => { d.hidden = i > 3; d.open = i == 1 }))`), chromedp.Sleep(300*time.Millisecond))
}

// recordedAblations is the comparison of the runs of nano on record, with seed 0.
func recordedAblations(t *testing.T) Ablations {
	t.Helper()
	for _, s := range recordedStudies(t) {
		if s.experiment == "nano" && s.seed == 0 {
			a, err := NewAblations(s.rows)
			if err != nil {
				t.Fatal(err)
			}
			return a
		}
	}
	t.Fatal("nano with seed 0 is not on record")
	return Ablations{}
}

func serveAblations(t *testing.T, a Ablations) string {
	t.Helper()
	dir := t.TempDir()
	if err := WriteAblations(dir, a); err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(http.FileServer(http.Dir(dir)))
	t.Cleanup(server.Close)
	return server.URL + "/" + AblationsPage
}

// TestBrowserScreens saves what the pages look like, and what comes out of a printer, for a
// person to look at: STARGATE_SCREENS=dir go test -run Screens ./report
func TestBrowserScreens(t *testing.T) {
	dir := os.Getenv("STARGATE_SCREENS")
	if dir == "" {
		t.Skip("set STARGATE_SCREENS to a folder to keep screenshots")
	}
	ctx := openBrowser(t)
	for _, p := range []struct{ name, url string }{{"full", serve(t, fakeEverything())}, {"contest", serve(t, fakeContest())}, {"ablations", serveAblations(t, recordedAblations(t))}} {
		for _, l := range looks {
			see(t, ctx, p.url, l)
			png, err := chromedp.Run(ctx, chromedp.FullScreenshot(100))
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(dir, p.name+"-"+l.name+".png"), png, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		see(t, ctx, p.url, look{"", "", "dark", "none", 1200})
		pdf, err := chromedp.Call(ctx, cdppage.PrintToPDF, cdppage.PrintToPDFParams{PaperWidth: 8.27, PaperHeight: 11.69})
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, p.name+".pdf"), pdf.Data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// TestBrowserLooks holds what a look at the screenshots taught: nothing makes a page wider than
// a small screen, paper loses no column and shows no empty group, and text that carries loss
// can be read in forced colours.
func TestBrowserLooks(t *testing.T) {
	ctx := openBrowser(t)
	for _, p := range []struct{ name, url string }{{"full", serve(t, fakeEverything())}, {"contest", serve(t, fakeContest())}, {"ablations", serveAblations(t, recordedAblations(t))}} {
		for _, l := range looks {
			see(t, ctx, p.url, l)
			if wide := js[int](t, ctx, "document.documentElement.scrollWidth - document.documentElement.clientWidth"); wide > 0 {
				t.Errorf("%s, %s: the page is %d pixels wider than the screen", p.name, l.name, wide)
			}
			stops := js[string](t, ctx, `[...document.querySelectorAll(".scroll")].filter(b => (b.scrollWidth > b.clientWidth) !== (b.tabIndex === 0 && b.getAttribute("role") === "region")).map(b => b.querySelector("caption").innerText).join("; ")`)
			if stops != "" && l.media == "" {
				t.Errorf("%s, %s: a table that scrolls is no stop of the Tab key, or one that fits is: %s", p.name, l.name, stops)
			}
		}
		// A4 with margins of 1 cm, at 96 pixels an inch.
		see(t, ctx, p.url, look{"paper", "print", "dark", "none", 718})
		if lost := js[string](t, ctx, `[...document.querySelectorAll("table")].filter(t => t.getBoundingClientRect().right > document.documentElement.clientWidth).map(t => t.caption.innerText).join("; ")`); lost != "" {
			t.Errorf("%s: tables that paper cuts off: %s", p.name, lost)
		}
		if empty := js[int](t, ctx, `document.querySelectorAll("details").forEach(d => d.open = false); [...document.querySelectorAll("section.group")].filter(g => g.getBoundingClientRect().height > 0).length`); empty > 0 {
			t.Errorf("%s: %d groups without an open conversation are printed", p.name, empty)
		}
	}
	see(t, ctx, serve(t, fakeData()), look{"forced", "", "dark", "active", 1200})
	if same := js[int](t, ctx, `[...document.querySelectorAll("details[open] mark.text")].filter(m => { const s = getComputedStyle(m); return s.color === s.backgroundColor || s.backgroundColor === "rgb(255, 255, 0)" }).length`); same > 0 {
		t.Errorf("forced colours: %d texts that carry loss cannot be read", same)
	}
	if n := js[int](t, ctx, `document.querySelectorAll("details[open] mark.text").length`); n == 0 {
		t.Error("no text that carries loss is there: the check above is void")
	}
}

// By keyboard one comes from the link that skips the head to the results, and through the
// filter to the pairs, in the order of the page.
func TestBrowserKeyboard(t *testing.T) {
	ctx := openBrowser(t)
	do(t, ctx, chromedp.EmulateViewport(1200, 900), chromedp.Navigate(serve(t, fakeData())))
	focus := `(document.activeElement.textContent || document.activeElement.id).trim().split("\n")[0]`
	do(t, ctx, chromedp.KeyEvent(kb.Tab))
	if got := js[string](t, ctx, focus); got != "Skip to the results" {
		t.Errorf("the first stop is %q", got)
	}
	if !js[bool](t, ctx, `document.activeElement.getBoundingClientRect().left >= 0 && getComputedStyle(document.activeElement).outlineStyle !== "none"`) {
		t.Error("the link that skips the head cannot be seen when it has the focus")
	}
	do(t, ctx, chromedp.KeyEvent("\r"), chromedp.KeyEvent(kb.Tab))
	if !js[bool](t, ctx, `(document.activeElement.compareDocumentPosition(document.getElementById("shapes")) & Node.DOCUMENT_POSITION_PRECEDING) !== 0`) {
		t.Errorf("after the skip the next stop is %q, before the results", js[string](t, ctx, focus))
	}
	do(t, ctx, chromedp.Focus(chromedp.CSS("#filter-text")))
	var order []string
	for range 4 {
		do(t, ctx, chromedp.KeyEvent(kb.Tab))
		order = append(order, js[string](t, ctx, `document.activeElement.id || document.activeElement.tagName`))
	}
	if got := strings.Join(order, " "); got != "filter-group open-all close-all SUMMARY" {
		t.Errorf("after the filter come %s", got)
	}
}
