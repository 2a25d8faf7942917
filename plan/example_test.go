package plan_test

import (
	"fmt"

	"stargate"
	"stargate/lm/remote"
	"stargate/plan"
	"stargate/prompt"
)

// What would a tiny run cost whose Roleplayer is paid for?
func ExampleMake() {
	set, err := prompt.Embedded("default")
	if err != nil {
		fmt.Println(err)
		return
	}
	pairs := func(name string) stargate.Split {
		return stargate.Split{Name: name, Pairs: []stargate.Pair{{Task: stargate.Task{ID: name, Text: "Plan a trip."},
			Persona: stargate.Persona{ID: name, Name: "Ada", Text: "I'm Ada. I like tea."}, Gold: "Go where the tea is."}}}
	}
	cfg, count := stargate.Paper(), plan.Ratio(4)
	shape, err := plan.Assume(cfg, set, count, plan.PaperLengths())
	if err != nil {
		fmt.Println(err)
		return
	}
	f, err := plan.Make(plan.Input{Config: cfg, Prompts: set, A: pairs("A"), B: pairs("B"), Test: pairs("test"), Count: count, Shape: shape,
		Prices: map[string]remote.Price{plan.Roleplayer: {Input: 1, Output: 2}}})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Printf("%d answers, cost %.2f\n", f.Roles[plan.Roleplayer].Calls, f.Total.Cost)
	// Output: 100 answers, cost 0.04
}
