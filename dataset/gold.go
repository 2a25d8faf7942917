package dataset

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"strings"

	"stargate"
)

// Gold holds gold responses by pair key (task id "/" persona id) and by the texts of the
// two. A pair with the empty text is excluded: the Oracle has none to give.
type Gold map[string]string

// ReadGold reads gold responses. A JSON object of "prompt-{i} persona-{j}" keys is the
// authors' layout; otherwise entries have the fields task and persona (ids or full texts)
// and gold (or response). An empty gold is an error: it would lift every mean. An entry may
// say excluded with a reason instead; the pair is then left out of its split.
func ReadGold(name string, data []byte) (Gold, error) {
	gold := Gold{}
	add := func(where, task, persona, text string) error {
		if strings.TrimSpace(text) == "" {
			return fmt.Errorf("%w: %s: the gold response is empty", ErrFormat, where)
		}
		key := goldKey(task, persona)
		if _, ok := gold[key]; ok {
			return fmt.Errorf("%w: %s: a second gold response for task %q and persona %q", ErrFormat, where, task, persona)
		}
		gold[key] = strings.TrimSpace(text)
		return nil
	}
	if object, ok := authorsGold(name, data); ok {
		for key, raw := range object {
			task, persona, ok := strings.Cut(key, " ")
			where := fmt.Sprintf("%s key %q", name, key)
			if !ok {
				return nil, fmt.Errorf("%w: %s: want \"prompt-I persona-J\"", ErrFormat, where)
			}
			var text string
			var list []string
			if json.Unmarshal(raw, &text) != nil {
				if err := json.Unmarshal(raw, &list); err != nil || len(list) != 1 {
					return nil, fmt.Errorf("%w: %s: want a text or a list of one text", ErrFormat, where)
				}
				text = list[0]
			}
			if err := add(where, task, persona, text); err != nil {
				return nil, err
			}
		}
		return gold, nil
	}
	err := eachRecord(name, data, func(r record) error {
		task, ok1 := r.get(goldTaskFields...)
		persona, ok2 := r.get(goldPersonaFields...)
		text, ok3 := r.get("gold", "gold_response", "response")
		if reason, _ := r.get("excluded"); reason != "" && ok1 && ok2 && text == "" {
			gold[goldKey(task, persona)] = ""
			return nil
		}
		if !ok1 || !ok2 || !ok3 {
			return fmt.Errorf("%w: %s: want the fields task, persona and gold; it has: %s", ErrFormat, r.where, r.fieldNames())
		}
		return add(r.where, task, persona, text)
	})
	if err != nil {
		return nil, err
	}
	return gold, nil
}

// The fields in which the items of a pair are looked for, first to last.
var (
	goldTaskFields    = []string{"task", "task_id", "prompt"}
	goldPersonaFields = []string{"persona", "persona_id"}
)

func goldKey(task, persona string) string { return fold(task) + "/" + fold(persona) }

// authorsGold is a file in the authors' layout: an object of "prompt-{i} persona-{j}" keys.
func authorsGold(name string, data []byte) (object map[string]json.RawMessage, ok bool) {
	if !strings.EqualFold(filepath.Ext(name), ".json") {
		return nil, false
	}
	ok = json.Unmarshal(data, &object) == nil
	return object, ok
}

// Of is the gold response of a task and a persona; it is empty where the pair is excluded.
func (g Gold) Of(t stargate.Task, u stargate.Persona) (string, bool) { return find(g, t, u) }

// find looks a pair up by ids and by texts.
func find(by map[string]string, t stargate.Task, u stargate.Persona) (string, bool) {
	for _, task := range []string{t.ID, t.Text} {
		for _, persona := range []string{u.ID, u.Text} {
			if text, ok := by[goldKey(task, persona)]; ok {
				return text, true
			}
		}
	}
	return "", false
}
