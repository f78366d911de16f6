// Training in the page, on a visitor's own text or column of numbers, in short slices, so that the page stays alive.
// What was trained becomes one more model of the page, which its reader opens as it opens the others.

const TRAINED_ROWS = 16;
const WINDOW = 32; // steps that a gradient goes back, where nothing else is said
const LEAST_PIECES = 200; // characters or numbers that a training takes
const MOST_CHARACTERS = 600; // different ones that it knows; the rarer are read as one
const MOST_SCORED = 400; // pieces of the last tenth that scores are taken from while it trains
const LOOKED = 1500; // milliseconds between two scores
const KINDS = { // by the choice in the page
  lstm: { cell: "lstm" }, coupled: { cell: "coupled_lstm" }, peephole: { cell: "lstm", peepholes: true },
  gru: { cell: "gru" }, rnn: { cell: "rnn_tanh" },
};

// Whether a text is a column of numbers: its parts, but for a heading, are.
function isNumbers(text) {
  const numbers = numbersIn(text).length;
  const parts = text.includes("\n") ? text.split(/\n/).filter((line) => line.trim()).length : text.split(/[\s,;]+/).filter(Boolean).length;
  return numbers > 0 && numbers >= 0.9 * parts;
}

const half16 = new DataView(new ArrayBuffer(4));

// A positive number as half precision, rounded to nearest; the page's scales are all that takes it.
function toHalf(value) {
  half16.setFloat32(0, value);
  const bits = half16.getUint32(0);
  const exponent = (bits >>> 23) - 112;
  if (exponent <= 0) return Math.max(1, Math.round(value * 2 ** 24)); // subnormal
  return Math.min(0x7bff, ((exponent << 10) | ((bits >>> 13) & 1023)) + ((bits >>> 12) & 1));
}

function base64(bytes) {
  let text = "";
  for (const byte of new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength)) text += String.fromCharCode(byte);
  return btoa(text);
}

// As memfold.explorer.packing: a matrix as int8 with a float16 scale for each row, a vector as float32.
function packedArray(values, rows = 0) {
  if (!rows) return { kind: "f32", shape: [values.length], data: base64(Float32Array.from(values)) };
  const columns = values.length / rows;
  const scales = new Uint16Array(rows);
  const whole = new Int8Array(values.length);
  for (let row = 0; row < rows; row++) {
    let most = 0;
    for (let k = row * columns; k < (row + 1) * columns; k++) most = Math.max(most, Math.abs(values[k]));
    scales[row] = toHalf(most / 127);
    const scale = half(scales[row]);
    for (let k = row * columns; k < (row + 1) * columns; k++) whole[k] = clamp(Math.round(values[k] / scale), -127, 127);
  }
  return { kind: "i8", shape: [rows, columns], data: base64(whole), scale: { kind: "f16", shape: [rows], data: base64(scales) } };
}

class Training {
  constructor(text, { kind = "lstm", hidden = 64, seed = 1, rate = 4e-3, bias = 1, window = WINDOW, wasm = true } = {}) {
    this.numeric = isNumbers(text);
    this.kind = kind;
    this.pieces = this.numeric ? numbersIn(text) : [...text];
    this.skipped = this.numeric ? text.split(/\n/).filter((line) => line.trim()).length - this.pieces.length : 0;
    this.rate = rate;
    this.tooShort = this.pieces.length < LEAST_PIECES;
    if (this.tooShort) return;
    this.learnt = Math.floor(this.pieces.length * 0.9); // the rest is for scores
    this.chance = random(seed + 1000);
    const steps = Math.min(window, this.learnt >> 2);
    const shape = { ...KINDS[kind], hidden, steps, rows: TRAINED_ROWS, seed, bias, wasm };
    if (this.numeric) this.#takeNumbers(shape);
    else this.#takeCharacters(shape);
    this.places = Array.from({ length: TRAINED_ROWS }, () => this.#place());
    this.losses = []; // of every update
    this.scores = []; // {update, value, naive}
    this.busy = 0;
    this.looked = -Infinity;
  }

  #takeNumbers(shape) {
    const values = this.pieces.map(Number);
    const seen = values.slice(0, this.learnt);
    const mean = seen.reduce((a, b) => a + b, 0) / seen.length;
    const deviation = Math.sqrt(seen.reduce((a, b) => a + (b - mean) ** 2, 0) / seen.length) || 1;
    this.scale = { mean, deviation };
    this.series = Float32Array.from(values, (value) => (value - mean) / deviation);
    this.learner = new Learner({ ...shape, inputs: 1, outputs: 1 });
    const { T, B } = this.learner;
    [this.x, this.y] = [new Float32Array(T * B), new Float32Array(T * B)];
  }

  #takeCharacters(shape) {
    const counts = new Map();
    for (const character of this.pieces.slice(0, this.learnt)) counts.set(character, (counts.get(character) || 0) + 1);
    this.characters = [...counts].filter(([, count]) => count > 1).sort((a, b) => b[1] - a[1])
      .slice(0, MOST_CHARACTERS).map(([character]) => character).sort();
    const index = new Map(this.characters.map((character, k) => [character, k + 1]));
    this.ids = Int32Array.from(this.pieces, (character) => index.get(character) ?? 0);
    const count = this.characters.length + 1;
    this.learner = new Learner({ ...shape, tokens: count, outputs: count });
    const { T, B } = this.learner;
    [this.x, this.y] = [new Int32Array(T * B), new Int32Array(T * B)];
  }

  #place() {
    return Math.floor(this.chance() * (this.learnt - this.learner.T - 1));
  }

  // One update; the loss. A row goes on where it was, with what it remembers; of numbers every row begins anew.
  update() {
    const { learner: its, x, y } = this;
    const { T, B, H } = its;
    if (this.numeric) its.forget();
    else its.carry();
    const from = this.numeric ? this.series : this.ids;
    for (let b = 0; b < B; b++) {
      if (this.numeric || this.places[b] + T + 1 > this.learnt) {
        this.places[b] = this.#place();
        for (const state of [its.h, its.c]) state.fill(0, b * H, (b + 1) * H);
      }
      for (let t = 0; t < T; t++) {
        x[t * B + b] = from[this.places[b] + t];
        y[t * B + b] = from[this.places[b] + t + 1];
      }
      this.places[b] += T;
    }
    its.forward(x);
    const loss = this.numeric ? its.squaredError(y) : its.crossEntropy(y);
    its.backward(x);
    its.adam(this.rate);
    this.losses.push(loss);
    return loss;
  }

  // As many updates as fit into so many milliseconds.
  slice(milliseconds) {
    const begun = performance.now();
    do this.update(); while (performance.now() - begun < milliseconds);
    this.busy += performance.now() - begun;
  }

  // The network as it is now, with its weights as they are.
  reader() {
    const { learner: its } = this;
    const { weight_ih, ...rest } = its.layer();
    const { weight, bias } = its.linear();
    const input = this.numeric ? { weight_ih } : { table: its.weight_ih.map((value) => value) };
    const layer = new Layer({ cell: its.cell, hidden: its.H, inputs: its.inputs, ...input, ...rest });
    const characters = this.numeric ? null : ["\ufffd", ...this.characters];
    return new Reader({ characters, layers: [layer], head: weight, headBias: bias, scale: this.scale });
  }

  // What it says on the last tenth: nats a character, or the root mean squared error beside that of the value before.
  score(reader = this.reader(), most = MOST_SCORED) {
    const part = this.pieces.slice(this.learnt, this.learnt + most);
    const { steps, tokens } = reader.read(reader.tokens(part));
    if (!this.numeric) return { value: reader.nats({ steps, tokens }), naive: NaN };
    const values = part.map(Number);
    const root = (errors) => Math.sqrt(errors.reduce((sum, error) => sum + error * error, 0) / errors.length);
    return {
      value: root(values.slice(1).map((value, t) => value - steps[t].next[0])),
      naive: root(values.slice(1).map((value, t) => value - values[t])),
    };
  }

  look() {
    this.scores.push({ update: this.losses.length, ...this.score() });
    this.looked = performance.now();
  }

  // What it writes now, from the beginning of the last tenth.
  sample(length = 90) {
    if (this.numeric) return "";
    const reader = this.reader();
    const chance = random(this.losses.length);
    let state = reader.start();
    for (const token of reader.tokens(this.pieces.slice(this.learnt, this.learnt + 20))) state = reader.step(token, state);
    let text = "";
    for (let k = 0; k < length; k++) {
      const token = reader.draw(state, chance, 0.8);
      text += reader.characters[token];
      state = reader.step(token, state);
    }
    return text;
  }

  // As a model of this page, with its weights rounded to 8 bits.
  packed(name) {
    const { learner: its } = this;
    const weights = its.layer();
    const { weight, bias } = its.linear();
    const rows = { weight_ih: its.N, weight_hh: its.N };
    const content = {
      head: packedArray(weight, its.outputs), headBias: packedArray(bias),
      layers: [{
        cell: its.cell, hidden: its.H, inputs: its.inputs,
        weights: Object.fromEntries(Object.entries(weights).map(([key, values]) => [key, packedArray(values, rows[key])])),
      }],
    };
    if (this.numeric) content.scale = this.scale;
    else { // a token's row of the table is its embedding, and the layer takes it as it is
      content.characters = this.characters.join("");
      delete content.layers[0].weights.weight_ih;
      content.layers[0].weights.table = packedArray(its.weight_ih, its.inputs);
    }
    const reader = Reader.opened(content);
    const shown = this.pieces.slice(this.learnt, this.learnt + (this.numeric ? 96 : 160));
    const probe = this.pieces.slice(this.learnt, this.learnt + 5000);
    const joint = this.numeric ? "\n" : "";
    const { value, naive } = this.score(reader, 1000);
    const counts = new Map();
    for (const piece of this.numeric ? [] : probe) if (!/[\p{L}\p{M}\p{N} ]/u.test(piece)) counts.set(piece, (counts.get(piece) || 0) + 1);
    const sign = [...counts].sort((a, b) => b[1] - a[1]).map(([character]) => character)[0] ?? probe[0];
    return {
      ...content, name,
      hero: {
        text: shown.join(joint), step: this.numeric ? shown.length >> 2 : shown.length - 1, layer: 0, unit: 0, held: 0,
        value: CELLS[its.cell].values.includes("c") ? "c" : "h",
        event: this.numeric ? null : { kind: "sign", signs: counts.has('"') ? '"' : sign, within: 100 },
      },
      facts: {
        kind: this.numeric ? "here numbers" : "here", cell: this.kind, units: its.H, parameters: its.size.toLocaleString("en"),
        updates: this.losses.length, seconds: Math.round(this.busy / 1000), pieces: this.learnt.toLocaleString("en"),
        ...(this.numeric ? { error: plain(value), naive: plain(naive) } : { score: number(value, 3) }),
      },
      probe: probe.join(joint), temperature: 1,
    };
  }
}

let training = null;
let trains = false;

function drawTraining() {
  for (const [id, options] of [["train kind", Object.keys(KINDS)], ["train units", ["16", "32", "64", "128"]]]) {
    const chosen = $(id).value || (id === "train kind" ? "lstm" : "64");
    $(id).replaceChildren(...options.map((name) => el("option", { value: name }, id === "train kind" ? w(`cell ${name}`) : name)));
    $(id).value = chosen;
  }
  $("train go").textContent = w(trains ? "train stop" : training && !training.tooShort ? "train on" : "train go");
  $("train anew").textContent = w("train anew");
  $("train open").textContent = w("train open");
  $("train save").textContent = w("save");
  const ready = Boolean(training && !training.tooShort && training.losses.length);
  for (const id of ["train open", "train anew"]) $(id).hidden = !ready;
  if (!training) $("train said").textContent = "";
  else if (training.tooShort) $("train said").textContent = w("train short", { found: training.pieces.length, least: LEAST_PIECES });
  if (!ready) {
    $("train chart").replaceChildren();
    $("train sample").textContent = "";
    return;
  }
  const { losses, scores, learner: its, numeric } = training;
  const recent = losses.slice(-50).reduce((a, b) => a + b, 0) / Math.min(50, losses.length);
  const unit = numeric ? training.scale.deviation : 1;
  const toShown = (loss) => (numeric ? unit * Math.sqrt(loss) : loss);
  const last = scores[scores.length - 1];
  const speed = Math.round(losses.length / (training.busy / 1000));
  const filled = {
    updates: losses.length, steps: its.T * its.B, speed, seen: plain(toShown(recent)),
    unseen: last ? plain(last.value) : "…", naive: last ? plain(last.naive) : "…", numbers: training.pieces.length,
    skipped: training.skipped,
  };
  $("train said").textContent = w(numeric ? "train said numbers" : "train said", filled)
    + (its.engine === "js" ? ` ${w("train slow")}` : "");
  const each = Math.max(1, Math.floor(losses.length / 200));
  const points = [];
  for (let k = 0; k + each <= losses.length; k += each) {
    points.push([k + each, toShown(losses.slice(k, k + each).reduce((a, b) => a + b, 0) / each)]);
  }
  const lines = [
    { shape: "seen", name: w("train seen"), text: plain(toShown(recent)), points },
    { shape: "unseen", name: w("train unseen"), text: last ? plain(last.value) : "…", points: scores.map(({ update, value }) => [update, value]) },
  ];
  if (numeric && last) lines.push({ shape: "guess", name: w("train naive"), text: plain(last.naive), points: [[0, last.naive], [losses.length, last.naive]] });
  const most = Math.max(...lines.flatMap((line) => line.points.map(([, value]) => value)));
  chart($("train chart"), {
    label: $("train said").textContent, lines, x: [0, losses.length], y: [0, most],
    ticksX: rounds(0, losses.length).map((value) => [value, String(value)]), ticksY: rounds(0, most).map((value) => [value, plain(value)]),
    titleX: w(numeric ? "train axis numbers" : "train axis"),
  });
}

function trainOn() {
  const mine = training;
  let drawn = 0;
  const slice = () => {
    if (training !== mine || !trains) return;
    mine.slice(SLICE);
    const at = performance.now();
    if (at - mine.looked > LOOKED) {
      mine.look();
      $("train sample").textContent = mine.sample();
    }
    if (at - drawn > REDRAW) {
      drawTraining();
      drawn = at;
    }
    setTimeout(slice, 0);
  };
  slice();
}

function toggleTraining() {
  if (trains) {
    trains = false;
    training.look();
  } else {
    if (!training || training.tooShort) training = new Training($("corpus").value, { kind: $("train kind").value, hidden: Number($("train units").value) });
    trains = !training.tooShort;
    if (trains) trainOn();
  }
  drawTraining();
}

function trainAnew() {
  training = null;
  trains = false;
  drawTraining();
}

// What was trained, as one more model of the page.
function openTrained() {
  trains = false;
  const count = data.models.filter((model) => model.name.startsWith("mine ")).length;
  data.models.push(training.packed(`mine ${count + 1}`));
  set({ model: data.models.length - 1 });
  drawTraining();
  $("models").scrollIntoView();
  $("models").querySelector("[aria-pressed=true]").focus();
}

// This page as a file, with the models that it now has; the one that is shown comes first.
function savedPage() {
  const models = [data.models[now.model], ...data.models.filter((_, k) => k !== now.model)];
  const content = JSON.stringify({ ...data, begins: TOOLS, language: now.language, models }).replaceAll("<", "\\u003c");
  const opens = source.indexOf(DATA_OPENS) + DATA_OPENS.length;
  const closes = source.indexOf("<" + "/script>", opens);
  return `<!doctype html>\n${source.slice(0, opens)}${content}${source.slice(closes)}`;
}

function savePage() {
  const address = URL.createObjectURL(new Blob([savedPage()], { type: "text/html" }));
  const link = el("a", { href: address, download: "memory.html" });
  link.click();
  setTimeout(() => URL.revokeObjectURL(address), 10_000);
}

views.push(drawTraining);
