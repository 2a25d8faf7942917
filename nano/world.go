package nano

import (
	"bytes"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"

	"go.yaml.in/yaml/v4"
)

//go:embed world.yaml
var defaultWorld []byte

// World is a closed world. It is read-only after [Load] and safe for concurrent use.
type World struct {
	Name       string      `yaml:"name"`
	Names      []string    `yaml:"names"` // first names of personas
	Attributes []Attribute `yaml:"attributes"`
	Openers    []string    `yaml:"openers"` // beginnings of tasks, with {goal}
	Tails      []string    `yaml:"tails"`   // ends of tasks
	Families   []Family    `yaml:"families"`

	attribute map[string]int    // index by id
	family    map[string]int    // index by id
	wordings  [][]Task          // all tasks, by family
	task      map[string]int    // family index by task text
	question  map[string]string // attribute id by question
	valueOf   map[string]string // attribute id by value
	source    []byte
}

// Attribute is something a persona has exactly one value of.
type Attribute struct {
	ID        string   `yaml:"id"`
	Values    []string `yaml:"values"`
	Persona   []string `yaml:"persona"`   // sentence forms of a persona text, with {value}
	Questions []string `yaml:"questions"` // ways to ask
	Answers   []string `yaml:"answers"`   // ways to tell, with {value}
}

// Family is a kind of task.
type Family struct {
	ID       string          `yaml:"id"`
	Goals    []string        `yaml:"goals"`
	Response string          `yaml:"response"` // with one {attribute} per relevant attribute
	Slots    map[string]Slot `yaml:"slots"`    // by attribute id

	relevant []string // attribute ids in the order of the response
}

// Slot is what a response says about one relevant attribute.
type Slot struct {
	Known   string `yaml:"known"`   // with {value}
	Unknown string `yaml:"unknown"` // generic
}

// Default is the built-in world.
var Default = sync.OnceValues(func() (*World, error) {
	w, err := Load(bytes.NewReader(defaultWorld))
	if err != nil {
		return nil, fmt.Errorf("built-in %w", err)
	}
	return w, nil
})

// Load reads a world and checks it: unknown keys, missing slots, values that are ambiguous
// and too few wordings are errors that name the line.
func Load(r io.Reader) (*World, error) {
	source, err := io.ReadAll(r)
	if err != nil {
		return nil, fmt.Errorf("world: %w", err)
	}
	w := &World{source: source}
	dec := yaml.NewDecoder(bytes.NewReader(source))
	dec.KnownFields(true)
	if err := dec.Decode(w); err != nil {
		if errors.Is(err, io.EOF) {
			return nil, errors.New("world: the file is empty; nano/world.yaml shows the form")
		}
		return nil, fmt.Errorf("world: %w", err)
	}
	lines, err := locate(source)
	if err != nil {
		return nil, fmt.Errorf("world: %w", err)
	}
	w.index()
	if err := w.check(lines); err != nil {
		return nil, fmt.Errorf("world: %w", err)
	}
	return w, nil
}

// Source is the YAML text the world was loaded from.
func (w *World) Source() []byte { return w.source }

// index builds the look-up tables and all task wordings.
func (w *World) index() {
	w.attribute, w.family, w.task = map[string]int{}, map[string]int{}, map[string]int{}
	w.question, w.valueOf = map[string]string{}, map[string]string{}
	for i, a := range w.Attributes {
		w.attribute[a.ID] = i
		for _, q := range a.Questions {
			w.question[normal(q)] = a.ID
		}
		for _, v := range a.Values {
			w.valueOf[v] = a.ID
		}
	}
	w.wordings = make([][]Task, len(w.Families))
	for i := range w.Families {
		f := &w.Families[i]
		w.family[f.ID] = i
		f.relevant = slotNames(f.Response)
		for _, g := range f.Goals {
			for _, o := range w.Openers {
				for _, t := range w.Tails {
					text := strings.ReplaceAll(o, "{goal}", g) + t
					id := fmt.Sprintf("%s-%03d", f.ID, len(w.wordings[i]))
					w.wordings[i] = append(w.wordings[i], Task{ID: id, Text: text, Family: f.ID})
					w.task[text] = i
				}
			}
		}
	}
}

// Relevant lists the attributes that matter to a task wording, in the order of the family's
// response; nil for a text that is not a task of this world.
func (w *World) Relevant(taskText string) []string {
	i, ok := w.task[taskText]
	if !ok {
		return nil
	}
	return w.Families[i].relevant
}

// fill puts a value into a form.
func fill(form, value string) string { return strings.ReplaceAll(form, "{value}", value) }

// slotNames lists the {names} of a template from left to right.
func slotNames(template string) []string {
	var names []string
	for {
		_, rest, ok := strings.Cut(template, "{")
		if !ok {
			return names
		}
		name, after, ok := strings.Cut(rest, "}")
		if !ok {
			return names
		}
		names, template = append(names, name), after
	}
}

// words splits a text into words; punctuation separates.
func words(s string) []string {
	return strings.FieldsFunc(s, func(r rune) bool { return strings.ContainsRune(" .,;:!?\n\"()", r) })
}

// normal makes two spellings of a sentence equal when they differ in case or spaces only.
func normal(s string) string { return strings.ToLower(strings.Join(strings.Fields(s), " ")) }
