// Package remote lets models behind HTTP play the roles of a run: generate over OpenAI's or
// Anthropic's protocol, and score given texts where a server can.
//
// # Vocabulary
//
//   - A [Role] is who is asked, how, and what that may cost: a part of an experiment file. It
//     holds no secret; the key is read from the environment variable that it names.
//   - A [Client] is a role at work: an [lm.Generator] and an [lm.Scorer]. [Open] makes it, and
//     finds out by itself what kind of [Server] there is and what it can do: its [Facts].
//   - A [Transport] brings requests there and back. Package fleet has the one that runs use:
//     several servers, health, limits, patience. A client knows nothing of these.
//   - A [Budget] is one purse for all roles; an [Account] is what one of them takes from it.
//   - An [Outcome] is what a call came to. Each call has exactly one, and they are counted.
//   - An [Audit] is the proof that a server's scores can be used.
//
// # Scoring
//
// log p(target | chat) is summed over exactly the tokens of the target: the tokens that the
// model's own chat template makes of prompt and answer together, behind those that it makes of
// the prompt, without what the template puts behind an answer. The ids come from the server's
// /tokenize or from a Hugging Face directory with tokenizer and template, and the prompt's have
// to be the beginning of the whole. Values are looked up by id; a missing value, another id, a
// value above 0 or one that stands for minus infinity is [ErrScore].
//
//	server      way                                          tokens by
//	vLLM        /v1/completions with prompt_logprobs; echo   /tokenize or directory
//	stargate    the same                                     /tokenize or directory
//	SGLang      /generate with return_logprob                directory (or /tokenize with messages)
//	TRL         /get_sequence_logprobs/                      directory
//	TGI         /generate with decoder_input_details         directory
//	others      prompt_logprobs or echo, if they answer      directory
//
// llama.cpp, Ollama and chat APIs tell log-probabilities of what they draw only:
// lm.ErrCannotScore, with a way out.
//
// # Trust
//
// A server is believed only after [Client.Audit]: eight pairs scored alone, again, in one
// request, at once in another order and in the server's second way have to agree, and so has
// what the server says of the tokens that it draws itself. stargate serve has to give equal
// bits; others may differ by a stated tolerance.
//
// # Reasoning
//
// Text in a field of its own (reasoning_content, reasoning, parts of type thinking) is never
// part of a completion. Between <think> and </think> at the beginning of a text it is cut
// out, unless the role says thinking: keep; a completion that ends inside has an empty text and
// lm.FinishLength. Where something was cut out, lm.Completion.Tokens is nil.
//
// # Money
//
// A call reserves the most that it can cost before it is made, and settles what the server
// says that it did cost. Prompts are counted by their ids where these are known, and by their
// length otherwise: a byte is a token at most, until answers show how many there are. Answers
// that are thrown away are paid; attempts that got no whole answer count as reserved, because
// nobody says what they cost. Attempts that a transport repeats by itself are not seen here.
package remote
