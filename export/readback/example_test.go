package readback_test

import (
	"fmt"

	"stargate/export/readback"
	"stargate/lm/local"
	"stargate/nano"
)

// What would TRL train on?
func ExampleTRL() {
	model, err := nano.ModelFS()
	if err != nil {
		panic(err)
	}
	text, err := local.OpenTextFS(model)
	if err != nil {
		panic(err)
	}
	row, err := readback.TRL{}.Read(text, []byte(`{"prompt":[{"role":"user","content":"Hi."}],"completion":[{"role":"assistant","content":"Hello."}]}`))
	if err != nil {
		panic(err)
	}
	for i, id := range row.IDs {
		if row.Weights[i] != 0 {
			fmt.Printf("%q ", text.Piece(id))
		}
	}
	// Output: "H" "ell" "o" "." "<|end|>"
}
