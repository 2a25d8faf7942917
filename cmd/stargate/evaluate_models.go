package main

import (
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"syscall"

	"go.yaml.in/yaml/v4"

	"stargate/runner"
)

// baseModel is the base model's name on a command line and in the report.
const baseModel = "base"

// errNotDirectory is what opening a file below a file, such as model.gguf, fails with.
const errNotDirectory = syscall.ENOTDIR

// named is a MODEL with a name in front.
var named = regexp.MustCompile(`^([^=/:\\]+)=(.+)$`)

// model reads a MODEL.
func (e *evaluation) model(text string) (runner.Contestant, error) {
	name, spec := "", text
	if m := named.FindStringSubmatch(text); m != nil {
		name, spec = m[1], m[2]
	}
	m := runner.Contestant{Name: name}
	given := ""
	switch address := strings.TrimPrefix(spec, "url:"); {
	case spec == baseModel:
		given = baseModel
	case strings.HasPrefix(address, "http://"), strings.HasPrefix(address, "https://"):
		u, err := url.Parse(address)
		if err != nil || u.Host == "" {
			return m, fmt.Errorf("%w: model %q: want an address such as http://127.0.0.1:8000#MODEL", errUsage, text)
		}
		m.Player.Model, m.Player.APIKeyEnv = u.Fragment, e.apiKeyEnv
		if given = u.Fragment; given == "" {
			given = u.Host
		}
		u.Fragment, u.RawFragment = "", ""
		m.Player.URL = u.String()
	case filepath.Ext(spec) == ".yaml", filepath.Ext(spec) == ".yml":
		text, err := os.ReadFile(spec)
		if err != nil {
			return m, fmt.Errorf("model: %w", err)
		}
		if err := yaml.Load(text, &m.Player, yaml.WithKnownFields()); err != nil {
			return m, fmt.Errorf("model %s: %w", spec, err)
		}
		if given = m.Player.Name; given == "" {
			given = strings.TrimSuffix(filepath.Base(spec), filepath.Ext(spec))
		}
		m.Player.Name = ""
	default:
		if _, err := runner.ReadManifest(spec); err == nil {
			return m, fmt.Errorf("%w: %s is a run; name one of its models, such as %s", errUsage, spec, filepath.Join(spec, "models", "m1"))
		}
		dir, err := modelDir(spec)
		if err != nil {
			return m, err
		}
		if _, err := os.Stat(dir); err != nil {
			return m, fmt.Errorf("model %s: %w", spec, err)
		}
		m.Player.Local, given = dir, filepath.Base(filepath.Clean(spec))
	}
	if m.Name == "" {
		m.Name = given
	}
	return m, nil
}

// distinctNames puts a run's name before those of its models where two are alike.
func distinctNames(all []runner.Contestant) ([]runner.Contestant, error) {
	count := map[string]int{}
	for _, m := range all {
		count[m.Name]++
	}
	for i, m := range all {
		if models := filepath.Dir(filepath.Clean(m.Player.Local)); count[m.Name] > 1 && filepath.Base(models) == "models" {
			all[i].Name = filepath.Base(filepath.Dir(models)) + "-" + m.Name
		}
	}
	seen := map[string]bool{}
	for _, m := range all {
		if seen[m.Name] {
			return nil, fmt.Errorf("%w: two models are called %s; give them names, such as first=MODEL second=MODEL", errUsage, m.Name)
		}
		seen[m.Name] = true
	}
	return all, nil
}

// samePlayer tells whether two MODELs name the same.
func samePlayer(a, b runner.Player) bool {
	a.Name, b.Name = "", ""
	return reflect.DeepEqual(a, b)
}
