package prompt

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"
	"testing/fstest"

	"stargate/lm"
)

var update = flag.Bool("update", false, "rewrite golden files")

// Every message of every role, as the models see it. Only commit a change of these files
// if you want models to see something else.
func TestGolden(t *testing.T) {
	turns := []Turn{{"What do you grow?", "I grow roses."}, {"Where is it?", "By the sea."}}
	for _, name := range Names() {
		set, err := Embedded(name)
		if err != nil {
			t.Fatal(err)
		}
		var got strings.Builder
		show := func(what string, chat lm.Chat, err error) {
			if err != nil {
				t.Fatal(what, err)
			}
			fmt.Fprintf(&got, "---- %s\n", what)
			for _, m := range chat {
				fmt.Fprintf(&got, "[%s] %s\n", m.Role, m.Content)
			}
		}
		const who, persona, task = "Ada", "I am a gardener.", "Plan my weekend."
		chat, err := set.Question(who, task, nil)
		show("first question", chat, err)
		chat, err = set.Question(who, task, turns)
		show("third question", chat, err)
		chat, err = set.Answer(who, persona, task, nil, "What do you grow?")
		show("first answer", chat, err)
		chat, err = set.Answer(who, persona, task, turns, "How old are you?")
		show("third answer", chat, err)
		chat, err = set.Response(who, task, nil)
		show("negative control", chat, err)
		chat, err = set.Response(who, task, turns)
		show("response and score", chat, err)
		chat, err = set.WithPreamble(chat)
		show("response with preamble", chat, err)
		chat, err = set.Positive(who, persona, task, nil)
		show("positive control", chat, err)
		chat, err = set.Positive(who, persona, task, turns)
		show("positive control and conversation", chat, err)
		chat, err = set.Oracle(who, persona, task)
		show("oracle", chat, err)
		chat, err = set.Judge(who, persona, task, "Go out.", "Stay in.")
		show("judge", chat, err)
		chat, err = set.Persona([]string{"I'm Bo. I fish.", "I'm Cy. I draw maps."}, "")
		show("persona", chat, err)
		chat, err = set.Persona([]string{"I'm Bo. I fish."}, "D")
		show("persona whose name is taken", chat, err)

		file := "testdata/" + name + ".txt"
		if *update {
			if err := os.MkdirAll("testdata", 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(file, []byte(got.String()), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if got.String() != string(want) {
			t.Errorf("set %s changed (-update rewrites the file):\n%s", name, got.String())
		}
	}
}

func TestLoadOverrides(t *testing.T) {
	set, err := Load("default", fstest.MapFS{"ask.tmpl": {Data: []byte("Ask away.\n")}})
	if err != nil {
		t.Fatal(err)
	}
	chat, err := set.Question("Ada", "Plan.", nil)
	if err != nil || !strings.HasSuffix(chat[0].Content, "\n\nAsk away.") {
		t.Errorf("%q, %v", chat[0].Content, err)
	}
	base, err := Embedded("default")
	if err != nil {
		t.Fatal(err)
	}
	if base.Digests()["ask.tmpl"] == set.Digests()["ask.tmpl"] || base.Digests()["task.tmpl"] != set.Digests()["task.tmpl"] {
		t.Error("digests do not tell what was overridden")
	}
}

func TestLoadErrors(t *testing.T) {
	for text, c := range map[string]struct{ file, want string }{
		"{{.Persona":    {"task.tmpl", "unclosed action"},
		"{{.Nonsense}}": {"task.tmpl", "Nonsense"},
		"Ask.":          {"aks.tmpl", "aks.tmpl is not a template"},
	} {
		if _, err := Load("default", fstest.MapFS{c.file: {Data: []byte(text)}}); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s with %q: %v, want an error with %q", c.file, text, err, c.want)
		}
	}
	if _, err := Embedded("nope"); err == nil {
		t.Error("an unknown set was accepted")
	}
}
