package report

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"html/template"
	"path/filepath"
	"slices"
	"strings"

	"stargate/eval"
)

// The files of a comparison of ablations.
const (
	AblationsFile = "ablations.json"
	AblationsPage = "ablations.html"
)

// Row is one run of a comparison: the main run, or an ablation of it.
type Row struct {
	Name   string       `json:"name"` // "" for the main run, "gold-response", "several-roleplayers+roleplayer-rule", …
	About  string       `json:"about"`
	Dir    string       `json:"dir"` // of its own report, relative to the page
	Result *eval.Result `json:"result"`
	// Against compares the row's last model with the main run's, pair by pair; absent for the
	// main run, and where the runs have no records of pairs.
	Against *eval.Contrast `json:"against,omitempty"`
}

// Ablations is a comparison; the main run comes first.
type Ablations struct {
	Rows   []Row        `json:"rows"`
	Shapes []eval.Shape `json:"shapes"` // judged from all rows
}

// NewAblations judges the shapes from all rows. The main run must be among them, first.
func NewAblations(rows []Row) (Ablations, error) {
	if len(rows) == 0 || rows[0].Name != "" {
		return Ablations{}, errors.New("ablations: the main run must come first")
	}
	return Ablations{rows, eval.Shapes(rows[0].Result, byName(rows))}, nil
}

func byName(rows []Row) map[string]*eval.Result {
	out := map[string]*eval.Result{}
	for _, r := range rows[1:] {
		out[r.Name] = r.Result
	}
	return out
}

// WriteAblations puts ablations.json and ablations.html into dir.
func WriteAblations(dir string, a Ablations) error {
	data, err := canonical(a)
	if err != nil {
		return fmt.Errorf("report: %s: %w", AblationsFile, err)
	}
	page, err := a.page()
	if err != nil {
		return fmt.Errorf("report: %s: %w", AblationsPage, err)
	}
	if err := writeFile(filepath.Join(dir, AblationsFile), data); err != nil {
		return fmt.Errorf("report: %w", err)
	}
	if err := writeFile(filepath.Join(dir, AblationsPage), page); err != nil {
		return fmt.Errorf("report: %w", err)
	}
	return nil
}

// ablationsView is what page/ablations.tmpl reads.
type ablationsView struct {
	Policy     string
	Style      template.CSS
	Script     template.JS
	Experiment string
	Seed       uint64
	Headline   string
	Models     []string // m1, m2, …
	Compared   []string // names of the differences from the main run
	Shapes     []shapeRow
	Sections   []ablationSection
	Matrix     *matrix
	Baselines  []baselineRow
}

// ablationSection is a group of rows with the figures that the paper draws of it.
type ablationSection struct {
	ID, Heading, Lede string
	Figures           []figure
	Rows              []ablationRow
	Differences       []differenceRow // from the main run
}

type ablationRow struct {
	Name, About, Dir string
	Wins             []interval // by model from m1
	Gain, Gap        interval   // of the last model's Q-experimental over m0's; to the optimum
	Relevant, Formed string     // last model's questions
	Asks, Invented   string     // last model's responses: share that asks; facts that nobody told, each
}

// differenceRow is a row's last model less the main run's.
type differenceRow struct {
	Name  string
	Cells []differenceCell // by [differences]
}

type differenceCell struct {
	interval
	P string
}

// differences are what a row is compared with the main run in.
var differences = []struct {
	What, Name string
	format     func(float64) string
}{
	{eval.QExperimental, "Q-experimental, nats", signed},
	{eval.Wins, "win rate", signedShare},
	{eval.Relevance, "relevant questions", signedShare},
}

// Differences are the quantities that [Row.Against] should have.
func Differences() []string {
	var what []string
	for _, d := range differences {
		what = append(what, d.What)
	}
	return what
}

type interval struct{ Value, Low, High string }

// matrix is the last win rate by Roleplayer of training and of evaluation.
type matrix struct {
	Columns []string
	Rows    []matrixRow
}

type matrixRow struct {
	Name  string
	Cells []interval
}

type baselineRow struct {
	Row, Baseline string
	Wins          []interval // of m0, m1, …
}

func (a Ablations) page() ([]byte, error) {
	style, err := files.ReadFile("page/page.css")
	if err != nil {
		return nil, err
	}
	script, err := files.ReadFile("page/page.js")
	if err != nil {
		return nil, err
	}
	main := a.Rows[0].Result
	v := ablationsView{
		Policy: policy(style, script),
		Style:  template.CSS(style), Script: template.JS(script), Experiment: main.Experiment, Seed: main.Seed, Headline: a.headline(),
		Shapes: shapeRows(&eval.Result{Shapes: a.Shapes}), Sections: a.sections(), Matrix: a.matrix(), Baselines: a.baselines(),
	}
	if len(main.Models) > 1 {
		v.Models = main.Models[1:]
	}
	for _, d := range differences {
		v.Compared = append(v.Compared, d.Name)
	}
	var b bytes.Buffer
	if err := page.ExecuteTemplate(&b, "ablations.tmpl", v); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}

// headline counts the shapes.
func (a Ablations) headline() string {
	seen, not := 0, 0
	for _, s := range a.Shapes {
		switch {
		case s.Seen == nil:
		case *s.Seen:
			seen++
		default:
			not++
		}
	}
	text := fmt.Sprintf("%d of the paper’s %d findings %s", seen, len(a.Shapes), map[bool]string{true: "appears", false: "appear"}[seen == 1])
	if not > 0 {
		text += fmt.Sprintf(", %d %s not", not, map[bool]string{true: "does", false: "do"}[not == 1])
	}
	if open := len(a.Shapes) - seen - not; open > 0 {
		text += fmt.Sprintf("; %d could not be tested", open)
	}
	return text + "."
}

// only are the rows that keep says, the main run first.
func (a Ablations) only(keep func(name string) bool) []Row {
	rows := []Row{a.Rows[0]}
	for _, r := range a.Rows[1:] {
		if keep(r.Name) {
			rows = append(rows, r)
		}
	}
	slices.SortStableFunc(rows[1:], func(a, b Row) int { return cmp.Compare(paperPlace(a.Name), paperPlace(b.Name)) })
	return rows
}

// paperPlace puts the paper's ablations first and in its order, so that they have the same
// colours as in its figures beside them.
func paperPlace(name string) int {
	if i := slices.Index([]string{"no-regularization", "gold-response"}, name); i >= 0 {
		return i
	}
	return 2
}

// The groups of the comparison: what an ablation changes.
const (
	evaluationPrefix = "roleplayer-"
	responder        = "response-model"
)

func isTraining(name string) bool {
	return !strings.HasPrefix(name, evaluationPrefix) && !strings.Contains(name, "+") && name != responder
}
func isRoleplayer(name string) bool { return strings.HasPrefix(name, evaluationPrefix) }
func isResponder(name string) bool  { return name == responder }

func (a Ablations) sections() []ablationSection {
	var out []ablationSection
	for _, g := range []struct {
		id, heading, lede string
		keep              func(string) bool
		paper             []series
		gold              bool
	}{
		{"training", "Trained otherwise", "What is trained on changes; the evaluation is the main run’s. The paper’s figures 3a, 4b and 5a.", isTraining,
			[]series{paperSeries(0, 0, ""), paperSeries(1, 1, ""), paperSeries(2, 2, "")}, true},
		{"responder", "The base model answers", "The models lead the conversations, Q_BASE writes the responses. The paper’s figure 5b.", isResponder,
			[]series{paperSeries(3, 1, "Q_BASE answers")}, false},
		{"roleplayers", "Other Roleplayers at evaluation", "The same models talk with users that others play. The paper’s figure 3b.", isRoleplayer,
			[]series{paperSeries(0, 0, "mixtral-8x7b"), paperSeries(4, 1, "mistral-7b"), paperSeries(5, 2, "gemma-7b")}, true},
	} {
		rows := a.only(g.keep)
		if len(rows) == 1 {
			continue
		}
		s := ablationSection{ID: g.id, Heading: g.heading, Lede: g.lede}
		wins := winChart("ab-wins-"+g.id, "Win rate against m0 by model: "+g.heading, modelTicks(rows[0].Result.Models))
		paper := winChart("ab-paper-"+g.id, "Win rate against m0, the paper: "+g.heading, modelTicks([]string{"m0", "m1", "m2", "m3"}))
		paper.series = g.paper
		gold := chart{id: "ab-gold-" + g.id, title: "Log-probability of gold responses by model: " + g.heading, xLabel: "model", yLabel: "Q-experimental, nats",
			xTicks: modelTicks(rows[0].Result.Models), format: nats, height: 320}
		for i, r := range rows {
			line := series{name: shorter(rowName(r.Name)), class: rowClass[i%len(rowClass)], marker: slotMarker[i%len(slotMarker)]}
			aside := 0.05 * (float64(i) - float64(len(rows)-1)/2) // bars at one place would hide each other
			line.points = moved(runWins(r.Result), aside)
			wins.series = append(wins.series, line)
			line.points = moved(goldPoints(r.Result, eval.QExperimental, eval.All), aside)
			gold.series = append(gold.series, line)
			s.Rows = append(s.Rows, a.row(r))
			if d, ok := r.difference(); ok {
				s.Differences = append(s.Differences, d)
			}
		}
		if o := rows[0].Result.Optimum; o != nil {
			gold.lines = []line{{"optimum", o.GoldLogProb, "grey"}}
		}
		s.Figures = append(s.Figures, figure{"Win rate, these runs", wins.draw(), "Error bars: 95 % interval."}, figure{"Win rate, the paper", paper.draw(), "Error bars ± SEM (about 0.027)."})
		if g.gold {
			s.Figures = append(s.Figures, figure{"log p(gold), these runs", gold.draw(), "Q-experimental; error bars ± one standard error of the mean."})
		}
		out = append(out, s)
	}
	return out
}

// moved shifts points sideways.
func moved(points []point, by float64) []point {
	for i := range points {
		points[i].x += by
	}
	return points
}

var rowClass = []string{"c1", "c2", "c3", "c4", "c5", "c6"}

// rowName is a row's name on the page, as short as a direct label must be.
func rowName(name string) string {
	switch name {
	case "":
		return "main run"
	case "no-regularization":
		return "w/o regular."
	case "gold-response":
		return "w/ gold resp."
	case responder:
		return "Q_BASE answers"
	case "response-preamble":
		return "w/ preamble"
	case "several-roleplayers":
		return "several players"
	}
	return strings.TrimPrefix(name, evaluationPrefix)
}

func (a Ablations) row(r Row) ablationRow {
	out := ablationRow{Name: r.Name, About: r.About, Dir: r.Dir}
	if out.Name == "" {
		out.Name = "main run"
	}
	if len(r.Result.Models) < 2 {
		return out
	}
	last := r.Result.Models[len(r.Result.Models)-1]
	for _, m := range r.Result.Models[1:] {
		out.Wins = append(out.Wins, winInterval(r.Result, m))
	}
	if g, ok := gold(r.Result, eval.QExperimental, last, eval.All); ok {
		out.Gain = interval{signed(g.Delta), signed(g.DeltaLow), signed(g.DeltaHigh)}
	}
	if o := r.Result.Optimum; o != nil {
		for _, g := range o.Gaps {
			if g.Model == last {
				out.Gap = interval{signed(g.Mean), signed(g.Low), signed(g.High)}
			}
		}
	}
	if q, ok := questions(r.Result, last); ok {
		out.Formed = percent1(q.Wellformed)
		if known(q) {
			out.Relevant = percent1(q.Relevant)
		}
	}
	for _, w := range r.Result.WinChecks {
		if w.Model == last {
			out.Asks = percent1(w.Asks)
		}
	}
	if g, ok := grounding(r.Result, last); ok {
		out.Invented = each(g.Invented)
	}
	return out
}

// difference is what a row's comparison with the main run says; ok is false without one.
func (r Row) difference() (row differenceRow, ok bool) {
	if r.Against == nil {
		return row, false
	}
	row.Name = r.Name
	for _, d := range differences {
		cell := differenceCell{interval: interval{Value: "–"}, P: "–"}
		for _, c := range r.Against.Rows {
			if c.What == d.What {
				cell = differenceCell{interval{d.format(c.Test.Diff), d.format(c.Test.Low), d.format(c.Test.High)}, pValue(c.Test.P)}
			}
		}
		row.Cells = append(row.Cells, cell)
	}
	return row, true
}

func winInterval(r *eval.Result, model string) interval {
	w, ok := winRate(r, model)
	if !ok || w.N == 0 {
		return interval{Value: "–"}
	}
	return interval{rate(w.Rate), rate(w.Low), rate(w.High)}
}

// matrix crosses the Roleplayers of training with those of evaluation; nil without at least
// two of both.
func (a Ablations) matrix() *matrix {
	results := byName(a.Rows)
	results[""] = a.Rows[0].Result
	var columns []string
	var rows []string
	for _, r := range a.Rows {
		if isRoleplayer(r.Name) {
			columns = append(columns, r.Name)
		}
		if trained, _, ok := strings.Cut(r.Name, "+"+evaluationPrefix); ok && (len(rows) == 0 || rows[len(rows)-1] != trained) {
			rows = append(rows, trained)
		}
	}
	if len(columns) == 0 || len(rows) == 0 {
		return nil
	}
	m := &matrix{Columns: []string{"the training’s"}}
	for _, c := range columns {
		m.Columns = append(m.Columns, rowName(c))
	}
	for _, trained := range append([]string{""}, rows...) {
		row := matrixRow{Name: rowName(trained)}
		for _, c := range append([]string{""}, columns...) {
			r := results[strings.Trim(trained+"+"+c, "+")]
			if r == nil || len(r.Models) < 2 {
				row.Cells = append(row.Cells, interval{Value: "–"})
				continue
			}
			row.Cells = append(row.Cells, winInterval(r, r.Models[len(r.Models)-1]))
		}
		m.Rows = append(m.Rows, row)
	}
	return m
}

func (a Ablations) baselines() []baselineRow {
	var out []baselineRow
	for _, r := range a.Rows {
		for _, b := range r.Result.Baselines {
			row := baselineRow{Row: rowName(r.Name), Baseline: b.Name}
			for _, w := range b.WinRate {
				row.Wins = append(row.Wins, interval{rate(w.Rate), rate(w.Low), rate(w.High)})
			}
			out = append(out, row)
		}
	}
	return out
}
