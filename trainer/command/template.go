package command

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"
	"text/template"

	"go.yaml.in/yaml/v4"

	"stargate/lm"
)

//go:embed templates
var builtIn embed.FS

// Template says how to run a program. All of its strings but About and Mask are text/template
// over [Fields].
type Template struct {
	About string `yaml:"about"` // one sentence
	Mask  string `yaml:"mask"`  // how the program learns which tokens to train on

	Run     [][]string        `yaml:"run"`     // commands, one after the other, each with its arguments; one that renders to nothing is left out
	Env     map[string]string `yaml:"env"`     // for the commands
	Output  string            `yaml:"output"`  // where the model is in the end, below the work directory (default "output")
	Resumes bool              `yaml:"resumes"` // a further attempt goes on where the last one was; else its output is removed first

	// Checkpoints are the directories, below the output, that the program goes on from: the
	// pattern's * is a number of steps. Empty: the program finds them itself, or has none.
	Checkpoints string `yaml:"checkpoints"`

	Log []string `yaml:"log"` // patterns, see trainlog.Parser

	files map[string]string // configuration files by name
}

// manifestFile describes a template; files that end in tmplSuffix are rendered beside it.
const (
	manifestFile = "template.yaml"
	tmplSuffix   = ".tmpl"
)

// ErrTemplate marks a template that cannot be used; the text names it.
var ErrTemplate = errors.New("training template")

// Templates lists the built-in templates, in alphabetical order.
func Templates() []string {
	entries, err := builtIn.ReadDir("templates")
	if err != nil { // it is embedded
		panic(err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

func available() string {
	return "one of " + strings.Join(Templates(), ", ") + ", or the path of a directory with a " + manifestFile
}

// OpenTemplate reads a built-in template by name, or a directory.
func OpenTemplate(name string) (*Template, error) {
	if slices.Contains(Templates(), name) {
		sub, err := fs.Sub(builtIn, path.Join("templates", name))
		if err != nil {
			return nil, err
		}
		return readTemplate(name, sub)
	}
	if _, err := os.Stat(name); err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("%w %q: there is none; take %s", ErrTemplate, name, available())
		}
		return nil, err
	}
	return readTemplate(name, os.DirFS(name))
}

// CopyTemplate writes a built-in template's files into a directory, which must not exist: a
// beginning for one's own.
func CopyTemplate(name, dir string) error {
	if !slices.Contains(Templates(), name) {
		return fmt.Errorf("%w %q: there is none; built in are %s", ErrTemplate, name, strings.Join(Templates(), ", "))
	}
	if _, err := os.Lstat(dir); !errors.Is(err, fs.ErrNotExist) {
		if err == nil {
			err = fs.ErrExist
		}
		return fmt.Errorf("copy template %s: %s: %w", name, dir, err)
	}
	sub, err := fs.Sub(builtIn, path.Join("templates", name))
	if err != nil {
		return err
	}
	if err := os.CopyFS(dir, sub); err != nil {
		return fmt.Errorf("copy template %s: %w", name, err)
	}
	return nil
}

func readTemplate(name string, dir fs.FS) (*Template, error) {
	bad := func(err error) error { return fmt.Errorf("%w %s: %w", ErrTemplate, name, err) }
	text, err := fs.ReadFile(dir, manifestFile)
	if err != nil {
		return nil, bad(err)
	}
	t := &Template{Output: "output", files: map[string]string{}}
	if err := yaml.Load(text, t, yaml.WithKnownFields()); err != nil {
		return nil, bad(err)
	}
	if len(t.Run) == 0 {
		return nil, bad(errors.New("run is missing: the commands to start"))
	}
	for _, c := range t.Run {
		if len(c) == 0 || c[0] == "" {
			return nil, bad(errors.New("run has an empty command"))
		}
	}
	entries, err := fs.ReadDir(dir, ".")
	if err != nil {
		return nil, bad(err)
	}
	for _, e := range entries {
		file, ok := strings.CutSuffix(e.Name(), tmplSuffix)
		if !ok {
			continue
		}
		text, err := fs.ReadFile(dir, e.Name())
		if err != nil {
			return nil, bad(err)
		}
		t.files[file] = string(text)
	}
	return t, nil
}

// digest names the template's content.
func (t *Template) digest() (string, error) {
	data, err := json.Marshal([]any{t, t.files})
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:]), nil
}

// Fields are what a template may use, as {{.Name}}. Paths are absolute.
type Fields struct {
	Name string // of the new model
	Base string // directory or name of the base model

	Data    string // directory of the next two
	Train   string // rows to train on: JSON lines of input_ids, attention_mask, labels
	HeldOut string // held-out rows in the same format; "" if there are none
	Keyed   string // the rows of Train with their keys, for a program that shuffles by key
	Output  string // where the program must leave the model
	Work    string // the directory of rendered files

	Hyper        lm.Hyper
	LoRA         *lm.LoRA // Hyper's; nil: all weights are trained
	Steps        int      // optimiser steps in all
	WarmupSteps  int
	Longest      int    // tokens of the longest row
	Seed         uint32 // of Hyper's seed the bits that PyTorch and NumPy take
	SaveEvery    int    // steps
	Processes    int
	MicroBatch   int // examples of a process and pass
	Accumulation int // passes of a process and step
	BF16         bool

	Attempt int    // from 1
	Resume  string // checkpoint to go on from; "" none

	options map[string]string
}

// funcs are what templates may call beside text/template's own.
func (f Fields) funcs() template.FuncMap {
	return template.FuncMap{
		// quote is a string for JSON and YAML.
		"quote": func(s string) (string, error) {
			var b bytes.Buffer
			e := json.NewEncoder(&b)
			e.SetEscapeHTML(false)
			err := e.Encode(s)
			return strings.TrimSuffix(b.String(), "\n"), err
		},
		// num is a number that every YAML reader takes for one: PyYAML reads 2e-05 as a string.
		"num": func(x float64) string {
			s := strconv.FormatFloat(x, 'g', -1, 64)
			if mantissa, exponent, ok := strings.Cut(s, "e"); ok && !strings.Contains(mantissa, ".") {
				return mantissa + ".0e" + exponent
			} else if !ok && !strings.Contains(s, ".") {
				return s + ".0"
			}
			return s
		},
		// whole is a number that the program wants as an integer.
		"whole": func(x float64) (string, error) {
			if x != math.Trunc(x) {
				return "", fmt.Errorf("%g is not a whole number, and the program takes no other", x)
			}
			return strconv.FormatFloat(x, 'f', 0, 64), nil
		},
		// yaml is a value as a YAML document.
		"yaml": func(v any) (string, error) {
			text, err := yaml.Dump(v)
			return string(text), err
		},
		// option is an option of the user's that must be there.
		"option": func(name string) (string, error) {
			v, ok := f.options[name]
			if !ok {
				return "", fmt.Errorf("option %q is missing: give it under options", name)
			}
			return v, nil
		},
		// optional is an option of the user's, or else a default.
		"optional": func(name, otherwise string) string {
			if v, ok := f.options[name]; ok {
				return v
			}
			return otherwise
		},
	}
}

// Rendered is a template filled in.
type Rendered struct {
	Run   [][]string
	Env   map[string]string
	Files map[string]string // by name
}

// Render fills the template in. Options of the user's that no text asks for are an error: they
// are misspelt.
func (t *Template) Render(f Fields, options map[string]string) (Rendered, error) {
	asked := map[string]bool{}
	f.options = options
	funcs := f.funcs()
	option, optional := funcs["option"].(func(string) (string, error)), funcs["optional"].(func(string, string) string)
	funcs["option"] = func(name string) (string, error) { asked[name] = true; return option(name) }
	funcs["optional"] = func(name, otherwise string) string { asked[name] = true; return optional(name, otherwise) }
	text := func(name, source string) (string, error) {
		tm, err := template.New(name).Option("missingkey=error").Funcs(funcs).Parse(source)
		if err != nil {
			return "", err
		}
		var b strings.Builder
		err = tm.Execute(&b, f)
		return b.String(), err
	}
	r := Rendered{Env: map[string]string{}, Files: map[string]string{}}
	for _, c := range t.Run {
		var args []string
		for _, a := range c {
			s, err := text("run", a)
			if err != nil {
				return Rendered{}, fmt.Errorf("%w: %w", ErrTemplate, err)
			}
			if s == "" && strings.Contains(a, "{{") {
				continue // an argument that a condition left out
			}
			args = append(args, s)
		}
		r.Run = append(r.Run, args)
	}
	for _, m := range []struct{ from, to map[string]string }{{t.Env, r.Env}, {t.files, r.Files}} {
		for name, source := range m.from {
			s, err := text(name, source)
			if err != nil {
				return Rendered{}, fmt.Errorf("%w: %w", ErrTemplate, err)
			}
			m.to[name] = s
		}
	}
	for name := range options {
		if !asked[name] {
			return Rendered{}, fmt.Errorf("%w: it has no option %q", ErrTemplate, name)
		}
	}
	return r, nil
}
