package dataset

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/parquet-go/parquet-go"

	"stargate"
)

// The paper's source as the Hub keeps it: Parquet with the transcript in the column prompt.
func TestParquet(t *testing.T) {
	type row struct {
		Prompt string   `parquet:"prompt"`
		Note   *string  `parquet:"note,optional"`
		Tags   []string `parquet:"tags,list"`
		N      int64    `parquet:"n"`
	}
	note := "x"
	var b bytes.Buffer
	w := parquet.NewGenericWriter[row](&b, parquet.MaxRowsPerRowGroup(2))
	for i, p := range []string{"Human: Plan a trip.\nFor two. Assistant: Sure.", "Human: Cook dinner. Assistant:", "Sing."} {
		r := row{Prompt: p, Tags: []string{"a", "b"}, N: int64(i)}
		if i == 1 {
			r.Note = &note
		}
		if _, err := w.Write([]row{r}); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	got, err := TaskEntries("train.parquet", b.Bytes(), "")
	if err != nil || len(got) != 3 || got[0].Text != "Plan a trip.\nFor two." || got[1].Text != "Cook dinner." || got[2].Where != "train.parquet row 3" {
		t.Errorf("%+v, %v", got, err)
	}
	if got, err = TaskEntries("train.parquet", b.Bytes(), "N"); err != nil || got[2].Text != "2" {
		t.Errorf("column n: %+v, %v", got, err)
	}
	if _, err := TaskEntries("train.parquet", b.Bytes(), "note"); !errors.Is(err, ErrFormat) || !strings.Contains(err.Error(), "row 1") {
		t.Errorf("a null: %v", err)
	}
	for cut := range b.Len() {
		if _, err := TaskEntries("train.parquet", b.Bytes()[:cut], ""); err == nil {
			t.Errorf("a file cut after %d bytes was read", cut)
		}
	}
}

// Splits that the files give stay as they are, whatever the seed, and gold responses are
// needed only within them.
func TestGivenSplits(t *testing.T) {
	var file strings.Builder
	for i := range 9 {
		fmt.Fprintf(&file, "{\"id\":\"t%d\",\"task\":\"Task %d.\",\"split\":%q}\n", i, i, []string{"a", "B", "TEST"}[i%3])
	}
	given, err := GivenTasks("t.jsonl", []byte(file.String()))
	if err != nil {
		t.Fatal(err)
	}
	tasks, _, err := Tasks("t.jsonl", []byte(file.String()))
	if err != nil {
		t.Fatal(err)
	}
	const people = `[{"id":"p0","name":"N","persona":"Zero.","split":"A"},{"id":"p1","name":"N","persona":"One.","split":"B"},{"id":"p2","name":"N","persona":"Two.","split":"test"}]`
	givenPersonas, err := GivenPersonas("p.json", []byte(people))
	if err != nil {
		t.Fatal(err)
	}
	personas, _, err := Personas("p.json", []byte(people), nil)
	if err != nil {
		t.Fatal(err)
	}
	gold := Gold{}
	for i := range 9 {
		gold[fmt.Sprintf("t%d/p%d", i, i%3)] = "g"
	}
	for seed := range uint64(5) {
		s, err := MakeGiven(seed, Sizes{Size{2, 1}, Size{3, 5}, Size{9, 9}}, given, givenPersonas, tasks, personas, gold)
		if err != nil {
			t.Fatal(err)
		}
		if len(s.A.Pairs) != 2 || len(s.B.Pairs) != 3 || len(s.Test.Pairs) != 3 {
			t.Errorf("%d, %d, %d pairs", len(s.A.Pairs), len(s.B.Pairs), len(s.Test.Pairs))
		}
		for _, p := range s.B.Pairs {
			if given[fold(p.Task.Text)] != SplitB {
				t.Errorf("seed %d: %s is in split B", seed, p.Task.ID)
			}
		}
	}
	read, err := ReadGold("g.jsonl", []byte("{\"task\":\"t0\",\"persona\":\"p0\",\"excluded\":\"refused\"}\n"))
	if err != nil {
		t.Fatal(err)
	}
	gold["t0/p0"] = read["t0/p0"]
	if s, err := MakeGiven(1, Sizes{Size{9, 9}, Size{9, 9}, Size{9, 9}}, given, givenPersonas, tasks, personas, gold); err != nil || len(s.A.Pairs) != 2 || len(s.Excluded) != 1 {
		t.Errorf("an excluded pair: %d pairs, %v, %v", len(s.A.Pairs), s.Excluded, err)
	}
	if _, err := GivenTasks("t.json", []byte(`[{"task":"a","split":"A"},{"task":"b"}]`)); !errors.Is(err, ErrFormat) {
		t.Errorf("half a deal: %v", err)
	}
	if _, err := GivenTasks("t.json", []byte(`[{"task":"a","split":"C"}]`)); !errors.Is(err, ErrFormat) {
		t.Errorf("split C: %v", err)
	}
	if _, err := MakeGiven(1, Sizes{Size{1, 1}, Size{1, 1}, Size{1, 1}}, Given{"task 0.": SplitA}, nil, tasks, personas, gold); !errors.Is(err, stargate.ErrData) {
		t.Errorf("no task in split B: %v", err)
	}
}

func FuzzTaskEntries(f *testing.F) {
	for _, name := range []string{"t.json", "t.jsonl", "t.csv", "t.parquet"} {
		f.Add(name, []byte(`["a"]`))
	}
	f.Fuzz(func(t *testing.T, name string, data []byte) {
		if _, err := TaskEntries(name, data, ""); err != nil && !errors.Is(err, ErrFormat) {
			t.Error(err)
		}
	})
}
