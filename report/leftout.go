package report

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"stargate/eval"
)

// listedPairs is how many left-out pairs the page names; report.json has all of them.
const listedPairs = 100

// leftOutSection says what of the data a run does without.
func leftOutSection(r *eval.Result) evidence {
	s := evidence{ID: "left-out", Short: "Left out", Heading: "What of the data was left out?",
		Lede: "A pair whose gold response is empty, refused or truncated, whatever was drawn, has nothing to be scored against; it is left out, and everything else of its task and persona stays. Entries of the files that were empty or repeated are no tasks or personas of their own."}
	if r.LeftOut == nil {
		return s
	}
	splits := []string{"A", "B", "test"}
	counts := plainTable{Caption: "Pairs left out, by reason and split", Head: append(append([]string{"Reason"}, splits...), "all")}
	pairs := plainTable{Caption: "The pairs", Head: []string{"Pair", "split", "reason"}}
	byReason := map[string]map[string]int{}
	for _, p := range r.LeftOut.Pairs {
		if byReason[p.Reason] == nil {
			byReason[p.Reason] = map[string]int{}
		}
		byReason[p.Reason][p.Split]++
		if len(pairs.Rows) < listedPairs {
			pairs.Rows = append(pairs.Rows, []string{p.Task + " / " + p.Persona, p.Split, p.Reason})
		}
	}
	if n := len(r.LeftOut.Pairs); n > listedPairs {
		pairs.Caption = fmt.Sprintf("The first %d of %d pairs; report.json names all", listedPairs, n)
	}
	for _, reason := range slices.Sorted(maps.Keys(byReason)) {
		row, all := []string{reason}, 0
		for _, split := range splits {
			row = append(row, count(byReason[reason][split]))
			all += byReason[reason][split]
		}
		counts.Rows = append(counts.Rows, append(row, count(all)))
	}
	entries := plainTable{Caption: "Entries of the files", Head: []string{"Entry", "reason"}}
	for _, e := range r.LeftOut.Entries[:min(len(r.LeftOut.Entries), listedPairs)] {
		entries.Rows = append(entries.Rows, []string{e.Where, e.Reason})
	}
	s.Tables = tables(counts, pairs, entries)
	return s
}

// leftOutText says the same in a line, or is "".
func leftOutText(l *eval.LeftOut) string {
	if l == nil {
		return ""
	}
	var parts []string
	reasons := map[string]int{}
	for _, p := range l.Pairs {
		reasons[p.Reason]++
	}
	if n := len(l.Pairs); n > 0 {
		var why []string
		for _, k := range slices.Sorted(maps.Keys(reasons)) {
			why = append(why, fmt.Sprintf("%s %d", k, reasons[k]))
		}
		parts = append(parts, fmt.Sprintf("%s without a gold response (%s)", plural(n, "pair"), strings.Join(why, ", ")))
	}
	if n := len(l.Entries); n > 0 {
		parts = append(parts, fmt.Sprintf("%d empty or repeated entries", n))
	}
	return "Left out of the data: " + strings.Join(parts, "; ")
}
