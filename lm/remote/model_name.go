package remote

import (
	"fmt"
	"slices"
	"strings"
)

// wireModel is what requests name as their model.
func (c *Client) wireModel() string {
	switch {
	case c.adapter == "":
		return c.role.Model
	case c.facts.Server == SGLang:
		return c.role.Model + ":" + c.adapter
	}
	return c.adapter // vLLM and stargate: a name like any other
}

// checkModel refuses an answer of another model. Gateways fall back to other models silently,
// and a run would never know. A hosted model may answer with a snapshot of its name
// ("gpt-4o" with "gpt-4o-2024-08-06").
func (c *Client) checkModel(answered string) error {
	asked := c.wireModel()
	if answered == "" || asked == "" || !c.dialect.strictModel || answered == asked || slices.Contains(c.role.AnswersAs, answered) {
		return nil
	}
	if c.facts.Server == SGLang && c.adapter != "" && (answered == c.role.Model || answered == c.adapter) {
		return nil
	}
	if c.facts.Server == Ollama && answered == asked+":latest" {
		return nil
	}
	if c.facts.Server == Hosted || c.facts.Server == Claude {
		// Providers drop the maker ("openai/gpt-4o") and add a snapshot.
		_, plain, ok := strings.Cut(asked, "/")
		if !ok {
			plain = asked
		}
		_, given, ok := strings.Cut(answered, "/")
		if !ok {
			given = answered
		}
		if given == plain || snapshotOf(given, plain) || plain == strings.TrimSuffix(given, "-latest") || strings.TrimSuffix(plain, "-latest") != plain && snapshotOf(given, strings.TrimSuffix(plain, "-latest")) {
			return nil
		}
	}
	return fmt.Errorf("%w: %q was asked, %q answered; if that is the same model, list the name under answers_as", ErrWrongModel, asked, answered)
}

// snapshotOf says whether a name is another one with a date or version behind it: digits,
// after a hyphen or an at sign.
func snapshotOf(name, plain string) bool {
	rest, ok := strings.CutPrefix(name, plain)
	if !ok || len(rest) < 2 || rest[0] != '-' && rest[0] != '@' {
		return false
	}
	return !strings.ContainsFunc(rest[1:], func(r rune) bool { return (r < '0' || r > '9') && r != '-' && r != '.' })
}
