package report

import (
	"fmt"
	"math"
	"slices"

	"stargate/eval"
)

// figure is a drawing with its caption on the page.
type figure struct {
	Heading string
	Drawing drawing
	Caption string
}

// modelTicks puts the models at 0, 1, 2, …
func modelTicks(models []string) []tick {
	out := make([]tick, len(models))
	room := max(5, tickRoom/max(len(models), 1))
	for i, m := range models {
		out[i] = tick{float64(i), cut(m, room)} // the tables have it whole
	}
	return out
}

// tickRoom is how many characters fit below a chart.
const tickRoom = 44

// figure4 draws gold log-probability by condition over iterations: this run and the
// paper's, each in its own range.
func figure4(d Data) []figure {
	r := d.Result
	run := chart{id: "fig4-run", title: "Log-probability of gold responses, this run", xLabel: "model",
		yLabel: "mean log p(gold), nats", xTicks: modelTicks(r.Models), format: nats, height: 320}
	for _, s := range goldSeries {
		run.series = append(run.series, series{name: s.name, class: s.class, marker: s.marker, dots: !iterated(r),
			points: goldPoints(r, s.condition, s.subset)})
	}
	for _, c := range []struct{ key, name string }{{eval.Negative, "negative control"}, {eval.Positive, "positive control"}} {
		if g, ok := anyGold(r, c.key); ok {
			run.lines = append(run.lines, line{c.name, g.Mean, "grey"})
		}
	}
	if r.Optimum != nil {
		run.lines = append(run.lines, line{"optimum", r.Optimum.GoldLogProb, "c5"})
	}
	ours := figure{"Figure 4, this run", run.draw(), "Error bars: ± one standard error of the mean; where none is seen it is smaller than the marker."}
	if !iterated(r) {
		ours.Heading = "Log-probability by model"
		return []figure{ours}
	}
	paper := chart{id: "fig4-paper", title: "Log-probability of gold responses, the paper", xLabel: "model",
		yLabel: "mean log p(gold), nats", xTicks: modelTicks([]string{"m0", "m1", "m2", "m3"}), format: nats, height: 320,
		lines: []line{{"negative control", paperLogProb["neg"][0], "grey"}, {"positive control", paperLogProb["pos"][0], "grey"}}}
	for _, s := range goldSeries {
		paper.series = append(paper.series, series{name: s.name, class: s.class, marker: s.marker, points: values(paperLogProb[paperKey(s.condition, s.subset)], 0)})
	}
	return []figure{
		ours,
		{"Figure 4, the paper", paper.draw(), "mistral-7b-instruct on open-ended tasks. Another world, another model: the scales differ, the shape compares."},
	}
}

var goldSeries = []struct{ condition, subset, name, class, marker string }{
	{eval.QExperimental, eval.All, "Q-experimental", "c1", "circle"},
	{eval.QRandom, eval.All, "Q-random", "c2", "square"},
	{eval.QExperimental, eval.Top1, "Q-exp., top-1", "c4", "diamond"},
	{eval.PositiveExperiment, eval.All, "positive + Q", "c3", "triangle"},
}

func paperKey(condition, subset string) string {
	if subset == eval.Top1 {
		return condition + "/top1"
	}
	return condition
}

func goldPoints(r *eval.Result, condition, subset string) []point {
	var out []point
	for i, m := range r.Models {
		if g, ok := gold(r, condition, m, subset); ok {
			out = append(out, point{float64(i), g.Mean, g.Mean - g.SEM, g.Mean + g.SEM, m})
		}
	}
	return out
}

// values are points without error bars at first, first+1, …
func values(ys []float64, first int) []point {
	out := make([]point, len(ys))
	for i, y := range ys {
		out[i] = point{float64(first + i), y, y, y, fmt.Sprintf("m%d", first+i)}
	}
	return out
}

// winPoints put m0 at one half, as the paper does, and give the paper's rates their error.
func winPoints(rates []float64) []point {
	out := []point{{0, 0.5, 0.5, 0.5, "m0"}}
	for i, y := range rates {
		out = append(out, point{float64(i + 1), y, y - paperWinRateSEM, y + paperWinRateSEM, fmt.Sprintf("m%d", i+1)})
	}
	return out
}

func winChart(id, title string, ticks []tick) chart {
	return chart{id: id, title: title, xLabel: "model", yLabel: "win rate against m0", xTicks: ticks, yMax: 1,
		format: axis, height: 320, lines: []line{{"chance", 0.5, "grey"}}}
}

// figure3 draws win rates: this run over the paper's row for the same kind of run, and
// the paper's two panels.
func figure3(d Data) []figure {
	r := d.Result
	if !iterated(r) {
		return contestWins(r)
	}
	same := paperWinRate[paperRow(r)]
	run := winChart("fig3-run", "Win rate against the initial model, this run", modelTicks(longest(r.Models, 4)))
	run.series = []series{
		{name: "paper", class: "grey", marker: "square", points: winPoints(same.rates)},
		{name: "this run", class: "c1", marker: "circle", points: runWins(r)},
	}
	a := winChart("fig3-a", "Win rate against the initial model, the paper: method and ablations", modelTicks([]string{"m0", "m1", "m2", "m3"}))
	b := winChart("fig3-b", "Win rate against the initial model, the paper: roleplayers", a.xTicks)
	a.series = append(a.series, paperSeries(0, 0, ""), paperSeries(1, 1, ""), paperSeries(2, 2, ""))
	b.series = append(b.series, paperSeries(0, 0, "mixtral-8x7b"), paperSeries(4, 1, "mistral-7b"), paperSeries(5, 2, "gemma-7b"))
	figures := []figure{
		{"Figure 3, this run", run.draw(), "Error bars: 95 % interval. Grey: the paper’s “" + same.name + "”. m0 stands at ½ by definition."},
		{"Figure 3a, the paper", a.draw(), "Complete method and ablations; error bars ± SEM (about 0.027)."},
		{"Figure 3b, the paper", b.draw(), "The same models, evaluated with other roleplayers."},
	}
	if f, ok := winsByTurns(r); ok {
		figures = append(figures, f)
	}
	return figures
}

// contestWins draws the win rates of any models, without lines between them.
func contestWins(r *eval.Result) []figure {
	if len(r.WinRate) == 0 {
		return nil
	}
	c := winChart("fig3-run", "Win rate against "+baseline(r), modelTicks(r.Models))
	c.yLabel = "win rate against " + baseline(r)
	c.series = []series{{name: "win rate", class: "c1", marker: "circle", dots: true, points: runWins(r)[1:]}}
	figures := []figure{{"Win rate by model", c.draw(), "Error bars: 95 % interval. " + baseline(r) + " stands at ½ by definition."}}
	if f, ok := winsByTurns(r); ok {
		figures = append(figures, f)
	}
	return figures
}

// winsByTurns draws the win rate by length of the conversation, a line per model.
func winsByTurns(r *eval.Result) (figure, bool) {
	rows, lengths := winRows(r)
	if len(rows) == 0 || len(lengths) < 2 {
		return figure{}, false
	}
	var ticks []tick
	for _, k := range lengths {
		ticks = append(ticks, tick{float64(k), plural(k, "turn")})
	}
	c := winChart("fig3-turns", "Win rate against "+baseline(r)+" by length of the conversation, this run", ticks)
	c.xLabel, c.yLabel = "length of the conversation", "win rate against "+baseline(r)
	for i, w := range r.WinRate {
		s := series{name: w.Model, class: slotClass[i%len(slotClass)], marker: slotMarker[i%len(slotMarker)]}
		for _, t := range w.ByTurns {
			if t.N > 0 {
				s.points = append(s.points, point{float64(t.Turns), t.Rate, t.Low, t.High, plural(t.Turns, "turn")})
			}
		}
		c.series = append(c.series, s)
	}
	return figure{"By length of the conversation, this run", c.draw(), "Error bars: 95 % interval. The compared pairs hold as many conversations of each length as the split allows."}, true
}

var (
	slotClass  = []string{"c1", "c2", "c3", "c4"}
	slotMarker = []string{"circle", "square", "triangle", "diamond"}
)

func paperSeries(row, slot int, name string) series {
	p := paperWinRate[row]
	if name == "" {
		name = p.name
	}
	return series{name: shorter(name), class: slotClass[slot], marker: slotMarker[slot], points: winPoints(p.rates)}
}

// shorter fits a direct label beside the plot.
func shorter(name string) string {
	switch name {
	case "w/o regularization":
		return "w/o regular."
	case "w/ gold response":
		return "w/ gold resp."
	}
	return name
}

// paperRow is the row of paperWinRate that a run of this kind compares with.
func paperRow(r *eval.Result) int {
	return map[string]int{"": 0, "no-regularization": 1, "gold-response": 2, "response-model": 3}[ablation(r)]
}

func runWins(r *eval.Result) []point {
	var out []point
	for i, m := range r.Models {
		if w, ok := winRate(r, m); ok && w.N > 0 && i > 0 {
			out = append(out, point{float64(i), w.Rate, w.Low, w.High, m})
		} else if i == 0 {
			out = append(out, point{0, 0.5, 0.5, 0.5, m})
		}
	}
	return out
}

// longest extends model names to n, so that the paper's points have their ticks.
func longest(models []string, n int) []string {
	out := slices.Clone(models)
	for i := len(out); i < n; i++ {
		out = append(out, fmt.Sprintf("m%d", i))
	}
	return out
}

// figure5 draws the paper's remaining ablations, with this run where it is one of them.
func figure5(d Data) []figure {
	r := d.Result
	if !iterated(r) {
		return nil
	}
	ticks := modelTicks([]string{"m0", "m1", "m2", "m3"})
	a := chart{id: "fig5-a", title: "Log-probability of gold responses, the paper: training ablations", xLabel: "model",
		yLabel: "mean log p(gold), nats", xTicks: ticks, format: nats, height: 300, series: []series{
			{name: "STaR-GATE", class: "c1", marker: "circle", points: values(paperLogProb["qa"], 0)},
			{name: "w/o regular.", class: "c2", marker: "square", points: values(paperLogProbAblation["w/o regularization"], 0)},
			{name: "w/ gold resp.", class: "c3", marker: "triangle", points: values(paperLogProbAblation["w/ gold response"], 0)},
		}}
	b := winChart("fig5-b", "Win rate when Q_BASE answers on the new model’s conversations, the paper", ticks)
	b.height = 300
	b.series = []series{paperSeries(3, 0, "Q_BASE answers")}
	heading := "Figure 5b, the paper"
	if ablation(r) == "response-model" {
		heading = "Figure 5b, this run"
		b.title = "Win rate when Q_BASE answers on the new model’s conversations"
		b.xTicks = modelTicks(longest(r.Models, 4))
		b.series[0].class, b.series[0].name = "grey", "paper"
		b.series = append(b.series, series{name: "this run", class: "c1", marker: "circle", points: runWins(r)})
	}
	out := []figure{
		{"Figure 5a, the paper", a.draw(), "Q-experimental of the complete method and of the two training ablations (figures 4b and 5a)."},
		{heading, b.draw(), "Q_BASE writes the responses, on conversations that the new models led."},
	}
	if k := ablation(r); k == "gold-response" || k == "no-regularization" {
		run := chart{id: "fig5-run", title: "Log-probability of gold responses, this ablation", xLabel: "model", yLabel: "mean log p(gold), nats",
			xTicks: modelTicks(r.Models), format: nats, height: 300, series: []series{
				{name: "Q-experimental", class: "c1", marker: "circle", points: goldPoints(r, eval.QExperimental, eval.All)},
				{name: "Q-random", class: "c2", marker: "square", points: goldPoints(r, eval.QRandom, eval.All)},
			}}
		out = append([]figure{{"This run (" + k + ")", run.draw(), "Error bars: ± one standard error of the mean."}}, out...)
	}
	return out
}

// relevanceFigure draws the share of relevant questions by model; nil where unknown.
func relevanceFigure(d Data) []figure {
	r := d.Result
	c := chart{id: "fig-relevant", title: "Share of relevant questions", xLabel: "model", yLabel: "share of questions",
		xTicks: modelTicks(r.Models), yMax: 1, format: percent, height: 280}
	var rel, red []point
	for i, m := range r.Models {
		if q, ok := questions(r, m); ok && known(q) {
			rel = append(rel, point{float64(i), q.Relevant, q.Relevant - q.RelevantSEM, q.Relevant + q.RelevantSEM, m})
			red = append(red, point{float64(i), q.Redundant, q.Redundant, q.Redundant, m})
		}
	}
	if len(rel) == 0 {
		return nil
	}
	c.series = []series{
		{name: "relevant", class: "c1", marker: "circle", dots: !iterated(r), points: rel},
		{name: "redundant", class: "c2", marker: "square", dots: !iterated(r), points: red},
	}
	if r.Optimum != nil {
		c.lines = []line{{"chance", r.Optimum.ChanceRelevant, "grey"}, {"optimum", r.Optimum.Relevant, "c5"}}
	}
	out := []figure{{"Relevant questions by model", c.draw(), "Relevant: the gold response depends on what the question asks for. Chance: an attribute drawn at random. Optimum: a Questioner that knows which attributes matter."}}
	if f, ok := selectionFigure(r); ok {
		out = append(out, f)
	}
	return out
}

// selectionFigure draws what selection does: the share of relevant questions among all
// candidates of an iteration and among the selected ones, which the next model learns.
func selectionFigure(r *eval.Result) (figure, bool) {
	c := chart{id: "fig-selection", title: "Share of relevant questions, all candidates and selected ones", xLabel: "iteration", yLabel: "share of questions", yMax: 1,
		format: percent, height: 280}
	var all, chosen []point
	for i, t := range r.Training {
		x, name := float64(i+1), fmt.Sprintf("iteration %d", i+1)
		c.xTicks = append(c.xTicks, tick{x, fmt.Sprint(i + 1)})
		if t.Relevant[0] >= 0 {
			all = append(all, point{x, t.Relevant[0], t.Relevant[0], t.Relevant[0], name})
			chosen = append(chosen, point{x, t.Relevant[1], t.Relevant[1], t.Relevant[1], name})
		}
	}
	if len(all) == 0 {
		return figure{}, false
	}
	c.series = []series{{name: "selected", class: "c4", marker: "diamond", points: chosen}, {name: "all candidates", class: "c3", marker: "triangle", points: all}}
	if r.Optimum != nil {
		c.lines = []line{{"chance", r.Optimum.ChanceRelevant, "grey"}}
	}
	return figure{"What selection picks", c.draw(), "Selection knows the score alone, not what is relevant. Where the selected lie above all candidates, the score prefers questions that matter, and the next model learns from those."}, true
}

// curves draw each model's training loss with its held-out loss before and after, all on
// one scale.
func curves(r *eval.Result) []figure {
	var out []figure
	hi := 0.0
	for _, t := range r.Training {
		for _, v := range append([]float64{t.EvalLoss[0]}, t.Loss...) {
			if finite(v) {
				hi = max(hi, v)
			}
		}
	}
	for _, t := range r.Training {
		if len(t.Loss) == 0 {
			continue
		}
		c := chart{id: "curve-" + t.Model, title: "Training loss of " + t.Model, xLabel: "optimiser step", yLabel: "nats per token",
			yMax: 1.05 * hi, format: rate, height: 240, small: true}
		last := float64(len(t.Loss))
		c.series = []series{{name: "training", class: "c1", marker: "circle", curve: true, points: thin(t.Loss)}}
		if t.EvalLoss != [2]float64{} {
			c.series = append(c.series, series{name: "held out", class: "c2", marker: "diamond", dots: true, points: []point{
				{0, t.EvalLoss[0], t.EvalLoss[0], t.EvalLoss[0], "before"}, {last, t.EvalLoss[1], t.EvalLoss[1], t.EvalLoss[1], "after"}}})
		}
		for _, v := range niceTicks(0, last, 4) {
			if v == math.Trunc(v) {
				c.xTicks = append(c.xTicks, tick{v, axis(v)})
			}
		}
		out = append(out, figure{t.Model, c.draw(), ""})
	}
	return out
}

// curvePoints bounds a training curve on the page; finer cannot be seen.
const curvePoints = 120

// thin averages runs of neighbouring steps so that few enough remain.
func thin(losses []float64) []point {
	n := min(len(losses), curvePoints)
	out := make([]point, 0, n)
	for i := range n {
		from, to := i*len(losses)/n, (i+1)*len(losses)/n
		mean := 0.0
		for _, v := range losses[from:to] {
			mean += v / float64(to-from)
		}
		out = append(out, point{float64(to), mean, mean, mean, fmt.Sprintf("step %d", to)})
	}
	return out
}
