package build

import (
	"errors"
	"fmt"
	"os"
	"reflect"
	"strings"
	"testing"

	"stargate/dataset"
)

func lines(name string, texts ...string) File {
	var b strings.Builder
	for _, t := range texts {
		fmt.Fprintf(&b, "{\"task\":%q}\n", t)
	}
	return File{Name: name, Data: []byte(b.String())}
}

// Every entry is kept or listed with its place and the reason.
func TestTasksCleans(t *testing.T) {
	files := []File{
		lines("a.jsonl", "Human: Plan a trip to Rome for two. Assistant: Sure!", "", "plan a trip to  ROME for two.", "Hi.", "Trouve un bon livre pour mon ami."),
		lines("b.jsonl", "Plan a trip to Rome for two!", "Cook a dinner for six people."),
	}
	tasks, report, err := Tasks(files, TaskOptions{MinWords: 2, Language: "en", DropNear: true})
	if err != nil {
		t.Fatal(err)
	}
	var dropped []string
	for _, d := range report.Dropped {
		dropped = append(dropped, d.Where+": "+d.Reason)
	}
	want := []string{
		"a.jsonl line 2: empty",
		"a.jsonl line 3: repeats a.jsonl line 1",
		"a.jsonl line 4: 1 words, fewer than 2",
		"a.jsonl line 5: does not look like English",
		"b.jsonl line 1: nearly repeats a.jsonl line 1",
	}
	if !reflect.DeepEqual(dropped, want) {
		t.Errorf("dropped:\n%s\nwant:\n%s", strings.Join(dropped, "\n"), strings.Join(want, "\n"))
	}
	if got := texts(tasks); !reflect.DeepEqual(got, []string{"Plan a trip to Rome for two.", "Cook a dinner for six people."}) || report.Read != 7 || report.Kept != 2 {
		t.Errorf("kept %q of %d", got, report.Read)
	}
	if tasks[1].ID != "prompt-6" {
		t.Errorf("id %q, want the place in the files", tasks[1].ID)
	}
}

// A deal does not depend on the order of the files, keeps near-duplicates in one split,
// and fills each split exactly.
func TestTasksDeals(t *testing.T) {
	var many []string
	for i := range 40 {
		many = append(many, fmt.Sprintf("%s number %d, please.", strings.Repeat(string(rune('a'+i%26)), 3+i/26), 977*i))
	}
	many = append(many, "How do I cook a good steak at home?", "How do I cook a good steak at home today?", "How do I cook a really good steak at home?")
	o := TaskOptions{A: 12, B: 12, Test: 5, Seed: 7}
	tasks, report, err := Tasks([]File{lines("t.jsonl", many...)}, o)
	if err != nil {
		t.Fatal(err)
	}
	if want := map[string]int{"A": 12, "B": 12, "test": 5}; !reflect.DeepEqual(report.Splits, want) || report.Undealt != 14 {
		t.Errorf("splits %v, %d undealt", report.Splits, report.Undealt)
	}
	split := map[string]string{}
	for _, task := range tasks {
		split[task.Text] = task.Split
	}
	for _, c := range report.Near {
		for _, text := range c.Texts {
			if split[text] != split[c.Texts[0]] {
				t.Errorf("%q is in split %q, %q in %q", text, split[text], c.Texts[0], split[c.Texts[0]])
			}
		}
	}
	if len(report.Near) == 0 {
		t.Error("no near-duplicates were found")
	}
	for i, j := 0, len(many)-1; i < j; i, j = i+1, j-1 {
		many[i], many[j] = many[j], many[i]
	}
	again, _, err := Tasks([]File{lines("t.jsonl", many...)}, o)
	if err != nil {
		t.Fatal(err)
	}
	for _, task := range again {
		if split[task.Text] != task.Split {
			t.Errorf("another order of the file deals %q to %q, not %q", task.Text, task.Split, split[task.Text])
		}
	}
	if _, _, err := Tasks([]File{lines("t.jsonl", many...)}, TaskOptions{A: 30, B: 30}); err == nil || !strings.Contains(err.Error(), "B lacks") {
		t.Errorf("too few tasks: %v", err)
	}
}

// Splits that the files give stay; what they share is a leak, whether exactly or nearly.
func TestTasksReportsLeaks(t *testing.T) {
	files := []File{
		{Name: "A.json", Split: "A", Data: []byte(`["How do I cook a good steak at home?", "Sing."]`)},
		{Name: "B.json", Split: "B", Data: []byte(`["sing.", "How do I cook a good steak at home today?"]`)},
	}
	tasks, report, err := Tasks(files, TaskOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if len(tasks) != 3 || len(report.Leaks) != 2 || report.Leaks[0].Similarity != 1 || report.Leaks[1].Similarity >= 1 || tasks[2].ID != "B-prompt-1" {
		t.Errorf("%+v\n%+v", tasks, report.Leaks)
	}
	if _, _, err := Tasks(files, TaskOptions{A: 1}); !errors.Is(err, dataset.ErrFormat) {
		t.Errorf("given splits dealt anew: %v", err)
	}
	if _, _, err := Tasks([]File{files[0], lines("c.jsonl", "Dance.")}, TaskOptions{}); !errors.Is(err, dataset.ErrFormat) {
		t.Errorf("half a deal: %v", err)
	}
}

// The defects of the authors' files that PROTOCOL names: 4 repeated tasks inside A, 1
// inside B, 3 shared.
func TestTasksOfThePaper(t *testing.T) {
	var files []File
	for _, split := range []string{"A", "B"} {
		data, err := os.ReadFile("../../../shared/data/paper/prompts/" + split + ".json")
		if err != nil {
			t.Skip("the paper's data is not here")
		}
		files = append(files, File{Name: split + ".json", Data: data, Split: split})
	}
	tasks, report, err := Tasks(files, TaskOptions{})
	if err != nil {
		t.Fatal(err)
	}
	exact := 0
	for _, l := range report.Leaks {
		if l.Similarity == 1 {
			exact++
		}
	}
	if report.Read != 500 || len(tasks) != 492 || len(report.Dropped) != 8 || exact != 3 {
		t.Errorf("%d read, %d kept, %d dropped, %d exact leaks", report.Read, len(tasks), len(report.Dropped), exact)
	}
	for i := range files {
		files[i].Split = ""
	}
	if tasks, report, err = Tasks(files, TaskOptions{A: 220, B: 220, Test: 50}); err != nil || len(report.Leaks) != 0 {
		t.Fatalf("%d leaks after a deal of our own, %v", len(report.Leaks), err)
	}
	if got := nearAcross(tasks, DefaultNear); len(got) != 0 {
		t.Errorf("near-duplicates in two splits: %v", got)
	}
}

func nearAcross(tasks []Task, least float64) (out []string) {
	for _, p := range nearPairs(texts(tasks), least) {
		if tasks[p.i].Split != tasks[p.j].Split {
			out = append(out, tasks[p.i].Text+" / "+tasks[p.j].Text)
		}
	}
	return out
}
