package serve

import (
	"encoding/json"
	"reflect"
	"testing"
)

func TestPromptForms(t *testing.T) {
	for _, c := range []struct {
		in    string
		texts []string
		ids   [][]int32
	}{
		{`"a [1]"`, []string{"a [1]"}, nil},
		{`""`, []string{""}, nil},
		{`[ "a", "null" ]`, []string{"a", "null"}, nil},
		{`[1, 2 ,3]`, nil, [][]int32{{1, 2, 3}}},
		{`[ ]`, nil, [][]int32{{}}},
		{`[[1],[ 2 , 3],[]]`, nil, [][]int32{{1}, {2, 3}, {}}},
	} {
		var p prompts
		if err := json.Unmarshal([]byte(c.in), &p); err != nil || !reflect.DeepEqual(p.texts, c.texts) || !reflect.DeepEqual(p.ids, c.ids) {
			t.Errorf("%s is %q %v, %v; want %q %v", c.in, p.texts, p.ids, err, c.texts, c.ids)
		}
	}
	for _, in := range []string{`null`, `1`, `{}`, `true`, `["a", null]`, `["a", 1]`, `[null]`, `[1, null]`, `[1.5]`, `[1e3]`, `[2147483648]`, `["1"x]`, `[1, "a"]`, `[[1], 2]`, `[[1], "a"]`, `[[[1]]]`, `[{}]`, `[[1, null]]`} {
		var p prompts
		if err := json.Unmarshal([]byte(in), &p); err == nil {
			t.Errorf("%s was accepted as %q %v", in, p.texts, p.ids)
		}
	}
}

// No body makes the reader panic, and what it accepts it accepts again as it wrote it.
func FuzzPrompt(f *testing.F) {
	for _, seed := range []string{`"a"`, `["a", "b"]`, `[1, 2]`, `[[1], [2]]`, `null`, `[ ]`, `[[]]`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		var p, again prompts
		if json.Unmarshal(data, &p) != nil {
			return
		}
		var out any = p.ids
		if p.ids == nil {
			out = p.texts
		}
		text, err := json.Marshal(out)
		if err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(text, &again); err != nil || !reflect.DeepEqual(p, again) {
			t.Errorf("%s read as %v, written %s, read as %v, %v", data, p, text, again, err)
		}
	})
}
