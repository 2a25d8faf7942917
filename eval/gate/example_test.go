package gate_test

import (
	"fmt"

	"stargate/eval"
	"stargate/eval/gate"
)

func Example() {
	result := &eval.Result{Models: []string{"m0", "m1"}, WinRate: []eval.WinRate{{Model: "m1", Rate: 0.7, Low: 0.61, High: 0.79, N: 300}}}
	for _, text := range []string{"winrate.last.lower > 0.5", "winrate.m1.lower > 0.65", "winrate.m2.lower > 0.5"} {
		r, err := gate.Parse(text)
		if err != nil {
			panic(err)
		}
		if outcome, err := r.Check(gate.Of(result)); err != nil {
			fmt.Println(err)
		} else {
			fmt.Println(outcome.Met)
		}
	}
	// Output:
	// true
	// false
	// cannot be decided: winrate.m2.lower: winrate has no "m2"; it has last, m1
}
