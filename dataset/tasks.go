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

// Tasks reads tasks from a file called name. An entry is a string, or an object or CSV row
// with the field task, text, prompt or query, and optionally id; of a "Human: … Assistant:"
// transcript only the human query is taken (§4). Empty and repeated tasks are dropped and
// reported.
func Tasks(name string, data []byte) ([]stargate.Task, []Dropped, error) {
	recs, err := records(name, data)
	if err != nil {
		return nil, nil, err
	}
	var tasks []stargate.Task
	var dropped []Dropped
	first := map[string]string{}
	ids := map[string]string{}
	for i, r := range recs {
		text, ok := r.get("", "task", "text", "prompt", "query")
		if !ok {
			return nil, nil, fmt.Errorf("%w: %s: no field task (or text, prompt, query); it has: %s", ErrFormat, r.where, r.fieldNames())
		}
		if m := query.FindStringSubmatch(text); m != nil {
			text = m[1]
		}
		key := fold(text)
		if key == "" {
			dropped = append(dropped, Dropped{r.where, "empty"})
			continue
		}
		if at, ok := first[key]; ok {
			dropped = append(dropped, Dropped{r.where, "repeats " + at})
			continue
		}
		first[key] = r.where
		id, ok := r.get("id")
		if !ok {
			id = fmt.Sprintf("prompt-%d", i)
		}
		if at, ok := ids[id]; ok {
			return nil, nil, fmt.Errorf("%w: %s: id %q is also that of %s", ErrFormat, r.where, id, at)
		}
		ids[id] = r.where
		tasks = append(tasks, stargate.Task{ID: id, Text: text})
	}
	return tasks, dropped, nil
}

// Personas reads personas: strings, or objects and CSV rows with the field persona, text,
// description or profile, and optionally name and id. names, if not nil, are the names in
// the order of the entries (the authors keep them in a file of their own). A name that is
// given nowhere is taken from a text that begins "I'm NAME"; where that fails, the entry
// is an error: the Questioner addresses the user by name.
func Personas(name string, data []byte, names []string) ([]stargate.Persona, []Dropped, error) {
	recs, err := records(name, data)
	if err != nil {
		return nil, nil, err
	}
	if names != nil && len(names) != len(recs) {
		return nil, nil, fmt.Errorf("%w: %s has %d personas, but there are %d names", ErrFormat, name, len(recs), len(names))
	}
	var personas []stargate.Persona
	var dropped []Dropped
	first := map[string]string{}
	ids := map[string]string{}
	for i, r := range recs {
		text, ok := r.get("", "persona", "text", "description", "profile")
		if !ok {
			return nil, nil, fmt.Errorf("%w: %s: no field persona (or text, description, profile); it has: %s", ErrFormat, r.where, r.fieldNames())
		}
		if text == "" {
			dropped = append(dropped, Dropped{r.where, "empty"})
			continue
		}
		if at, ok := first[fold(text)]; ok {
			dropped = append(dropped, Dropped{r.where, "repeats " + at})
			continue
		}
		first[fold(text)] = r.where
		who, _ := r.get("name")
		if names != nil {
			who = strings.TrimSpace(names[i])
		}
		if who == "" {
			who = nameIn(text)
		}
		if who == "" {
			return nil, nil, fmt.Errorf("%w: %s: no name, and the text does not begin \"I'm NAME\"; add a field name", ErrFormat, r.where)
		}
		id, ok := r.get("id")
		if !ok {
			id = fmt.Sprintf("persona-%d", i)
		}
		if at, ok := ids[id]; ok {
			return nil, nil, fmt.Errorf("%w: %s: id %q is also that of %s", ErrFormat, r.where, id, at)
		}
		ids[id] = r.where
		personas = append(personas, stargate.Persona{ID: id, Name: who, Text: text})
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

func nameIn(text string) string {
	m := introduces.FindStringSubmatch(text)
	if m == nil {
		return ""
	}
	word := []rune(strings.ToLower(m[1]))
	return strings.ToUpper(string(word[:1])) + string(word[1:])
}

// fold is a text without case and spacing, for finding repetitions.
func fold(text string) string { return strings.Join(strings.Fields(strings.ToLower(text)), " ") }
