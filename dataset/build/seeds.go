package build

import (
	"encoding/json"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"

	"stargate/dataset"
)

// Seeds reads the user's profiles: a file of personas, or the object of characters that the
// PRODIGy data set is ({"u0": {"character_name": …, "biography": […]}}), of which keys, if
// there are any, names those to take (the paper took 21). A profile that does not say its
// name gets it put in front, so that the few shots show how a persona begins.
func Seeds(name string, data []byte, keys []string) ([]string, error) {
	var characters map[string]struct {
		Name      string   `json:"character_name"`
		Biography []string `json:"biography"`
	}
	if strings.EqualFold(filepath.Ext(name), ".json") && json.Unmarshal(data, &characters) == nil {
		if len(keys) == 0 {
			keys = slices.Sorted(maps.Keys(characters))
		}
		var seeds []string
		for _, k := range keys {
			c, ok := characters[k]
			text := strings.TrimSpace(strings.Join(c.Biography, " "))
			if !ok || text == "" || c.Name == "" {
				return nil, fmt.Errorf("%w: %s key %q: want character_name and biography", dataset.ErrFormat, name, k)
			}
			seeds = append(seeds, introduced(c.Name, text))
		}
		return seeds, nil
	}
	if len(keys) > 0 {
		return nil, fmt.Errorf("%w: %s is no object of characters, so keys select nothing in it", dataset.ErrFormat, name)
	}
	entries, err := dataset.PersonaEntries(name, data, "")
	if err != nil {
		return nil, err
	}
	var seeds []string
	for _, e := range entries {
		if e.Text != "" {
			seeds = append(seeds, introduced(e.Name, e.Text))
		}
	}
	return seeds, nil
}

func introduced(name, text string) string {
	if name == "" || dataset.NameIn(text) != "" {
		return text
	}
	return fmt.Sprintf("I'm %s. %s", name, text)
}
