package nano

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v4"
)

// lines says where the items of a world file stand, for errors.
type lines struct {
	key                  map[string]int
	attributes, families []int
}

func locate(source []byte) (lines, error) {
	l := lines{key: map[string]int{}}
	var doc yaml.Node
	if err := yaml.Unmarshal(source, &doc); err != nil {
		return l, err
	}
	if len(doc.Content) == 0 || doc.Content[0].Kind != yaml.MappingNode {
		return l, errors.New("line 1: want a mapping with name, names, attributes, openers, tails, families")
	}
	top := doc.Content[0].Content
	for i := 0; i+1 < len(top); i += 2 {
		key, value := top[i].Value, top[i+1]
		l.key[key] = top[i].Line
		for _, item := range value.Content {
			switch key {
			case "attributes":
				l.attributes = append(l.attributes, item.Line)
			case "families":
				l.families = append(l.families, item.Line)
			}
		}
	}
	return l, nil
}

var identifier = regexp.MustCompile(`^[a-z][a-z0-9_]*$`)

// check returns every violation at once, each with its line.
func (w *World) check(at lines) error {
	var errs []error
	fail := func(line int, format string, args ...any) {
		errs = append(errs, fmt.Errorf("line %d: "+format, append([]any{line}, args...)...))
	}
	for key, n := range map[string]int{"names": len(w.Names), "attributes": len(w.Attributes), "openers": len(w.Openers), "tails": len(w.Tails), "families": len(w.Families)} {
		if n == 0 {
			fail(max(1, at.key[key]), "%s is empty; give at least one", key)
		}
	}
	if w.Name == "" {
		fail(max(1, at.key["name"]), "name is empty")
	}
	for _, o := range w.Openers {
		if strings.Count(o, "{goal}") != 1 {
			fail(at.key["openers"], "opener %q: want {goal} once", o)
		}
	}
	seen, questions := map[string]string{}, map[string]string{}
	for i, a := range w.Attributes {
		line := at.attributes[i]
		if !identifier.MatchString(a.ID) || w.attribute[a.ID] != i {
			fail(line, "attribute id %q: want a unique name of small letters", a.ID)
		}
		if len(a.Values) < 2 {
			fail(line, "attribute %s has %d values; two are the least that tell personas apart", a.ID, len(a.Values))
		}
		for _, v := range a.Values {
			if len(words(v)) != 1 || words(v)[0] != v {
				fail(line, "attribute %s: value %q: want one word", a.ID, v)
			}
			if other, ok := seen[v]; ok {
				fail(line, "attribute %s: value %q also belongs to %s; facts could not be told apart", a.ID, v, other)
			}
			seen[v] = a.ID
		}
		for kind, forms := range map[string][]string{"persona": a.Persona, "answers": a.Answers} {
			if len(forms) == 0 {
				fail(line, "attribute %s has no %s form", a.ID, kind)
			}
			for _, f := range forms {
				if strings.Count(f, "{value}") != 1 {
					fail(line, "attribute %s: %s form %q: want {value} once", a.ID, kind, f)
				}
			}
		}
		if len(a.Questions) == 0 {
			fail(line, "attribute %s has no question", a.ID)
		}
		for _, q := range a.Questions {
			if strings.Count(q, "?") != 1 || !strings.HasSuffix(q, "?") {
				fail(line, "attribute %s: question %q: want one question mark, at the end", a.ID, q)
			}
			if other, ok := questions[normal(q)]; ok {
				fail(line, "attribute %s: question %q also asks for %s", a.ID, q, other)
			}
			questions[normal(q)] = a.ID
		}
	}
	for i, f := range w.Families {
		w.checkFamily(f, i, at.families[i], fail)
	}
	w.checkText(at, fail)
	w.checkWordings(at, fail)
	slices.SortFunc(errs, func(a, b error) int { return strings.Compare(a.Error(), b.Error()) })
	return errors.Join(errs...)
}

func (w *World) checkFamily(f Family, i, line int, fail func(int, string, ...any)) {
	if !identifier.MatchString(f.ID) || w.family[f.ID] != i {
		fail(line, "family id %q: want a unique name of small letters", f.ID)
	}
	if len(f.Goals) == 0 {
		fail(line, "family %s has no goals", f.ID)
	}
	if len(f.relevant) == 0 {
		fail(line, "family %s: the response has no slot, so there is nothing to ask", f.ID)
	}
	for n, name := range f.relevant {
		if _, ok := w.attribute[name]; !ok {
			fail(line, "family %s: {%s} is not an attribute", f.ID, name)
		}
		if slices.Contains(f.relevant[:n], name) {
			fail(line, "family %s: {%s} stands twice in the response", f.ID, name)
		}
		slot, ok := f.Slots[name]
		if !ok {
			fail(line, "family %s: no slots entry for {%s}", f.ID, name)
			continue
		}
		if strings.Count(slot.Known, "{value}") != 1 || slot.Unknown == "" || strings.Contains(slot.Unknown, "{") {
			fail(line, "family %s: slot %s: want {value} once in known, and a generic text in unknown", f.ID, name)
		}
	}
	for name := range f.Slots {
		if !slices.Contains(f.relevant, name) {
			fail(line, "family %s: slot %s does not stand in the response", f.ID, name)
		}
	}
	if strings.Contains(f.Response, "?") {
		fail(line, "family %s: a response must not ask", f.ID)
	}
}

// checkText demands that values occur only where a {value} is filled in.
func (w *World) checkText(at lines, fail func(int, string, ...any)) {
	text := func(line int, where string, texts ...string) {
		for _, t := range texts {
			for _, word := range words(t) {
				if id, ok := w.valueOf[word]; ok {
					fail(line, "%s: %q contains the %s value %q; facts could not be told apart", where, t, id, word)
				}
			}
		}
	}
	text(at.key["names"], "names", w.Names...)
	text(at.key["openers"], "openers", w.Openers...)
	text(at.key["tails"], "tails", w.Tails...)
	for i, a := range w.Attributes {
		for _, forms := range [][]string{a.Persona, a.Questions, a.Answers} {
			text(at.attributes[i], "attribute "+a.ID, forms...)
		}
	}
	for i, f := range w.Families {
		text(at.families[i], "family "+f.ID, append(slices.Clone(f.Goals), f.Response)...)
		for _, name := range f.relevant {
			text(at.families[i], "family "+f.ID, f.Slots[name].Known, f.Slots[name].Unknown)
		}
	}
}

// checkWordings demands that task texts are unique and every family occurs in every pool.
func (w *World) checkWordings(at lines, fail func(int, string, ...any)) {
	seen := map[string]string{}
	for i, tasks := range w.wordings {
		count := map[pool]int{}
		for _, t := range tasks {
			if other, ok := seen[t.Text]; ok {
				fail(at.families[i], "family %s: the wording %q also belongs to %s", t.Family, t.Text, other)
			}
			seen[t.Text] = t.Family
			count[poolOf("task", t.Text)]++
		}
		for _, p := range pools {
			if count[p] == 0 {
				fail(at.families[i], "family %s: %d wordings are too few: none falls to %s; add goals, openers or tails", w.Families[i].ID, len(tasks), p)
			}
		}
	}
}
