package runner

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"stargate/experiment"
)

var update = flag.Bool("update", false, "rewrite golden files")

// Every embedded experiment, and each with every ablation, must resolve; the golden file
// shows all the ways in which they differ from their parents.
func TestExperimentsGolden(t *testing.T) {
	var got strings.Builder
	flat := func(name string) map[string]string {
		e, err := LoadExperiment(name)
		if err != nil {
			t.Fatal(err)
		}
		data, err := json.Marshal(e)
		if err != nil {
			t.Fatal(err)
		}
		var tree any
		if err := json.Unmarshal(data, &tree); err != nil {
			t.Fatal(err)
		}
		out := map[string]string{}
		flatten("", tree, out)
		return out
	}
	show := func(name, parent string) {
		a, b := flat(parent), flat(name)
		fmt.Fprintf(&got, "%s (from %s)\n", name, parent)
		var keys []string
		for k := range b {
			keys = append(keys, k)
		}
		slices.Sort(keys)
		for _, k := range keys {
			if a[k] != b[k] && k != "about" && k != "name" && k != "paper" {
				fmt.Fprintf(&got, "    %s: %s → %s\n", k, a[k], b[k])
			}
		}
	}
	for _, name := range experiment.Names() {
		h, err := experiment.Describe(name)
		if err != nil {
			t.Fatal(err)
		}
		if h.Extends != "" {
			show(name, h.Extends)
		}
	}
	for _, a := range experiment.Ablations() {
		show("nano+"+a, "nano")
	}
	const golden = "testdata/experiments.txt"
	if *update {
		if err := os.MkdirAll("testdata", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(golden, []byte(got.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if got.String() != string(want) {
		t.Errorf("differences between experiments changed (-update rewrites the file):\n%s", got.String())
	}
}

func flatten(path string, v any, out map[string]string) {
	if m, ok := v.(map[string]any); ok {
		for k, x := range m {
			flatten(strings.TrimPrefix(path+"."+k, "."), x, out)
		}
		return
	}
	out[path] = fmt.Sprint(v)
}

func TestLoadExperimentErrors(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) string {
		p := dir + "/" + name
		if err := os.WriteFile(p, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		return p
	}
	for _, c := range []struct{ name, want string }{
		{"nanno", "unknown experiment"},
		{"nano+golden", "no ablation"},
		{write("typo.yaml", "name: t\nextends: nano\nalgorithm:\n  sample: 3\n"), "sample"},
		{write("range.yaml", "name: t\nextends: nano\nalgorithm: {samples: 0}\n"), "samples is 0"},
		{write("nameless.yaml", "extends: nano\n"), "does not say its name"},
		{write("loop.yaml", "name: t\nextends: "+dir+"/loop.yaml\n"), "extends itself"},
		{write("world.yaml", "name: t\nextends: nano\nworld: mars\n"), "not built in"},
	} {
		if _, err := LoadExperiment(c.name); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want an error with %q", c.name, err, c.want)
		}
	}
}

// A user's own file inherits from an embedded one.
func TestUserFileExtendsEmbedded(t *testing.T) {
	p := t.TempDir() + "/mine.yaml"
	if err := os.WriteFile(p, []byte("name: mine\nextends: nano\nalgorithm: {samples: 4}\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	mine, err := LoadExperiment(p + "+gold-response")
	if err != nil {
		t.Fatal(err)
	}
	nano, err := LoadExperiment("nano+gold-response")
	if err != nil {
		t.Fatal(err)
	}
	if mine.Name != "mine+gold-response" || mine.Algorithm.Samples != 4 {
		t.Errorf("got %s with %d samples", mine.Name, mine.Algorithm.Samples)
	}
	mine.Header, nano.Header, mine.Algorithm.Samples = experiment.Header{}, experiment.Header{}, nano.Algorithm.Samples
	if !reflect.DeepEqual(mine, nano) {
		t.Error("other fields changed")
	}
}

// The experiments of docs/results that are not built in can still be run.
func TestRecordedExperiments(t *testing.T) {
	files, err := filepath.Glob("../docs/results/golds/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	for _, path := range files {
		e, err := LoadExperiment(path + "+gold-response")
		if want := strings.TrimSuffix(filepath.Base(path), ".yaml") + "+gold-response"; err != nil || e.Name != want {
			t.Errorf("%s: %q, %v", path, e.Name, err)
		}
	}
}
