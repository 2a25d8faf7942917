package nano

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"strings"
)

// Task is one wording of a family.
type Task struct {
	ID     string `json:"id"`
	Text   string `json:"text"`
	Family string `json:"family"`
}

// Persona is a person of the world.
type Persona struct {
	ID     string            `json:"id"`
	Name   string            `json:"name"`
	Text   string            `json:"text"`   // all attributes, one sentence each
	Values map[string]string `json:"values"` // by attribute id
}

// Split is a set of tasks and personas; its pairs are all combinations.
type Split struct {
	Name     string    `json:"name"`
	Tasks    []Task    `json:"tasks"`
	Personas []Persona `json:"personas"`
}

// pool is what a wording or a value combination may be used for.
type pool string

const (
	poolA        pool = "A"
	poolB        pool = "B"
	poolTest     pool = "test"
	poolPretrain pool = "pretraining"
)

var pools = []pool{poolA, poolB, poolTest, poolPretrain}

// poolOf assigns a text for good: a quarter each to A and B, an eighth to test and the rest
// to pre-training. It depends on nothing else, so that the shipped model has seen no wording
// and no value combination of any split of any seed.
func poolOf(kind, text string) pool {
	switch digest(kind, text)[0] % 8 {
	case 0, 1:
		return poolA
	case 2, 3:
		return poolB
	case 4:
		return poolTest
	}
	return poolPretrain
}

func digest(parts ...any) [32]byte {
	return sha256.Sum256([]byte(strings.TrimSuffix(fmt.Sprintln(parts...), "\n")))
}

// stream is the random stream named by parts.
func stream(parts ...any) *rand.Rand {
	d := digest(parts...)
	return rand.New(rand.NewPCG(binary.LittleEndian.Uint64(d[:8]), binary.LittleEndian.Uint64(d[8:16])))
}

// Split draws tasks and personas for the split name ("A", "B" or "test"). Families take
// turns, so every family occurs as soon as there are as many tasks as families. Tasks and
// personas of different splits are disjoint by construction, for any seeds.
func (w *World) Split(seed uint64, name string, tasks, personas int) (Split, error) {
	p := pool(name)
	if p != poolA && p != poolB && p != poolTest {
		return Split{}, fmt.Errorf("nano: split %q: want A, B or test", name)
	}
	s := Split{Name: name}
	byFamily := make([][]Task, len(w.Families))
	available := 0
	for i := range w.Families {
		byFamily[i] = w.tasksOf(i, p)
		available += len(byFamily[i])
		r := stream("tasks", w.Name, seed, name, w.Families[i].ID)
		r.Shuffle(len(byFamily[i]), func(a, b int) { byFamily[i][a], byFamily[i][b] = byFamily[i][b], byFamily[i][a] })
	}
	if tasks > available {
		return Split{}, fmt.Errorf("nano: split %s: world %s has %d wordings for it, %d are wanted; add goals, openers or tails", name, w.Name, available, tasks)
	}
	for round := 0; len(s.Tasks) < tasks; round++ {
		for i := 0; i < len(byFamily) && len(s.Tasks) < tasks; i++ {
			if round < len(byFamily[i]) {
				s.Tasks = append(s.Tasks, byFamily[i][round])
			}
		}
	}
	seen := map[string]bool{}
	r := stream("personas", w.Name, seed, name)
	for tries := 0; len(s.Personas) < personas; tries++ {
		if tries > 1000+100*personas {
			return Split{}, fmt.Errorf("nano: split %s: world %s has too few value combinations for %d personas", name, w.Name, personas)
		}
		if person := w.drawPersona(r, p); !seen[person.ID] {
			seen[person.ID] = true
			s.Personas = append(s.Personas, person)
		}
	}
	return s, nil
}

// tasksOf lists the wordings of a family that belong to a pool.
func (w *World) tasksOf(family int, p pool) []Task {
	var tasks []Task
	for _, t := range w.wordings[family] {
		if poolOf("task", t.Text) == p {
			tasks = append(tasks, t)
		}
	}
	return tasks
}

// drawPersona draws a person whose value combination belongs to p. The person's text
// depends on name and values only.
func (w *World) drawPersona(r *rand.Rand, p pool) Persona {
	for {
		values, parts := map[string]string{}, make([]string, len(w.Attributes))
		for i, a := range w.Attributes {
			parts[i] = a.Values[r.IntN(len(a.Values))]
			values[a.ID] = parts[i]
		}
		combination := strings.Join(parts, " ")
		if poolOf("persona", combination) != p {
			continue
		}
		name := w.Names[r.IntN(len(w.Names))]
		sum := digest("persona id", combination)
		id := fmt.Sprintf("%s-%x", strings.ToLower(name), sum[:4])
		return Persona{ID: id, Name: name, Text: w.describe(stream("text", name, combination), values), Values: values}
	}
}

// describe tells the given values in shuffled order.
func (w *World) describe(r *rand.Rand, values map[string]string) string {
	var sentences []string
	for _, a := range w.Attributes {
		if v, ok := values[a.ID]; ok {
			sentences = append(sentences, fill(a.Persona[r.IntN(len(a.Persona))], v))
		}
	}
	r.Shuffle(len(sentences), func(i, j int) { sentences[i], sentences[j] = sentences[j], sentences[i] })
	return strings.Join(sentences, " ")
}
