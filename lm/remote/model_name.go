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
	if (c.facts.Server == Hosted || c.facts.Server == Claude) && sameHosted(withoutMaker(asked), withoutMaker(answered)) {
		return nil
	}
	return fmt.Errorf("%w: %q was asked, %q answered; if that is the same model, list the name under answers_as", ErrWrongModel, asked, answered)
}

// withoutMaker drops what gateways put in front of a name: "openai/gpt-4o".
func withoutMaker(name string) string {
	if _, plain, ok := strings.Cut(name, "/"); ok {
		return plain
	}
	return name
}

// sameHosted says whether a provider may answer with one name when asked for another: the
// same, or a snapshot of it, where "-latest" stands for any.
func sameHosted(asked, answered string) bool {
	return answered == asked || snapshotOf(answered, strings.TrimSuffix(asked, "-latest"))
}

// snapshotOf says whether a name is another one with a date or a build behind it: at least
// four digits after a hyphen or an at sign. Fewer are a version, which is another model.
func snapshotOf(name, plain string) bool {
	rest, ok := strings.CutPrefix(name, plain)
	if !ok || rest == "" || rest[0] != '-' && rest[0] != '@' {
		return false
	}
	digits := 0
	for _, r := range rest[1:] {
		switch {
		case r >= '0' && r <= '9':
			digits++
		case r != '-' && r != '.':
			return false
		}
	}
	return digits >= 4
}
