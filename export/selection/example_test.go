package selection_test

import (
	"fmt"

	"stargate"
	"stargate/export/selection"
	"stargate/prompt"
)

// Two conversations of a pair part at their first question; the better one's is chosen.
func ExamplePreferences() {
	prompts, err := prompt.Embedded("nano")
	if err != nil {
		panic(err)
	}
	p := stargate.Pair{Task: stargate.Task{ID: "t1", Text: "Plan a dinner."}, Persona: stargate.Persona{ID: "u1", Name: "Ada"}}
	talk := func(sample int, question string, score float64) stargate.Scored {
		return stargate.Scored{LogProb: score, Tokens: 10, Conversation: stargate.Conversation{Pair: p.Key(), Sample: sample, Outcome: stargate.Complete, Turns: []stargate.Turn{{Question: question, Answer: "I like fish."}}}}
	}
	it := stargate.Iteration{N: 1, Split: "A", Candidates: []stargate.Candidates{{
		Pair: p, Scored: []stargate.Scored{talk(0, "What do you like to eat?", -4), talk(1, "Do you own a car?", -9)}, Best: []int{0},
	}}}
	preferences, _, err := selection.Preferences(selection.Run{Prompts: prompts}, it, 0)
	if err != nil {
		panic(err)
	}
	for _, x := range preferences {
		fmt.Printf("%q over %q, by %.1f nats a token\n", x.Chosen, x.Rejected, x.Margin)
	}
	// Output: "What do you like to eat?" over "Do you own a car?", by 0.5 nats a token
}
