package build

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"stargate"
	"stargate/dataset"
)

// The authors' repository keeps a folder per kind, in it perhaps a folder per version of
// the data, and in that a file per split: prompts/A.json and personas/A.json are arrays of
// texts, personas/A_NAMES.json the names, and gold-responses/A.json an object of
// "prompt-{i} persona-{j}" keys, with places in those arrays, and lists of one text.
const (
	authorsTasks    = "prompts"
	authorsPersonas = "personas"
	authorsGold     = "gold-responses"
)

// AuthorsReport says what an import left out.
type AuthorsReport struct {
	Tasks    *TaskReport       `json:"tasks"`
	Personas []dataset.Dropped `json:"personas"`
	Gold     []dataset.Dropped `json:"gold"`    // golds that are empty, or of tasks and personas that were dropped
	Missing  int               `json:"missing"` // pairs without a gold response, where golds were there at all
	Coverage Coverage          `json:"coverage"`
}

// ImportAuthors reads files in the layout of the authors' repository. Splits that are not
// there are left out, and so may the golds be. Repeated tasks are dropped, also those that
// a later split shares with an earlier one: the report says which.
func ImportAuthors(dir fs.FS) (Data, *AuthorsReport, error) {
	var data Data
	report := &AuthorsReport{Personas: []dataset.Dropped{}, Gold: []dataset.Dropped{}}
	files, err := authorsFiles(dir, authorsTasks)
	if err != nil {
		return data, nil, err
	}
	if len(files) == 0 {
		return data, nil, fmt.Errorf("%w: no %s/A.json, B.json or test.json", dataset.ErrFormat, authorsTasks)
	}
	if data.Tasks, report.Tasks, err = Tasks(files, TaskOptions{}); err != nil {
		return data, nil, err
	}
	if data.Personas, report.Personas, err = authorsPeople(dir); err != nil {
		return data, nil, err
	}
	report.Coverage = Cover(data.Personas)
	golds, err := authorsFiles(dir, authorsGold)
	if err != nil || len(golds) == 0 {
		return data, report, err
	}
	return data, report, data.authorsGold(golds, report)
}

// Undealt forgets which split tasks and personas were given to: they are dealt when a run begins.
// That is for files that lack a split. Golds are those of the files' own pairs only.
func (d *Data) Undealt() {
	for i := range d.Tasks {
		d.Tasks[i].Split = ""
	}
	for i := range d.Personas {
		d.Personas[i].Split = ""
	}
}

// authorsFiles are the files of a kind, split by split. A single folder of a version is
// looked into; several are an error, because guessing would mix data.
func authorsFiles(dir fs.FS, kind string) ([]File, error) {
	folder := kind
	entries, err := fs.ReadDir(dir, kind)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var versions []string
	for _, e := range entries {
		if e.IsDir() {
			versions = append(versions, e.Name())
		}
	}
	if _, err := fs.Stat(dir, path.Join(kind, "A.json")); err != nil && len(versions) > 0 {
		if len(versions) > 1 {
			return nil, fmt.Errorf("%w: %s has the versions %s; give a directory with one of them", dataset.ErrFormat, kind, strings.Join(versions, ", "))
		}
		folder = path.Join(kind, versions[0])
	}
	var out []File
	for _, split := range dataset.SplitNames() {
		name := path.Join(folder, split+".json")
		data, err := fs.ReadFile(dir, name)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		out = append(out, File{Name: name, Data: data, Split: split})
	}
	return out, nil
}

func authorsPeople(dir fs.FS) ([]Persona, []dataset.Dropped, error) {
	files, err := authorsFiles(dir, authorsPersonas)
	if err != nil {
		return nil, nil, err
	}
	var all []Persona
	dropped, seen := []dataset.Dropped{}, map[string]string{}
	for _, f := range files {
		var names []string
		namesFile := strings.TrimSuffix(f.Name, ".json") + "_NAMES.json"
		text, err := fs.ReadFile(dir, namesFile)
		switch {
		case err == nil:
			if names, err = dataset.Names(namesFile, text); err != nil {
				return nil, nil, err
			}
		case !errors.Is(err, fs.ErrNotExist):
			return nil, nil, err
		}
		personas, bad, err := dataset.Personas(f.Name, f.Data, names)
		if err != nil {
			return nil, nil, err
		}
		dropped = append(dropped, bad...)
		for _, p := range personas {
			if at, ok := seen[dataset.Fold(p.Text)]; ok {
				dropped = append(dropped, dataset.Dropped{Where: f.Name + " " + p.ID, Reason: "repeats " + at})
				continue
			}
			seen[dataset.Fold(p.Text)] = f.Name + " " + p.ID
			all = append(all, Persona{ID: f.Split + "-" + p.ID, Name: p.Name, Text: p.Text, Split: f.Split})
		}
	}
	return all, dropped, nil
}

// authorsGold adds the golds of pairs that are there, in the order of the pairs.
func (d *Data) authorsGold(files []File, report *AuthorsReport) error {
	golds := map[string]string{} // by pair key
	for _, f := range files {
		var object map[string]json.RawMessage
		if err := json.Unmarshal(f.Data, &object); err != nil {
			return fmt.Errorf("%w: %s: want an object: %w", dataset.ErrFormat, f.Name, err)
		}
		for _, key := range slices.Sorted(maps.Keys(object)) {
			task, persona, ok := strings.Cut(key, " ")
			var texts []string
			if err := json.Unmarshal(object[key], &texts); err != nil || !ok || len(texts) != 1 {
				return fmt.Errorf("%w: %s key %q: want \"prompt-I persona-J\" and a list of one text", dataset.ErrFormat, f.Name, key)
			}
			golds[f.Split+"-"+task+"/"+f.Split+"-"+persona] = strings.TrimSpace(texts[0])
		}
	}
	for _, p := range Pairs(d.Tasks, d.Personas) {
		text, ok := golds[p.Key()]
		delete(golds, p.Key())
		switch {
		case !ok:
			report.Missing++
		case text == "":
			report.Gold = append(report.Gold, dataset.Dropped{Where: p.Key(), Reason: "empty"})
			d.Gold = append(d.Gold, Gold{Task: p.Task.ID, Persona: p.Persona.ID, Excluded: stargate.Empty})
		default:
			d.Gold = append(d.Gold, Gold{Task: p.Task.ID, Persona: p.Persona.ID, Text: text})
		}
	}
	for _, key := range slices.Sorted(maps.Keys(golds)) {
		report.Gold = append(report.Gold, dataset.Dropped{Where: key, Reason: "its task or persona was dropped"})
	}
	return nil
}

// ExportAuthors writes data into dir in the layout of the authors' repository and returns
// how many pairs have no gold response there. Places in the arrays are those in the file:
// ids are not kept. Items without a split have no place in that layout.
func ExportAuthors(dir string, tasks []Task, personas []Persona, gold dataset.Gold) (missing int, err error) {
	for _, split := range dataset.SplitNames() {
		var texts, people, names []string
		place := map[string]string{}
		for _, t := range tasks {
			if t.Split == split {
				place[t.ID] = fmt.Sprintf("prompt-%d", len(texts))
				texts = append(texts, t.Text)
			}
		}
		for _, u := range personas {
			if u.Split == split {
				place[u.ID] = fmt.Sprintf("persona-%d", len(people))
				people, names = append(people, u.Text), append(names, u.Name)
			}
		}
		if len(texts) == 0 && len(people) == 0 {
			continue
		}
		var golds object
		for _, p := range Pairs(only(tasks, split), onlyPeople(personas, split)) {
			text, _ := gold.Of(p.Task, p.Persona)
			if text == "" {
				missing++
				continue
			}
			golds = append(golds, member{place[p.Task.ID] + " " + place[p.Persona.ID], []string{text}})
		}
		for name, v := range map[string]any{
			path.Join(authorsTasks, split+".json"):          texts,
			path.Join(authorsPersonas, split+".json"):       people,
			path.Join(authorsPersonas, split+"_NAMES.json"): names,
			path.Join(authorsGold, split+".json"):           golds,
		} {
			if name == path.Join(authorsGold, split+".json") && len(golds) == 0 {
				continue
			}
			if err := writeJSON(filepath.Join(dir, filepath.FromSlash(name)), v); err != nil {
				return missing, err
			}
		}
	}
	return missing, nil
}

func only(tasks []Task, split string) []Task {
	return slices.DeleteFunc(slices.Clone(tasks), func(t Task) bool { return t.Split != split })
}

func onlyPeople(personas []Persona, split string) []Persona {
	return slices.DeleteFunc(slices.Clone(personas), func(u Persona) bool { return u.Split != split })
}

// object is a JSON object that keeps its order, which the authors' scripts rely on.
type object []member

type member struct {
	key   string
	value any
}

// MarshalJSON implements [json.Marshaler].
func (o object) MarshalJSON() ([]byte, error) {
	out := []byte{'{'}
	for i, m := range o {
		if i > 0 {
			out = append(out, ',')
		}
		for k, v := range []any{m.key, m.value} {
			data, err := json.Marshal(v)
			if err != nil {
				return nil, err
			}
			if out = append(out, data...); k == 0 {
				out = append(out, ':')
			}
		}
	}
	return append(out, '}'), nil
}

func writeJSON(path string, v any) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	data, err := json.MarshalIndent(v, "", " ")
	if err != nil {
		return err
	}
	if err := os.WriteFile(path+".part", append(data, '\n'), 0o644); err != nil {
		return err
	}
	return os.Rename(path+".part", path)
}
