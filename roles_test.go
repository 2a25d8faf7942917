package stargate_test

import (
	"context"
	"fmt"
	"testing"

	"stargate"
	"stargate/lm"
	"stargate/prompt"
)

// One of several Roleplayers plays a pair in all its conversations, and each plays some.
func TestOneOfStaysWithAPair(t *testing.T) {
	prompts, err := prompt.Embedded("default")
	if err != nil {
		t.Fatal(err)
	}
	var all []stargate.Roleplayer
	for _, name := range []string{"first", "second", "third"} {
		m := &fake{generate: func(lm.Chat, lm.Sampling) (lm.Completion, error) { return lm.Completion{Text: name}, nil }}
		all = append(all, stargate.NewRoleplayer(m, prompts, stargate.Paper()))
	}
	r := stargate.OneOf(3, all...)
	count := map[string]int{}
	for i := range 90 {
		u := stargate.Persona{ID: fmt.Sprint("u", i), Name: "Ann", Text: "I am Ann."}
		task := stargate.Task{ID: fmt.Sprint("t", i%9), Text: "Help me."}
		var first string
		for seed := range uint64(4) {
			c, err := r.Answer(context.Background(), u, task, nil, "What?", seed)
			if err != nil {
				t.Fatal(err)
			}
			if first == "" {
				first = c.Text
			}
			if c.Text != first {
				t.Fatalf("pair %d was played by %q and %q", i, first, c.Text)
			}
		}
		count[first]++
	}
	for name, n := range count {
		if n < 15 {
			t.Errorf("%s plays %d of 90 pairs: %v", name, n, count)
		}
	}
	if len(count) != 3 {
		t.Errorf("not all play: %v", count)
	}
}
