package rating

import (
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"strings"

	"stargate/eval/judge"
)

// columns of a sheet; raters fill the last three.
var columns = []string{"sheet", "item", "name", "about", "task", "reply A", "reply B", "verdict (A, B or tie)", "comment", "rater"}

// WriteCSV writes a sheet for a spreadsheet: UTF-8 with a byte order mark, as Excel wants it.
// A text that a spreadsheet would take for a formula gets a space before it.
func WriteCSV(w io.Writer, s Sheet) error {
	if _, err := io.WriteString(w, "\ufeff"); err != nil {
		return fmt.Errorf("rating: sheet: %w", err)
	}
	out := csv.NewWriter(w)
	out.UseCRLF = true
	rows := [][]string{columns}
	for _, i := range s.Items {
		row := []string{s.ID, i.ID, i.Name, i.Persona, i.Task, i.A, i.B, "", "", ""}
		for k := 2; k < len(row); k++ {
			row[k] = inert(row[k])
		}
		rows = append(rows, row)
	}
	if err := out.WriteAll(rows); err != nil {
		return fmt.Errorf("rating: sheet: %w", err)
	}
	return nil
}

func inert(text string) string {
	if strings.IndexAny(text, "=+-@\t\r") == 0 {
		return " " + text
	}
	return text
}

// Answer is a rater's verdict on an item.
type Answer struct {
	Item    string
	Verdict judge.Verdict
	Comment string
}

// Answers are a filled-in sheet.
type Answers struct {
	Sheet   string
	Rater   string // as the file says, or "" if it does not
	Answers []Answer
	Skipped int // items without a verdict
}

// largest bounds what is read of an answers file.
const largest = 64 << 20

// ReadAnswers reads a filled-in CSV sheet, or the file that the HTML page gives. Columns may
// stand in any order and further ones may be there; sheet, item and verdict must. Commas,
// semicolons and tabs separate. A verdict is A, B or a tie, in the words people use; an empty
// one, "skip" or "-" was not given.
func ReadAnswers(r io.Reader) (Answers, error) {
	raw, err := io.ReadAll(io.LimitReader(r, largest+1))
	switch {
	case err != nil:
		return Answers{}, fmt.Errorf("answers: %w", err)
	case len(raw) > largest:
		return Answers{}, fmt.Errorf("answers: the file is larger than %d MiB", largest>>20)
	}
	text := strings.TrimPrefix(string(raw), "\ufeff")
	in := csv.NewReader(strings.NewReader(text))
	in.Comma, in.FieldsPerRecord = separator(text), -1
	head, err := in.Read()
	if errors.Is(err, io.EOF) {
		return Answers{}, errors.New("answers: the file is empty")
	} else if err != nil {
		return Answers{}, fmt.Errorf("answers: %w", err)
	}
	at, err := locate(head)
	if err != nil {
		return Answers{}, err
	}
	var a Answers
	seen := map[string]int{}
	for {
		row, err := in.Read()
		if errors.Is(err, io.EOF) {
			return a, nil
		} else if err != nil {
			return a, fmt.Errorf("answers: %w", err)
		}
		line, _ := in.FieldPos(0)
		field := func(name string) string {
			if i, ok := at[name]; ok && i < len(row) {
				return strings.TrimSpace(row[i])
			}
			return ""
		}
		item := field("item")
		if item == "" && strings.TrimSpace(strings.Join(row, "")) == "" {
			continue
		}
		if sheet := field("sheet"); a.Sheet == "" {
			a.Sheet = sheet
		} else if sheet != a.Sheet {
			return a, fmt.Errorf("answers, line %d: sheet %q, but the lines before are of sheet %q; give each sheet in a file of its own", line, sheet, a.Sheet)
		}
		if rater := field("rater"); a.Rater == "" {
			a.Rater = rater
		} else if rater != "" && rater != a.Rater {
			return a, fmt.Errorf("answers, line %d: rater %q, but the lines before are by %q; give each rater's answers in a file of their own", line, rater, a.Rater)
		}
		if before, ok := seen[item]; ok {
			return a, fmt.Errorf("answers, line %d: item %s was answered in line %d already", line, item, before)
		}
		seen[item] = line
		v, given, err := verdict(field("verdict"))
		switch {
		case err != nil:
			return a, fmt.Errorf("answers, line %d, item %s: %w", line, item, err)
		case !given:
			a.Skipped++
		default:
			a.Answers = append(a.Answers, Answer{item, v, field("comment")})
		}
	}
}

// separator is the one of the first line that occurs most.
func separator(text string) rune {
	first, _, _ := strings.Cut(text, "\n")
	best := ','
	for _, c := range ";\t" {
		if strings.Count(first, string(c)) > strings.Count(first, string(best)) {
			best = c
		}
	}
	return best
}

func locate(head []string) (map[string]int, error) {
	at := map[string]int{}
	for i, h := range head {
		h = strings.ToLower(strings.TrimSpace(h))
		if strings.HasPrefix(h, "verdict") {
			h = "verdict"
		}
		at[h] = i
	}
	for _, must := range []string{"sheet", "item", "verdict"} {
		if _, ok := at[must]; !ok {
			return nil, fmt.Errorf("answers: the first line has no column %q; it has %s", must, strings.Join(head, ", "))
		}
	}
	return at, nil
}

func verdict(text string) (v judge.Verdict, given bool, err error) {
	switch strings.ToLower(text) {
	case "", "-", "–", "skip", "skipped", "n/a", "?":
		return "", false, nil
	case "=", "a=b", "a = b":
		return judge.Tie, true, nil
	}
	if v, _ = judge.Parse(text); v == judge.Invalid {
		return "", false, fmt.Errorf("verdict %q: want A, B or tie, or nothing", text)
	}
	return v, true, nil
}
