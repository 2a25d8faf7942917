package judge_test

import (
	"context"
	"fmt"

	"stargate/eval/judge"
	"stargate/lm"
	"stargate/lm/lmtest"
	"stargate/prompt"
)

// A judge that always takes the first reply is asked in both orders; its bias becomes a tie.
func Example() {
	prompts, err := prompt.Embedded("default")
	if err != nil {
		panic(err)
	}
	model := &lmtest.Script{Reply: func(lm.Chat, lm.Sampling) (string, error) { return "Both are fine.\n**Final Response: Reply A**", nil }}
	j := judge.ModelJudge{Model: model, Prompts: prompts}
	ballot, err := judge.Vote(context.Background(), j, judge.Comparison{A: "Take the tram.", B: "Take the bus."}, judge.Both, 0)
	fmt.Println(ballot.Shown.Verdict, ballot.Swapped.Verdict, ballot.Verdict, err)
	// Output: A B tie <nil>
}
