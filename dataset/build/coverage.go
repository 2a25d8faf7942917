package build

import (
	"cmp"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode"
)

// Coverage says what a set of personas covers, as far as words can tell. Every field has
// the personas that do not say it under "not said": a persona that hides its age is no
// mistake, ninety that do may be.
type Coverage struct {
	Personas    int                       `json:"personas"`
	Words       Spread                    `json:"words"`
	Sentences   Spread                    `json:"sentences"`
	Fields      map[string]map[string]int `json:"fields"`          // personas by value, by field
	SharedNames []string                  `json:"shared_names"`    // names that several have
	Closest     []Closest                 `json:"closest"`         // the most similar pairs
	MeanSimilar float64                   `json:"mean_similarity"` // of all pairs
	Worn        []Worn                    `json:"worn"`            // words that most personas share
}

// Closest is a pair of personas that are much alike.
type Closest struct {
	A          string  `json:"a"` // id and name
	B          string  `json:"b"`
	Similarity float64 `json:"similarity"`
}

// Worn is a word that many personas share: a sign of one voice behind all of them.
type Worn struct {
	Word  string  `json:"word"`
	Share float64 `json:"share"` // of the personas
}

const notSaid = "not said"

// field finds the value of one field in a persona's words.
type field struct {
	name  string
	value func(text string) string
}

// oneOf gives the first value one of whose words is in the text.
func oneOf(values ...[2]string) func(string) string {
	for i := range values {
		values[i][1] = strings.ReplaceAll(values[i][1], " ", "|")
	}
	return said(values...)
}

// said gives the first value whose pattern is in the text.
func said(values ...[2]string) func(string) string {
	type rule struct {
		value string
		words *regexp.Regexp
	}
	var rules []rule
	for _, v := range values {
		rules = append(rules, rule{v[0], regexp.MustCompile(`(?i)\b(?:` + v[1] + `)\b`)})
	}
	return func(text string) string {
		for _, r := range rules {
			if r.words.MatchString(text) {
				return r.value
			}
		}
		return ""
	}
}

var (
	ageDigits = regexp.MustCompile(`(?i)\b(\d{1,2})[- ](?:year|yr)s?[- ]old\b|\b(?:I'm|I am|I’m|aged?|turned)\s+(\d{1,2})\b`)
	ageWords  = regexp.MustCompile(`(?i)\b(teen|twent|thirt|fort|fift|sixt|sevent|eight)(?:y|ies|ager|age|ish)?(?:-\w+)?[- ](?:years?[- ]old|something)\b|\bin (?:my|his|her|their) (?:early |mid |mid-|late )?(teen|twent|thirt|fort|fift|sixt|sevent|eight)(?:s|ies)\b`)
)

var tens = map[string]string{"teen": "under 20", "twent": "20 to 39", "thirt": "20 to 39", "fort": "40 to 59", "fift": "40 to 59", "sixt": "60 and over", "sevent": "60 and over", "eight": "60 and over"}

func ageOf(text string) string {
	if m := ageDigits.FindStringSubmatch(text); m != nil {
		n, err := strconv.Atoi(m[1] + m[2])
		switch {
		case err != nil || n < 5:
		case n < 20:
			return "under 20"
		case n < 40:
			return "20 to 39"
		case n < 60:
			return "40 to 59"
		default:
			return "60 and over"
		}
	}
	if m := ageWords.FindStringSubmatch(text); m != nil {
		return tens[strings.ToLower(m[1]+m[2])]
	}
	return oneOf([2]string{"under 20", "teenager highschooler schoolboy schoolgirl"}, [2]string{"60 and over", "retired retiree pensioner grandmother grandfather grandchildren"})(text)
}

// speaksAs comes before a word that says what the speaker is: "I'm a proud", or a sentence
// that begins "A dapper". My wife is no sign of what I am.
const speaksAs = `(?:(?:I'm|I’m|I am) (?:an?|the|just an?) |(?:as|being) an? |[.!?] An? )(?:[\w’'-]+,? ){0,4}`

// fields are what coverage looks for. The words are few on purpose: a wrong value is worse
// than "not said".
var fields = []field{
	{"age", ageOf},
	{"gender", said(
		[2]string{"woman", speaksAs + `(?:woman|girl|mother|mom|mum|grandmother|daughter|lady|businesswoman|actress|waitress)`},
		[2]string{"man", speaksAs + `(?:man|boy|father|dad|grandfather|son|gentleman|businessman|guy)`},
		[2]string{"nonbinary", `nonbinary|non-binary|genderqueer`})},
	{"family", said(
		[2]string{"children", `my (?:\w+ ){0,2}(?:kids?|children|sons?|daughters?|grandchildren|toddler|twins)|(?:mother|father|parent|mom|dad) (?:of|to)`},
		[2]string{"partner", `my (?:late )?(?:wife|husband|spouse|partner|fiancée?|girlfriend|boyfriend)|married`},
		[2]string{"alone", `widow|widower|widowed|divorced|bachelor|live alone|living alone`})},
	{"work", oneOf(
		[2]string{"retired", "retired retiree pensioner"},
		[2]string{"student", "student undergraduate freshman sophomore"},
		[2]string{"health", "nurse doctor physician surgeon therapist paramedic pharmacist dentist midwife veterinarian psychologist"},
		[2]string{"teaching", "teacher professor lecturer tutor librarian instructor"},
		[2]string{"technology", "programmer developer software engineer data-scientist technician hacker coder"},
		[2]string{"science", "scientist researcher biologist physicist chemist astronomer ornithologist archaeologist"},
		[2]string{"arts", "artist painter musician writer author novelist poet actor actress dancer photographer designer sculptor singer filmmaker journalist"},
		[2]string{"trade", "carpenter electrician plumber mechanic builder welder tailor blacksmith craftsman craftswoman farmer fisherman gardener"},
		[2]string{"food", "chef cook baker barista bartender waiter waitress restaurateur"},
		[2]string{"business and law", "lawyer attorney accountant banker manager consultant entrepreneur broker executive businesswoman businessman"},
		[2]string{"public service", "firefighter soldier officer detective policeman policewoman diplomat ranger pilot veteran"})},
	{"place", oneOf(
		[2]string{"city", "city downtown urban metropolis apartment neighborhood neighbourhood"},
		[2]string{"small town or country", "village town rural farm countryside ranch"},
		[2]string{"sea or mountains", "coast coastal island seaside beach mountain mountains harbor harbour"})},
	{"temper", oneOf(
		[2]string{"reserved", "introvert introverted shy reserved quiet solitary reclusive timid"},
		[2]string{"outgoing", "extrovert extroverted outgoing sociable charismatic gregarious chatty"})},
}

// shownClosest and wornShare bound what a report lists.
const (
	shownClosest = 5
	wornShare    = 0.4
)

// Cover looks at a set of personas.
func Cover(personas []Persona) Coverage {
	c := Coverage{Personas: len(personas), Fields: map[string]map[string]int{}, SharedNames: []string{}, Closest: []Closest{}, Worn: []Worn{}}
	var words, ends []int
	names, used := map[string]int{}, map[string]int{}
	for _, p := range personas {
		words, ends = append(words, len(strings.Fields(p.Text))), append(ends, sentences(p.Text))
		names[p.Name]++
		for w := range contentWords(p.Text) {
			used[w]++
		}
	}
	c.Words, c.Sentences = spreadOf(words), spreadOf(ends)
	for _, f := range fields {
		c.Fields[f.name] = map[string]int{}
		for _, p := range personas {
			c.Fields[f.name][cmp.Or(f.value(p.Text), notSaid)]++
		}
	}
	for _, n := range slices.Sorted(maps.Keys(names)) {
		if names[n] > 1 {
			c.SharedNames = append(c.SharedNames, n)
		}
	}
	c.similar(personas)
	for w, n := range used {
		if share := float64(n) / float64(len(personas)); share >= wornShare && len(personas) > 4 {
			c.Worn = append(c.Worn, Worn{w, share})
		}
	}
	slices.SortFunc(c.Worn, func(a, b Worn) int { return cmp.Or(cmp.Compare(b.Share, a.Share), cmp.Compare(a.Word, b.Word)) })
	return c
}

// similar compares every pair: personas are hundreds, not millions.
func (c *Coverage) similar(personas []Persona) {
	sets := make([][]uint64, len(personas))
	for i, p := range personas {
		sets[i] = shingles(p.Text)
	}
	sum, n := 0.0, 0
	label := func(p Persona) string { return strings.TrimSpace(p.ID + " " + p.Name) }
	for i := range sets {
		for j := range i {
			same := jaccard(sets[i], sets[j])
			sum, n = sum+same, n+1
			c.Closest = append(c.Closest, Closest{label(personas[j]), label(personas[i]), same})
		}
		slices.SortFunc(c.Closest, func(a, b Closest) int {
			return cmp.Or(cmp.Compare(b.Similarity, a.Similarity), cmp.Compare(a.A, b.A), cmp.Compare(a.B, b.B))
		})
		c.Closest = c.Closest[:min(len(c.Closest), shownClosest)]
	}
	if n > 0 {
		c.MeanSimilar = sum / float64(n)
	}
}

// contentWords are the words of a text that carry meaning: six letters or more.
func contentWords(text string) map[string]bool {
	set := map[string]bool{}
	for _, w := range strings.FieldsFunc(strings.ToLower(text), func(r rune) bool { return !unicode.IsLetter(r) }) {
		if len(w) >= 6 {
			set[w] = true
		}
	}
	return set
}
