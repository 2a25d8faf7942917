package command

import (
	"bytes"
	"cmp"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"text/template"

	_ "embed"

	"stargate/trainer"
)

// attempt is one start of the program. Its directory holds
//
//	launch.json  written before the start, and again when the program's id is known
//	run.sh       what is started
//	log          all that the program prints
//	started      the id, as the program's side knows it
//	exit         the exit status, once it has ended
type attempt struct {
	Number int
	Dir    string
	launch launch
}

// launch is what is written down about a start.
type launch struct {
	Name string `json:"name"`           // unique: finds a Slurm job whose id was not written down
	ID   string `json:"id,omitempty"`   // of the process or job; empty while that is not known
	Base int    `json:"base"`           // step of the checkpoint it goes on from
	Over bool   `json:"over,omitempty"` // it failed, or was ended by us: a further call of Train starts another
}

const (
	launchFile  = "launch.json"
	scriptFile  = "run.sh"
	logFile     = "log"
	startedFile = "started"
	exitFile    = "exit"

	attemptDir = "attempt-"
	// marker is an environment variable of everything that an attempt starts.
	marker = "STARGATE_ATTEMPT"
)

func (a *attempt) path(name string) string { return filepath.Join(a.Dir, name) }

// allAttempts are those of a work directory, in order.
func allAttempts(work string) ([]*attempt, error) {
	dirs, err := filepath.Glob(filepath.Join(work, attemptDir+"*"))
	if err != nil {
		return nil, err
	}
	var all []*attempt
	for _, d := range dirs {
		n, err := strconv.Atoi(strings.TrimPrefix(filepath.Base(d), attemptDir))
		if err != nil {
			continue
		}
		a := &attempt{Number: n, Dir: d}
		data, err := os.ReadFile(a.path(launchFile))
		switch {
		case errors.Is(err, fs.ErrNotExist): // killed before anything was started
			a.launch.Over = true
		case err != nil:
			return nil, err
		default:
			if err := json.Unmarshal(data, &a.launch); err != nil {
				return nil, fmt.Errorf("%s: %w", a.path(launchFile), err)
			}
		}
		all = append(all, a)
	}
	slices.SortFunc(all, func(a, b *attempt) int { return cmp.Compare(a.Number, b.Number) })
	return all, nil
}

// record writes launch.json.
func (a *attempt) record() error {
	data, err := json.MarshalIndent(a.launch, "", "  ")
	if err != nil {
		return err
	}
	return trainer.ReplaceFile(a.path(launchFile), append(data, '\n'))
}

// over writes down that nothing more is to be had of the attempt.
func (a *attempt) over() error {
	a.launch.Over = true
	return a.record()
}

//go:embed run.sh.tmpl
var scriptText string

// script runs the commands and writes down how they ended.
type script struct {
	Attempt   int
	Name      string
	Dir       string // of the attempt
	In        string // where the commands run
	Env       map[string]string
	Run       [][]string
	Scheduler []string // lines for a scheduler, without #
}

func (s script) render() ([]byte, error) {
	t, err := template.New(scriptFile).Option("missingkey=error").Funcs(template.FuncMap{
		"sh":   shellQuote,
		"keys": func(m map[string]string) []string { return slices.Sorted(maps.Keys(m)) },
	}).Parse(scriptText)
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	err = t.Execute(&b, s)
	return b.Bytes(), err
}

// shellQuote is a word of a POSIX shell.
func shellQuote(s string) string {
	if s != "" && strings.Trim(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-./:=@%+,") == "" {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}

// prepare makes the attempt's directory with all that is needed to start it.
func (a *attempt) prepare(l launcher, s script) error {
	if err := os.MkdirAll(a.Dir, 0o755); err != nil {
		return err
	}
	var nonce [6]byte
	if _, err := rand.Read(nonce[:]); err != nil {
		return err
	}
	a.launch.Name = fmt.Sprintf("stargate-%s-%s", slug(s.Name), hex.EncodeToString(nonce[:]))
	s.Attempt, s.Dir, s.Scheduler = a.Number, a.Dir, l.scheduler(a.launch.Name, a.path(logFile))
	text, err := s.render()
	if err != nil {
		return err
	}
	if err := os.WriteFile(a.path(scriptFile), text, 0o700); err != nil {
		return err
	}
	return a.record()
}

// slug is a name without what job names may not have.
func slug(name string) string {
	return strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '-' || r == '.' {
			return r
		}
		return '-'
	}, name)
}

// exit is the exit status that the attempt wrote down; ok is false if it did not.
func (a *attempt) exit() (code int, ok bool, err error) {
	data, err := os.ReadFile(a.path(exitFile))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return 0, false, nil
	case err != nil:
		return 0, false, err
	}
	code, err = strconv.Atoi(strings.TrimSpace(string(data)))
	if err != nil {
		return 0, false, fmt.Errorf("%s: %w", a.path(exitFile), err)
	}
	return code, true, nil
}

// started is the id that the program's side wrote down, "" if it did not.
func (a *attempt) started() (string, error) {
	data, err := os.ReadFile(a.path(startedFile))
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	return strings.TrimSpace(string(data)), err
}
