package runner

import (
	"fmt"
	"os"
	"path/filepath"

	"stargate"
	"stargate/dataset"
	"stargate/eval"
	"stargate/nano"
)

// data is what a run is about, and what is known of its truth.
type data struct {
	dataset.Splits
	world   *knowledge // nil for a user's own data
	dropped map[string][]dataset.Dropped
}

// loadData makes the splits: from a closed world, or from the user's files.
func loadData(e Experiment, seed uint64, s Source) (data, error) {
	own := s.Tasks != "" || s.Personas != "" || s.Gold != ""
	switch {
	case own && (s.Tasks == "" || s.Personas == "" || s.Gold == ""):
		return data{}, fmt.Errorf("your own data needs all of --tasks, --personas and --gold")
	case own && s.WorldFile != "":
		return data{}, fmt.Errorf("--world brings its own tasks and personas; leave out --tasks, --personas and --gold")
	case own:
		return readData(e, seed, s)
	case e.World == "" && s.WorldFile == "":
		return data{}, fmt.Errorf("experiment %s needs data: give --tasks, --personas and --gold, or --world", e.Name)
	}
	world, err := LoadWorld(s.WorldFile)
	if err != nil {
		return data{}, err
	}
	d := data{world: newKnowledge(world)}
	for _, part := range []struct {
		name string
		size dataset.Size
		into *stargate.Split
	}{{"A", e.Data.A, &d.A}, {"B", e.Data.B, &d.B}, {"test", e.Data.Test, &d.Test}} {
		split, err := world.Split(seed, part.name, part.size.Tasks, part.size.Personas)
		if err != nil {
			return data{}, err
		}
		*part.into = d.world.pairs(split)
	}
	return d, d.Check()
}

// LoadWorld reads a world file; "" is the built-in world.
func LoadWorld(file string) (*nano.World, error) {
	if file == "" {
		return nano.Default()
	}
	f, err := os.Open(file)
	if err != nil {
		return nil, fmt.Errorf("world: %w", err)
	}
	defer f.Close()
	w, err := nano.Load(f)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return w, nil
}

func readData(e Experiment, seed uint64, s Source) (data, error) {
	d := data{dropped: map[string][]dataset.Dropped{}}
	read := func(path string) (string, []byte, error) {
		text, err := os.ReadFile(path)
		return filepath.Base(path), text, err
	}
	name, text, err := read(s.Tasks)
	if err != nil {
		return d, fmt.Errorf("tasks: %w", err)
	}
	tasks, dropped, err := dataset.Tasks(name, text)
	if err != nil {
		return d, fmt.Errorf("tasks: %w", err)
	}
	d.dropped["tasks"] = dropped
	givenTasks, err := dataset.GivenTasks(name, text)
	if err != nil {
		return d, fmt.Errorf("tasks: %w", err)
	}
	var names []string
	if s.Names != "" {
		name, text, err := read(s.Names)
		if err != nil {
			return d, fmt.Errorf("names: %w", err)
		}
		if names, err = dataset.Names(name, text); err != nil {
			return d, fmt.Errorf("names: %w", err)
		}
	}
	if name, text, err = read(s.Personas); err != nil {
		return d, fmt.Errorf("personas: %w", err)
	}
	personas, dropped, err := dataset.Personas(name, text, names)
	if err != nil {
		return d, fmt.Errorf("personas: %w", err)
	}
	d.dropped["personas"] = dropped
	givenPersonas, err := dataset.GivenPersonas(name, text)
	if err != nil {
		return d, fmt.Errorf("personas: %w", err)
	}
	if name, text, err = read(s.Gold); err != nil {
		return d, fmt.Errorf("gold: %w", err)
	}
	gold, err := dataset.ReadGold(name, text)
	if err != nil {
		return d, fmt.Errorf("gold: %w", err)
	}
	d.Splits, err = dataset.MakeGiven(seed, e.Data, givenTasks, givenPersonas, tasks, personas, gold)
	return d, err
}

// knowledge is a closed world's truth in the terms of package eval.
type knowledge struct {
	world    *nano.World
	rubric   nano.Rubric
	tasks    map[string]nano.Task
	personas map[string]nano.Persona
	forms    map[string][]string // question forms by attribute
}

var (
	_ eval.Truth  = (*knowledge)(nil)
	_ eval.Rubric = (*knowledge)(nil)
)

func newKnowledge(w *nano.World) *knowledge {
	k := &knowledge{world: w, rubric: nano.Rubric{World: w}, tasks: map[string]nano.Task{}, personas: map[string]nano.Persona{}, forms: map[string][]string{}}
	for _, a := range w.Attributes {
		k.forms[a.ID] = a.Questions
	}
	return k
}

// pairs are all combinations of a split, persona by persona.
func (k *knowledge) pairs(s nano.Split) stargate.Split {
	out := stargate.Split{Name: s.Name}
	for _, u := range s.Personas {
		k.personas[u.ID] = u
		for _, t := range s.Tasks {
			k.tasks[t.ID] = t
			out.Pairs = append(out.Pairs, stargate.Pair{
				Task:    stargate.Task{ID: t.ID, Text: t.Text},
				Persona: stargate.Persona{ID: u.ID, Name: u.Name, Text: u.Text},
				Gold:    k.world.Gold(t, u),
			})
		}
	}
	return out
}

// Relevant implements [eval.Truth].
func (k *knowledge) Relevant(t stargate.Task) []string { return k.world.Relevant(t.Text) }

// Classify implements [eval.Truth].
func (k *knowledge) Classify(question string) (string, bool) { return k.world.Classify(question) }

// Ask implements [eval.Truth].
func (k *knowledge) Ask(attribute string, seed uint64) string {
	forms := k.forms[attribute]
	return forms[seed%uint64(len(forms))]
}

// Chance implements [eval.Truth].
func (k *knowledge) Chance() float64 {
	sum := 0.0
	for _, t := range k.world.Families {
		sum += float64(len(t.Slots)) / float64(len(k.world.Attributes))
	}
	return sum / float64(len(k.world.Families))
}

// Points implements [eval.Rubric].
func (k *knowledge) Points(p stargate.Pair, response string) (right, wrong int) {
	return k.rubric.Points(k.personas[p.Persona.ID], k.tasks[p.Task.ID], response)
}
