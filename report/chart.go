package report

import (
	"fmt"
	"math"
	"slices"
	"strings"
)

// A chart is a small line chart in data units; draw turns it into the coordinates that
// page/chart.tmpl puts into SVG. Colours are classes (c1, c2, …), so that the style sheet
// can change them for dark screens and for paper.
type chart struct {
	id, title      string
	xLabel, yLabel string
	xTicks         []tick
	yMin, yMax     float64 // the range shown whatever the data; ignored when equal
	series         []series
	lines          []line
	format         func(float64) string // of a y value, in labels and descriptions
	height         float64              // in the units of width
	small          bool                 // one of three beside each other
}

type tick struct {
	at    float64
	label string
}

// series is one line with a marker at each point. A curve has no markers but at its end;
// dots have no line.
type series struct {
	name   string
	class  string // c1 … c6, or "paper" for values that are not of this run
	marker string // circle, square, triangle, diamond
	curve  bool
	dots   bool
	points []point
}

// point is a value with its error bar; low = high = y where there is none.
type point struct {
	x, y, low, high float64
	name            string // of x in descriptions
}

// line is a horizontal reference: a control, chance, an optimum.
type line struct {
	name  string
	y     float64
	class string
}

// Geometry of all charts, in user units; the text size of the style sheet fits it.
const (
	chartWidth  = 480.0
	smallWidth  = 330.0
	plotLeft    = 44.0
	labelWidth  = 134.0 // right of the plot
	smallLabel  = 86.0
	plotTop     = 30.0 // below the name of the y axis
	labelGap    = 16.0
	labelRunes  = 16 // of a direct label; the figure's description and the tables have names whole
	markerSize  = 4.5
	xAxisHeight = 46.0
)

// drawing is a chart in user units, every number already formatted.
type drawing struct {
	ID, Title, Desc, ViewBox string
	XLabel, YLabel           drawnText
	Left, Right, Top, Bottom string
	XTicks, YTicks           []drawnText
	Lines                    []drawnLine
	Series                   []drawnSeries
	Labels                   []drawnLabel
}

type drawnText struct{ X, Y, Text string }

type drawnLine struct{ Y, Class, Title string }

type drawnSeries struct {
	Class, Path string
	Marks       []drawnMark
}

type drawnMark struct{ X, Low, High, CapL, CapR, Path, Title string }

type drawnLabel struct{ X, Y, Text, Class, Path, Dash, Leader string }

// draw lays the chart out. Values that are not finite are left out.
func (c chart) draw() drawing {
	lo, hi := c.rangeY()
	xlo, xhi := c.rangeX()
	bottom := c.height - xAxisHeight
	width, plotRight := chartWidth, chartWidth-labelWidth
	if c.small {
		width, plotRight = smallWidth, smallWidth-smallLabel
	}
	labelLeft := plotRight + 12
	x := func(v float64) float64 { return plotLeft + 14 + (v-xlo)/(xhi-xlo)*(plotRight-plotLeft-28) }
	y := func(v float64) float64 { return bottom - (v-lo)/(hi-lo)*(bottom-plotTop) }
	d := drawing{
		ID: c.id, Title: c.title, Desc: c.describe(),
		ViewBox: fmt.Sprintf("0 0 %s %s", px(width), px(c.height)),
		Left:    px(plotLeft), Right: px(plotRight), Top: px(plotTop), Bottom: px(bottom),
		XLabel: drawnText{px((plotLeft + plotRight) / 2), px(c.height - 6), c.xLabel},
		YLabel: drawnText{"2", px(12), c.yLabel},
	}
	for _, t := range c.xTicks {
		d.XTicks = append(d.XTicks, drawnText{px(x(t.at)), px(bottom + 18), t.label})
	}
	for _, v := range niceTicks(lo, hi, 5) {
		d.YTicks = append(d.YTicks, drawnText{px(plotLeft - 8), px(y(v)), c.tickFormat(v)})
	}
	var labels []label
	for _, l := range c.lines {
		if !finite(l.y) {
			continue
		}
		d.Lines = append(d.Lines, drawnLine{px(y(l.y)), l.class, l.name + ": " + c.format(l.y)})
		labels = append(labels, label{text: l.name, class: l.class, at: y(l.y), want: y(l.y)})
	}
	for _, s := range c.series {
		ds := drawnSeries{Class: s.class}
		pts := s.finite()
		if len(pts) == 0 {
			continue
		}
		for i, p := range pts {
			op := "L"
			if i == 0 {
				op = "M"
			}
			if !s.dots {
				ds.Path += op + px(x(p.x)) + " " + px(y(p.y))
			}
			if s.curve && i < len(pts)-1 {
				continue
			}
			title := s.name + ", " + p.name + ": " + c.format(p.y)
			m := drawnMark{X: px(x(p.x)), Path: marker(s.marker, x(p.x), y(p.y)), Title: title}
			if p.high > p.low {
				m.Low, m.High = px(y(p.low)), px(y(p.high))
				m.CapL, m.CapR = px(x(p.x)-4), px(x(p.x)+4)
				m.Title += " (" + c.format(p.low) + " to " + c.format(p.high) + ")"
			}
			ds.Marks = append(ds.Marks, m)
		}
		d.Series = append(d.Series, ds)
		last := pts[len(pts)-1]
		labels = append(labels, label{text: s.name, class: s.class, marker: s.marker, at: y(last.y), want: y(last.y)})
	}
	spread(labels, plotTop, bottom)
	for _, l := range labels {
		dl := drawnLabel{X: px(labelLeft + 14), Y: px(l.at), Text: cut(l.text, labelRunes), Class: l.class}
		if l.marker != "" {
			dl.Path = marker(l.marker, labelLeft+5, l.at)
		} else {
			dl.Dash = fmt.Sprintf("M%s %sh10", px(labelLeft-1), px(l.at))
		}
		if math.Abs(l.at-l.want) > 4 {
			dl.Leader = fmt.Sprintf("M%s %sL%s %s", px(plotRight+1), px(l.want), px(labelLeft-3), px(l.at))
		}
		d.Labels = append(d.Labels, dl)
	}
	return d
}

// cut shortens a name to so many characters.
func cut(name string, runes int) string {
	if r := []rune(name); len(r) > runes {
		return string(r[:runes-1]) + "…"
	}
	return name
}

// tickFormat is format with no more decimals than ticks need.
func (c chart) tickFormat(v float64) string {
	if s := c.format(1); strings.HasSuffix(s, "%") {
		return c.format(v)
	}
	return axis(v)
}

// label is a direct label at the right of the plot, moved from want to at so that none
// covers another.
type label struct {
	text, class, marker string
	at, want            float64
}

// spread moves labels apart, keeping their order, within [top, bottom].
func spread(labels []label, top, bottom float64) {
	slices.SortStableFunc(labels, func(a, b label) int {
		switch {
		case a.want < b.want:
			return -1
		case a.want > b.want:
			return 1
		}
		return 0
	})
	for range 50 { // relax: neighbours that are too close share the move
		moved := false
		for i := 1; i < len(labels); i++ {
			if gap := labels[i].at - labels[i-1].at; gap < labelGap-0.01 {
				push := (labelGap - gap) / 2
				labels[i-1].at -= push
				labels[i].at += push
				moved = true
			}
		}
		if n := len(labels); n > 0 {
			labels[0].at = max(labels[0].at, top)
			labels[n-1].at = min(labels[n-1].at, bottom)
		}
		if !moved {
			return
		}
	}
}

func (c chart) rangeY() (lo, hi float64) {
	if c.yMin != c.yMax {
		return c.yMin, c.yMax
	}
	lo, hi = math.Inf(1), math.Inf(-1)
	see := func(v float64) {
		if finite(v) {
			lo, hi = min(lo, v), max(hi, v)
		}
	}
	for _, s := range c.series {
		for _, p := range s.finite() {
			see(p.y)
			see(p.low)
			see(p.high)
		}
	}
	for _, l := range c.lines {
		see(l.y)
	}
	if lo > hi {
		return 0, 1
	}
	if pad := 0.06 * (hi - lo); pad > 0 {
		return lo - pad, hi + pad
	}
	return lo - 1, hi + 1
}

func (c chart) rangeX() (lo, hi float64) {
	lo, hi = math.Inf(1), math.Inf(-1)
	for _, t := range c.xTicks {
		lo, hi = min(lo, t.at), max(hi, t.at)
	}
	for _, s := range c.series {
		for _, p := range s.finite() {
			lo, hi = min(lo, p.x), max(hi, p.x)
		}
	}
	if lo > hi {
		return 0, 1
	}
	if lo == hi {
		return lo - 1, hi + 1
	}
	return lo, hi
}

// describe says in words what the drawing shows, for those who do not see it.
func (c chart) describe() string {
	var b strings.Builder
	for _, s := range c.series {
		pts := s.finite()
		if len(pts) == 0 {
			continue
		}
		if s.curve {
			fmt.Fprintf(&b, "%s: from %s (%s) to %s (%s). ", s.name, c.format(pts[0].y), pts[0].name, c.format(pts[len(pts)-1].y), pts[len(pts)-1].name)
			continue
		}
		values := make([]string, len(pts))
		for i, p := range pts {
			values[i] = p.name + " " + c.format(p.y)
		}
		fmt.Fprintf(&b, "%s: %s. ", s.name, strings.Join(values, ", "))
	}
	for _, l := range c.lines {
		if finite(l.y) {
			fmt.Fprintf(&b, "%s: %s. ", l.name, c.format(l.y))
		}
	}
	return strings.TrimSpace(b.String())
}

func (s series) finite() []point {
	var out []point
	for _, p := range s.points {
		if finite(p.x) && finite(p.y) {
			if !finite(p.low) || !finite(p.high) {
				p.low, p.high = p.y, p.y
			}
			out = append(out, p)
		}
	}
	return out
}

// marker is a closed path centred at x, y; shapes differ so that colour is not needed.
func marker(shape string, x, y float64) string {
	r := markerSize
	switch shape {
	case "square":
		r *= 0.9
		return fmt.Sprintf("M%s %sh%sv%sh%sz", px(x-r), px(y-r), px(2*r), px(2*r), px(-2*r))
	case "triangle":
		r *= 1.2
		return fmt.Sprintf("M%s %sL%s %sL%s %sz", px(x), px(y-r), px(x+r), px(y+0.8*r), px(x-r), px(y+0.8*r))
	case "diamond":
		r *= 1.3
		return fmt.Sprintf("M%s %sL%s %sL%s %sL%s %sz", px(x), px(y-r), px(x+r), px(y), px(x), px(y+r), px(x-r), px(y))
	default:
		return fmt.Sprintf("M%s %sa%s %s 0 1 0 %s 0a%s %s 0 1 0 %s 0z", px(x-r), px(y), px(r), px(r), px(2*r), px(r), px(r), px(-2*r))
	}
}

// niceTicks gives about n round values within [lo, hi].
func niceTicks(lo, hi float64, n int) []float64 {
	raw := (hi - lo) / float64(n)
	if !finite(raw) || raw <= 0 {
		return nil
	}
	step := math.Pow(10, math.Floor(math.Log10(raw)))
	for _, f := range []float64{1, 2, 5, 10} {
		if f*step >= 0.8*raw {
			step *= f
			break
		}
	}
	var out []float64
	for i := math.Ceil(lo/step - 1e-9); i*step <= hi+1e-9*step; i++ {
		out = append(out, i*step)
	}
	return out
}

// px formats a coordinate: a tenth of a unit is finer than any screen.
func px(v float64) string {
	s := fmt.Sprintf("%.1f", v)
	s = strings.TrimSuffix(s, ".0")
	if s == "-0" {
		return "0"
	}
	return s
}

func finite(v float64) bool { return !math.IsNaN(v) && !math.IsInf(v, 0) }
