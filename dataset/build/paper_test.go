package build

import (
	"errors"
	"os"
	"strings"
	"testing"

	"stargate"
	"stargate/dataset"
)

// The paper's own files, where they are at hand: two splits, so a run asks for the third or for a
// deal of its own, which keeps all that was not a repetition.
func TestTheFilesOfThePaper(t *testing.T) {
	const dir = "../../../shared/data/paper"
	if _, err := os.Stat(dir); err != nil {
		t.Skip("the paper's data is not here")
	}
	data, report, err := ImportAuthors(os.DirFS(dir))
	if err != nil {
		t.Fatal(err)
	}
	if len(data.Tasks) != 492 || len(report.Tasks.Dropped) != 8 || len(data.Personas) != 100 || len(report.Personas) != 0 {
		t.Errorf("%d tasks and %d dropped, %d personas and %d dropped", len(data.Tasks), len(report.Tasks.Dropped), len(data.Personas), len(report.Personas))
	}
	sizes := dataset.Sizes{A: dataset.Size{Tasks: 200, Personas: 40}, B: dataset.Size{Tasks: 200, Personas: 40}, Test: dataset.Size{Tasks: 50, Personas: 10}}
	deal := func() (dataset.Splits, error) {
		d := Directory(t.TempDir())
		if err := d.Write(data); err != nil {
			t.Fatal(err)
		}
		set, err := d.Set()
		if err != nil {
			t.Fatal(err)
		}
		return set.DealOpen(0, sizes)
	}
	if _, err := deal(); !errors.Is(err, stargate.ErrData) || !strings.Contains(err.Error(), "no task is given to split test") {
		t.Errorf("without a test split: %v", err)
	}
	data.Undealt()
	s, err := deal()
	if err != nil {
		t.Fatal(err)
	}
	if a, b, test := len(s.A.Pairs), len(s.B.Pairs), len(s.Test.Pairs); a != 8000 || b != 8000 || test != 500 {
		t.Errorf("dealt into %d, %d and %d pairs, want 8000, 8000 and 500", a, b, test)
	}
	if err := stargate.CheckDisjoint(s.A, s.B); err != nil {
		t.Error(err)
	}
}
