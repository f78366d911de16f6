// The state of the page: everything a visitor chose. It stands in the address after #, so that a view can be sent on.

const DATA_OPENS = '<' + 'script type="application/json" id="data">'; // in two, as all tags in a script
const source = document.documentElement.outerHTML; // the page as it came, for saving it with other models
const data = JSON.parse(document.getElementById("data").textContent);
const $ = (id) => document.getElementById(id);
const MOST_STEPS = 400; // characters or numbers that are read; more would make tiles that nobody can follow

const now = {
  language: data.language,
  model: 0,
  text: "",
  step: 0,
  layer: 0,
  unit: 0,
  value: "c", // of the ribbon and the map: any value of the cell
  zoom: 3,
  holds: [], // {layer, gate, unit, from, value}
  marks: [], // [first, last] step of each marked span
  seed: 1, // of the draws
  tour: 0,
};

// What the network reads, by which a sentence may differ; of characters there is no other.
function kindsRead() {
  const its = reader();
  if (its.forecast) return ["patches", "numbers"];
  return its.numeric ? ["numbers"] : its.words ? ["words"] : [];
}

// A sentence of the table in the page's language, with what is in braces filled in.
function w(key, filled = {}) {
  const suited = kindsRead().map((kind) => `${key} of ${kind}`).find((one) => data.strings[one]);
  const entry = data.strings[suited ?? key];
  if (!entry) throw new Error(`no words for ${key}`);
  return entry[now.language].replace(/\{(\w+)\}/g, (_, name) => filled[name]);
}

const readers = new Map(); // opened models, by number: opening takes a moment
function reader(number = now.model) {
  if (!readers.has(number)) readers.set(number, Reader.opened(data.models[number]));
  return readers.get(number);
}

const packedModel = () => data.models[now.model];
const piecesOf = (text) => reader().pieces(text).slice(0, MOST_STEPS);
const pieceAt = (step) => piecesOf(now.text)[step] ?? (reader().numeric ? "0" : reader().words ? "." : "\n");
let reading = null; // of the text, with the holds
let free = null; // of the text, without them

const layerNow = () => reader().layers[now.layer];
const valuesAt = (step, from = reading) => from.steps[step].layers[now.layer];

// -- numbers and characters as a person reads them

const MINUS = "\u2212";
function number(value, digits = 2) {
  const rounded = Math.abs(value).toFixed(digits);
  return (value < 0 && Number(rounded) !== 0 ? MINUS : "") + rounded;
}
const signed = (value, digits = 2) => (value >= 0 || Number(value.toFixed(digits)) === 0 ? "+" : "") + number(value, digits);
// A number of a person's own scale, with four digits that count.
const plain = (value) => String(Number(value.toPrecision(4))).replace("-", MINUS);
const percent = (share) => `${Math.round(100 * share)} %`;
function shown(character) {
  if (character === "\n") return "↵";
  if (character === " ") return "␣";
  const { forecast } = reader();
  if (forecast) return forecast.short(character);
  return character;
}
function quoted(piece) {
  if (reader().numeric) return now.language === "zh" ? ` ${shown(piece)} ` : shown(piece);
  const name = { '"': 'named "', " ": "named space", "\n": "named end" }[piece];
  if (name) return w(name);
  return now.language === "zh" ? `「${shown(piece)}」` : `“${shown(piece)}”`;
}

// -- elements

// An element with attributes, properties that begin with "on", and children: elements or text.
// -- the address

const LINKED = { l: "language", m: "model", z: "zoom", y: "layer", u: "unit", s: "step", v: "value", k: "tour", t: "text" };

function writeAddress() {
  const query = new URLSearchParams();
  for (const [letter, name] of Object.entries(LINKED)) query.set(letter, now[name]);
  if (now.holds.length) {
    query.set("x", now.holds.map((h) => [h.layer, h.gate, h.unit, h.from, h.value].join("_")).join(".."));
  }
  if (now.marks.length) query.set("a", now.marks.map((span) => span.join("_")).join(".."));
  history.replaceState(null, "", `#${query}`);
}

// What an address asks for, each part only where it fits; a foreign address changes nothing.
function readAddress() {
  const query = new URLSearchParams(location.hash.slice(1));
  const asked = {};
  if (["en", "zh"].includes(query.get("l"))) asked.language = query.get("l");
  const model = Number(query.get("m"));
  if (query.has("m") && data.models[model]) asked.model = model;
  const text = query.get("t");
  if (text) asked.text = text;
  for (const [letter, name] of [["z", "zoom"], ["y", "layer"], ["u", "unit"], ["s", "step"], ["k", "tour"]]) {
    const value = query.has(letter) ? Number(query.get(letter)) : NaN;
    if (Number.isInteger(value) && value >= 0) asked[name] = value;
  }
  if (query.has("v")) asked.value = query.get("v");
  asked.marks = (query.get("a") || "").split("..").filter(Boolean).map((part) => part.split("_").map(Number))
    .filter((span) => span.length === 2 && span.every((step) => Number.isInteger(step) && step >= 0) && span[0] <= span[1]);
  const holds = (query.get("x") || "").split("..").filter(Boolean).map((part) => part.split("_"));
  asked.holds = holds
    .map(([layer, gate, unit, from, value]) => ({ layer: +layer, gate, unit: +unit, from: +from, value: +value }))
    .filter((h) => [h.layer, h.unit, h.from].every((n) => Number.isInteger(n) && n >= 0) && Number.isFinite(h.value));
  return asked;
}

// -- changes

const views = []; // of every part: a function that draws it from `now`
const whenSettled = []; // costly ones, drawn when nothing changes for a moment
let settling = 0;

// Every change of the page goes through here: merge, read what must be read again, draw.
function set(change) {
  const modelChanged = change.model !== undefined && change.model !== now.model;
  if (modelChanged) Object.assign(now, beginningOf(change.model));
  Object.assign(now, change);
  const its = reader();
  const text = piecesOf(now.text);
  if (!text.length) text.push(its.numeric ? "0" : its.words ? "." : "\n");
  now.layer = clamp(now.layer, 0, its.layers.length - 1);
  now.unit = clamp(now.unit, 0, layerNow().hidden - 1);
  now.step = clamp(now.step, 0, text.length - 1);
  now.zoom = clamp(now.zoom, 1, 4);
  now.tour = clamp(now.tour, 0, 11);
  if (!layerNow().kind.values.includes(now.value)) now.value = layerNow().kind.values.includes("c") ? "c" : "h";
  now.holds = now.holds.filter((h) => its.layers[h.layer] && h.unit < its.layers[h.layer].hidden
    && its.layers[h.layer].kind.values.includes(h.gate) && !["c", "h"].includes(h.gate));
  now.marks = now.marks.filter(([first]) => first < text.length).map(([first, last]) => [first, Math.min(last, text.length - 1)]);
  const tokens = its.tokens(text);
  if (modelChanged) reading = free = null;
  free = its.read(tokens, [], free);
  reading = now.holds.length ? its.read(tokens, now.holds, reading || free) : free;
  for (const draw of views) draw();
  clearTimeout(settling);
  settling = setTimeout(() => {
    for (const draw of whenSettled) draw();
    writeAddress();
  }, 150);
}

// How a model is shown first: the text, the unit and the step of what it is known for.
function beginningOf(model) {
  const { hero } = data.models[model];
  return { model, text: hero.text, step: hero.step, layer: hero.layer, unit: hero.unit, value: hero.value, holds: [], marks: [] };
}

const isMarked = (step) => now.marks.some(([first, last]) => first <= step && step <= last);

// Marks steps, or with `on` false no longer; spans that touch become one.
function mark(first, last, on = true) {
  const steps = reading.steps.map((_, step) => (step >= first && step <= last ? on : isMarked(step)));
  const marks = [];
  steps.forEach((marked, step) => {
    if (marked && steps[step - 1]) marks[marks.length - 1][1] = step;
    else if (marked) marks.push([step, step]);
  });
  set({ marks });
}

const holdOf = (gate, unit = now.unit) =>
  now.holds.find((h) => h.layer === now.layer && h.gate === gate && h.unit === unit);

// The value at which a gate of the chosen unit is held at the chosen step, or null; of a coupled cell through f or i.
function holdNow(gate) {
  const own = holdOf(gate);
  if (own && now.step >= own.from) return own.value;
  const other = layerNow().cell === "coupled_lstm" ? holdOf({ f: "i", i: "f" }[gate]) : null;
  return other && now.step >= other.from ? 1 - other.value : null;
}

// Hold a gate of the chosen unit from the chosen step on, or let it go with value null.
function hold(gate, value) {
  const old = holdOf(gate);
  const partner = layerNow().cell === "coupled_lstm" ? { f: "i", i: "f" }[gate] : null; // one valve
  const rest = now.holds.filter((h) => h !== old && h !== holdOf(partner));
  if (value === null) return set({ holds: rest });
  return set({ holds: [...rest, { layer: now.layer, gate, unit: now.unit, from: old ? old.from : now.step, value }] });
}
