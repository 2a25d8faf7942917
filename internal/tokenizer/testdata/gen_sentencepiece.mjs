// Freezes sentencepiece_golden.json: the ids that Hugging Face's Rust library gives for a small
// vocabulary in the manner of Llama 2 (characters, byte fallback, a marker for spaces), which
// this script learns and writes to sentencepiece.json, and for variants of it with the
// normalizers, pre-tokenizers, added tokens, post-processors and decoders of other models.
//
//   NODE_PATH=/tmp/ref/node_modules node gen_sentencepiece.mjs     (packages as in gen.mjs)
import { createRequire } from "node:module";
import { writeFileSync } from "node:fs";
import { texts, random } from "./texts.mjs";

const require = createRequire(process.env.NODE_PATH + "/");
const rust = require("tokenizers");
const here = (name) => new URL(name, import.meta.url);

// Merges learnt from a few sentences, the most frequent pair first.
const corpus = [
  "What would you like to cook tonight? I'm sure it's something with rice.", "Help me plan a party for my friend's birthday.", "Hello world, this isn't the theme you've asked for.", "They're there! The colour of the house is blue.",
  "na\u00efve caf\u00e9 F\u00fchrer \u4f60\u597d \u4f60\u597d", "#include <stdio.h> int main() { return 0; }", "one two three four five six seven eight nine ten 1 2 3 4 5 6 7 8 9 0", "a  b   c    d     e", "(paren) [brack] {brace} ... --- ===",
].flatMap((s) => ("\u2581" + s.replaceAll(" ", "\u2581")).match(/\u2581+[^\u2581]*/g)).map((w) => [...w]);
const pieces = [], merges = [];
for (let n = 0; n < 220; n++) {
  const counts = new Map();
  for (const w of corpus) for (let i = 1; i < w.length; i++) counts.set(w[i - 1] + "\n" + w[i], (counts.get(w[i - 1] + "\n" + w[i]) ?? 0) + 1);
  const [best] = [...counts].sort(([a, x], [b, y]) => y - x || (a < b ? -1 : 1))[0];
  const [left, right] = best.split("\n");
  merges.push(`${left} ${right}`);
  pieces.push(left + right);
  for (const w of corpus) for (let i = 1; i < w.length; i++) if (w[i - 1] === left && w[i] === right) w.splice(i - 1, 2, left + right);
}
const bytes = Array.from({ length: 256 }, (_, b) => `<0x${b.toString(16).toUpperCase().padStart(2, "0")}>`);
const characters = [...new Set([...pieces.join(""), ..."ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz.,!?'\"<>|/\u00e9\u2581"])].sort();
const vocab = Object.fromEntries([...new Set(["<unk>", "<s>", "</s>", ...bytes, ...pieces, ...characters])].map((t, i) => [t, i]));
const size = Object.keys(vocab).length;

const added = (id, content, more) => ({ id, content, single_word: false, lstrip: false, rstrip: false, normalized: false, special: true, ...more });
const usual = [added(0, "<unk>"), added(1, "<s>"), added(2, "</s>")];
const string = (s) => ({ String: s });
const prepend = { type: "Prepend", prepend: "\u2581" };
const spaces = { type: "Replace", pattern: string(" "), content: "\u2581" };
const normalizers = (...normalizers) => ({ type: "Sequence", normalizers });
const metaspace = (prepend_scheme, split) => ({ type: "Metaspace", replacement: "\u2581", prepend_scheme, split });
const decoders = (...decoders) => ({ type: "Sequence", decoders });
const unmark = { type: "Replace", pattern: string("\u2581"), content: " " };
const fallback = { type: "ByteFallback" }, fuse = { type: "Fuse" };
const strip = (start, stop) => ({ type: "Strip", content: " ", start, stop });
const token = (id) => ({ SpecialToken: { id, type_id: 0 } });
const A = { Sequence: { id: "A", type_id: 0 } };
const template = (...single) => ({ type: "TemplateProcessing", single, pair: [A, { Sequence: { id: "B", type_id: 1 } }], special_tokens: { "<s>": { id: "<s>", ids: [1], tokens: ["<s>"] }, "</s>": { id: "</s>", ids: [2], tokens: ["</s>"] } } });

const llama2 = {
  version: "1.0", truncation: null, padding: null, added_tokens: usual, normalizer: normalizers(prepend, spaces), pre_tokenizer: null, post_processor: template(token("<s>"), A), decoder: decoders(unmark, fallback, fuse, strip(1, 0)),
  model: { type: "BPE", dropout: null, unk_token: "<unk>", continuing_subword_prefix: null, end_of_word_suffix: null, fuse_unk: true, byte_fallback: true, ignore_merges: false, vocab, merges },
};
writeFileSync(here("sentencepiece.json"), JSON.stringify(llama2, null, 1) + "\n");

const fewer = (test) => { const v = Object.fromEntries(Object.entries(vocab).filter(([t]) => !test(t))); return { vocab: v, merges: merges.filter((m) => { const [l, r] = m.split(" "); return l in v && r in v && l + r in v; }) }; };

// Each variant replaces parts of sentencepiece.json, model fields under "model".
const variants = {
  llama2: {},
  metaspace_first: { normalizer: null, pre_tokenizer: metaspace("first", false) }, // Mistral v0.3, Llama 2 with legacy off
  metaspace_always: { normalizer: null, pre_tokenizer: metaspace("always", false) },
  metaspace_split: { normalizer: null, pre_tokenizer: metaspace("always", true), decoder: metaspace("always", true) },
  metaspace_first_split: { normalizer: null, pre_tokenizer: metaspace("first", true), decoder: metaspace("first", true) },
  metaspace_never: { normalizer: null, pre_tokenizer: metaspace("never", true), decoder: metaspace("never", true) },
  no_prefix: { normalizer: spaces, pre_tokenizer: { type: "Split", pattern: string(" "), behavior: "MergedWithPrevious", invert: false }, decoder: decoders(unmark, fallback, fuse) }, // Gemma
  phi3: { // special tokens that take the white space behind them
    added_tokens: [added(0, "<unk>"), added(1, "<s>"), added(2, "</s>", { rstrip: true }), added(size, "<|user|>", { rstrip: true }), added(size + 1, "<|end|>", { rstrip: true })],
  },
  strips: { added_tokens: [...usual, added(size, "<|user|>", { lstrip: true }), added(size + 1, "<|end|>", { lstrip: true, rstrip: true }), added(size + 2, "<|", { lstrip: true, special: false, normalized: true }), added(size + 3, "the", { single_word: true, special: false, rstrip: true })] },
  words: { added_tokens: [...usual, added(size, "colour", { single_word: true, special: false, normalized: true }), added(size + 1, "world", { single_word: true, special: false }), added(size + 2, "42", { single_word: true })] },
  nfkc: { normalizer: normalizers({ type: "NFKC" }, { type: "Lowercase" }, prepend, spaces), added_tokens: [...usual, added(size, "\u33a5", { normalized: true, special: false })] },
  accents: { normalizer: normalizers({ type: "NFD" }, { type: "StripAccents" }, { type: "Strip", strip_left: true, strip_right: true }, spaces), decoder: decoders(unmark, fallback, fuse, strip(2, 0)) },
  nfkd: { normalizer: normalizers({ type: "Strip", strip_left: false, strip_right: true }, { type: "NFKD" }, prepend, spaces) },
  isolated: { normalizer: null, pre_tokenizer: { type: "Split", pattern: string(" "), behavior: "Isolated", invert: false } },
  with_next: { normalizer: null, pre_tokenizer: { type: "Split", pattern: string("  "), behavior: "MergedWithNext", invert: false } },
  digits: { pre_tokenizer: { type: "Digits", individual_digits: true } },
  unknown: { model: { byte_fallback: false } },
  unknown_each: { model: { byte_fallback: false, fuse_unk: false } },
  no_unknown: { model: { byte_fallback: false, unk_token: null } },
  some_bytes: { model: fewer((t) => /^<0x[C-F][0-9]>$/.test(t)) },
  no_marker: { model: fewer((t) => t.includes("\u2581")) },
  ignore_merges: { model: { ignore_merges: true } },
  marker_inside: { model: (() => { const v = { ...vocab, "e\u2581": size, "e\u2581w": size + 1, "..\u2581": size + 2 }; return { vocab: v, merges: ["e \u2581", "e\u2581 w", ".. \u2581", ...merges] }; })() },
  ends: { post_processor: { type: "Sequence", processors: [template(token("<s>"), A, token("</s>")), { type: "ByteLevel", add_prefix_space: true, trim_offsets: false, use_regex: true }] } },
  roberta: { post_processor: { type: "RobertaProcessing", sep: ["</s>", 2], cls: ["<s>", 1], trim_offsets: true, add_prefix_space: true } },
};

const all = [...texts, ...random(40)];
const golden = { texts: all, variants: {} };
for (const [name, patch] of Object.entries(variants)) {
  const { model, ...rest } = patch;
  const reference = rust.Tokenizer.fromString(JSON.stringify({ ...llama2, ...rest, model: { ...llama2.model, ...model } }));
  const ids = [], decoded = [], whole = [];
  let around;
  for (const t of all) {
    const e = (await reference.encode(t, null, { addSpecialTokens: false })).getIds();
    const framed = (await reference.encode(t, null, { addSpecialTokens: true })).getIds();
    ids.push(e);
    if (t === "Hello world") around = framed.join(" ").split(e.join(" ")).map((s) => s.trim().split(" ").filter(Boolean).map(Number));
    decoded.push(await reference.decode(e, true));
    whole.push(await reference.decode(framed, false));
  }
  golden.variants[name] = { patch, ids, around, decoded, whole };
}
writeFileSync(here("sentencepiece_golden.json"), JSON.stringify(golden).replaceAll(/"[a-z0-9_]+":[{[]/g, "\n$&") + "\n");
console.log(`${Object.keys(variants).length} variants, ${all.length} texts, ${size} tokens`);
