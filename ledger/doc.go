// Package ledger records every finished model call of a run, in one SQLite file or in a schema
// of a Postgres database, so that nothing finished is ever paid for twice and a killed run
// continues where it stood.
//
// # Vocabulary
//
//   - A call is one request to a model. Its [Key] is a hash of what determines the result:
//     kind, digest of the model's weights, chat, and sampling (or target).
//   - A call is settled when its row is committed: with a result, or with a final error
//     that asking again would only repeat. A settled call is replayed, never made again.
//   - Any other failure is recorded and counted, and the call stays owed: the next request
//     for it makes it again.
//   - A role is who asks ("questioner", "scorer"). It is no part of the key: two roles with
//     the same question share one call, and both are told in [Reader.Totals].
//   - A step is a long piece of work with a small JSON result, such as a training run.
//   - A document is a small JSON value kept for later reading. It is written once.
//
// # Use
//
// [Open] a ledger, wrap each model with [Ledger.Generator] or [Ledger.Scorer], and run the
// program from its beginning every time. What was done before comes back from the file.
// Identical requests made at the same time are made once. Reports read with [Reader], which
// [OpenReader] also gives for a run that another process is writing.
//
// # What survives
//
// A wrapper returns only after the row is committed. SQLite runs in write-ahead mode with
// synchronous=NORMAL: a commit has left the process when it returns, so kill -9 or a crash
// of the program loses nothing acknowledged. A power failure or a kernel crash may lose the
// last seconds of calls, never the file's consistency; they are made again. Commits that
// hold a step wait for the disk (synchronous=FULL), and with them all calls before, because
// a step stands for minutes of work.
//
// A file belongs to one process at a time, on a local disk (SQLite's locks do not hold on
// network file systems). Copy it only while it is closed. A ledger on Postgres is shared by any
// number of processes: a call that one of them is making is claimed, and the others wait for
// its result (docs/design/0010-ledger-on-postgres.md).
//
// Totals are computed from the rows, so they do not depend on how often the run was killed.
// Visiting order is key order, so it does not depend on the order in which calls finished.
package ledger
