// Package cluster runs an experiment on many machines, with Temporal as the engine: the loop
// is [stargate.Loop], the same as in one process, over a port of workflows and activities.
//
// # Vocabulary
//
//   - A run is a workflow, "stargate/<name>". It holds the loop and nothing of the run's
//     content; after every fine-tune it continues as new, so that its history stays short.
//   - A stage is a child workflow that does something for all pairs of a split: lines 3 to 5
//     of an iteration, or the evaluation. It cuts the pairs into shards, some of which are
//     under way at a time. A large stage has stages of at most 500 shards as its children.
//   - A shard is a range of whole pairs, and one activity. A step is one long activity: a
//     fine-tune, or the report.
//   - A [Worker] is a process that does activities of some roles. It polls the task queues of
//     what it can reach ([Queues]), opens the runs it is asked about, and keeps everything it
//     finishes in the run's ledger, which all workers share.
//   - A [Tally] is what a shard tells the workflow: counts, and a digest of what was selected.
//     Conversations never pass through Temporal.
//
// # What holds
//
// Every activity reads the ledger first, so that doing it again costs only what was not
// finished; the report is made from the ledger by the code of the embedded run, and has the
// same bytes. A worker that is cut off ends what it does when its heartbeats stay unanswered.
// docs/design/0011-temporal.md says why it is built so.
package cluster
