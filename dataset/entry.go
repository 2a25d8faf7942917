package dataset

import (
	"fmt"
	"slices"
	"strings"

	"stargate"
)

// Entry is one entry of a file as it stands there: nothing is dropped, repeated texts
// included.
type Entry struct {
	Where string // "tasks.csv line 7", for reports
	ID    string // "" where the file gives none
	Name  string // of a persona; "" where the file gives none
	Text  string // trimmed; may be empty
	Split string // "A", "B", "test", or "" where the file gives none
}

// The splits of the paper (§4), in the order in which data is dealt to them.
const (
	SplitA    = "A"
	SplitB    = "B"
	SplitTest = "test"
)

// SplitNames lists the splits in order.
func SplitNames() []string { return []string{SplitA, SplitB, SplitTest} }

// The fields in which texts are looked for, first to last.
var (
	taskFields    = []string{"", "task", "text", "prompt", "query", "instruction"}
	personaFields = []string{"", "persona", "text", "description", "profile", "biography"}
)

// TaskEntries reads all tasks of a file called name. With column "" the text is in one of
// the fields task, text, prompt, query and instruction (the paper's source has prompt). Of
// a transcript "Human: … Assistant: …" only the human query is taken.
func TaskEntries(name string, data []byte, column string) ([]Entry, error) {
	entries, err := entriesOf(name, data, column, "task", taskFields)
	for i := range entries {
		entries[i].Text = Query(entries[i].Text)
	}
	return entries, err
}

// PersonaEntries reads all personas of a file called name. With column "" the text is in
// one of the fields persona, text, description, profile and biography.
func PersonaEntries(name string, data []byte, column string) ([]Entry, error) {
	return entriesOf(name, data, column, "persona", personaFields)
}

func entriesOf(name string, data []byte, column, what string, fields []string) ([]Entry, error) {
	if column != "" {
		fields = []string{lower(column)}
	}
	recs, err := records(name, data)
	if err != nil {
		return nil, err
	}
	out := make([]Entry, len(recs))
	for i, r := range recs {
		text, ok := r.get(fields...)
		if !ok {
			return nil, fmt.Errorf("%w: %s: no field %s; it has: %s", ErrFormat, r.where, alternatives(what, fields), r.fieldNames())
		}
		e := Entry{Where: r.where, Text: text}
		e.ID, _ = r.get("id")
		e.Name, _ = r.get("name", "character_name")
		if e.Split, _ = r.get("split"); e.Split != "" {
			if e.Split, err = splitName(e.Split); err != nil {
				return nil, fmt.Errorf("%w: %s: %w", ErrFormat, r.where, err)
			}
		}
		out[i] = e
	}
	return out, nil
}

func alternatives(what string, fields []string) string {
	if len(fields) == 1 {
		return fields[0]
	}
	var others []string
	for _, f := range fields {
		if f != "" && f != what {
			others = append(others, f)
		}
	}
	return fmt.Sprintf("%s (or %s)", what, strings.Join(others, ", "))
}

func splitName(s string) (string, error) {
	for _, known := range SplitNames() {
		if strings.EqualFold(s, known) {
			return known, nil
		}
	}
	return "", fmt.Errorf("split %q is none of %s", s, strings.Join(SplitNames(), ", "))
}

// Given is the split that a file gives to each of its tasks or personas, by text. A file
// without a field split gives none, and [Make] deals.
type Given map[string]string

// GivenTasks reads the splits of a file of tasks.
func GivenTasks(name string, data []byte) (Given, error) {
	entries, err := TaskEntries(name, data, "")
	if err != nil {
		return nil, err
	}
	return given(entries)
}

// GivenPersonas reads the splits of a file of personas.
func GivenPersonas(name string, data []byte) (Given, error) {
	entries, err := PersonaEntries(name, data, "")
	if err != nil {
		return nil, err
	}
	return given(entries)
}

// given fails where one entry says its split and another does not: half a deal is a
// mistake. The first entry of a repeated text counts, as it does for [Tasks].
func given(entries []Entry) (Given, error) {
	g := Given{}
	without := slices.IndexFunc(entries, func(e Entry) bool { return e.Text != "" && e.Split == "" })
	with := slices.IndexFunc(entries, func(e Entry) bool { return e.Split != "" })
	if with < 0 {
		return nil, nil
	}
	if without >= 0 {
		return nil, fmt.Errorf("%w: %s gives a split and %s does not; give all or none", ErrFormat, entries[with].Where, entries[without].Where)
	}
	for _, e := range entries {
		if _, ok := g[fold(e.Text)]; !ok {
			g[fold(e.Text)] = e.Split
		}
	}
	return g, nil
}

// MakeGiven is [Make] where the files say which split an item belongs to: a run's seed then
// moves nothing between splits, and gold responses are needed only within them. Of a split
// that has more items than sizes ask for, the first by hash of seed and text are taken. A
// nil map is dealt by Make's rule; tasks and personas may differ in that.
func MakeGiven(seed uint64, sizes Sizes, givenTasks, givenPersonas Given, tasks []stargate.Task, personas []stargate.Persona, gold Gold) (Splits, error) {
	return makeGiven(seed, sizes, givenTasks, givenPersonas, tasks, personas, gold, false)
}

func makeGiven(seed uint64, sizes Sizes, givenTasks, givenPersonas Given, tasks []stargate.Task, personas []stargate.Persona, gold Gold, open bool) (Splits, error) {
	dealtTasks, err := dealOrTake(seed, "task", []int{sizes.A.Tasks, sizes.B.Tasks, sizes.Test.Tasks}, givenTasks, tasks, func(t stargate.Task) string { return t.Text })
	if err != nil {
		return Splits{}, err
	}
	dealtPersonas, err := dealOrTake(seed, "persona", []int{sizes.A.Personas, sizes.B.Personas, sizes.Test.Personas}, givenPersonas, personas, func(p stargate.Persona) string { return p.Text })
	if err != nil {
		return Splits{}, err
	}
	return combine(dealtTasks, dealtPersonas, gold, open)
}

func dealOrTake[T any](seed uint64, what string, want []int, given Given, items []T, text func(T) string) ([][]T, error) {
	if given == nil {
		return deal(seed, what, want, items, text)
	}
	out := make([][]T, len(want))
	for i, name := range SplitNames() {
		var of []T
		for _, item := range items {
			if given[fold(text(item))] == name {
				of = append(of, item)
			}
		}
		if len(of) == 0 {
			return nil, fmt.Errorf("%w: no %s is given to split %s, and others are given to theirs; give it some, or leave the splits out of the data (stargate data import --deal): then they are dealt when a run begins", stargate.ErrData, what, name)
		}
		of = byHash(seed, what, of, text)
		out[i] = of[:min(len(of), want[i])]
	}
	return out, nil
}
