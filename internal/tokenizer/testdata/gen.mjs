// Freezes golden.json: the ids that Hugging Face's own libraries give for the tokenizer.json
// this package writes (trained.json) and for variants of it.
//
//   go test ./internal/tokenizer -run TestGolden -update     writes trained.json
//   mkdir /tmp/ref && cd /tmp/ref && npm init -y && npm install tokenizers@0.23.2 @huggingface/tokenizers@0.2.0
//   NODE_PATH=/tmp/ref/node_modules node gen.mjs
//
// `tokenizers` is the Rust library behind transformers' fast tokenizers and gives the ids.
// `@huggingface/tokenizers` is a second implementation; where it differs, that is printed.
import { createRequire } from "node:module";
import { readFileSync, writeFileSync } from "node:fs";
import { texts } from "./texts.mjs";

const require = createRequire(process.env.NODE_PATH + "/");
const rust = require("tokenizers");
const js = require("@huggingface/tokenizers");

const here = (name) => new URL(name, import.meta.url);
const trained = readFileSync(here("trained.json"), "utf8");

const byteLevel = (use_regex) => ({ type: "ByteLevel", add_prefix_space: false, trim_offsets: true, use_regex });
const split = (pattern) => ({ type: "Split", pattern: { Regex: pattern }, behavior: "Isolated", invert: false });
const sequence = (...pretokenizers) => ({ type: "Sequence", pretokenizers });
const tiktoken = (digits) =>
  `(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|${digits}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+`;
const marker = (id, content, special, normalized) => ({ id, content, single_word: false, lstrip: false, rstrip: false, normalized, special });

// Added tokens that model.vocab does not name must continue it: the library renumbers them.
const size = Object.keys(JSON.parse(trained).model.vocab).length;

// Each variant replaces parts of trained.json, model fields under "model".
const variants = {
  written: {},
  llama3: { pre_tokenizer: sequence(split(tiktoken("\\p{N}{1,3}")), byteLevel(false)), model: { ignore_merges: true } },
  qwen2: { normalizer: { type: "NFC" }, pre_tokenizer: sequence(split(tiktoken("\\p{N}")), byteLevel(false)) },
  smollm: { pre_tokenizer: sequence({ type: "Digits", individual_digits: true }, byteLevel(true)) },
  digit_runs: { pre_tokenizer: sequence({ type: "Digits", individual_digits: false }, byteLevel(true)) },
  whole_text: { pre_tokenizer: byteLevel(false) },
  added: {
    normalizer: { type: "NFC" },
    added_tokens: [marker(0, "<|end|>", true, false), marker(1, "<|user|>", true, false), marker(size, "  ", false, true), marker(size + 1, "<|", false, true), marker(size + 2, "\ud55c", false, true)],
  },
};

const golden = { texts, variants: {} };
let differ = 0;
for (const [name, patch] of Object.entries(variants)) {
  const d = JSON.parse(trained);
  const { model, ...rest } = patch;
  Object.assign(d, rest);
  Object.assign(d.model, model);
  const text = JSON.stringify(d);
  const reference = rust.Tokenizer.fromString(text);
  const second = new js.Tokenizer(d, {});
  const ids = [], decoded = [];
  for (const t of texts) {
    const e = await reference.encode(t, null, { addSpecialTokens: false });
    ids.push(e.getIds());
    decoded.push(await reference.decode(e.getIds(), true));
    const other = second.encode(t, { add_special_tokens: false }).ids;
    if (JSON.stringify(other) !== JSON.stringify(e.getIds())) {
      differ++;
      console.log(`${name}: the JavaScript library differs on ${JSON.stringify(t)}: ${other} instead of ${e.getIds()}`);
    }
  }
  golden.variants[name] = { patch, ids, decoded };
}
const compact = JSON.stringify(golden, null, 1).replace(/\[\s+([\d,\s]+?)\s+\]/g, (_, list) => `[${list.replace(/\s+/g, "")}]`);
writeFileSync(here("golden.json"), compact + "\n");
console.log(`${Object.keys(variants).length} variants, ${texts.length} texts; the JavaScript library differs ${differ} times`);
