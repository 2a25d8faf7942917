// Package judge compares two responses to a task of a persona.
//
// # Vocabulary
//
//   - A [Comparison] is two responses, A and B, as a judge is shown them.
//   - A [Verdict] is A, B or a tie; or invalid, which is counted and shown, never dropped.
//   - An [Opinion] is one verdict with what it took: attempts, refusals, answers without a
//     verdict.
//   - A [Ballot] is what counts. A judge whose verdict can depend on the order is asked in
//     both orders; one that changes its mind with the order says tie ([Vote]). The authors of the
//     paper asked once, in an order by coin flip; [Ballot.Flip] is that verdict.
//   - A [Panel] is several judges.
//
// [Parse] reads the verdict of a language model's text, with the habits models have.
package judge
