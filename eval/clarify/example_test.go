package clarify_test

import (
	"context"
	"fmt"
	"strings"

	"stargate/eval/clarify"
	"stargate/lm"
	"stargate/lm/lmtest"
)

// A model that asks whatever it is told finds every item that needs a question, and asks
// about the others too.
func Example() {
	items, err := clarify.Read(clarify.JSONL, strings.NewReader(`{"text": "Book a room.", "ask": true}
{"text": "What is 2 + 2?", "ask": false}`))
	if err != nil {
		panic(err)
	}
	model := &lmtest.Script{Reply: func(lm.Chat, lm.Sampling) (string, error) { return "Where and when?", nil }}
	decisions, err := clarify.Run(context.Background(), model, items, clarify.Options{})
	r := clarify.ReportOf(decisions, 0)
	fmt.Printf("recall %.1f, over-ask %.1f, macro-F1 %.2f, %v\n", r.Recall, r.OverAsk.Rate, r.MacroF1, err)
	// Output: recall 1.0, over-ask 1.0, macro-F1 0.33, <nil>
}
