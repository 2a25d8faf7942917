package dataset

import (
	"errors"
	"fmt"
	"os"
	"reflect"
	"strings"
	"testing"

	"stargate"
)

func TestTasks(t *testing.T) {
	want := []string{"Plan a trip.", "Cook dinner."}
	for name, text := range map[string]string{
		"a.json":  `["Plan a trip.", "", " plan  a TRIP. ", "Cook dinner."]`,
		"b.jsonl": "{\"task\":\"Plan a trip.\"}\n{\"task\":\"\"}\n\n{\"task\":\"plan a trip.\"}\n{\"task\":\"Cook dinner.\"}\n",
		"c.csv":   "id,task\n1,Plan a trip.\n2,\n3,plan a trip.\n4,Cook dinner.\n",
		"d.json":  `[{"prompt":"Human: Plan a trip. Assistant: Sure!"},{"prompt":""},{"prompt":"Human: plan a trip. Assistant:"},{"prompt":"Cook dinner."}]`,
	} {
		tasks, dropped, err := Tasks(name, []byte(text))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		var got []string
		for _, x := range tasks {
			got = append(got, x.Text)
		}
		if !reflect.DeepEqual(got, want) || len(dropped) != 2 || dropped[0].Reason != "empty" || !strings.HasPrefix(dropped[1].Reason, "repeats") {
			t.Errorf("%s: %q, dropped %v", name, got, dropped)
		}
	}
}

func TestPersonas(t *testing.T) {
	got, _, err := Personas("p.json", []byte(`["I'm LENNOX. A gentleman.", {"name":"Iris","persona":"A nurse."}]`), nil)
	if err != nil || got[0].Name != "Lennox" || got[1].Name != "Iris" {
		t.Errorf("%+v, %v", got, err)
	}
	got, _, err = Personas("p.json", []byte(`["A gentleman."]`), []string{"Evan"})
	if err != nil || got[0].Name != "Evan" {
		t.Errorf("%+v, %v", got, err)
	}
}

func TestFormatErrors(t *testing.T) {
	tasks := func(name, text string) error { _, _, err := Tasks(name, []byte(text)); return err }
	personas := func(name, text string, names []string) error {
		_, _, err := Personas(name, []byte(text), names)
		return err
	}
	gold := func(name, text string) error { _, err := ReadGold(name, []byte(text)); return err }
	for i, c := range []struct {
		err  error
		want string
	}{
		{tasks("t.txt", ""), ".json, .jsonl, .csv"},
		{tasks("t.json", "[\n1,\n"), "line 3"},
		{tasks("t.json", `[{"x":"y"}]`), "entry 1"},
		{tasks("t.jsonl", "\"a\"\n{"), "line 2"},
		{tasks("t.csv", "task\na,b\n"), "wrong number of fields"},
		{tasks("t.json", `[{"id":"1","task":"a"},{"id":"1","task":"b"}]`), `id "1"`},
		{personas("p.json", `["A gentleman."]`, nil), "no name"},
		{personas("p.json", `["A."]`, []string{"a", "b"}), "2 names"},
		{gold("g.json", `{"prompt-0 persona-0": [""]}`), "empty"},
		{gold("g.json", `{"prompt0": "x"}`), "prompt-I persona-J"},
		{gold("g.json", `[{"task":"a","persona":"b"}]`), "gold"},
		{gold("g.jsonl", "{\"task\":\"a\",\"persona\":\"b\",\"gold\":\"x\"}\n{\"task\":\"a\",\"persona\":\"b\",\"gold\":\"y\"}"), "second gold"},
	} {
		if !errors.Is(c.err, ErrFormat) || !strings.Contains(c.err.Error(), c.want) {
			t.Errorf("case %d: %v, want an error with %q", i, c.err, c.want)
		}
	}
}

func made(tasks, personas int) ([]stargate.Task, []stargate.Persona, Gold) {
	var ts []stargate.Task
	var us []stargate.Persona
	gold := Gold{}
	for i := range tasks {
		ts = append(ts, stargate.Task{ID: fmt.Sprintf("prompt-%d", i), Text: fmt.Sprintf("Task %d.", i)})
	}
	for j := range personas {
		us = append(us, stargate.Persona{ID: fmt.Sprintf("persona-%d", j), Name: "N", Text: fmt.Sprintf("Person %d.", j)})
		for i := range tasks {
			gold[fold(ts[i].ID)+"/"+fold(us[j].ID)] = "g"
		}
	}
	return ts, us, gold
}

func TestMakeDealsDisjointSplits(t *testing.T) {
	tasks, personas, gold := made(60, 22)
	sizes := Sizes{Size{25, 10}, Size{25, 10}, Size{10, 2}}
	s, err := Make(1, sizes, tasks, personas, gold)
	if err != nil {
		t.Fatal(err)
	}
	if len(s.A.Pairs) != 250 || len(s.B.Pairs) != 250 || len(s.Test.Pairs) != 20 {
		t.Errorf("%d, %d, %d pairs", len(s.A.Pairs), len(s.B.Pairs), len(s.Test.Pairs))
	}
	if err := s.Check(); err != nil {
		t.Error(err)
	}
	// The order of the file does not matter.
	for i, j := 0, len(tasks)-1; i < j; i, j = i+1, j-1 {
		tasks[i], tasks[j] = tasks[j], tasks[i]
	}
	again, err := Make(1, sizes, tasks, personas, gold)
	if err != nil || !reflect.DeepEqual(s, again) {
		t.Errorf("another order gives other splits (%v)", err)
	}
	small, err := Make(1, Sizes{Size{250, 50}, Size{250, 50}, Size{50, 10}}, tasks[:4], personas[:3], gold)
	if err != nil || len(small.Test.Pairs) != 1 {
		t.Errorf("few data: %d test pairs, %v", len(small.Test.Pairs), err)
	}
}

func TestMakeErrors(t *testing.T) {
	tasks, personas, gold := made(6, 6)
	sizes := Sizes{Size{2, 2}, Size{2, 2}, Size{2, 2}}
	delete(gold, fold(tasks[0].ID)+"/"+fold(personas[0].ID))
	if s, err := Make(3, sizes, tasks, personas, Gold{}); !errors.Is(err, stargate.ErrData) {
		t.Errorf("no gold at all: %v (%d pairs)", err, len(s.A.Pairs))
	}
	if _, err := Make(1, sizes, tasks[:2], personas, gold); err == nil || !strings.Contains(err.Error(), "at least 3") {
		t.Errorf("two tasks: %v", err)
	}
}

// The authors' own files are read as they are, defects included.
func TestAuthorsFiles(t *testing.T) {
	const dir = "../../shared/data/paper/"
	read := func(name string) []byte {
		data, err := os.ReadFile(dir + name)
		if err != nil {
			t.Skip("the paper's data is not here")
		}
		return data
	}
	tasks, dropped, err := Tasks("A.json", read("prompts/A.json"))
	if err != nil || len(tasks) != 246 || len(dropped) != 4 {
		t.Errorf("split A has %d tasks and %d dropped, want 246 and 4 repetitions (%v)", len(tasks), len(dropped), err)
	}
	names, err := Names("A_NAMES.json", read("personas/A_NAMES.json"))
	if err != nil {
		t.Fatal(err)
	}
	personas, _, err := Personas("A.json", read("personas/A.json"), names)
	if err != nil || len(personas) != 50 {
		t.Errorf("%d personas, %v", len(personas), err)
	}
}
