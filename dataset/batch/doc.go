// Package batch answers many requests through a provider's batch API, at about half the
// price of live calls and within a day.
//
// # Vocabulary
//
//   - A [Line] is one request: the very bytes that the driver (lm/remote) would send live.
//     Its ID is the hash of them, and the provider's custom_id.
//   - A [Transport] stands between the driver and the server. While requests are collected it
//     notes lines; when they are answered it gives the driver the stored answers, so that a
//     batch is read by the same code as a live call.
//   - A job is one batch at the provider, made of a plan: the lines that go into it. A
//     [Filler] plans, submits, waits, fetches, and sends again what a job left unanswered.
//
// # Nothing is paid twice
//
// All of it is in the ledger: the plan before anything is uploaded, the intent before the
// job is created, the job's id before it is waited for, every answer before it is used. A
// process that is killed between the provider's yes and the note of the id finds the job
// again by the tag it carries (OpenAI's metadata or its input file; Anthropic's custom ids),
// and gives the provider [Options.Grace] to show it before another is created. What is
// planned is finished first, whatever is asked for now: it is paid for.
package batch
