package clarify

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"stargate/lm"
)

// Item is one decision between asking and answering.
type Item struct {
	ID        string
	Group     string  // what goes together: a topic, story or dialogue
	Kind      string  // the benchmark's own label or category, for a table by kind
	Chat      lm.Chat // ends with a user message
	Ask       bool    // a question is needed
	Reference string  // a clarifying question of the benchmark's, or ""
}

// Format names the form of a file.
type Format string

// The formats.
const (
	ClariQ  Format = "clariq"
	AbgCoQA Format = "abg-coqa"
	PACIFIC Format = "pacific"
	IN3     Format = "in3"
	CLAMBER Format = "clamber"
	JSONL   Format = "jsonl"
)

var readers = map[Format]func(r io.Reader) ([]Item, error){
	ClariQ: readClariQ, AbgCoQA: readAbgCoQA, PACIFIC: readPACIFIC, IN3: readIN3, CLAMBER: readCLAMBER, JSONL: readOwn,
}

// Formats lists all of them.
func Formats() []Format { return []Format{ClariQ, AbgCoQA, PACIFIC, IN3, CLAMBER, JSONL} }

// ErrFormat: a file is not in the form it is said to be; the text says where.
var ErrFormat = errors.New("not in this format")

// largest bounds what is read of a file.
const largest = 512 << 20

// Read reads the items of a file. Items without a label are an error, not answers.
func Read(f Format, r io.Reader) ([]Item, error) {
	read, ok := readers[f]
	if !ok {
		return nil, fmt.Errorf("format %q: there are %v", f, Formats())
	}
	limited := &io.LimitedReader{R: r, N: largest + 1}
	items, err := read(limited)
	switch {
	case limited.N <= 0:
		return nil, fmt.Errorf("%s: the file is larger than %d MiB", f, largest>>20)
	case err != nil:
		return nil, fmt.Errorf("%s: %w", f, err)
	case len(items) == 0:
		return nil, fmt.Errorf("%s: %w: there is no item in it", f, ErrFormat)
	}
	seen := map[string]bool{}
	for _, i := range items {
		last := i.Chat[len(i.Chat)-1]
		switch {
		case seen[i.ID]:
			return nil, fmt.Errorf("%s: %w: item %s is there twice", f, ErrFormat, i.ID)
		case last.Role != lm.User || strings.TrimSpace(last.Content) == "":
			return nil, fmt.Errorf("%s: %w: item %s does not end with a user's words", f, ErrFormat, i.ID)
		}
		seen[i.ID] = true
	}
	return items, nil
}

// Kinds lists the kinds of items, in order of name.
func Kinds(items []Item) []string {
	var out []string
	for _, i := range items {
		if !slices.Contains(out, i.Kind) {
			out = append(out, i.Kind)
		}
	}
	slices.Sort(out)
	return out
}

func user(text string) lm.Message      { return lm.Message{Role: lm.User, Content: text} }
func assistant(text string) lm.Message { return lm.Message{Role: lm.Assistant, Content: text} }

// Sample takes the limit items that hash puts first, in the order of the file; 0 takes all.
func Sample(items []Item, limit int, hash func(id string) uint64) []Item {
	if limit < 1 || limit >= len(items) {
		return items
	}
	order := slices.Clone(items)
	slices.SortStableFunc(order, func(a, b Item) int { return cmp.Compare(hash(a.ID), hash(b.ID)) })
	taken := map[string]bool{}
	for _, i := range order[:limit] {
		taken[i.ID] = true
	}
	var out []Item
	for _, i := range items {
		if taken[i.ID] {
			out = append(out, i)
		}
	}
	return out
}
