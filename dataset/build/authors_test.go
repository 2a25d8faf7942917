package build

import (
	"fmt"
	"os"
	"reflect"
	"testing"
	"testing/fstest"

	"stargate"
	"stargate/dataset"
)

func TestImportAuthors(t *testing.T) {
	dir := fstest.MapFS{
		"prompts/v1/A.json":        {Data: []byte(`["Sing.", "Dance.", "sing."]`)},
		"prompts/v1/B.json":        {Data: []byte(`["Dance.", "Cook."]`)},
		"personas/v1/A.json":       {Data: []byte(`["A man of few words.", "I'm BO. I fish."]`)},
		"personas/v1/A_NAMES.json": {Data: []byte(`["Al", "Bo"]`)},
		"personas/v1/B.json":       {Data: []byte(`["I'm CY. I row."]`)},
		"gold-responses/v1/A.json": {Data: []byte(`{"prompt-0 persona-0":["la"],"prompt-1 persona-0":[""],"prompt-2 persona-0":["lo"],"prompt-1 persona-1":["hop"]}`)},
		"gold-responses/v1/B.json": {Data: []byte(`{"prompt-0 persona-0":["left, right"],"prompt-1 persona-0":["stir"]}`)},
	}
	data, report, err := ImportAuthors(dir)
	if err != nil {
		t.Fatal(err)
	}
	want := Data{
		Tasks:    []Task{{"A-prompt-0", "Sing.", "A"}, {"A-prompt-1", "Dance.", "A"}, {"B-prompt-1", "Cook.", "B"}},
		Personas: []Persona{{"A-persona-0", "Al", "A man of few words.", "A"}, {"A-persona-1", "Bo", "I'm BO. I fish.", "A"}, {"B-persona-0", "Cy", "I'm CY. I row.", "B"}},
		Gold: []Gold{{Task: "A-prompt-0", Persona: "A-persona-0", Text: "la"}, {Task: "A-prompt-1", Persona: "A-persona-0", Excluded: stargate.Empty},
			{Task: "A-prompt-1", Persona: "A-persona-1", Text: "hop"}, {Task: "B-prompt-1", Persona: "B-persona-0", Text: "stir"}},
	}
	if !reflect.DeepEqual(data, want) {
		t.Errorf("%+v\nwant %+v", data, want)
	}
	if report.Missing != 1 || len(report.Gold) != 3 || len(report.Tasks.Leaks) != 1 {
		t.Errorf("%+v", report)
	}
	dir["prompts/v2/A.json"] = dir["prompts/v1/A.json"]
	if _, _, err := ImportAuthors(dir); err == nil {
		t.Error("two versions were mixed")
	}
}

// What is exported is imported as it was, places for ids.
func TestExportAuthorsRoundTrip(t *testing.T) {
	source := os.DirFS("../../../shared/data/paper")
	data, report, err := ImportAuthors(source)
	if err != nil {
		t.Skip("the paper's data is not here")
	}
	if len(data.Tasks) != 492 || len(data.Personas) != 100 || len(report.Tasks.Leaks) < 3 {
		t.Errorf("%d tasks, %d personas, %d leaks", len(data.Tasks), len(data.Personas), len(report.Tasks.Leaks))
	}
	gold := dataset.Gold{}
	for i, p := range Pairs(data.Tasks, data.Personas) {
		gold[dataset.Fold(p.Task.ID)+"/"+dataset.Fold(p.Persona.ID)] = fmt.Sprintf("Gold <%d> & “so on”.", i)
	}
	dir := t.TempDir()
	missing, err := ExportAuthors(dir, data.Tasks, data.Personas, gold)
	if err != nil || missing != 0 {
		t.Fatal(missing, err)
	}
	again, report, err := ImportAuthors(os.DirFS(dir))
	if err != nil || report.Missing != 0 || len(report.Gold) != 0 || len(again.Gold) != len(gold) {
		t.Fatalf("%d golds of %d, %v", len(again.Gold), len(gold), err)
	}
	for i := range data.Tasks {
		if again.Tasks[i].Text != data.Tasks[i].Text || again.Tasks[i].Split != data.Tasks[i].Split {
			t.Fatalf("task %d: %+v, was %+v", i, again.Tasks[i], data.Tasks[i])
		}
	}
	for i, p := range Pairs(again.Tasks, again.Personas) {
		if want := fmt.Sprintf("Gold <%d> & “so on”.", i); again.Gold[i].Text != want || again.Gold[i].Task != p.Task.ID {
			t.Fatalf("gold %d: %+v, want %q", i, again.Gold[i], want)
		}
	}
}

func TestDirectory(t *testing.T) {
	d := Directory(t.TempDir() + "/data")
	want := Data{Tasks: []Task{{"t", "Sing <loud>.", "A"}}, Personas: []Persona{{"p", "Bo", "I'm Bo.", "A"}}, Gold: []Gold{{Task: "t", Persona: "p", Text: "la"}}}
	if _, err := d.ReadTasks(); err == nil {
		t.Error("tasks were read from nowhere")
	}
	if err := d.Write(want); err != nil {
		t.Fatal(err)
	}
	tasks, err := d.ReadTasks()
	if err != nil || !reflect.DeepEqual(tasks, want.Tasks) {
		t.Error(tasks, err)
	}
	personas, err := d.ReadPersonas()
	if err != nil || !reflect.DeepEqual(personas, want.Personas) {
		t.Error(personas, err)
	}
	gold, err := d.ReadGold()
	if text, ok := gold.Of(stargate.Task{ID: "t"}, stargate.Persona{ID: "p"}); err != nil || !ok || text != "la" {
		t.Error(gold, err)
	}
	w, err := NewLines(d.Path(GoldFile))
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Write(Gold{Task: "t"}); err != nil {
		t.Fatal(err)
	}
	if err := w.Abandon(); err != nil {
		t.Fatal(err)
	}
	if again, err := d.ReadGold(); err != nil || !reflect.DeepEqual(again, gold) {
		t.Errorf("a half-written file changed the whole one: %v, %v", again, err)
	}
}
