package experiment

import (
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"

	"go.yaml.in/yaml/v4"
)

//go:embed files
var embedded embed.FS

// Header is what every file says of itself. The structure Load fills embeds it inline.
type Header struct {
	Name    string `yaml:"name" json:"name"`
	Extends string `yaml:"extends" json:"-"`
	Paper   string `yaml:"paper" json:"paper,omitempty"` // where the paper describes it
	About   string `yaml:"about" json:"about,omitempty"` // one sentence
}

// ErrUnknown marks a name that no embedded file has.
var ErrUnknown = errors.New("unknown experiment")

// Load fills into, a pointer to a structure that embeds [Header], with the experiment
// called name and returns its full name. Fields that no file sets keep what they had.
// name is an embedded experiment, or the path of a .yaml file of the user's, which may
// extend an embedded one; either may be followed by "+" and an ablation.
func Load(name string, into any) (string, error) {
	main, ablations, _ := strings.Cut(name, "+")
	chain, err := chainOf(main)
	if err != nil {
		return "", err
	}
	for _, a := range strings.FieldsFunc(ablations, func(r rune) bool { return r == '+' }) {
		if !slices.Contains(Ablations(), a) {
			return "", fmt.Errorf("%w: no ablation %q; there are %s", ErrUnknown, a, strings.Join(Ablations(), ", "))
		}
		f, err := read("ablations/" + a)
		if err != nil {
			return "", err
		}
		chain = append(chain, f)
	}
	for _, f := range chain {
		if err := yaml.Load(f.text, into, yaml.WithKnownFields()); err != nil {
			return "", fmt.Errorf("experiment %s: %w", f.name, err)
		}
	}
	return chain[len(chain)-1].fullName(chain), nil
}

type file struct {
	name   string
	text   []byte
	header Header
}

// fullName is the experiment's name with its ablations: "nano+gold-response".
func (f file) fullName(chain []file) string {
	var parts []string
	for i, c := range chain {
		if strings.HasPrefix(c.name, "ablations/") {
			parts = append(parts, c.header.Name)
		} else if i+1 == len(chain) || strings.HasPrefix(chain[i+1].name, "ablations/") {
			parts = append([]string{c.header.Name}, parts...)
		}
	}
	return strings.Join(parts, "+")
}

// chainOf lists a file after its ancestors.
func chainOf(name string) ([]file, error) {
	var chain []file
	for seen := map[string]bool{}; name != ""; {
		if seen[name] {
			return nil, fmt.Errorf("experiment %s extends itself", name)
		}
		seen[name] = true
		f, err := read(name)
		if err != nil {
			return nil, err
		}
		chain = append([]file{f}, chain...)
		name = f.header.Extends
	}
	return chain, nil
}

func read(name string) (file, error) {
	f := file{name: name}
	var err error
	if ext := path.Ext(name); ext == ".yaml" || ext == ".yml" {
		f.text, err = os.ReadFile(name)
	} else {
		f.text, err = embedded.ReadFile("files/" + name + ".yaml")
		if errors.Is(err, fs.ErrNotExist) {
			return f, fmt.Errorf("%w %q; there are %s, or give the path of a .yaml file", ErrUnknown, name, strings.Join(Names(), ", "))
		}
	}
	if err != nil {
		return f, fmt.Errorf("experiment: %w", err)
	}
	if err := yaml.Load(f.text, &f.header); err != nil {
		return f, fmt.Errorf("experiment %s: %w", name, err)
	}
	if f.header.Name == "" {
		return f, fmt.Errorf("experiment %s: the file does not say its name", name)
	}
	return f, nil
}

// Names lists the embedded experiments, in alphabetical order.
func Names() []string { return list("files") }

// Ablations lists the embedded ablations, in alphabetical order.
func Ablations() []string { return list("files/ablations") }

func list(dir string) []string {
	entries, err := embedded.ReadDir(dir)
	if err != nil { // the directory is embedded
		panic(err)
	}
	var names []string
	for _, e := range entries {
		if stem, ok := strings.CutSuffix(e.Name(), ".yaml"); ok {
			names = append(names, stem)
		}
	}
	return names
}

// Describe is an embedded experiment's or ablation's header, for listings.
func Describe(name string) (Header, error) {
	f, err := read(name)
	if errors.Is(err, ErrUnknown) {
		f, err = read("ablations/" + name)
	}
	return f.header, err
}
