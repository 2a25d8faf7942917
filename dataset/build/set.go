package build

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	"stargate"
	"stargate/dataset"
)

// Set reads a data directory as a run takes it: tasks.jsonl, personas.jsonl and, if it is there,
// gold.jsonl; or, where there is no tasks.jsonl, files in the layout of the paper's authors
// ([ImportAuthors]).
func (d Directory) Set() (dataset.Set, error) {
	if _, err := os.Stat(d.Path(TasksFile)); errors.Is(err, fs.ErrNotExist) {
		if _, err := os.Stat(d.Path(authorsTasks)); err == nil {
			return d.authorsSet()
		}
		return dataset.Set{}, fmt.Errorf("%s has neither %s nor %s/A.json; make it with: stargate data tasks import", d, TasksFile, authorsTasks)
	}
	var s dataset.Set
	if err := d.read(TasksFile, "stargate data tasks import", s.ReadTasks); err != nil {
		return s, err
	}
	people := func(name string, data []byte) error { return s.ReadPersonas(name, data, nil) }
	if err := d.read(PersonasFile, "stargate data personas generate", people); err != nil {
		return s, err
	}
	err := d.read(GoldFile, "stargate data gold generate", s.ReadGold)
	if errors.Is(err, fs.ErrNotExist) {
		err = nil // whoever needs golds says so
	}
	return s, err
}

func (d Directory) read(file, maker string, into func(name string, data []byte) error) error {
	data, err := os.ReadFile(d.Path(file))
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%w; make it with: %s", err, maker)
	}
	if err != nil {
		return err
	}
	return into(file, data)
}

func (d Directory) authorsSet() (dataset.Set, error) {
	data, report, err := ImportAuthors(os.DirFS(string(d)))
	if err != nil {
		return dataset.Set{}, fmt.Errorf("%s: %w", d, err)
	}
	s := dataset.Set{TaskSplits: dataset.Given{}, PersonaSplits: dataset.Given{},
		Dropped: dataset.Dropouts{Tasks: report.Tasks.Dropped, Personas: report.Personas}}
	for _, t := range data.Tasks {
		s.Tasks = append(s.Tasks, stargate.Task{ID: t.ID, Text: t.Text})
		s.TaskSplits[dataset.Fold(t.Text)] = t.Split
	}
	for _, u := range data.Personas {
		s.Personas = append(s.Personas, stargate.Persona{ID: u.ID, Name: u.Name, Text: u.Text})
		s.PersonaSplits[dataset.Fold(u.Text)] = u.Split
	}
	for _, g := range data.Gold {
		s.AddGold(stargate.Task{ID: g.Task}, stargate.Persona{ID: g.Persona}, g.Text, string(g.Excluded))
	}
	return s, nil
}
