package build

import (
	"regexp"
	"strings"

	"stargate/dataset"
	"stargate/lm"
)

// notNames are words that follow "I'm" in a sentence that gives no name.
var notNames = map[string]bool{}

func init() {
	for _, w := range strings.Fields("just not very the an always currently born from really only so still now here also well one sure glad happy proud someone somebody") {
		notNames[w] = true
	}
}

var firstPerson = regexp.MustCompile(`(?i)\b(i|i'm|i’m|my|me|mine|myself)\b`)

// read takes a persona out of a completion and says what is wrong with it, or "". A title
// or a frame that models like to put in front ("---", quotation marks) is taken off.
func (c PersonaChecks) read(drawn lm.Completion) (name, text string, flaw Flaw) {
	if flaw := flawOf(drawn); flaw != "" {
		return "", "", flaw
	}
	text = strings.TrimSpace(strings.Trim(strings.TrimSpace(drawn.Text), "-*\"“”\n "))
	text = strings.Join(strings.Fields(text), " ") // one paragraph, as the authors' are
	name = dataset.NameIn(text)
	if notNames[strings.ToLower(name)] {
		name = ""
	}
	switch n := sentences(text); {
	case name == "":
		return name, text, NoName
	case len(firstPerson.FindAllString(text, 3)) < 3:
		return name, text, NotFirstPerson
	case n < c.MinSentences:
		return name, text, TooShort
	case c.MaxSentences > 0 && n > c.MaxSentences:
		return name, text, TooLong
	}
	return name, text, ""
}

// taken remembers seeds and accepted personas.
type taken struct {
	near     float64
	seeds    [][]uint64
	personas [][]uint64
	names    map[string]bool
}

func newTaken(seeds []string, near float64) *taken {
	t := &taken{near: near, names: map[string]bool{}}
	for _, s := range seeds {
		t.seeds = append(t.seeds, shingles(s))
	}
	return t
}

// accept takes a persona, or says what it is too like. Names of the seeds may be used again:
// nobody meets a seed.
func (t *taken) accept(name, text string) Flaw {
	set := shingles(text)
	for _, s := range t.seeds {
		if jaccard(s, set) >= t.near {
			return CopiesSeed
		}
	}
	for _, p := range t.personas {
		if jaccard(p, set) >= t.near {
			return Repeats
		}
	}
	if t.names[dataset.Fold(name)] {
		return NameTaken
	}
	t.names[dataset.Fold(name)] = true
	t.personas = append(t.personas, set)
	return ""
}
