package main

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"stargate/dataset"
	"stargate/dataset/build"
)

// shownItems is how many of a list a summary shows; the report has all.
const shownItems = 5

func printTasks(w io.Writer, r *build.TaskReport, path string) error {
	p := printer{w: w}
	p.line("%d tasks in %s, of %d entries", r.Kept, path, r.Read)
	p.splits(r.Splits, r.Undealt)
	p.line("words: %d to %d, median %d", r.Words.Least, r.Words.Most, r.Words.Median)
	reasons := map[string]int{}
	for _, d := range r.Dropped {
		reason := d.Reason
		for _, kind := range []string{"repeats", "nearly repeats"} {
			if strings.HasPrefix(reason, kind+" ") {
				reason = kind + " another"
			}
		}
		reasons[reason]++
	}
	p.counts("dropped", reasons)
	p.line("near-duplicates: %d clusters", len(r.Near))
	for _, c := range r.Near[:min(len(r.Near), shownItems)] {
		p.line("  %.2f  %s", c.Least, strings.Join(c.Texts, " / "))
	}
	p.more(len(r.Near))
	if len(r.Leaks) > 0 {
		p.line("leaks between the splits that the files give: %d", len(r.Leaks))
		for _, l := range r.Leaks[:min(len(r.Leaks), shownItems)] {
			p.line("  %.2f  %s (%s) and %s (%s): %s", l.Similarity, l.A, l.SplitA, l.B, l.SplitB, l.Text)
		}
		p.more(len(r.Leaks))
	}
	return p.err
}

func printPersonas(w io.Writer, r *build.PersonaReport, path string) error {
	p := printer{w: w}
	p.line("%d personas of %d in %s, from %d draws", r.Filled, r.Asked, path, r.Draws)
	p.splits(r.Splits, 0)
	p.counts("drawn again", flawCounts(r.Flaws))
	for _, s := range r.Open {
		p.line("  no persona for %s: %s", s.ID, joinFlaws(s.Flaws))
	}
	p.coverage(r.Coverage)
	return p.err
}

func printGold(w io.Writer, r *build.GoldReport, path string) error {
	p := printer{w: w}
	p.line("%d gold responses of %d in %s", r.Made, r.Pairs, path)
	p.line("words: %d to %d, median %d; %d have more than ten sentences", r.Words.Least, r.Words.Most, r.Words.Median, r.TooLong)
	p.counts("draws that were not taken", flawCounts(r.Flaws))
	if n := len(r.Excluded); n > 0 {
		p.line("excluded, which a run leaves out of its split: %d", n)
		for _, g := range r.Excluded[:min(n, shownItems)] {
			p.line("  %s/%s: %s", g.Task, g.Persona, joinFlaws(g.Flaws))
		}
		p.more(n)
	}
	return p.err
}

func flawCounts(flaws map[build.Flaw]int) map[string]int {
	out := map[string]int{}
	for f, n := range flaws {
		out[string(f)] = n
	}
	return out
}

func joinFlaws(flaws []build.Flaw) string {
	var out []string
	for _, f := range flaws {
		out = append(out, string(f))
	}
	return strings.Join(out, ", ")
}

// printer writes lines and remembers the first error.
type printer struct {
	w   io.Writer
	err error
}

func (p *printer) line(format string, args ...any) {
	if p.err == nil {
		_, p.err = fmt.Fprintf(p.w, format+"\n", args...)
	}
}

// more says how many items of a list were not shown.
func (p *printer) more(n int) {
	if n > shownItems {
		p.line("  … and %d more in the report", n-shownItems)
	}
}

func (p *printer) splits(splits map[string]int, undealt int) {
	if len(splits) == 0 {
		return
	}
	var parts []string
	for _, s := range dataset.SplitNames() {
		parts = append(parts, fmt.Sprintf("%s %d", s, splits[s]))
	}
	if undealt > 0 {
		parts = append(parts, fmt.Sprintf("left over %d", undealt))
	}
	p.line("splits: %s", strings.Join(parts, ", "))
}

// counts lists what happened how often, most often first.
func (p *printer) counts(what string, n map[string]int) {
	if len(n) == 0 {
		return
	}
	keys := slices.SortedFunc(maps.Keys(n), func(a, b string) int { return cmp.Or(cmp.Compare(n[b], n[a]), cmp.Compare(a, b)) })
	var parts []string
	for _, k := range keys {
		parts = append(parts, fmt.Sprintf("%d %s", n[k], k))
	}
	p.line("%s: %s", what, strings.Join(parts, ", "))
}

func (p *printer) coverage(c build.Coverage) {
	if c.Personas == 0 {
		return
	}
	p.line("words: %d to %d, median %d; sentences: %d to %d", c.Words.Least, c.Words.Most, c.Words.Median, c.Sentences.Least, c.Sentences.Most)
	for _, field := range slices.Sorted(maps.Keys(c.Fields)) {
		p.counts("  "+field, c.Fields[field])
	}
	if len(c.SharedNames) > 0 {
		p.line("names that several have: %s", strings.Join(c.SharedNames, ", "))
	}
	if len(c.Closest) > 0 {
		p.line("closest: %s and %s (%.2f); mean similarity %.2f", c.Closest[0].A, c.Closest[0].B, c.Closest[0].Similarity, c.MeanSimilar)
	}
	var worn []string
	for _, w := range c.Worn[:min(len(c.Worn), shownItems)] {
		worn = append(worn, fmt.Sprintf("%q %.0f %%", w.Word, 100*w.Share))
	}
	if len(worn) > 0 {
		p.line("words that many personas share: %s", strings.Join(worn, ", "))
	}
}
