package nano

import (
	"os"
	"slices"
	"strings"
	"testing"

	"stargate/prompt"
)

func load(t *testing.T, path string) *World {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	w, err := Load(f)
	if err != nil {
		t.Fatal(err)
	}
	return w
}

func worlds(t *testing.T) map[string]*World {
	return map[string]*World{"built-in": load(t, "world.yaml"), "second": load(t, "testdata/world2.yaml")}
}

func TestDefaultHasTheSizeOfThePaper(t *testing.T) {
	w, err := Default()
	if err != nil {
		t.Fatal(err)
	}
	if n := len(w.Attributes); n != 12 {
		t.Errorf("%d attributes", n)
	}
	for _, a := range w.Attributes {
		if len(a.Values) < 12 {
			t.Errorf("%s has %d values", a.ID, len(a.Values))
		}
	}
	for name, size := range map[string][2]int{"A": {250, 50}, "B": {250, 50}, "test": {50, 10}} {
		if _, err := w.Split(7, name, size[0], size[1]); err != nil {
			t.Error(err)
		}
	}
}

func TestSplitsAreDisjointForAnySeeds(t *testing.T) {
	for name, w := range worlds(t) {
		texts, people := map[string]string{}, map[string]string{}
		for _, split := range []string{"A", "B", "test"} {
			for seed := range uint64(3) {
				s, err := w.Split(seed, split, 3*len(w.Families), 8)
				if err != nil {
					t.Fatal(err)
				}
				families := map[string]bool{}
				for _, task := range s.Tasks {
					families[task.Family] = true
					if other, ok := texts[task.Text]; ok && other != split {
						t.Errorf("%s: task %q in %s and %s", name, task.Text, other, split)
					}
					texts[task.Text] = split
				}
				if len(families) != len(w.Families) {
					t.Errorf("%s: split %s has %d of %d families", name, split, len(families), len(w.Families))
				}
				for _, p := range s.Personas {
					if other, ok := people[p.ID]; ok && other != split {
						t.Errorf("%s: persona %s in %s and %s", name, p.ID, other, split)
					}
					people[p.ID] = split
				}
			}
		}
		prompts, err := prompt.Embedded("nano")
		if err != nil {
			t.Fatal(err)
		}
		corpus := NewCorpus(w, prompts, 1)
		for i := range 500 {
			d, err := corpus.Document(i * rampDocuments / 250) // short lessons and full ones
			if err != nil {
				t.Fatal(err)
			}
			for _, m := range d.Chat {
				for _, line := range strings.Split(m.Content, "\n\n") {
					if split, ok := texts[line]; ok {
						t.Fatalf("%s: document %d holds the task %q of split %s", name, i, line, split)
					}
				}
			}
		}
	}
}

func TestSplitIsReproducible(t *testing.T) {
	w := load(t, "world.yaml")
	a, errA := w.Split(3, "A", 40, 9)
	b, errB := w.Split(3, "A", 40, 9)
	c, errC := w.Split(4, "A", 40, 9)
	if errA != nil || errB != nil || errC != nil {
		t.Fatal(errA, errB, errC)
	}
	same := func(x, y Split) bool {
		return slices.Equal(x.Tasks, y.Tasks) && slices.EqualFunc(x.Personas, y.Personas, func(p, q Persona) bool { return p.Text == q.Text && p.ID == q.ID })
	}
	if !same(a, b) {
		t.Error("the same seed gave two splits")
	}
	if same(a, c) {
		t.Error("another seed gave the same split")
	}
	if _, err := w.Split(1, "dev", 1, 1); err == nil {
		t.Error("an unknown split was accepted")
	}
	if _, err := w.Split(1, "test", 100000, 1); err == nil || !strings.Contains(err.Error(), "wordings") {
		t.Errorf("too many tasks: %v", err)
	}
}

func TestClassifyKnowsEveryQuestionAndNothingElse(t *testing.T) {
	for name, w := range worlds(t) {
		for _, a := range w.Attributes {
			for _, q := range a.Questions {
				if id, ok := w.Classify(" " + q + "\n"); !ok || id != a.ID {
					t.Errorf("%s: %q is classified %q %v", name, q, id, ok)
				}
			}
		}
		for _, q := range []string{"", "?", "What?", "Where do you live? What is your job?", "Where do you live", "I live in Oslo."} {
			if id, ok := w.Classify(q); ok {
				t.Errorf("%s: %q is classified %s", name, q, id)
			}
		}
	}
}

func TestRelevant(t *testing.T) {
	w := load(t, "world.yaml")
	if got := w.Relevant("Help me plan a trip."); !slices.Equal(got, []string{"city", "transport", "budget"}) {
		t.Errorf("relevant to a trip: %v", got)
	}
	if got := w.Relevant("Sing."); got != nil {
		t.Errorf("relevant to no task: %v", got)
	}
}

func TestRubric(t *testing.T) {
	w := load(t, "world.yaml")
	r := Rubric{w}
	p := Persona{Name: "Ann", Values: map[string]string{"city": "Oslo", "job": "baker", "food": "vegan", "pet": "cat", "hobby": "chess", "music": "jazz", "colour": "teal", "budget": "forty", "month": "June", "relative": "aunt", "language": "Dutch", "transport": "tram"}}
	task := Task{Text: "Help me plan a trip.", Family: "trip"}
	gold := w.Gold(task, p)
	if want := "Here is a plan for your trip. Leave from Oslo, travel by tram and spend only forty dollars. Enjoy the view and take it slow."; gold != want {
		t.Fatalf("gold %q", gold)
	}
	for _, c := range []struct {
		name, response string
		right, wrong   int
	}{
		{"gold", gold, 3, 0},
		{"nothing known", w.Response(task, nil), 0, 0},
		{"one known", w.Response(task, map[string]string{"transport": "tram"}), 1, 0},
		{"one of another person", w.Response(task, map[string]string{"city": "Lima", "transport": "tram"}), 1, 1},
		{"a wrong value said twice counts once", "Leave from Lima. Leave from Lima.", 0, 1},
		{"a right value in the wrong place", "I like Oslo.", 0, 0},
		{"an irrelevant fact is no merit", gold + " Bring your cat.", 3, 0},
		{"an irrelevant fact may be wrong", gold + " Bring your dog.", 3, 1},
		{"a question is no answer", "Where do you live?", 0, 0},
		{"an answer that asks gets nothing", gold + " Do you have a pet?", 0, 0},
		{"empty", " \n", 0, 0},
	} {
		if right, wrong := r.Points(p, task, c.response); right != c.right || wrong != c.wrong {
			t.Errorf("%s: %d right, %d wrong, want %d and %d", c.name, right, wrong, c.right, c.wrong)
		}
	}
	if r.Compare(p, task, gold, w.Response(task, nil)) <= 0 || r.Compare(p, task, gold, gold) != 0 {
		t.Error("Compare does not order by points")
	}
}

func TestGoldHasAllPoints(t *testing.T) {
	for name, w := range worlds(t) {
		s, err := w.Split(1, "test", len(w.Families), 5)
		if err != nil {
			t.Fatal(err)
		}
		for _, task := range s.Tasks {
			for _, p := range s.Personas {
				right, wrong := Rubric{w}.Points(p, task, w.Gold(task, p))
				if right != len(w.Relevant(task.Text)) || wrong != 0 {
					t.Errorf("%s: gold of %s, %s: %d right, %d wrong", name, task.ID, p.ID, right, wrong)
				}
			}
		}
	}
}

func TestOptimum(t *testing.T) {
	w := load(t, "world.yaml")
	o := w.Optimum(3, []Task{{Family: "trip"}, {Family: "dinner"}}) // 3 and 2 relevant of 12
	if got, want := o.Chance, 2.5/12; !near(got, want) {
		t.Errorf("chance %g, want %g", got, want)
	}
	if !near(o.Relevant[0], 1) || !near(o.Relevant[2], 2.5) || !near(o.BestShare[2], (1+2.0/3)/2) || !near(o.AtRandom[2], 2.5*3/12) {
		t.Errorf("optimum %+v", o)
	}
}

func near(a, b float64) bool { return a-b < 1e-9 && b-a < 1e-9 }

func TestLoadSaysWhatIsWrongAndWhere(t *testing.T) {
	source, err := os.ReadFile("world.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ name, old, new, want string }{
		{"unknown key", "tails:", "tales:", "line"},
		{"value of two attributes", "[bike, tram", "[jazz, tram", `value "jazz" also belongs to music`},
		{"value in a text", "a calm tune", "a calm jazz", `contains the music value "jazz"`},
		{"missing slot", `      city: {known: "from {value}", unknown: "at sunrise"}`, "", "no slots entry for {city}"},
		{"slot without value", `known: "from {value}"`, `known: "from there"`, "want {value} once"},
		{"not an attribute", "Leave {city}", "Leave {town}", "{town} is not an attribute"},
		{"question without mark", `"Where do you live?"`, `"Where do you live"`, "want one question mark"},
		{"question of two attributes", `"What is your job?"`, `"Where do you live?"`, "also asks for"},
		{"wording of two families", "[cook a dinner", "[plan a trip", "also belongs to"},
		{"no names", "names: [Ann", "names: []\nname2: [Ann", "line"},
	} {
		broken := strings.Replace(string(source), c.old, c.new, 1)
		if broken == string(source) {
			t.Fatalf("%s: %q is not in the file", c.name, c.old)
		}
		_, err := Load(strings.NewReader(broken))
		if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), "line") {
			t.Errorf("%s: %v, want a line and %q", c.name, err, c.want)
		}
	}
	if _, err := Load(strings.NewReader("")); err == nil {
		t.Error("an empty file was accepted")
	}
}

func TestCorpusIsReproducible(t *testing.T) {
	w := load(t, "world.yaml")
	prompts, err := prompt.Embedded("nano")
	if err != nil {
		t.Fatal(err)
	}
	a, b, kindsSeen := NewCorpus(w, prompts, 5), NewCorpus(w, prompts, 5), map[string]bool{}
	for i := range 300 {
		i := i * rampDocuments / 150 // short lessons and full ones
		x, errX := a.Document(i)
		if errX != nil {
			t.Fatal(errX)
		}
		y, errY := b.Document(i)
		if errY != nil {
			t.Fatal(errY)
		}
		if !slices.Equal(x.Chat, y.Chat) || !slices.Equal(x.Loss, y.Loss) {
			t.Fatalf("document %d differs", i)
		}
		kindsSeen[x.Kind] = true
		if last := len(x.Chat) - 1; !x.Loss[last] || x.Loss[0] {
			t.Errorf("document %d: the last message must carry loss and the first none: %v", i, x.Loss)
		}
	}
	if len(kindsSeen) != len(kinds)+1 { // and drills
		t.Errorf("kinds seen: %v", kindsSeen)
	}
}
