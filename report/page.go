package report

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"fmt"
	"html/template"
	"io"

	"stargate/eval"
)

//go:embed page
var files embed.FS

var page = template.Must(template.New("page.tmpl").Funcs(template.FuncMap{"kinds": newKindTable}).ParseFS(files, "page/*.tmpl"))

// view is what page/page.tmpl reads: everything is formatted already.
type view struct {
	Policy     string // content security policy
	Style      template.CSS
	Script     template.JS
	Result     *eval.Result
	Headline   string
	Rounds     int
	Tiles      []tile
	Shapes     []shapeRow
	Gold       []goldRow
	Gap        *goldRow
	Wins       []winRow
	Questions  []questionRow
	Known      []named
	Optimum    []goldRow
	ByTurns    turnsTable
	Reached    string // first model at the optimum, or ""
	Relevance  []figure
	Figure3    []figure
	Figure4    []figure
	Figure5    []figure
	Curves     []figure
	Train      []trainRow
	Iterations []string
	Dropped    []named
	Redrawn    []named
	WinTurns   []int
	Baseline   string // the model that all others are compared with
	Iterated   bool   // the models are iterations of one
	DroppedBy  []kindRow
	RedrawnBy  []kindRow
	Calls      []callRow
	Groups     []group
	Evidence   []evidence
	Provenance Provenance
}

// tile is one of the numbers at the top.
type tile struct{ Name, Value, Note string }

// HTML writes the page.
func HTML(w io.Writer, d Data) error {
	v, err := newView(d)
	if err != nil {
		return fmt.Errorf("report: page: %w", err)
	}
	var b bytes.Buffer
	if err := page.Execute(&b, v); err != nil {
		return fmt.Errorf("report: page: %w", err)
	}
	if _, err := w.Write(b.Bytes()); err != nil {
		return fmt.Errorf("report: page: %w", err)
	}
	return nil
}

func newView(d Data) (view, error) {
	style, err := files.ReadFile("page/page.css")
	if err != nil {
		return view{}, err
	}
	script, err := files.ReadFile("page/page.js")
	if err != nil {
		return view{}, err
	}
	v := view{
		Policy: policy(style, script),
		Style:  template.CSS(style), Script: template.JS(script),
		Result: d.Result, Headline: Headline(d), Rounds: max(len(d.Result.Models)-1, 0), Tiles: tiles(d),
		Baseline: baseline(d.Result), Iterated: iterated(d.Result), Gold: goldRows(d.Result), Questions: questionRows(d.Result),
		Relevance: relevanceFigure(d), Figure3: figure3(d), Figure4: figure4(d), Figure5: figure5(d),
		Curves: curves(d.Result), Train: trainRows(d), Dropped: countRows(d.Result.Dropped), Redrawn: countRows(d.Result.Redrawn),
		DroppedBy: kindRows(d.Iterations, func(it IterationView) map[string]int { return it.Dropped }),
		RedrawnBy: kindRows(d.Iterations, func(it IterationView) map[string]int { return it.Redrawn }),
		Calls:     callRows(d.Result), Groups: groups(d), Evidence: evidenceOf(d.Result), Provenance: d.Provenance,
	}
	if v.Iterated {
		v.Shapes = shapeRows(d.Result)
	}
	v.Optimum, v.ByTurns = optimumRows(d.Result), goldByTurns(d.Result)
	v.Wins, v.WinTurns = winRows(d.Result)
	if gap, ok := gapRow(d.Result); ok {
		v.Gap = &gap
	}
	for _, it := range d.Iterations {
		v.Iterations = append(v.Iterations, fmt.Sprint(it.N))
	}
	if o := d.Result.Optimum; o != nil {
		v.Reached = o.Reached
		v.Known = []named{{"chance", percent1(o.ChanceRelevant)}, {"optimum", percent1(o.Relevant)}}
	}
	return v, nil
}

// policy allows a page its own style and script and nothing else.
func policy(style, script []byte) string {
	return "default-src 'none'; base-uri 'none'; form-action 'none'; img-src data:; style-src " + source(style) + "; script-src " + source(script)
}

// source is a content security policy's name for an inline text.
func source(text []byte) string {
	sum := sha256.Sum256(text)
	return "'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
}

// tiles are the numbers a reader wants first.
func tiles(d Data) []tile {
	r := d.Result
	m0, mN, ok := ends(r)
	if !ok {
		return nil
	}
	var out []tile
	a, okA := gold(r, eval.QExperimental, m0, eval.All)
	b, okB := gold(r, eval.QExperimental, mN, eval.All)
	if okA && okB {
		out = append(out, tile{"Gold log-probability, " + m0 + " → " + mN, signed(b.Delta) + " nats", nats(a.Mean) + " → " + nats(b.Mean) + "; mean paired difference" + besidePaper(r, paperSigned(paperLogProb["qa"][3]-paperLogProb["qa"][0]))})
	}
	if gap, ok := gapRow(r); ok {
		n := len(gap.Cells)
		out = append(out, tile{"Gap over random personas", gap.Cells[0].Mean + " → " + gap.Cells[n-1].Mean, "nats, Q-experimental − Q-random" + besidePaper(r, paperSigned(paperGap(0))+" → "+paperSigned(paperGap(3)))})
	}
	if q, ok := relevance(d); ok {
		t := tile{"Relevant questions", q.from + " → " + q.to, ""}
		if r.Optimum != nil {
			t.Note = "chance " + percent(r.Optimum.ChanceRelevant) + ", optimum " + percent(r.Optimum.Relevant)
		}
		out = append(out, t)
	}
	if w, ok := winRate(r, mN); ok && w.N > 0 {
		out = append(out, tile{"Win rate of " + mN + " over " + m0, rate(w.Rate), "95\u00a0% interval " + rate(w.Low) + "–" + rate(w.High) + ", n\u00a0=\u00a0" + count(w.N)})
	}
	return out
}

// besidePaper puts the paper's value behind ours, where the two compare.
func besidePaper(r *eval.Result, value string) string {
	if !iterated(r) {
		return ""
	}
	return "; paper " + value
}
