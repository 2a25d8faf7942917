package rating

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"

	"stargate"
	"stargate/eval"
)

// Item is one comparison as a rater sees it.
type Item struct {
	ID      string
	Name    string // of the person
	Persona string
	Task    string
	A, B    string
}

// Sheet is a list of items for one or more raters.
type Sheet struct {
	ID    string // also names the key
	Items []Item
}

// Key says what the items of a sheet are.
type Key struct {
	Sheet string             `json:"sheet"`
	Seed  uint64             `json:"seed"`
	Items map[string]KeyItem `json:"items"`
}

// KeyItem is a comparison of a model's reply with the base model's.
type KeyItem struct {
	Pair    string `json:"pair"`
	Task    string `json:"task"`
	Persona string `json:"persona"`
	Model   string `json:"model"`
	Base    string `json:"base"`
	Swapped bool   `json:"swapped"` // reply A is the base model's
	WordsA  int    `json:"words_a"` // of the model's reply
	WordsB  int    `json:"words_b"` // of the base model's
}

// Options choose what goes into a sheet.
type Options struct {
	Models  []string // whose replies are compared with the base model's
	Items   int      // comparisons of each model; 0 = all
	Repeats float64  // share of the comparisons that come twice, changed over
	Seed    uint64   // names the draws
}

// New draws a sheet from the judged responses of a run. The same options give the same sheet.
func New(compared []eval.Compared, o Options) (Sheet, Key, error) {
	switch {
	case len(o.Models) == 0:
		return Sheet{}, Key{}, errors.New("rating: no model to rate")
	case o.Items < 0:
		return Sheet{}, Key{}, fmt.Errorf("rating: %d items, want 0 (all) or more", o.Items)
	case o.Repeats < 0 || o.Repeats > 1:
		return Sheet{}, Key{}, fmt.Errorf("rating: repeats are %g, want a share between 0 and 1", o.Repeats)
	}
	s := Sheet{ID: fmt.Sprintf("%08x", uint32(stargate.Seed(o.Seed, "sheet", strings.Join(o.Models, " "), o.Items, o.Repeats, digestOf(compared))))}
	key := Key{Sheet: s.ID, Seed: o.Seed, Items: map[string]KeyItem{}}
	var first, second []Item
	for _, model := range o.Models {
		chosen, err := choose(compared, model, o)
		if err != nil {
			return Sheet{}, Key{}, err
		}
		repeats := int(o.Repeats*float64(len(chosen)) + 0.5)
		for i, c := range chosen {
			swapped := stargate.Seed(o.Seed, "rating order", s.ID, model, c.Pair.Key())>>9%2 == 1
			first = append(first, item(key, o.Seed, c, model, swapped))
			if i < repeats {
				second = append(second, item(key, o.Seed, c, model, !swapped))
			}
		}
	}
	// The second showings come after all first ones, so that they are far from theirs.
	for _, part := range [][]Item{first, second} {
		slices.SortFunc(part, func(a, b Item) int { return strings.Compare(a.ID, b.ID) }) // by hash
		s.Items = append(s.Items, part...)
	}
	if len(key.Items) != len(s.Items) {
		return Sheet{}, Key{}, errors.New("rating: two items have the same name; take another seed")
	}
	return s, key, nil
}

// choose takes o.Items comparisons of a model by hash.
func choose(compared []eval.Compared, model string, o Options) ([]eval.Compared, error) {
	var all []eval.Compared
	known := false
	for _, c := range compared {
		_, ok := c.Ballots[model]
		known = known || ok && c.Responses[model] != ""
		if ok && c.Responses[model] != "" && c.Responses[c.Base] != "" {
			all = append(all, c)
		}
	}
	if !known {
		return nil, fmt.Errorf("rating: the run has no responses of %s that were compared with the base model's", model)
	}
	hash := func(c eval.Compared) uint64 { return stargate.Seed(o.Seed, "rating item", model, c.Pair.Key()) }
	slices.SortFunc(all, func(a, b eval.Compared) int { return cmp.Compare(hash(a), hash(b)) })
	if o.Items > 0 && o.Items < len(all) {
		all = all[:o.Items]
	}
	return all, nil
}

func item(key Key, seed uint64, c eval.Compared, model string, swapped bool) Item {
	a, b := c.Responses[model], c.Responses[c.Base]
	id := fmt.Sprintf("%08x", uint32(stargate.Seed(seed, "rating item name", key.Sheet, model, c.Pair.Key(), swapped)))
	key.Items[id] = KeyItem{Pair: c.Pair.Key(), Task: c.Pair.Task.ID, Persona: c.Pair.Persona.ID, Model: model, Base: c.Base, Swapped: swapped,
		WordsA: len(strings.Fields(a)), WordsB: len(strings.Fields(b))}
	if swapped {
		a, b = b, a
	}
	return Item{ID: id, Name: c.Pair.Persona.Name, Persona: c.Pair.Persona.Text, Task: c.Pair.Task.Text, A: a, B: b}
}

func digestOf(compared []eval.Compared) string {
	var keys []string
	for _, c := range compared {
		keys = append(keys, eval.Digest(c.Pair))
	}
	slices.Sort(keys)
	return strings.Join(keys, "")
}
