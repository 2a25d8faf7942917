// Package trainset is what a fine-tune sees: examples in tokens, the mask that says which of
// them carry loss, which examples are held out, and in which order the rest is trained on.
//
// Every trainer is fed from here, the embedded one and those that are other people's programs
// or servers, so that none can train on a token that another masks. A [Row] is one example; a
// [Set] divides the rows into those to train on and those held out by a hash of seed and key,
// so the division does not depend on how many or which other examples there are.
//
// [WriteTokens] and [ReadTokens] are the file format that every framework reads as it is: JSON
// lines of "input_ids", "attention_mask" and "labels", in which −100 masks a token.
package trainset
