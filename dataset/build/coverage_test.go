package build

import (
	"encoding/json"
	"os"
	"testing"
)

func TestCoverageFields(t *testing.T) {
	for _, c := range []struct{ field, text, want string }{
		{"age", "I'm Bo, a 34-year-old baker.", "20 to 39"},
		{"age", "I'm Bo. I am 61 and still bake.", "60 and over"},
		{"age", "I'm Bo. I'm in my late forties.", "40 to 59"},
		{"age", "I'm a thirty-two-year-old nurse.", "20 to 39"},
		{"age", "I run 40 miles a week.", ""},
		{"age", "I'm a retired teacher.", "60 and over"},
		{"gender", "My wife and I walk; I'm a proud father.", "man"},
		{"gender", "My wife and I walk.", ""},
		{"gender", "I'm LENNOX. A dapper New Orleans gentleman.", "man"},
		{"gender", "Raised by my grandmother.", ""},
		{"family", "I live with my husband and my three kids.", "children"},
		{"family", "The oldest of six children, happily married.", "partner"},
		{"work", "An urban planner by profession.", ""},
		{"work", "A night nurse in a big hospital.", "health"},
		{"place", "A village by the coast.", "small town or country"},
		{"temper", "I am shy.", "reserved"},
	} {
		for _, f := range fields {
			if f.name == c.field {
				if got := f.value(c.text); got != c.want {
					t.Errorf("%s of %q: %q, want %q", c.field, c.text, got, c.want)
				}
			}
		}
	}
}

// The authors' personas use some names twice, none is nearly another, and every field adds
// up.
func TestCoverageOfThePaper(t *testing.T) {
	var personas []Persona
	for _, split := range []string{"A", "B"} {
		var texts, names []string
		for file, into := range map[string]*[]string{split + ".json": &texts, split + "_NAMES.json": &names} {
			data, err := os.ReadFile("../../../shared/data/paper/personas/" + file)
			if err != nil {
				t.Skip("the paper's data is not here")
			}
			if err := json.Unmarshal(data, into); err != nil {
				t.Fatal(err)
			}
		}
		for i := range texts {
			personas = append(personas, Persona{Name: names[i], Text: texts[i], Split: split})
		}
	}
	c := Cover(personas)
	for name, values := range c.Fields {
		sum := 0
		for _, n := range values {
			sum += n
		}
		if sum != 100 {
			t.Errorf("field %s adds up to %d", name, sum)
		}
		t.Log(name, values)
	}
	if c.Personas != 100 || c.Sentences.Most > 20 || c.Closest[0].Similarity > 0.3 || len(c.SharedNames) == 0 {
		t.Errorf("%+v", c)
	}
	t.Logf("%v shared; closest %.2f, mean %.3f; %v sentences; %v", c.SharedNames, c.Closest[0].Similarity, c.MeanSimilar, c.Sentences, c.Worn)
}
