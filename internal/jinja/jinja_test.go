package jinja

import (
	"encoding/json"
	"os"
	"testing"
)

// variables are those of testdata/gen.py.
var variables = []Variable{
	{"messages", NewList(NewDict("role", "user", "content", "Hi, Ä <b>!"), NewDict("role", "assistant", "content", " two\nlines "))},
	{"tools", nil}, {"n", 7}, {"f", 2.5}, {"s", "Hello World"}, {"u", "ǆ ß é\u00a0🙂"}, {"l", NewList(3, 1, 2)}, {"d", NewDict("b", 1, "a", NewList(true, nil, "x'y"))}, {"yes", true},
}

// Every case renders as with Python's Jinja, or fails where that does.
func TestGolden(t *testing.T) {
	data, err := os.ReadFile("testdata/golden.json")
	if err != nil {
		t.Fatal(err)
	}
	var rows []struct{ Source, Text, Error string }
	if err := json.Unmarshal(data, &rows); err != nil {
		t.Fatal(err)
	}
	for _, row := range rows {
		got, err := render(row.Source, 1<<20)
		switch {
		case row.Error != "" && err == nil:
			t.Errorf("%s\n gives %q, should fail as in Python: %s", row.Source, got, row.Error)
		case row.Error == "" && (err != nil || got != row.Text):
			t.Errorf("%s\n got %q, %v\nwant %q", row.Source, got, err, row.Text)
		}
	}
}

func render(source string, steps int) (string, error) {
	t, err := Parse(source)
	if err != nil {
		return "", err
	}
	return t.Render(variables, Options{Steps: steps})
}
