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

const texts = [
  "", " ", "  ", "\n", " \n ", "\t\tx", "Hello world", "hello  world   !", "What would you like to cook tonight?", "I'm sure it's what we'll've done, isn't it?",
  "I'M SURE IT'S WE'LL", "it'\u017f", "'", "''s 's", "don\u2019t", "x=1;y=22;z=333333", "1234567890", "3.14 \u00bd \u2460\u0663", "na\u00efve caf\u00e9", "cafe\u0301 A\u030a \ufb01",
  "F\u00fchrer \u4f60\u597d \u3053\u3093\u306b\u3061\u306f", "\ud83d\ude00\ud83d\udc4d\ud83c\udffd emoji \ud83c\uddeb\ud83c\uddf7", "a\u00a0b\u2003c\u3000d\u0085e\u200bf", "line\r\nline\r\n\r\n\r\nend", "a\n\n\n b\n \n  c  ", "tabs\t\tand  spaces \t mix",
  "(paren) [brack] {brace}", "#include <stdio.h>\nint main() { return 0; }\n", "---***===!!!\n\n\n", "...\r\n?!\n", "e.g. U.S.A., p. 12--14", "\u0000\u0001\u007f", "\ufffd\ufeffBOM",
  "<|user|>Help me plan a party.<|end|>", "<|user|><|user|><|end|><|end|>", "<|user |> <|end|", "a<|end|>b <|end|> c", "<|", "  <|  |>  ", "zzz\u00e9zz<|end|>", "\u01c5ungla \u02b0 \u0e2a\u0e27\u0e31\u0e2a\u0e14\u0e35 \u0928\u092e\u0938\u094d\u0924\u0947",
  "the ".repeat(60), "colour".repeat(40), "ThisIsCamelCase and snake_case_names kebab-case", "$12.50 + 7% = \u20ac13,37", "\u2167 \u00b2\u00b3 x\u00b2", "Line one.  Line two.   Line three.    ", "\ud55c <|\u1112\u1161\u11ab|>",
];

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
