// Package simserver is a test tool: a model server that behaves like one with a GPU, and
// says how much faster it could have been. It is not a model; its words mean nothing.
//
// It speaks OpenAI's chat/completions, completions and models, and vLLM's prompt_logprobs,
// return_token_ids, /tokenize and /detokenize (the shapes of package serve). Behind them
// stands an [engine]: a queue with a bounded number of places, a running batch whose decode
// step costs more with every sequence in it, prefill by the token in bounded chunks, and a
// prefix cache that forgets what was not used for longest. Lengths of completions and delays
// of the network are log-normal. All of it happens in the engine's own time, which runs
// [Options.Scale] times as fast as the clock, and under testing/synctest takes no time at
// all; [Server.RoundTripper] brings requests there without a network.
//
// An answer is a function of the request: the same model, messages, sampling settings and
// seed get the same words and the same log-probabilities, whatever else goes on. So a client
// that meets [Faults] has to end with the answers of a client that met none.
//
// [Server.Report] compares the time that passed with the least time in which the same work
// can be done by a batch that is always full.
package simserver
