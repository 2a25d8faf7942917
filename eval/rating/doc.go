// Package rating lets people judge: it makes blinded sheets of a run's responses, and turns
// the answers into the same records, and so the same statistics, as those of model judges.
//
// # Vocabulary
//
//   - A [Sheet] is what a rater sees: items with a person, a task and two replies, A and B,
//     in an order by chance. Nothing in it tells which model wrote which.
//   - A [Key] undoes the blinding. It stays with the run; whoever has it is not a rater.
//   - Some items come twice, far apart, with the replies changed over: how often a rater
//     then changes the verdict is the human counterpart of a judge's order bias.
//   - [Answers] are a filled-in sheet. An item without a verdict was not rated.
//
// A sheet is a CSV file for a spreadsheet, or an HTML page that works offline, keeps what
// was chosen in the browser, and gives the answers back as CSV.
package rating
