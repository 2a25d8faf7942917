// Package clarify measures when a model asks, on published benchmarks of clarification and
// on files of one's own.
//
// # Vocabulary
//
//   - An [Item] is a conversation that ends with a user, and whether it should be answered
//     with a question ([Item.Ask]). Items of one [Item.Group] (a story, a dialogue) go
//     together in intervals.
//   - A [Format] reads a benchmark's published file. None is shipped: the files have
//     licences of their own. testdata holds samples in each form, made by us.
//   - The model's reply is an act of package reply: it asks, answers, refuses, or says
//     nothing. Only the decision is scored, never the wording of the question.
//   - Asking is the positive class. Precision, recall and F1 are those of asking; macro-F1
//     is the mean of the F1 of asking and of answering. The over-ask rate is the share of
//     items that need no question and are asked about; the under-ask rate is the share of
//     those that need one and are not. A refusal or an empty reply is an error in both
//     classes.
//
// # Formats
//
//	clariq    ClariQ (Aliannejadi et al., 2020): train.tsv, dev.tsv, test_with_labels.tsv. An item is a topic; its label 1–4 says how
//	          much clarification is needed, and 3 or more counts as "ask" (the file's own task is to predict the label).
//	abg-coqa  Abg-CoQA (Guo et al., 2021): coqa_abg_{train,val,test}.json. Story, earlier turns and a question; "ambiguous" asks.
//	pacific   PACIFIC (Deng et al., 2022): data/pacific/{train,validation}.json. Paragraphs, a table and a dialogue; every turn is an
//	          item, req_clari asks. The published test.json has no labels.
//	in3       IN3 (Qian et al., 2024, Tell Me More): data/IN3/{train,test}.jsonl. "vague" asks.
//	clamber   CLAMBER (Zhang et al., 2024): clamber_benchmark.jsonl, whose lines are JSON inside JSON strings.
//	          require_clarification asks.
//	jsonl     one's own: {"id", "group", "text" or "messages", "ask"} a line.
package clarify
