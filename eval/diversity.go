package eval

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"
	"unicode"

	"stargate"
)

// Diversity is how much the questions of a model differ: over all tasks, and among the
// candidates of one pair, which is what selection has to choose from.
type Diversity struct {
	Model     string  `json:"model"`
	N         int     `json:"n"`         // questions
	Sample    int     `json:"sample"`    // of these, drawn by hash for the measures that depend on how many there are; the same number for every model
	Distinct1 float64 `json:"distinct1"` // different words per word of the sample (Li et al., 2016)
	Distinct2 float64 `json:"distinct2"` // different pairs of words per pair
	Distinct3 float64 `json:"distinct3"`
	SelfBLEU  float64 `json:"self_bleu"` // mean BLEU-4 of a question against the others of the sample (Zhu et al., 2018); 1 = all the same
	Effective float64 `json:"effective"` // number of equally frequent questions with the same entropy as those of the sample
	Top       string  `json:"top"`       // the most frequent question
	TopShare  float64 `json:"top_share"` // of all questions
	PerPair   float64 `json:"per_pair"`  // different first questions per candidate of a pair
	// Attributes is the effective number of attributes asked for, where the truth is known.
	Attributes *float64 `json:"attributes,omitempty"`
	// Malformed are the questions drawn that are none, by flaw, as shares of all drawn.
	Malformed map[string]float64 `json:"malformed"`
	// Alarms say in words what hints at mode collapse: the questions of many tasks became
	// few, or lost their form. Few different questions for one task are none: they may be
	// the right ones.
	Alarms []string `json:"alarms"`
}

// The samples that the measures are taken from.
const (
	diversitySample = 1000
	bleuSample      = 200
)

// diversity describes the questions of every model, and compares each with m0's.
func (e *Evaluation) diversity(in Input) {
	texts := make([][]string, len(in.Models))
	size := diversitySample
	for m, model := range in.Models {
		texts[m] = sampledQuestions(in.Config.Seed, model.Name, e.Rated[m])
		size = min(size, len(texts[m]))
	}
	if size == 0 {
		return
	}
	for m, model := range in.Models {
		d := diversityOf(model.Name, texts[m], size, in.Truth, e.Rated[m])
		if m > 0 {
			d.Alarms = d.alarms(e.Result.Diversity[0])
		}
		e.Result.Diversity = append(e.Result.Diversity, d)
	}
}

// sampledQuestions are all questions in the order of a hash of where they stand, so that the
// first so many of them are a sample.
func sampledQuestions(seed uint64, model string, rated []stargate.Candidates) []string {
	type placed struct {
		hash uint64
		text string
	}
	var all []placed
	for _, c := range rated {
		for _, s := range c.Scored {
			for k, t := range s.Turns {
				all = append(all, placed{stargate.Seed(seed, "question sample", model, c.Pair.Key(), s.Sample, k), t.Question})
			}
		}
	}
	slices.SortFunc(all, func(a, b placed) int { return cmp.Or(cmp.Compare(a.hash, b.hash), cmp.Compare(a.text, b.text)) })
	out := make([]string, len(all))
	for i, p := range all {
		out[i] = p.text
	}
	return out
}

func diversityOf(model string, texts []string, size int, truth Truth, rated []stargate.Candidates) Diversity {
	d := Diversity{Model: model, N: len(texts), Sample: size, Malformed: malformed(rated), Alarms: []string{}}
	words := make([][]string, size)
	for i, t := range texts[:size] {
		words[i] = wordsIn(t)
	}
	d.Distinct1, d.Distinct2, d.Distinct3 = distinct(words, 1), distinct(words, 2), distinct(words, 3)
	d.SelfBLEU = selfBLEU(words[:min(size, bleuSample)])
	sample := map[string]int{}
	for _, w := range words {
		sample[strings.Join(w, " ")]++
	}
	d.Effective = effective(sample)
	count := map[string]int{}
	for _, t := range texts {
		count[t]++
	}
	for t, n := range count {
		if share := float64(n) / float64(len(texts)); share > d.TopShare || share == d.TopShare && t < d.Top {
			d.Top, d.TopShare = t, share
		}
	}
	d.PerPair = perPair(rated)
	if truth != nil {
		asked := map[string]int{}
		for _, t := range texts {
			if a, ok := truth.Classify(t); ok {
				asked[a]++
			}
		}
		n := effective(asked)
		d.Attributes = &n
	}
	return d
}

// The limits of an alarm, against m0.
const (
	alarmTopShare   = 0.25 // one question is so frequent, and twice as frequent as m0's most frequent
	alarmEffective  = 1. / 3
	alarmAttributes = 0.5
	alarmMalformed  = 0.05
)

func (d Diversity) alarms(m0 Diversity) []string {
	out := []string{}
	if d.TopShare >= alarmTopShare && d.TopShare >= 2*m0.TopShare {
		out = append(out, fmt.Sprintf("one question is %.0f %% of all: %q", 100*d.TopShare, d.Top))
	}
	if d.Effective < alarmEffective*m0.Effective {
		out = append(out, fmt.Sprintf("effectively %.1f different questions, %s has %.1f", d.Effective, m0.Model, m0.Effective))
	}
	if d.Attributes != nil && m0.Attributes != nil && *d.Attributes < alarmAttributes**m0.Attributes {
		out = append(out, fmt.Sprintf("effectively %.1f attributes are asked for, %s asks for %.1f", *d.Attributes, m0.Model, *m0.Attributes))
	}
	bad, before := 0.0, 0.0
	for _, v := range d.Malformed {
		bad += v
	}
	for _, v := range m0.Malformed {
		before += v
	}
	if bad > before+alarmMalformed {
		out = append(out, fmt.Sprintf("%.0f %% of the questions drawn are malformed, of %s %.0f %%", 100*bad, m0.Model, 100*before))
	}
	return out
}

// malformed are the flaws that a question, and only a question, can have.
func malformed(rated []stargate.Candidates) map[string]float64 {
	out := map[string]float64{}
	drawn := 0
	note := func(f stargate.Flaw) {
		if asksBadly[f] {
			out[string(f)]++
			drawn++
		}
	}
	for _, c := range rated {
		for _, s := range c.Scored {
			drawn += len(s.Turns)
			for _, f := range s.Redrawn {
				note(f)
			}
		}
		for _, s := range c.Dropped {
			drawn += len(s.Turns)
			for _, f := range s.Redrawn {
				note(f)
			}
			note(stargate.Flaw(s.Outcome))
		}
	}
	for f := range out {
		out[f] /= float64(drawn)
	}
	return out
}

func perPair(rated []stargate.Candidates) float64 {
	different, n := 0, 0
	for _, c := range rated {
		first := map[string]bool{}
		for _, s := range c.Scored {
			if len(s.Turns) > 0 {
				first[s.Turns[0].Question] = true
				n++
			}
		}
		different += len(first)
	}
	return float64(different) / float64(max(n, 1))
}

// effective is exp of the entropy of a count.
func effective(count map[string]int) float64 {
	total := 0
	for _, n := range count {
		total += n
	}
	h := 0.0
	for _, key := range sortedKeys(count) { // a fixed order of addition
		p := float64(count[key]) / float64(total)
		h -= p * math.Log(p)
	}
	if total == 0 {
		return 0
	}
	return math.Exp(h)
}

func sortedKeys(m map[string]int) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

// wordsIn are the words of a text in small letters.
func wordsIn(text string) []string {
	return strings.FieldsFunc(strings.ToLower(text), func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) })
}

// distinct is the share of different n-grams.
func distinct(texts [][]string, n int) float64 {
	seen, total := map[string]bool{}, 0
	for _, words := range texts {
		for _, g := range ngrams(words, n) {
			seen[g] = true
			total++
		}
	}
	return float64(len(seen)) / float64(max(total, 1))
}

func ngrams(words []string, n int) []string {
	var out []string
	for i := 0; i+n <= len(words); i++ {
		out = append(out, strings.Join(words[i:i+n], " "))
	}
	return out
}
