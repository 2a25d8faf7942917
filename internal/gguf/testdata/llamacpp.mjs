// Compares predictions with llama.cpp's own, of the models that TestLlamaCpp writes to DIR. Its
// cache holds keys and values in half precision, and it tells the 40 likeliest tokens.
//
//   mkdir /tmp/ref && cd /tmp/ref && npm init -y && npm install node-llama-cpp@3.22.1
//   NODE_PATH=/tmp/ref/node_modules node llamacpp.mjs DIR
import { readFileSync } from "node:fs";
import { pathToFileURL } from "node:url";

const { getLlama } = await import(pathToFileURL(`${process.env.NODE_PATH}/node-llama-cpp/dist/index.js`));
const dir = process.argv[2];
const llama = await getLlama({ gpu: false, build: "never", logLevel: "error", maxThreads: 1 });
let failed = false;
for (const [name, { ids, logits }] of Object.entries(JSON.parse(readFileSync(`${dir}/predictions.json`)))) {
  const model = await llama.loadModel({ modelPath: `${dir}/${name}.gguf`, useMmap: false });
  const context = await model.createContext({ contextSize: 64, threads: 1 });
  const last = ids.length - 1;
  const told = await context.getSequence().controlledEvaluate(ids.map((id, i) => (i < last ? id : [id, { generateNext: { probabilities: true, options: { temperature: 1 } } }])));
  const rows = [...told[last].next.probabilities].map(([id, p]) => [Math.log(p), logits[id]]);
  const total = Math.log(rows.reduce((sum, [, logit]) => sum + Math.exp(logit), 0)) - Math.log(rows.reduce((sum, [p]) => sum + Math.exp(p), 0));
  const worst = Math.max(...rows.map(([p, logit]) => Math.abs(p - (logit - total))));
  failed ||= !(worst < 0.03);
  console.log(`${name}: log-probabilities of ${rows.length} tokens differ by at most ${worst.toFixed(4)}`);
  await context.dispose();
  await model.dispose();
}
process.exit(failed ? 1 : 0);
