package build

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"sync"
	"testing"

	"stargate"
	"stargate/lm"
	"stargate/prompt"
)

// scripted answers by what it is asked and the seed, and remembers how often.
type scripted struct {
	mu     sync.Mutex
	asked  int
	answer func(text string, s lm.Sampling) (lm.Completion, error)
}

func (m *scripted) Generate(_ context.Context, chat lm.Chat, s lm.Sampling) (lm.Completion, error) {
	m.mu.Lock()
	m.asked++
	m.mu.Unlock()
	return m.answer(chat[len(chat)-1].Content, s)
}

func says(text string) (lm.Completion, error) {
	return lm.Completion{Text: text, Finish: lm.FinishStop}, nil
}

func prompts(t *testing.T) *prompt.Set {
	t.Helper()
	set, err := prompt.Embedded("default")
	if err != nil {
		t.Fatal(err)
	}
	return set
}

var (
	names = []string{"Ada", "Bo", "Cy", "Dot", "Eve", "Flo", "Gus", "Hal", "Ivy", "Jo", "Kit", "Lou", "Max", "Nan", "Ola", "Pam", "Rob", "Sue", "Ted", "Uma", "Vic", "Wim", "Abe", "Bea", "Cal", "Dee", "Eli", "Fay"}
	work  = []string{"nurse", "baker", "pilot", "weaver", "judge", "diver", "farmer", "dancer"}
	loves = []string{"old clocks", "cold lakes", "loud trains", "sour plums", "chess at dawn", "moss", "tall ships", "paper kites"}
)

// invented is a persona that a seed names, out of few enough names that some are drawn twice.
func invented(s lm.Sampling) string {
	k := s.Seed
	return fmt.Sprintf("I'm %s. I work as a %s and I am %d years old. My days are full of %s and of %s, and I tell my friends so. My fear is %x.",
		names[k%uint64(len(names))], work[k/16%8], 20+k/128%60, loves[k/7%8], loves[k/11%8], k)
}

func personaInput(t *testing.T, m lm.Generator) PersonaInput {
	in := PaperPersonas()
	in.Model, in.Prompts, in.A, in.B, in.Test, in.Draws = m, prompts(t), 5, 4, 3, 20
	in.Checks.Near = 0.95 // these personas differ in some words only
	in.Seeds = []string{"I'm Zoe. I sail, I sing, I am never still.", "I'm Yan. I read my books and mind my bees.", "I'm Xia. I draw my maps."}
	return in
}

func TestPersonasFillEverySlot(t *testing.T) {
	in := personaInput(t, &scripted{answer: func(text string, s lm.Sampling) (lm.Completion, error) {
		if strings.Count(text, "---") != 3 || s.Temperature != 1.4 || s.MaxTokens != 400 {
			t.Errorf("asked %q with %+v", text, s)
		}
		switch s.Seed % 11 {
		case 0:
			return lm.Completion{}, lm.ErrRefused
		case 1:
			return says("I'm sorry, but I cannot create fictional people.")
		case 2:
			return says("")
		case 3:
			return lm.Completion{Text: invented(s), Finish: lm.FinishLength}, nil
		case 4:
			return says("She is a nurse and she likes tea. Her name is Mo. She has friends.")
		}
		return says(invented(s))
	}})
	personas, report, err := Personas(t.Context(), in)
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for _, p := range personas {
		if seen[p.Name] || !strings.HasPrefix(p.Text, "I'm "+p.Name) {
			t.Errorf("%+v", p)
		}
		seen[p.Name] = true
	}
	if len(personas) != 12 || !reflect.DeepEqual(report.Splits, map[string]int{"A": 5, "B": 4, "test": 3}) || len(report.Open) != 0 {
		t.Errorf("%d personas, %+v", len(personas), report)
	}
	for _, f := range []Flaw{stargate.Refused, stargate.Empty, stargate.Truncated, NoName, NameTaken} {
		if report.Flaws[f] == 0 {
			t.Errorf("no draw had the flaw %s: %v", f, report.Flaws)
		}
	}
	// The number of workers and requests answered ahead change nothing.
	var ahead int
	in.Concurrency, in.Ahead = 1, func(_ context.Context, asks []Ask) error { ahead += len(asks); return nil }
	again, _, err := Personas(t.Context(), in)
	if err != nil || !reflect.DeepEqual(personas, again) || ahead != report.Draws {
		t.Errorf("again: %v, %d asked ahead of %d\n%v\n%v", err, ahead, report.Draws, personas, again)
	}
	// More slots leave those there were as they are, as far as names allow.
	in.Ahead, in.Test = nil, 4
	more, _, err := Personas(t.Context(), in)
	if err != nil || !reflect.DeepEqual(more[:5], personas[:5]) {
		t.Errorf("more slots: %v", err)
	}
}

// A slot whose draws are used up is listed, and so is what was wrong with each.
func TestPersonasBounded(t *testing.T) {
	m := &scripted{answer: func(string, lm.Sampling) (lm.Completion, error) { return says("I cannot help with that.") }}
	in := personaInput(t, m)
	in.Draws = 3
	personas, report, err := Personas(t.Context(), in)
	if err != nil || len(personas) != 0 || len(report.Open) != 12 || len(report.Open[0].Flaws) != 3 || m.asked != 36 {
		t.Errorf("%d personas, %d asked, %+v, %v", len(personas), m.asked, report, err)
	}
}

// A persona that the provider will not speak to is drawn again before golds are paid for.
func TestPersonasAreScreened(t *testing.T) {
	in := personaInput(t, &scripted{answer: func(_ string, s lm.Sampling) (lm.Completion, error) { return says(invented(s)) }})
	in.A, in.B, in.Test = 3, 0, 0
	screen := &scripted{answer: func(text string, s lm.Sampling) (lm.Completion, error) {
		if strings.Contains(text, "nurse") || strings.Contains(text, "pilot") {
			return lm.Completion{}, fmt.Errorf("content filter: %w", lm.ErrRefused)
		}
		return says("Hello!")
	}}
	in.Screen = screen
	for seed := uint64(0); ; seed++ {
		in.Seed = seed
		personas, report, err := Personas(t.Context(), in)
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range personas {
			if strings.Contains(p.Text, "nurse") || strings.Contains(p.Text, "pilot") {
				t.Errorf("%+v passed the screen", p)
			}
		}
		if report.Flaws[Screened] > 0 {
			break
		}
		if seed > 20 {
			t.Fatal("nothing was screened")
		}
	}
}

func TestPersonasStopAtAnError(t *testing.T) {
	down := errors.New("the server is down")
	in := personaInput(t, &scripted{answer: func(string, lm.Sampling) (lm.Completion, error) { return lm.Completion{}, down }})
	if _, _, err := Personas(t.Context(), in); !errors.Is(err, down) || !strings.Contains(err.Error(), "persona-") {
		t.Errorf("%v, want the server's error and the slot", err)
	}
	in.Seeds = nil
	if _, _, err := Personas(t.Context(), in); err == nil || !strings.Contains(err.Error(), "seed profiles") {
		t.Errorf("no seeds: %v", err)
	}
}

func TestReadPersona(t *testing.T) {
	checks := PaperPersonas().Checks
	rest := " I cook for my village. My age is 40. My dog is old."
	for _, c := range []struct {
		drawn, name string
		flaw        Flaw
	}{
		{"I'm MARIE-ANNE." + rest, "Marie-anne", ""},
		{"---\n\n“I’m Ludo." + rest + "”\n", "Ludo", ""},
		{"My name is Olu." + rest, "Olu", ""},
		{"I'm just tired." + rest, "", NoName},
		{"Just Bo here." + rest, "", NoName},
		{"I'm Bo. He cooks. He sleeps. He eats.", "Bo", NotFirstPerson},
		{"I'm Bo, and I like my tea, me too.", "Bo", TooShort},
		{"I'm Bo." + strings.Repeat(rest, 5), "Bo", TooLong},
		{"<think>hm</think>I'm Bo." + rest, "", stargate.ReasoningTags},
		{"As an AI, I have no age.", "", stargate.Refused},
	} {
		name, _, flaw := checks.read(lm.Completion{Text: c.drawn, Finish: lm.FinishStop})
		if name != c.name || flaw != c.flaw {
			t.Errorf("%.30q: name %q, flaw %q; want %q, %q", c.drawn, name, flaw, c.name, c.flaw)
		}
	}
}
