package report

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"stargate/eval"
)

// recordedDir has the reports of the runs that the documents speak of.
var recordedDir = filepath.Join("..", "docs", "results")

// recorded is an experiment with one seed, and its ablations.
type recorded struct {
	experiment string
	seed       uint64
	rows       []Row // the main run first
}

// recordedStudies are the runs on record: experiment by experiment, seed by seed.
func recordedStudies(t *testing.T) []recorded {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(recordedDir, "*.json"))
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	var all []recorded
	for _, path := range files {
		r := new(eval.Result)
		if err := json.Unmarshal(read(t, path), r); err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		if want := fmt.Sprintf("%s-seed%d.json", r.Experiment, r.Seed); filepath.Base(path) != want {
			t.Errorf("%s holds %s", path, want)
		}
		experiment, ablation, _ := strings.Cut(r.Experiment, "+")
		i := slices.IndexFunc(all, func(s recorded) bool { return s.experiment == experiment && s.seed == r.Seed })
		if i < 0 {
			i, all = len(all), append(all, recorded{experiment: experiment, seed: r.Seed})
		}
		all[i].rows = append(all[i].rows, Row{Name: ablation, About: "a run on record", Dir: r.Experiment, Result: r})
	}
	for _, s := range all {
		slices.SortFunc(s.rows, func(a, b Row) int {
			return cmp.Or(cmp.Compare(min(len(a.Name), 1), min(len(b.Name), 1)), cmp.Compare(paperPlace(a.Name), paperPlace(b.Name)), cmp.Compare(a.Name, b.Name))
		})
		if s.rows[0].Name != "" {
			t.Fatalf("%s, seed %d: the main run is not on record", s.experiment, s.seed)
		}
	}
	slices.SortFunc(all, func(a, b recorded) int {
		return cmp.Or(cmp.Compare(a.experiment, b.experiment), cmp.Compare(a.seed, b.seed))
	})
	return all
}

// The tables of docs/results/README.md say what the reports beside it say.
func TestRecordedTables(t *testing.T) {
	path := filepath.Join(recordedDir, "README.md")
	text := string(read(t, path))
	studies := recordedStudies(t)
	for name, table := range map[string]string{"runs": runsTable(studies), "shapes": shapesTable(t, studies), "golds": goldsTable(t)} {
		begin, end := "<!-- "+name+": go test ./report -run RecordedTables -update -->\n", "<!-- end of "+name+" -->"
		head, rest, ok := strings.Cut(text, begin)
		old, tail, ok2 := strings.Cut(rest, end)
		if !ok || !ok2 {
			t.Fatalf("%s has no place for the table of %s", path, name)
		}
		if old != table && !*update {
			t.Errorf("the table of %s is not that of the reports; run with -update:\n%s", name, table)
		}
		text = head + begin + table + end + tail
	}
	if *update {
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

func runsTable(studies []recorded) string {
	var b bytes.Buffer
	b.WriteString("\n| experiment | seed | Q-experimental, nats | gap over Q-random | relevant questions | last model less the optimum | win rates | asks instead | invented facts |\n|---|---|---|---|---|---|---|---|---|\n")
	for _, s := range studies {
		for _, row := range s.rows {
			r := row.Result
			var qa, gap, relevant, wins []string
			for i, m := range r.Models {
				own, _ := gold(r, eval.QExperimental, m, eval.All)
				other, _ := gold(r, eval.QRandom, m, eval.All)
				q, _ := questions(r, m)
				qa = append(qa, nats(own.Mean))
				if i == 0 || i == len(r.Models)-1 {
					gap = append(gap, nats(own.Mean-other.Mean))
				}
				relevant = append(relevant, fmt.Sprintf("%.0f", 100*q.Relevant))
				if w, ok := winRate(r, m); ok {
					wins = append(wins, rate(w.Rate)+" "+span(rate, w.Low, w.High))
				}
			}
			last := Ablations{}.row(row)
			fmt.Fprintf(&b, "| %s | %d | %s (optimum %s) | %s | %s %% | %s | %s | %s | %s |\n", r.Experiment, s.seed, strings.Join(qa, " → "), nats(r.Optimum.GoldLogProb),
				strings.Join(gap, " → "), strings.Join(relevant, " → "), last.Gap.text(), strings.Join(wins, ", "), cmp.Or(last.Asks, "–"), cmp.Or(last.Invented, "–"))
		}
	}
	return b.String() + "\n"
}

func shapesTable(t *testing.T, studies []recorded) string {
	t.Helper()
	var b bytes.Buffer
	b.WriteString("\n| experiment | shape | seed | result | evidence |\n|---|---|---|---|---|\n")
	for from := 0; from < len(studies); {
		to := from
		for to < len(studies) && studies[to].experiment == studies[from].experiment {
			to++
		}
		for shape := range 6 {
			for _, s := range studies[from:to] {
				a, err := NewAblations(s.rows)
				if err != nil {
					t.Fatal(err)
				}
				x := shapeRows(&eval.Result{Shapes: a.Shapes})[shape]
				fmt.Fprintf(&b, "| %s | (%s) | %d | %s %s | %s |\n", s.experiment, x.ID, s.seed, x.Mark, x.Verdict, x.Evidence)
			}
		}
		from = to
	}
	return b.String() + "\n"
}

// goldsTable compares m1 trained on golds with m1 trained on its own responses, in the
// experiments that vary how many examples there are and how often they are seen.
func goldsTable(t *testing.T) string {
	t.Helper()
	var b bytes.Buffer
	b.WriteString("\n| experiment | seed | Q-experimental of m1, own responses | golds | difference | relevant questions | win rate |\n|---|---|---|---|---|---|---|\n")
	for _, experiment := range []string{"nano-m1", "nano-distinct", "nano-updates", "nano-paper"} {
		files, err := filepath.Glob(filepath.Join(recordedDir, "golds", experiment+"-seed*.json"))
		if err != nil || len(files) == 0 {
			t.Fatal(experiment, files, err)
		}
		slices.Sort(files)
		for _, path := range files {
			var cs []eval.Contrast
			if err := json.Unmarshal(read(t, path), &cs); err != nil || len(cs) != 1 {
				t.Fatalf("%s: %d comparisons, %v", path, len(cs), err)
			}
			at := func(what string) eval.ContrastRow {
				i := slices.IndexFunc(cs[0].Rows, func(r eval.ContrastRow) bool { return r.What == what && r.ModelA == "m1" && r.ModelB == "m1" })
				if i < 0 {
					t.Fatalf("%s does not compare %s of m1", path, what)
				}
				return cs[0].Rows[i]
			}
			q, rel, win := at(eval.QExperimental), at(eval.Relevance), at(eval.Wins)
			_, seed, _ := strings.Cut(strings.TrimSuffix(filepath.Base(path), ".json"), "-seed")
			fmt.Fprintf(&b, "| %s | %s | %s | %s | %s %s | %s %s | %s %s |\n", experiment, seed, nats(q.MeanA), nats(q.MeanB), signed(q.Test.Diff), span(signed, q.Test.Low, q.Test.High),
				signedShare(rel.Test.Diff), span(signedShare, rel.Test.Low, rel.Test.High), signedShare(win.Test.Diff), span(signedShare, win.Test.Low, win.Test.High))
		}
	}
	return b.String() + "\n"
}
