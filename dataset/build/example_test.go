package build_test

import (
	"fmt"

	"stargate/dataset/build"
)

// Tasks from a file of transcripts, cleaned and dealt to splits.
func ExampleTasks() {
	file := build.File{Name: "train.jsonl", Data: []byte(`{"prompt": "Human: Plan a trip to Rome. Assistant: Gladly."}
{"prompt": "Human: plan a trip  to ROME. Assistant: Sure."}
{"prompt": "Human: Suggest a book. Assistant: Well."}
{"prompt": "Human: What should I cook? Assistant: Hm."}
`)}
	tasks, report, err := build.Tasks([]build.File{file}, build.TaskOptions{A: 1, B: 1, Test: 1})
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, t := range tasks {
		fmt.Printf("%-4s %s\n", t.Split, t.Text)
	}
	fmt.Println(report.Dropped[0].Where, report.Dropped[0].Reason)
	// Output:
	// A    What should I cook?
	// B    Suggest a book.
	// test Plan a trip to Rome.
	// train.jsonl line 2 repeats train.jsonl line 1
}
