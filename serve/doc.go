// Package serve is a model behind HTTP: the routes of OpenAI that generate text, and those
// of vLLM that score and tokenise it, in their wire shapes.
//
// Sources of the shapes: OpenAI's API reference (chat completions, completions, models,
// errors, server-sent events) and vLLM's protocol.py of the same routes with prompt_logprobs,
// return_token_ids, echo, /tokenize and /detokenize.
//
//	POST /v1/chat/completions   POST /v1/completions   GET /v1/models   GET /v1/models/{model}
//	POST /tokenize   POST /detokenize   GET /health   GET /metrics
//	POST /v1/load_lora_adapter   POST /v1/unload_lora_adapter
//
// A [Server] adds nothing to what a [local.Model] computes: a request with a seed gets the
// tokens, and a text the log-probabilities, that a call in the process gets, bit for bit.
// What it adds is protection:
//
//   - A field that would change the answer and that the server does not know is refused,
//     never ignored; fields that change nothing are ignored (fields.go has both lists).
//   - Bodies, prompts, choices, sequences in flight and time are limited ([Limits]). Who comes
//     when all places are taken gets 429 with Retry-After.
//   - A client that goes away takes its sequences out of the batch with the running step.
//   - LoRA adapters come from directories that the operator named ([Options.AdapterDirs]), also
//     through symbolic links, and from nowhere else. An adapter is a model of its own name that
//     shares the base model's weights ([local.Model.Adapt]); unloaded, it ends with its last request.
//   - Without keys only the loopback interface is served, and no web page of another origin.
//
// Where vLLM has a choice: log-probabilities are the model's own, before temperature and
// cuts (raw_logprobs); the end-of-turn token that ends a completion is among its token ids,
// log-probabilities and usage, and not in its text; the rank in prompt_logprobs is null
// for prompt_logprobs 0, which is many times cheaper than 1 or more.
package serve
