package main

import (
	"fmt"
	"io"
	"slices"
	"strings"
)

// flopsPerToken of a train step: 6 for each of the 4.35 million weights of the layers, 5.4
// for those of the head (it is left out where no loss is), 2.4 million for attention.
const flopsPerToken = 31.3e6

// table measures rows and writes each when it is done.
type table struct {
	out   io.Writer
	sides *sides
	train float64 // median of ours
	peak  float64 // the same of the first product
}

// add measures a row: every side once a round.
func (t *table) add(r row) error {
	sides := t.sides.all
	if r.unit == gflops && t.sides.blas != nil {
		sides = []side{sides[0], *t.sides.blas}
	}
	if r.reaches > 0 {
		sides = sides[:1]
	}
	values, ratios := make([][]float64, len(sides)), make([][]float64, len(sides))
	for range t.sides.rounds {
		for i, s := range sides {
			v, err := s.measure(r)
			if err != nil {
				return err
			}
			values[i] = append(values[i], v)
			ratios[i] = append(ratios[i], values[0][len(values[0])-1]/v)
		}
	}
	ours := median(values[0])
	switch {
	case r.name == "train step":
		t.train = ours
	case r.unit == gflops && t.peak == 0:
		t.peak = ours
	}
	line := []string{r.name, string(r.unit), number(ours)}
	var met []string
	for i := 1; i <= 2; i++ {
		if i >= len(sides) {
			line = append(line, "", "")
			continue
		}
		ratio := median(ratios[i])
		line = append(line, number(median(values[i])), fmt.Sprintf("%.2f", ratio))
		if r.atLeast > 0 {
			met = append(met, yes(ratio >= r.atLeast))
		}
	}
	demand := ""
	switch {
	case r.atMost > 0:
		demand, met = fmt.Sprintf("≤ %.0f MiB", r.atMost), []string{yes(ours <= r.atMost)}
	case r.reaches > 0:
		demand, met = fmt.Sprintf("≥ %.0f %%", r.reaches), []string{yes(ours >= r.reaches)}
	case r.atLeast > 0:
		demand = fmt.Sprintf("≥ %.2g × peer", r.atLeast)
	}
	t.write(append(line, demand, strings.Join(met, ", "))...)
	return nil
}

// head writes the first two lines of the table, in Markdown.
func (t *table) head() {
	t.write("", "unit", "stargate", "peer", "ratio", "tuned", "ratio", "must reach", "met")
	t.write("---", "---", "---", "---", "---", "---", "---", "---", "---")
}

// foot writes what follows from two rows, the train step and the first product.
func (t *table) foot() {
	if t.train > 0 && t.peak > 0 {
		share := t.train * flopsPerToken / 1e9 / t.peak
		t.write("train step, of sgemm's fastest call", "%", number(100*share), "", "", "", "", "", "")
	}
	if l := load(); l != "" {
		fmt.Fprintf(t.out, "\nload %s at the end\n", l)
	}
}

func (t *table) write(cells ...string) {
	widths := []int{32, 7, 8, 6, 5, 6, 5, 13, 8}
	for i, c := range cells {
		fmt.Fprintf(t.out, "| %-*s ", widths[i], c)
	}
	fmt.Fprintln(t.out, "|")
}

func median(x []float64) float64 {
	s := slices.Sorted(slices.Values(x))
	n := len(s)
	return (s[(n-1)/2] + s[n/2]) / 2
}

func number(x float64) string { return fmt.Sprintf("%.0f", x) }

func yes(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}
