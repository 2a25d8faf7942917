package nano

import (
	"slices"
	"strings"
)

// Fact is a value stated in a text.
type Fact struct {
	Attribute string
	Value     string
}

// Classify says which attribute a question asks for. ok is false for everything that is not
// word for word one of the world's questions (case and spaces aside): such a text is
// malformed, however close it comes.
func (w *World) Classify(question string) (attribute string, ok bool) {
	attribute, ok = w.question[normal(question)]
	return attribute, ok
}

// Facts lists the values stated in a text from left to right.
func (w *World) Facts(text string) []Fact {
	var facts []Fact
	for _, word := range words(text) {
		if id, ok := w.valueOf[word]; ok {
			facts = append(facts, Fact{id, word})
		}
	}
	return facts
}

// Rubric judges responses by the facts they use. It is deterministic and unbiased by
// position, which is why it can stand in for a judge model.
type Rubric struct{ World *World }

// Points counts facts. right: relevant attributes whose slot phrase is filled with the
// persona's value. wrong: stated values, of any attribute, that are not the persona's. A text
// that is no answer (empty, or with a question) has neither.
func (r Rubric) Points(p Persona, t Task, response string) (right, wrong int) {
	if strings.TrimSpace(response) == "" || strings.Contains(response, "?") {
		return 0, 0
	}
	f := r.World.Families[r.World.family[t.Family]]
	text := " " + strings.Join(words(response), " ") + " "
	for _, name := range f.relevant {
		phrase := " " + strings.Join(words(fill(f.Slots[name].Known, p.Values[name])), " ") + " "
		if strings.Contains(text, phrase) {
			right++
		}
	}
	var seen []Fact
	for _, fact := range r.World.Facts(response) {
		if fact.Value != p.Values[fact.Attribute] && !slices.Contains(seen, fact) {
			seen = append(seen, fact)
			wrong++
		}
	}
	return right, wrong
}

// Compare is negative when a serves the persona worse than b, positive when better, 0 for a
// tie: the difference of right minus wrong facts.
func (r Rubric) Compare(p Persona, t Task, a, b string) int {
	ra, wa := r.Points(p, t, a)
	rb, wb := r.Points(p, t, b)
	return (ra - wa) - (rb - wb)
}
