package build

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"stargate"
	"stargate/dataset"
)

// Directory is where a data set is built: three files that stargate run reads, a report
// beside each, and the ledger with every answer that was paid for.
type Directory string

// The files of a [Directory].
const (
	TasksFile    = "tasks.jsonl"
	PersonasFile = "personas.jsonl"
	GoldFile     = "gold.jsonl"
	LedgerFile   = "ledger.db"
)

// Data is a data set: what a directory, or the authors' files, hold.
type Data struct {
	Tasks    []Task
	Personas []Persona
	Gold     []Gold
}

// Path is that of a file in the directory.
func (d Directory) Path(file string) string { return filepath.Join(string(d), file) }

// Make makes the directory.
func (d Directory) Make() error {
	if err := os.MkdirAll(string(d), 0o755); err != nil {
		return fmt.Errorf("data directory: %w", err)
	}
	return nil
}

// ReadTasks reads tasks.jsonl.
func (d Directory) ReadTasks() ([]Task, error) {
	entries, err := readEntriesFile(d.Path(TasksFile), dataset.TaskEntries, "stargate data tasks import")
	if err != nil {
		return nil, err
	}
	tasks := make([]Task, len(entries))
	for i, e := range entries {
		if tasks[i] = (Task{e.ID, e.Text, e.Split}); e.ID == "" || e.Text == "" {
			return nil, fmt.Errorf("%w: %s: want id and task", dataset.ErrFormat, e.Where)
		}
	}
	return tasks, nil
}

// ReadPersonas reads personas.jsonl.
func (d Directory) ReadPersonas() ([]Persona, error) {
	entries, err := readEntriesFile(d.Path(PersonasFile), dataset.PersonaEntries, "stargate data personas generate")
	if err != nil {
		return nil, err
	}
	personas := make([]Persona, len(entries))
	for i, e := range entries {
		if personas[i] = (Persona{e.ID, e.Name, e.Text, e.Split}); e.ID == "" || e.Name == "" || e.Text == "" {
			return nil, fmt.Errorf("%w: %s: want id, name and persona", dataset.ErrFormat, e.Where)
		}
	}
	return personas, nil
}

// ReadGold reads gold.jsonl.
func (d Directory) ReadGold() (dataset.Gold, error) {
	data, err := os.ReadFile(d.Path(GoldFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%w; make it with: stargate data gold generate", err)
	}
	if err != nil {
		return nil, err
	}
	return dataset.ReadGold(GoldFile, data)
}

func readEntriesFile(path string, read func(name string, data []byte, column string) ([]dataset.Entry, error), maker string) ([]dataset.Entry, error) {
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%w; make it with: %s", err, maker)
	}
	if err != nil {
		return nil, err
	}
	return read(filepath.Base(path), data, "")
}

// Write writes the files of what is not empty in data.
func (d Directory) Write(data Data) error {
	if err := d.Make(); err != nil {
		return err
	}
	if len(data.Tasks) > 0 {
		if err := WriteLines(d.Path(TasksFile), data.Tasks); err != nil {
			return err
		}
	}
	if len(data.Personas) > 0 {
		if err := WriteLines(d.Path(PersonasFile), data.Personas); err != nil {
			return err
		}
	}
	if len(data.Gold) > 0 {
		return WriteLines(d.Path(GoldFile), data.Gold)
	}
	return nil
}

// Pairs are the pairs of every split, persona by persona as in the authors' files. Tasks
// and personas without a split make one split of their own, named "".
func Pairs(tasks []Task, personas []Persona) []stargate.Pair {
	var out []stargate.Pair
	for _, split := range append(dataset.SplitNames(), "") {
		for _, u := range personas {
			if u.Split != split {
				continue
			}
			for _, t := range tasks {
				if t.Split == split {
					out = append(out, stargate.Pair{Task: stargate.Task{ID: t.ID, Text: t.Text}, Persona: stargate.Persona{ID: u.ID, Name: u.Name, Text: u.Text}})
				}
			}
		}
	}
	return out
}

// WriteLines writes a JSONL file at once: a reader sees the old file or the new one.
func WriteLines[T any](path string, values []T) error {
	w, err := NewLines(path)
	if err != nil {
		return err
	}
	for _, v := range values {
		if err := w.Write(v); err != nil {
			return errors.Join(err, w.Abandon())
		}
	}
	return w.Close()
}

// Lines is a JSONL file in the making. Until Close it has ".part" at the end of its name,
// and a reader can look at every line that is flushed.
type Lines struct {
	path    string
	file    *os.File
	buf     *bufio.Writer
	encoder *json.Encoder
	n       int
}

// flushEvery is how many lines a reader of the part is behind at most.
const flushEvery = 64

// NewLines begins a file anew.
func NewLines(path string) (*Lines, error) {
	f, err := os.Create(path + ".part")
	if err != nil {
		return nil, err
	}
	w := &Lines{path: path, file: f, buf: bufio.NewWriter(f)}
	w.encoder = json.NewEncoder(w.buf)
	w.encoder.SetEscapeHTML(false)
	return w, nil
}

// Write appends a value as a line.
func (w *Lines) Write(v any) error {
	if err := w.encoder.Encode(v); err != nil {
		return fmt.Errorf("%s: %w", w.path, err)
	}
	if w.n++; w.n%flushEvery == 0 {
		return w.buf.Flush()
	}
	return nil
}

// Close puts the whole file in its place.
func (w *Lines) Close() error {
	err := errors.Join(w.buf.Flush(), w.file.Sync(), w.file.Close())
	if err != nil {
		return fmt.Errorf("%s: %w", w.path, err)
	}
	return os.Rename(w.path+".part", w.path)
}

// Abandon leaves what is there as the part.
func (w *Lines) Abandon() error { return errors.Join(w.buf.Flush(), w.file.Close()) }

// WriteReport writes a report beside the file it is about: tasks.jsonl gets
// tasks.report.json.
func (d Directory) WriteReport(file string, report any) error {
	data, err := json.MarshalIndent(report, "", "  ")
	if err != nil {
		return err
	}
	path := d.Path(ReportFile(file))
	if err := os.WriteFile(path+".part", append(data, '\n'), 0o644); err != nil {
		return err
	}
	return os.Rename(path+".part", path)
}

// ReportFile is the name of the report about a file.
func ReportFile(file string) string { return file[:len(file)-len(filepath.Ext(file))] + ".report.json" }
