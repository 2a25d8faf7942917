package export_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"stargate/export"
	"stargate/lm"
	"stargate/lm/local"
	"stargate/nano"
)

// A conversation becomes an example, is looked at, and is written for TRL.
func Example() {
	dir, err := os.MkdirTemp("", "export")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	model, err := nano.ModelFS()
	if err != nil {
		panic(err)
	}
	text, err := local.OpenTextFS(model) // tokenizer and chat template, no weights
	if err != nil {
		panic(err)
	}
	chat := lm.Chat{
		{Role: lm.User, Content: "Plan a dinner."}, {Role: lm.Assistant, Content: "What do you like to eat?"},
		{Role: lm.User, Content: "I like fish."}, {Role: lm.Assistant, Content: "Fish."},
	}
	e, err := export.Encode(text, lm.Example{Key: "dinner", Messages: chat, Loss: []int{1, 3}}, 1, export.Provenance{})
	if err != nil {
		panic(err)
	}
	if err := (export.Drawing{}).Draw(os.Stdout, text, e); err != nil {
		panic(err)
	}
	trl, err := export.ParseFormat("trl")
	if err != nil {
		panic(err)
	}
	src := export.Examples([]export.Example{e})
	s, err := export.Write(context.Background(), trl, text, src, filepath.Join(dir, "dinner.jsonl"), export.Options{})
	if err != nil {
		panic(err)
	}
	fmt.Println(s.Rows, "rows,", s.Differences)
	// Output:
	// dinner: 29 tokens, 12 trained
	//   <|user|>Plan a dinner.<|end|><|assistant|>⟦What| do| you| like| to| eat|?|<|end|>⟧<|user|>I like fish.<|end|><|assistant|>⟦F|ish|.|<|end|>⟧
	// 2 rows, no difference
}
