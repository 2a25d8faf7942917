// The official OpenAI client against a server: node openai_client.mjs BASE_URL KEY MODEL.
// Prints one JSON object with what it got; any failed expectation ends it with an error.
import assert from "node:assert/strict";
import OpenAI from "openai";

const [baseURL, apiKey, model] = process.argv.slice(2);
const client = new OpenAI({ baseURL, apiKey, maxRetries: 0 });
const messages = [{ role: "user", content: "I like the theme of the thing." }];
const common = { model, messages, max_tokens: 24, temperature: 1.2, top_p: 0.9, seed: 7 };

const models = await client.models.list();
assert.deepEqual(models.data.map((m) => m.id), [model]);
assert.equal((await client.models.retrieve(model)).id, model);

const whole = await client.chat.completions.create({ ...common, logprobs: true, top_logprobs: 2, user: "test" });
assert.equal(whole.object, "chat.completion");
assert.equal(whole.choices[0].message.role, "assistant");
assert.equal(whole.choices[0].logprobs.content[0].top_logprobs.length, 2);
assert.equal(whole.usage.total_tokens, whole.usage.prompt_tokens + whole.usage.completion_tokens);

const stream = await client.chat.completions.create({ ...common, stream: true, stream_options: { include_usage: true } });
let text = "";
let finish = null;
let usage = null;
for await (const chunk of stream) {
  assert.equal(chunk.object, "chat.completion.chunk");
  text += chunk.choices[0]?.delta?.content ?? "";
  finish = chunk.choices[0]?.finish_reason ?? finish;
  usage = chunk.usage ?? usage;
}
assert.equal(text, whole.choices[0].message.content);
assert.equal(finish, whole.choices[0].finish_reason);
assert.deepEqual(usage, whole.usage);

// The client's own assembly of a stream.
const assembled = await client.chat.completions.stream({ ...common }).finalChatCompletion();
assert.equal(assembled.choices[0].message.content, whole.choices[0].message.content);

const many = await client.chat.completions.create({ ...common, n: 3 });
assert.deepEqual(many.choices.map((c) => c.index), [0, 1, 2]);
assert.equal(many.choices[0].message.content, whole.choices[0].message.content);

const echo = await client.completions.create({ model, prompt: [44, 9, 70, 12], max_tokens: 1, echo: true, logprobs: 1, temperature: 0 });
assert.equal(echo.object, "text_completion");
assert.equal(echo.choices[0].logprobs.token_logprobs.length, 5);
assert.equal(echo.choices[0].logprobs.token_logprobs[0], null);

let pieces = "";
for await (const chunk of await client.completions.create({ model, prompt: "I like", max_tokens: 12, seed: 3, stream: true })) {
  pieces += chunk.choices[0].text;
}
assert.equal(pieces, (await client.completions.create({ model, prompt: "I like", max_tokens: 12, seed: 3 })).choices[0].text);

await assert.rejects(client.chat.completions.create({ ...common, frequency_penalty: 1 }), (e) => {
  assert.ok(e instanceof OpenAI.BadRequestError);
  assert.equal(e.param, "frequency_penalty");
  return true;
});
await assert.rejects(client.chat.completions.create({ ...common, model: "other" }), (e) => e instanceof OpenAI.NotFoundError);
await assert.rejects(new OpenAI({ baseURL, apiKey: "wrong", maxRetries: 0 }).models.list(), (e) => e instanceof OpenAI.AuthenticationError);

// A client that breaks off.
const endless = await client.completions.create({ model, prompt: "I like", max_tokens: 20000, stream: true, ignore_eos: true });
for await (const _ of endless) break;

console.log(JSON.stringify({ content: whole.choices[0].message.content, first_logprob: whole.choices[0].logprobs.content[0].logprob }));
