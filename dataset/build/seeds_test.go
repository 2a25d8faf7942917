package build

import (
	"reflect"
	"testing"
)

func TestSeeds(t *testing.T) {
	const characters = `{"u1":{"character_name":"BO","biography":["I fish.","I sing."]},"u0":{"character_name":"AL","biography":["I'm Al. I row."],"x":1}}`
	for _, c := range []struct {
		name, data string
		keys, want []string
	}{
		{"c.json", characters, nil, []string{"I'm Al. I row.", "I'm BO. I fish. I sing."}},
		{"c.json", characters, []string{"u1"}, []string{"I'm BO. I fish. I sing."}},
		{"c.json", characters, []string{"u7"}, nil},
		{"p.json", `["I'm Al. I row.", ""]`, nil, []string{"I'm Al. I row."}},
		{"p.json", `["I'm Al. I row."]`, []string{"u0"}, nil},
		{"p.jsonl", `{"name":"Bo","profile":"I fish."}`, nil, []string{"I'm Bo. I fish."}},
	} {
		got, err := Seeds(c.name, []byte(c.data), c.keys)
		if (err == nil) != (c.want != nil) || !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s %v: %q, %v; want %q", c.name, c.keys, got, err, c.want)
		}
	}
}
