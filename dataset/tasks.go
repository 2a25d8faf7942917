package dataset

import (
	"fmt"
	"regexp"
	"strings"

	"stargate"
)

// Dropped is an entry of a file that was left out, and why.
type Dropped struct {
	Where  string `json:"where"`
	Reason string `json:"reason"`
}

// query finds the human query in a row of the paper's source, "Human: … Assistant:".
var query = regexp.MustCompile(`(?s)^\s*Human:\s*(.*?)\s*Assistant:\s*.*$`)

// Query is the human query of a transcript "Human: … Assistant: …", or text itself, trimmed.
func Query(text string) string {
	if m := query.FindStringSubmatch(text); m != nil {
		text = m[1]
	}
	return strings.TrimSpace(text)
}

// Tasks reads tasks from a file called name. An entry is a string, or an object or CSV row
// with the field task, text, prompt, query or instruction, and optionally id; of a
// "Human: … Assistant:" transcript only the human query is taken (§4). Empty and repeated
// tasks are dropped and reported.
func Tasks(name string, data []byte) ([]stargate.Task, []Dropped, error) {
	entries, err := TaskEntries(name, data, "")
	if err != nil {
		return nil, nil, err
	}
	var tasks []stargate.Task
	var dropped []Dropped
	first := map[string]string{}
	ids := map[string]string{}
	for i, e := range entries {
		key := fold(e.Text)
		if key == "" {
			dropped = append(dropped, Dropped{e.Where, "empty"})
			continue
		}
		if at, ok := first[key]; ok {
			dropped = append(dropped, Dropped{e.Where, "repeats " + at})
			continue
		}
		first[key] = e.Where
		if e.ID == "" {
			e.ID = fmt.Sprintf("prompt-%d", i)
		}
		if at, ok := ids[e.ID]; ok {
			return nil, nil, fmt.Errorf("%w: %s: id %q is also that of %s", ErrFormat, e.Where, e.ID, at)
		}
		ids[e.ID] = e.Where
		tasks = append(tasks, stargate.Task{ID: e.ID, Text: e.Text})
	}
	return tasks, dropped, nil
}

// Personas reads personas: strings, or objects and CSV rows with the field persona, text,
// description, profile or biography, and optionally name and id. names, if not nil, are the
// names in the order of the entries (the authors keep them in a file of their own). A name
// that is given nowhere is taken from a text that begins "I'm NAME"; where that fails, the
// entry is an error: the Questioner addresses the user by name.
func Personas(name string, data []byte, names []string) ([]stargate.Persona, []Dropped, error) {
	entries, err := PersonaEntries(name, data, "")
	if err != nil {
		return nil, nil, err
	}
	if names != nil && len(names) != len(entries) {
		return nil, nil, fmt.Errorf("%w: %s has %d personas, but there are %d names", ErrFormat, name, len(entries), len(names))
	}
	var personas []stargate.Persona
	var dropped []Dropped
	first := map[string]string{}
	ids := map[string]string{}
	for i, e := range entries {
		if e.Text == "" {
			dropped = append(dropped, Dropped{e.Where, "empty"})
			continue
		}
		if at, ok := first[fold(e.Text)]; ok {
			dropped = append(dropped, Dropped{e.Where, "repeats " + at})
			continue
		}
		first[fold(e.Text)] = e.Where
		who := e.Name
		if names != nil {
			who = strings.TrimSpace(names[i])
		}
		if who == "" {
			who = NameIn(e.Text)
		}
		if who == "" {
			return nil, nil, fmt.Errorf("%w: %s: no name, and the text does not begin \"I'm NAME\"; add a field name", ErrFormat, e.Where)
		}
		id := e.ID
		if id == "" {
			id = fmt.Sprintf("persona-%d", i)
		}
		if at, ok := ids[id]; ok {
			return nil, nil, fmt.Errorf("%w: %s: id %q is also that of %s", ErrFormat, e.Where, id, at)
		}
		ids[id] = e.Where
		personas = append(personas, stargate.Persona{ID: id, Name: who, Text: e.Text})
	}
	return personas, dropped, nil
}

// Names reads a file of names: entries as for tasks, or with the field name.
func Names(name string, data []byte) ([]string, error) {
	recs, err := records(name, data)
	if err != nil {
		return nil, err
	}
	var out []string
	for _, r := range recs {
		n, ok := r.get("", "name")
		if !ok || n == "" {
			return nil, fmt.Errorf("%w: %s: no name", ErrFormat, r.where)
		}
		out = append(out, n)
	}
	return out, nil
}

var introduces = regexp.MustCompile(`^(?:I'm|I am|I’m|My name is)\s+([\p{Lu}][\p{L}'’-]+)`)

// NameIn is the name in a text that begins "I'm NAME", "I am NAME" or "My name is NAME", in
// ordinary spelling, or "".
func NameIn(text string) string {
	m := introduces.FindStringSubmatch(text)
	if m == nil {
		return ""
	}
	word := []rune(strings.ToLower(m[1]))
	return strings.ToUpper(string(word[:1])) + string(word[1:])
}

// Fold is a text without case and spacing: two texts with one fold are the same to this
// package.
func Fold(text string) string { return fold(text) }

func fold(text string) string { return strings.Join(strings.Fields(strings.ToLower(text)), " ") }
