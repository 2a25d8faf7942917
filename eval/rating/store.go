package rating

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"stargate"
	"stargate/eval"
	"stargate/eval/judge"
	"stargate/eval/stats"
)

// Dir is where a run keeps keys and answers.
const Dir = "ratings"

const (
	keySuffix    = ".key.json"
	recordSuffix = ".records.jsonl"
)

// ErrNoKey: a run did not make the sheet that was answered.
var ErrNoKey = errors.New("no key")

// SaveKey keeps a key with its run.
func SaveKey(run string, k Key) error {
	raw, err := json.MarshalIndent(k, "", "  ")
	if err != nil {
		return fmt.Errorf("rating: key: %w", err)
	}
	return write(filepath.Join(run, Dir, k.Sheet+keySuffix), append(raw, '\n'))
}

// LoadKey reads the key of a sheet; it fails with [ErrNoKey] where the run has none.
func LoadKey(run, sheet string) (Key, error) {
	var k Key
	if !regexp.MustCompile(`^[0-9a-f]{8}$`).MatchString(sheet) {
		return k, fmt.Errorf("%w: %q is not the name of a sheet", ErrNoKey, sheet)
	}
	path := filepath.Join(run, Dir, sheet+keySuffix)
	raw, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return k, fmt.Errorf("%w for sheet %s in %s; is it a sheet of another run?", ErrNoKey, sheet, run)
	}
	if err != nil {
		return k, fmt.Errorf("rating: %w", err)
	}
	if err := json.Unmarshal(raw, &k); err != nil {
		return k, fmt.Errorf("%s: %w", path, err)
	}
	return k, nil
}

// SaveRecords keeps what a rater said on a sheet, in place of what this rater said on it
// before.
func SaveRecords(run, sheet, rater string, records []judge.Record) error {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	for _, r := range records {
		if err := enc.Encode(r); err != nil {
			return fmt.Errorf("rating: %w", err)
		}
	}
	return write(filepath.Join(run, Dir, sheet+"."+fileName(rater)+recordSuffix), b.Bytes())
}

// Load reads what all raters of a run said, sheet by sheet; none is no error.
func Load(run string) ([]judge.Record, error) {
	paths, err := filepath.Glob(filepath.Join(run, Dir, "*"+recordSuffix))
	if err != nil {
		return nil, fmt.Errorf("rating: %w", err)
	}
	slices.Sort(paths)
	var out []judge.Record
	for _, path := range paths {
		f, err := os.Open(path)
		if err != nil {
			return nil, fmt.Errorf("rating: %w", err)
		}
		lines := bufio.NewScanner(f)
		lines.Buffer(nil, 1<<20)
		for lines.Scan() {
			var r judge.Record
			if err := json.Unmarshal(lines.Bytes(), &r); err != nil {
				return nil, errors.Join(fmt.Errorf("%s: %w", path, err), f.Close())
			}
			out = append(out, r)
		}
		if err := errors.Join(lines.Err(), f.Close()); err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
	}
	return out, nil
}

// Summary is what people said of a run, beside what its judges said of the same
// comparisons.
type Summary struct {
	Raters    []judge.Audit    `json:"raters"`
	Judges    []judge.Audit    `json:"judges"`              // of the run, on the comparisons that people rated
	People    *judge.Agreement `json:"people,omitempty"`    // agreement of the raters
	Agreement *judge.Agreement `json:"agreement,omitempty"` // of raters and judges together
}

// Summarise puts the ratings of a run together. With none the summary is empty.
func Summarise(run string, compared []eval.Compared, seed uint64) (Summary, error) {
	human, err := Load(run)
	if err != nil {
		return Summary{}, err
	}
	s := Summary{Raters: []judge.Audit{}, Judges: []judge.Audit{}}
	rated := map[[2]string]bool{}
	for _, r := range human {
		rated[[2]string{r.Model, r.Pair}] = true
	}
	var machine []judge.Record
	for _, r := range eval.JudgeRecords(compared) {
		if rated[[2]string{r.Model, r.Pair}] {
			machine = append(machine, r)
		}
	}
	for _, name := range judge.Names(human) {
		s.Raters = append(s.Raters, judge.AuditOf(human, name, "", seed))
	}
	for _, name := range judge.Names(machine) {
		s.Judges = append(s.Judges, judge.AuditOf(machine, name, "", seed))
	}
	r := stats.Resampling{Seed: stargate.Seed(seed, "bootstrap", "ratings")}
	s.People, s.Agreement = judge.AgreementOf(human, r), judge.AgreementOf(slices.Concat(human, machine), r)
	return s, nil
}

// fileName is a rater's name as a part of a file's; names that differ only in what file
// names cannot have still differ.
func fileName(rater string) string {
	plain := strings.Trim(regexp.MustCompile(`[^\pL\pN]+`).ReplaceAllString(rater, "-"), "-")
	if len(plain) > 40 {
		plain = strings.ToValidUTF8(plain[:40], "")
	}
	return fmt.Sprintf("%s-%04x", plain, uint16(stargate.Seed(0, "rater", rater)))
}

// write makes a file that is there whole or not at all.
func write(path string, data []byte) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return fmt.Errorf("rating: %w", err)
	}
	if err := os.WriteFile(path+".tmp", data, 0o644); err != nil {
		return fmt.Errorf("rating: %w", err)
	}
	if err := os.Rename(path+".tmp", path); err != nil {
		return fmt.Errorf("rating: %w", err)
	}
	return nil
}
