package chattemplate

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"stargate/lm"
)

// sources are the templates of testdata and the built-in one.
func sources(t testing.TB) map[string]string {
	t.Helper()
	names, err := filepath.Glob("testdata/*.jinja")
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]string{"nano": Nano}
	for _, n := range names {
		data, err := os.ReadFile(n)
		if err != nil {
			t.Fatal(err)
		}
		all[strings.TrimSuffix(filepath.Base(n), ".jinja")] = string(data)
	}
	return all
}

func load(t testing.TB, name string) *Template {
	t.Helper()
	source, ok := sources(t)[name]
	if !ok {
		t.Fatalf("no template %s", name)
	}
	tpl, err := New(source, Vars{BOS: "<s>", EOS: "</s>"})
	if err != nil {
		t.Fatal(err)
	}
	return tpl
}

// golden is what Python's Jinja renders with the settings of transformers: of every template two
// rows for each chat, without and with a generation prompt. testdata/gen.py froze it.
type golden struct {
	Chats     [][]lm.Message
	Templates map[string][]struct {
		Text   string
		Error  *string // what the template raised
		Failed string  // why Python could not render it
	}
}

func readGolden(t *testing.T, name string) (g golden) {
	t.Helper()
	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(data, &g); err != nil {
		t.Fatal(err)
	}
	return g
}

// check compares every rendering.
func (g golden) check(t *testing.T, name string, tpl *Template) {
	t.Helper()
	for i, want := range g.Templates[name] {
		chat, prompt := g.Chats[i/2], i%2 == 1
		got, err := tpl.Render(chat, prompt)
		switch {
		case want.Error != nil:
			if !errors.Is(err, ErrTemplate) || !strings.Contains(err.Error(), *want.Error) {
				t.Errorf("%q: %q, %v; want the error %q %s", chat, got, err, *want.Error, want.Failed)
			}
		case err != nil || got != want.Text:
			t.Errorf("%q (prompt %t):\n got %q, %v\nwant %q", chat, prompt, got, err, want.Text)
		}
	}
}

func TestGolden(t *testing.T) {
	g := readGolden(t, "testdata/golden.json")
	if len(g.Templates) != len(sources(t)) {
		t.Errorf("%d templates are frozen, there are %d: run testdata/gen.py", len(g.Templates), len(sources(t)))
	}
	for name := range g.Templates {
		t.Run(name, func(t *testing.T) { g.check(t, name, load(t, name)) })
	}
}
