package report

import (
	"stargate/eval"
)

// notesSection are the trainers' notes: what a reader of the training's numbers should know.
func notesSection(r *eval.Result) evidence {
	t := plainTable{Caption: "What the trainers of the models say", Head: []string{"Model", "note"}}
	for _, m := range r.Training {
		for _, n := range m.Notes {
			t.Rows = append(t.Rows, []string{m.Model, n})
		}
	}
	return evidence{ID: "notes", Short: "Notes", Heading: "How was it trained?",
		Lede: "Other trainers than the embedded engine may do otherwise than they were asked: notes say where.", Tables: tables(t)}
}
