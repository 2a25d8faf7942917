// Package report turns what a run measured into something to read.
//
// [Write] puts three files beside each other in a run's directory. report.json is the
// contract: the canonical JSON of [eval.Result], nothing else. browse.json holds what the
// page shows beyond it: a bounded sample of conversations and where the run came from.
// report.html is made from those two alone, so that [Load] and [Write] can draw it again
// from a finished run without a model. All three hold no time and no host name: the same
// run gives the same bytes.
//
// The page is one file that needs nothing else: style, script and figures are inside, and
// its content security policy allows only those (by their hashes), so that text which
// models wrote cannot act. Every number is there without the script; the script only
// filters the conversations.
//
// [Text] prints the two tables for a terminal.
//
// The words: a figure is numbered as in the paper; a shape is one of the claims (a)–(f)
// of the paper that should hold at any scale (PROTOCOL §8), and is seen, not seen or not
// tested; nats are natural-log units.
package report
