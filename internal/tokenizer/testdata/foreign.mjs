// Writes DIR/NAME/golden.json beside every DIR/NAME/tokenizer.json: the ids that Hugging Face's
// Rust library gives for the texts of texts.mjs. TestForeign holds this package to them; the
// files of other models are not part of this repository.
//
//   NODE_PATH=/tmp/ref/node_modules node foreign.mjs DIR     (packages as in gen.mjs)
//   STARGATE_TOKENIZERS=DIR go test ./internal/tokenizer -run Foreign -v
import { createRequire } from "node:module";
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { texts, random } from "./texts.mjs";

const require = createRequire(process.env.NODE_PATH + "/");
const rust = require("tokenizers");
const all = [...texts, ...random(2000)];
for (const name of readdirSync(process.argv[2])) {
  const folder = `${process.argv[2]}/${name}`;
  if (!existsSync(`${folder}/tokenizer.json`)) continue;
  const reference = rust.Tokenizer.fromString(readFileSync(`${folder}/tokenizer.json`, "utf8"));
  const ids = [], framed = [], decoded = [];
  for (const t of all) {
    ids.push((await reference.encode(t, null, { addSpecialTokens: false })).getIds());
    framed.push((await reference.encode(t, null, { addSpecialTokens: true })).getIds());
    decoded.push(await reference.decode(ids.at(-1), true));
  }
  writeFileSync(`${folder}/golden.json`, JSON.stringify({ texts: all, ids, framed, decoded }));
  console.log(`${name}: ${all.length} texts`);
}
