// Package runner turns an experiment into a run directory: it resolves the configuration,
// opens models and data, wraps every model call in the ledger, and calls stargate.Run,
// eval.Run and report.Write. Repeating a run resumes it.
//
// A run directory holds manifest.json (what is run: resolved configuration and digests),
// ledger.db (every finished call), models/m1… (Hugging Face directories), report.json and
// report.html (the result, the same bytes however often the run was interrupted) and
// timing.json (what may differ: times, memory, host).
package runner
