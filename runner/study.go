package runner

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"stargate/eval"
	"stargate/experiment"
	"stargate/report"
)

// mainDir of a study has the main run; each ablation's directory has its name.
const mainDir = "main"

// ErrNoMain: the main run of a study is not finished, so that there is nothing to compare with.
var ErrNoMain = errors.New("the main run is not finished; repeat the command of the study")

// study is a comparison as its rows come in.
type study struct {
	dir  string
	main eval.Records
	rows map[string]report.Row // by name; "" is the main run
}

// IsStudy tells whether a directory is one of [Ablate], not of a run.
func IsStudy(dir string) bool {
	info, err := os.Stat(filepath.Join(dir, sharedDir))
	return err == nil && info.IsDir()
}

// CompareStudy compares what is finished of a study anew, without a model: its main run and
// every ablation in its directory. It writes nothing. Errors: [ErrNoMain].
func CompareStudy(dir string) (report.Ablations, error) {
	s := &study{dir: dir, rows: map[string]report.Row{}}
	if _, err := os.Stat(filepath.Join(s.place(""), report.ResultFile)); errors.Is(err, fs.ErrNotExist) {
		return report.Ablations{}, fmt.Errorf("%s: %w", dir, ErrNoMain)
	}
	main, err := records(s.place(""))
	if err != nil {
		return report.Ablations{}, err
	}
	if err := s.put("", main); err != nil {
		return report.Ablations{}, err
	}
	if err := s.found(nil); err != nil {
		return report.Ablations{}, err
	}
	return s.compare()
}

func (s *study) place(name string) string { return filepath.Join(s.dir, cmp.Or(name, mainDir)) }

// records reads what a finished run left.
func records(dir string) (eval.Records, error) {
	d, err := report.Load(dir)
	if err != nil {
		return eval.Records{}, err
	}
	if len(d.Result.Models) == 0 {
		return eval.Records{}, fmt.Errorf("%s has no models; repeat the run's command to write it again", filepath.Join(dir, report.ResultFile))
	}
	pairs, err := eval.LoadPairs(dir)
	return eval.Records{Name: d.Result.Experiment, Result: d.Result, Pairs: pairs}, err
}

// put adds a row, or replaces it; the main run must be the first.
func (s *study) put(name string, r eval.Records) error {
	row := report.Row{Name: name, About: about(name), Dir: cmp.Or(name, mainDir), Result: r.Result}
	if name == "" {
		s.main = r
	} else {
		var err error
		if row.Against, err = lastLess(s.main, r); err != nil {
			return err
		}
	}
	s.rows[name] = row
	return nil
}

// found adds the ablations that earlier calls finished. What is in the directory and is not of
// this study is no row: an unfinished run, or one of another experiment or seed. Those in asked
// are about to be done again, so that it does not matter what has become of their files.
func (s *study) found(asked []string) error {
	entries, err := os.ReadDir(s.dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		name := e.Name()
		if !e.IsDir() || name == mainDir || name == sharedDir {
			continue
		}
		if _, err := os.Stat(filepath.Join(s.place(name), report.ResultFile)); errors.Is(err, fs.ErrNotExist) {
			continue
		}
		r, err := records(s.place(name))
		if err == nil && (r.Name != s.main.Name+"+"+name || r.Result.Seed != s.main.Result.Seed) {
			continue
		}
		if err == nil {
			err = s.put(name, r)
		}
		if err != nil && !slices.Contains(asked, name) {
			return fmt.Errorf("ablation %s: %w; or remove that directory", name, err)
		}
	}
	return nil
}

// compare puts the rows in an order that does not depend on when they were made.
func (s *study) compare() (report.Ablations, error) {
	known := DefaultAblations(true)
	place := func(name string) int {
		switch i := slices.Index(known, name); {
		case name == "":
			return -1
		case i < 0:
			return len(known)
		default:
			return i
		}
	}
	rows := make([]report.Row, 0, len(s.rows))
	for _, r := range s.rows {
		rows = append(rows, r)
	}
	slices.SortFunc(rows, func(a, b report.Row) int {
		return cmp.Or(cmp.Compare(place(a.Name), place(b.Name)), cmp.Compare(a.Name, b.Name))
	})
	return report.NewAblations(rows)
}

// lastLess compares the last model of an ablation with that of the main run; nil where nothing
// was measured of one of them.
func lastLess(main, ablation eval.Records) (*eval.Contrast, error) {
	last := func(r eval.Records) string { return r.Result.Models[len(r.Result.Models)-1] }
	c, err := eval.Compare(main, ablation, eval.CompareOptions{Models: map[string]string{last(main): last(ablation)}, What: report.Differences()})
	if errors.Is(err, eval.ErrNothingInCommon) {
		return nil, nil
	}
	return c, err
}

// about says in words what an ablation does.
func about(name string) string {
	var out []string
	for _, a := range strings.FieldsFunc(name, func(r rune) bool { return r == '+' }) {
		if h, err := experiment.Describe("ablations/" + a); err == nil {
			out = append(out, h.About)
		}
	}
	return strings.Join(out, "; ")
}
