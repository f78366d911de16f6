// What a detector of one variable without a calendar expects of the next number, where a phone or a page computes it:
// memfold export watch --to step --out m.onnx; npm install onnxruntime-web; node step.mjs m.onnx <numbers
import { readFileSync } from "node:fs";
import { createInterface } from "node:readline";
import * as ort from "onnxruntime-web";

const bytes = readFileSync(process.argv[2]); // in a page: new Uint8Array(await (await fetch("m.onnx")).arrayBuffer())
const { features, scale, error } = recipeIn(bytes).around;
if (features.count !== 1) throw new Error("this example is for detectors of one feature");
ort.env.wasm.numThreads = 1;
const session = await ort.InferenceSession.create(bytes, { executionProviders: ["wasm"] });
const hidden = session.inputMetadata.find((input) => input.name === "h").shape[2];
const zeros = (width) => new ort.Tensor("float32", new Float32Array(width), [1, 1, width]);

let [x, h, c] = [zeros(1), zeros(hidden), zeros(hidden)];
let [points, level, deviation, unit] = [0, 0, 0, scale.least]; // of the numbers so far
for await (const line of createInterface({ input: process.stdin })) {
  const [value, next] = [Number(line), await session.run({ x, h, c })];
  [h, c] = [next.h_next, next.c_next]; // the state goes in again
  const half = error.band80 * Math.exp(next.log_sigma.data[0]);
  const places = [0, -half, half].map((by) => next.centre.data[0] + by);
  const inside = places.map((place) => Math.min(Math.max(place, -scale.reach), scale.reach));
  console.log([value, ...inside.map((place) => level + unit * Math.sinh(place))].join());

  const bound = (points += 1) > scale.outlier_after ? scale.outlier * unit : Infinity;
  const away = Math.min(Math.max(value - level, -bound), bound);
  level += away / Math.min(points, scale.forget);
  deviation += (Math.abs(away) - deviation) / Math.min(points, scale.forget);
  unit = Math.max(deviation, scale.floor * Math.abs(level), scale.least);
  x.data[0] = Math.asinh((value - level) / unit);
}

/** The recipe in the file's metadata, to which ONNX Runtime gives no access in JavaScript: a key, a length, JSON. */
function recipeIn(file) {
  let [at, length, shift] = [file.indexOf("\n\x06recipe\x12") + 9, 0, 0];
  do length |= (file[at] & 127) << shift, (shift += 7); while (file[at++] & 128);
  return JSON.parse(new TextDecoder().decode(file.subarray(at, at + length)));
}
