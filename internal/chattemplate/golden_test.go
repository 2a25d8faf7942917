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

// Every rendering, with and without the Jinja machine, is what Python's Jinja renders with
// the settings of transformers; testdata/gen.py froze it.
func TestGolden(t *testing.T) {
	data, err := os.ReadFile("testdata/golden.json")
	if err != nil {
		t.Fatal(err)
	}
	var golden struct {
		Chats     [][]lm.Message
		Templates map[string][]struct{ Text, Error string }
	}
	if err := json.Unmarshal(data, &golden); err != nil {
		t.Fatal(err)
	}
	if len(golden.Templates) != len(sources(t)) {
		t.Errorf("%d templates are frozen, there are %d: run testdata/gen.py", len(golden.Templates), len(sources(t)))
	}
	for name, rows := range golden.Templates {
		t.Run(name, func(t *testing.T) {
			tpl := load(t, name)
			for i, want := range rows {
				chat, prompt := golden.Chats[i/2], i%2 == 1
				for way, render := range map[string]func([]lm.Message, bool) (string, error){"Render": tpl.Render, "Jinja": tpl.jinja.render} {
					got, err := render(chat, prompt)
					switch {
					case want.Error != "":
						if !errors.Is(err, ErrTemplate) || !strings.Contains(err.Error(), want.Error) {
							t.Errorf("%s of %q: %q, %v; want the error %q", way, chat, got, err, want.Error)
						}
					case err != nil || got != want.Text:
						t.Errorf("%s of %q (prompt %t):\n got %q, %v\nwant %q", way, chat, prompt, got, err, want.Text)
					}
				}
			}
		})
	}
}
