package export

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"slices"

	"stargate/export/readback"
	"stargate/lm/local"
)

// NotTrained is a row of a trainer's own format that it leaves out, or stops at.
const NotTrained Problem = "not trained"

// Look is [Audit] for a file in a trainer's own format, written by whom it may: what would the
// trainer make of it with this model? There is no example to hold the rows against, so it finds
// rows that are not trained, trained words without the end of the turn, and rows that are too
// long. Each sees the rows as examples without messages, called "row 1" and so on.
func Look(ctx context.Context, f Format, t *local.Text, path string, o Options, a AuditOptions) (Report, error) {
	r := Report{Problems: map[Problem]int{}, Findings: []Finding{}}
	if f.rules == nil {
		return r, fmt.Errorf("%s is read without naming its format", f.Name)
	}
	j, err := newJob(t, o)
	if err != nil {
		return r, err
	}
	rules, seen := f.rules(j), keySet{}
	for line, err := range f.lines(path) {
		if ctx.Err() != nil {
			return r, ctx.Err()
		}
		r.Rows++
		if errors.Is(err, ErrFormat) {
			r.found(Finding{Row: r.Rows, Problem: NotAnExample, Detail: err.Error()})
			break
		}
		if err != nil {
			return r, err
		}
		e := Example{Key: fmt.Sprintf("row %d", r.Rows)}
		row, err := rules(t, line)
		var d Difference
		if unread := lost(&d, err); unread != nil {
			r.found(Finding{r.Rows, e.Key, NotAnExample, unread.Error()})
			continue
		} else if err != nil {
			r.found(Finding{r.Rows, e.Key, NotTrained, err.Error()})
			continue
		}
		e.IDs, e.Weights = row.IDs, row.Weights
		r.Tokens += len(e.IDs)
		r.Trained += e.Trained()
		r.Longest = max(r.Longest, len(e.IDs))
		if _, used := seen.add(fmt.Sprint(e.IDs, e.Weights), r.Rows); used {
			r.Repeated++
		}
		ok := true
		if at := withoutEnd(t, row); at >= 0 {
			ok = false
			r.found(Finding{r.Rows, e.Key, LostEnd, fmt.Sprintf("nothing that ends a turn is trained behind %q", lastWords(t.Decode(e.IDs[:at+1])))})
		}
		if a.MaxTokens > 0 && len(e.IDs) > a.MaxTokens {
			ok = false
			r.found(Finding{r.Rows, e.Key, TooLong, fmt.Sprintf("%d tokens, the trainer takes %d: it would cut or drop it", len(e.IDs), a.MaxTokens)})
		}
		if a.Each != nil {
			a.Each(r.Rows, e, ok)
		}
	}
	if r.Rows == 0 {
		r.found(Finding{Problem: NotAnExample, Detail: "there are no rows"})
	}
	return r, nil
}

// withoutEnd is the last token of the first run of trained tokens in which none ends a turn, or -1.
func withoutEnd(t *local.Text, row readback.Row) int {
	ends, ended := t.Ends(), false
	for i, w := range row.Weights {
		if w == 0 {
			continue
		}
		if i == 0 || row.Weights[i-1] == 0 {
			ended = false
		}
		ended = ended || slices.Contains(ends, row.IDs[i])
		if last := i+1 == len(row.Weights) || row.Weights[i+1] == 0; last && !ended {
			return i
		}
	}
	return -1
}

// lines are the rows of a file as JSON.
func (f Format) lines(path string) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		if f.table != nil {
			for row, err := range f.table().rows(path) {
				var line []byte
				if err == nil {
					line, err = marshal(row)
				}
				if !yield(line, err) || err != nil {
					return
				}
			}
			return
		}
		file, err := os.Open(path)
		if err != nil {
			yield(nil, err)
			return
		}
		defer file.Close() // only read
		r := &Reader{name: path, lines: bufio.NewReaderSize(file, 1<<16)}
		for {
			line, err := r.read()
			if errors.Is(err, io.EOF) || !yield(line, err) || err != nil {
				return
			}
		}
	}
}
