package runner

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"stargate"
	"stargate/dataset"
	"stargate/dataset/build"
	"stargate/eval"
	"stargate/nano"
)

// data is what a run is about, and what is known of its truth.
type data struct {
	dataset.Splits
	world *knowledge  // nil for a user's own data
	set   dataset.Set // that, before it was dealt
}

// own tells that the user gives data.
func (s Source) own() bool { return s.Data != "" || s.Tasks != "" || s.Personas != "" || s.Gold != "" }

// loadData makes the splits: from a closed world, or from the user's files.
func loadData(e Experiment, seed uint64, s Source) (data, error) {
	switch files := s.Tasks != "" || s.Personas != "" || s.Gold != "" || s.Names != ""; {
	case s.Data != "" && files:
		return data{}, errors.New("--data is a directory with everything; leave out --tasks, --personas, --names and --gold")
	case s.Whole && !s.own():
		return data{}, errors.New("a world makes as many tasks and personas as an experiment asks for; --whole is for your own data")
	case s.own() && s.WorldFile != "":
		return data{}, errors.New("--world brings its own tasks and personas; leave out --data, --tasks, --personas and --gold")
	case s.own() && s.Data == "" && (s.Tasks == "" || s.Personas == "" || s.Gold == "" && e.Roles.Oracle == nil):
		return data{}, errors.New("your own data needs --data, or all of --tasks, --personas and --gold; golds may be left to an oracle that the experiment names")
	case s.own():
		return dealt(e, seed, s)
	case e.World == "" && s.WorldFile == "":
		return data{}, fmt.Errorf("experiment %s needs data: give --data, or --tasks, --personas and --gold, or --world", e.Name)
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

// dealt makes the splits of the user's own data. Where an oracle is to make what gold responses
// are missing, the pairs without one have none yet.
func dealt(e Experiment, seed uint64, s Source) (d data, err error) {
	if d.set, err = readSet(s); err != nil {
		return d, err
	}
	if s.Whole {
		d.Splits = whole(d.set)
		return d, d.Test.Validate()
	}
	if e.Roles.Oracle == nil {
		d.Splits, err = d.set.Deal(seed, e.Data)
		if errors.Is(err, dataset.ErrNoGold) {
			err = fmt.Errorf("%w; make them with stargate data gold generate, or name a model under roles: oracle in the experiment", err)
		}
		return d, err
	}
	if d.Splits, err = d.set.DealOpen(seed, e.Data); err == nil && len(d.WithoutGold()) == 0 {
		err = d.Check()
	}
	return d, err
}

// readSet reads the user's files.
func readSet(s Source) (dataset.Set, error) {
	if s.Data != "" {
		return build.Directory(s.Data).Set()
	}
	var set dataset.Set
	for _, f := range []struct {
		what, path string
		read       func(name string, text []byte) error
	}{{"tasks", s.Tasks, set.ReadTasks}, {"personas", s.Personas, func(name string, text []byte) error {
		names, err := readNames(s.Names)
		if err != nil {
			return err
		}
		return set.ReadPersonas(name, text, names)
	}}, {"gold", s.Gold, set.ReadGold}} {
		if f.path == "" {
			continue
		}
		text, err := os.ReadFile(f.path)
		if err == nil {
			err = f.read(filepath.Base(f.path), text)
		}
		if err != nil {
			return set, fmt.Errorf("%s: %w", f.what, err)
		}
	}
	return set, nil
}

func readNames(path string) ([]string, error) {
	if path == "" {
		return nil, nil
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	return dataset.Names(filepath.Base(path), text)
}

// leftOut is what of the data the run does without; nil: nothing.
func (d data) leftOut() *eval.LeftOut {
	var out eval.LeftOut
	for _, x := range d.LeftOut {
		reason := d.set.Reasons.Of(x.Pair.Task, x.Pair.Persona)
		if reason == "" {
			reason = "no reason given"
		}
		out.Pairs = append(out.Pairs, eval.LeftOutPair{Split: x.Split, Task: x.Pair.Task.ID, Persona: x.Pair.Persona.ID, Reason: reason})
	}
	for _, dropped := range [][]dataset.Dropped{d.set.Dropped.Tasks, d.set.Dropped.Personas} {
		for _, x := range dropped {
			out.Entries = append(out.Entries, eval.LeftOutEntry{Where: x.Where, Reason: x.Reason})
		}
	}
	if len(out.Pairs)+len(out.Entries) == 0 {
		return nil
	}
	return &out
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
