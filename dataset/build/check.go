package build

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	"stargate"
	"stargate/dataset"
)

// CheckReport is what a look at a whole data directory finds.
type CheckReport struct {
	Tasks    *TaskReport `json:"tasks"`
	Coverage Coverage    `json:"coverage"`
	Pairs    int         `json:"pairs"`
	Golds    int         `json:"golds"`
	Excluded []string    `json:"excluded"` // keys of pairs without a gold that the Oracle gave up on
	Missing  []string    `json:"missing"`  // keys of pairs without a gold, where golds are there at all
}

// ErrCheck: a run must not be made on this data.
var ErrCheck = errors.New("the data is not fit for a run")

// Err is nil if a run can be made on the data.
func (r *CheckReport) Err() error {
	exact := 0
	for _, l := range r.Tasks.Leaks {
		if l.Similarity == 1 {
			exact++
		}
	}
	switch {
	case exact > 0:
		return fmt.Errorf("%w: %d tasks are in two splits", ErrCheck, exact)
	case len(r.Missing) > 0:
		return fmt.Errorf("%w: %d pairs have no gold response, first %s", ErrCheck, len(r.Missing), r.Missing[0])
	}
	return nil
}

// Check looks at a data directory. Personas and golds may be missing as a whole.
func Check(d Directory, near float64) (*CheckReport, error) {
	text, err := os.ReadFile(d.Path(TasksFile))
	if err != nil {
		return nil, fmt.Errorf("%w; make it with: stargate data tasks import", err)
	}
	tasks, report, err := Tasks([]File{{Name: TasksFile, Data: text}}, TaskOptions{Near: near})
	if err != nil {
		return nil, err
	}
	r := &CheckReport{Tasks: report, Excluded: []string{}, Missing: []string{}}
	personas, err := d.ReadPersonas()
	if err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			err = nil
		}
		return r, err
	}
	r.Coverage = Cover(personas)
	pairs := Pairs(tasks, personas)
	r.Pairs = len(pairs)
	gold, err := d.ReadGold()
	if err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			err = nil
		}
		return r, err
	}
	r.golds(pairs, gold)
	return r, nil
}

func (r *CheckReport) golds(pairs []stargate.Pair, gold dataset.Gold) {
	for _, p := range pairs {
		text, ok := gold.Of(p.Task, p.Persona)
		switch {
		case !ok:
			r.Missing = append(r.Missing, p.Key())
		case text == "":
			r.Excluded = append(r.Excluded, p.Key())
		default:
			r.Golds++
		}
	}
}
