// Holds Hugging Face's npm packages to what stargate wrote and computed.
//
//   go run ./internal/compat -out DIR
//   mkdir REF && cd REF && npm init -y && npm install tokenizers @huggingface/tokenizers @huggingface/jinja @huggingface/transformers
//   NODE_PATH=REF/node_modules node internal/compat/hf_check.mjs DIR
//
// A package that is not installed is skipped with a word. `tokenizers` is the Rust library
// behind transformers' fast tokenizers; `@huggingface/transformers` loads tokenizer and
// configuration as the Python library does (its networks want ONNX files, so the weights are
// hf_check.py's).
import { createRequire } from "node:module";
import { readFileSync, readdirSync } from "node:fs";
import { join, resolve } from "node:path";
import { pathToFileURL } from "node:url";

const modules = resolve(process.env.NODE_PATH ?? "node_modules");
const require = createRequire(join(modules, "/"));
const root = resolve(process.argv[2]);
const expected = JSON.parse(readFileSync(join(root, "expected.json"), "utf8"));
let failed = 0;

const equal = (what, theirs, ours) => {
  if (JSON.stringify(theirs) === JSON.stringify(ours)) return;
  failed++;
  console.log(`  DIFFERS: ${what}\n    theirs ${JSON.stringify(theirs)}\n    ours   ${JSON.stringify(ours)}`);
};
const version = (name) => JSON.parse(readFileSync(join(modules, name, "package.json"), "utf8")).version;

// Each checks one directory with one package.
const checks = {
  tokenizers: async (dir) => {
    const { Tokenizer } = require("tokenizers");
    const t = Tokenizer.fromString(readFileSync(join(dir, "tokenizer.json"), "utf8"));
    for (const c of expected.texts) {
      const ids = (await t.encode(c.text)).getIds();
      equal(`ids of ${JSON.stringify(c.text)}`, [...ids], c.ids);
      equal(`decoding of ${JSON.stringify(c.text)}`, await t.decode(ids, true), c.decoded);
    }
    for (const c of expected.chats) equal(`ids of ${c.text}`, [...(await t.encode(c.text, null, { addSpecialTokens: false })).getIds()], c.ids);
  },
  "@huggingface/tokenizers": async (dir) => {
    const { Tokenizer } = require("@huggingface/tokenizers");
    const read = (name) => JSON.parse(readFileSync(join(dir, name), "utf8"));
    const t = new Tokenizer(read("tokenizer.json"), read("tokenizer_config.json"));
    for (const c of expected.texts) {
      equal(`ids of ${JSON.stringify(c.text)}`, t.encode(c.text).ids, c.ids);
      if (c.ids.length) equal(`decoding of ${JSON.stringify(c.text)}`, t.decode(c.ids, { skip_special_tokens: true }), c.decoded);
    }
  },
  "@huggingface/jinja": async (dir) => {
    const { Template } = require("@huggingface/jinja");
    const config = JSON.parse(readFileSync(join(dir, "tokenizer_config.json"), "utf8"));
    const t = new Template(config.chat_template);
    for (const c of expected.chats) {
      equal("rendering", t.render({ messages: c.messages, add_generation_prompt: c.generate, bos_token: config.bos_token, eos_token: config.eos_token }), c.text);
    }
  },
  "@huggingface/transformers": async (dir) => {
    const file = require.resolve("@huggingface/transformers");
    const { AutoTokenizer, AutoConfig, env } = await import(pathToFileURL(file)).then((m) => (m.AutoTokenizer ? m : m.default));
    env.allowRemoteModels = false;
    env.localModelPath = root;
    const name = dir.slice(root.length + 1);
    const config = await AutoConfig.from_pretrained(name);
    const written = JSON.parse(readFileSync(join(dir, "config.json"), "utf8"));
    for (const [key, value] of Object.entries(written)) equal(`config.json: ${key}`, config[key], value);
    const t = await AutoTokenizer.from_pretrained(name);
    for (const c of expected.texts) {
      equal(`ids of ${JSON.stringify(c.text)}`, t.encode(c.text), c.ids);
      if (c.ids.length) equal(`decoding of ${JSON.stringify(c.text)}`, t.decode(c.ids, { skip_special_tokens: true }), c.decoded);
    }
    for (const c of expected.chats) {
      const options = { add_generation_prompt: c.generate, tokenize: false };
      equal("rendering", t.apply_chat_template(c.messages, options), c.text);
      equal("ids of a rendering", t.encode(c.text, { add_special_tokens: false }), c.ids);
    }
  },
};

for (const name of ["given", "saved"]) {
  const dir = join(root, name);
  console.log(`${name}: ${readdirSync(dir).sort().join(" ")}`);
  for (const [pkg, check] of Object.entries(checks)) {
    try {
      require.resolve(pkg);
    } catch {
      console.log(`  ${pkg}: not installed`);
      continue;
    }
    const before = failed;
    await check(dir);
    console.log(`  ${pkg} ${version(pkg)}: ${failed === before ? `${expected.texts.length} texts, ${expected.chats.length} renderings: the same` : `${failed - before} differ`}`);
  }
}
process.exit(failed ? 1 : 0);
