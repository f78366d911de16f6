// A model of this page, opened: what it thinks at every step, what a memory is made of, and how it writes on.

// Half precision to a number.
function half(bits) {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 31;
  const fraction = bits & 1023;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}

// An array as memfold.explorer.pack wrote it: float16, or int8 with a float16 scale for each row.
function unpacked({ kind, shape, data, scale }) {
  const bytes = Uint8Array.from(atob(data), (character) => character.charCodeAt(0));
  const size = shape.reduce((a, b) => a * b, 1);
  if (kind === "f32") return Float64Array.from(new Float32Array(bytes.buffer));
  const out = zeros(size);
  if (kind === "f16") {
    const view = new DataView(bytes.buffer);
    for (let k = 0; k < size; k++) out[k] = half(view.getUint16(2 * k, true));
    return out;
  }
  const scales = unpacked(scale);
  const columns = size / shape[0];
  const whole = new Int8Array(bytes.buffer);
  for (let k = 0; k < size; k++) out[k] = whole[k] * scales[Math.floor(k / columns)];
  return out;
}

// a (m, k) times b's transpose (n, k), plus nothing: (m, n).
function timesTransposed(a, b, m, k, n) {
  const out = zeros(m * n);
  for (let p = 0; p < m; p++) addProduct(out.subarray(p * n, (p + 1) * n), b, a.subarray(p * k, (p + 1) * k), 0, n, k);
  return out;
}

function softmax(logits) {
  let top = -Infinity;
  for (const value of logits) if (value > top) top = value;
  const out = logits.map((value) => Math.exp(value - top));
  let sum = 0;
  for (const value of out) sum += value;
  return out.map((value) => value / sum);
}

// Numbers between 0 and 1 that a seed decides (mulberry32, Tommy Ettinger, public domain).
function random(seed) {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296;
  };
}

// Numbers as people paste them: one after the other, or the last column of lines with several.
function numbersIn(text) {
  const lines = text.split(/\n/).map((line) => line.trim()).filter(Boolean);
  const parts = lines.length > 1 && lines.every((line) => /[,;\t]/.test(line))
    ? lines.map((line) => line.split(/[,;\t]/).pop().trim())
    : text.split(/[\s,;]+/);
  return parts.filter((part) => part !== "" && Number.isFinite(Number(part)));
}

// The words of a text as memfold.runtime.texts.tokens parts them: single characters of scripts without spaces, words of
// the others, and marks.
const UNSPACED = "\\u0e00-\\u0eff\\u1000-\\u109f\\u1780-\\u17ff\\u3040-\\u30ff\\u3400-\\u4dbf\\u4e00-\\u9fff\\uf900-\\ufaff\\u{20000}-\\u{3ffff}";
const WORD = new RegExp(`[${UNSPACED}]\\p{M}*|(?:(?![${UNSPACED}])[\\p{L}\\p{N}_]\\p{M}*)+|[^\\p{L}\\p{N}_\\s]`, "gu");
const wordsIn = (text) => text.normalize("NFKC").toLowerCase().match(WORD) || [];

// A trained network: layers of cells, and a linear head. It reads characters and says which comes next; or numbers, or
// what was prepared of them, and says the next one; or words, forwards and backwards, and says the class of a text; or
// a window of a series, and says all that follows.
class Reader {
  constructor({ characters = null, layers, head, headBias, scale = null, given = null, words = null, classes = null, attention = null, forecast = null }) {
    Object.assign(this, { given, words, classes, attention, forecast });
    if (words) this.places = new Map(words.map((word, k) => [word, k + 1]));
    this.characters = characters; // by token; the first stands for every character that the model does not know
    this.index = characters && new Map(characters.map((character, token) => [character, token]).slice(1));
    this.layers = layers;
    this.head = head; // (V, H)
    this.headBias = headBias;
    this.scale = scale; // of numbers: what is taken away from them, and what they are then divided by
  }

  get numeric() {
    return Boolean(this.scale || this.given || this.forecast);
  }

  // From the packed form. Embedding and weight_ih are multiplied once, and so are the two halves of a tied head.
  static opened(packed) {
    const embedding = packed.embedding ? unpacked(packed.embedding) : null;
    const [vocabulary, features] = embedding ? packed.embedding.shape : [0, 0];
    const layers = packed.layers.map((given, number) => {
      const weights = Object.fromEntries(Object.entries(given.weights).map(([name, part]) => [name, unpacked(part)]));
      const { cell, hidden, inputs } = given;
      const layer = { cell, hidden, inputs, ...weights };
      if (embedding && (number === 0 || packed.words)) { // of a reader of words both layers are the first
        const rows = CELLS[cell].gates.length * hidden;
        layer.table = timesTransposed(embedding, weights.weight_ih, vocabulary, features, rows);
        layer.weight_ih = null;
      }
      return new Layer(layer);
    });
    const { hidden } = layers[layers.length - 1];
    let head = packed.head ? unpacked(packed.head) : null;
    const headBias = packed.headBias ? unpacked(packed.headBias) : null;
    if (packed.projection) { // tied: the logits are the embedding's products with a projection of h
      const projection = unpacked(packed.projection); // (E, H)
      const bias = unpacked(packed.projectionBias);
      const turned = zeros(hidden * features); // (H, E)
      for (let e = 0; e < features; e++) for (let k = 0; k < hidden; k++) turned[k * features + e] = projection[e * hidden + k];
      head = timesTransposed(embedding, turned, vocabulary, features, hidden);
      addProduct(headBias, embedding, bias, 0, vocabulary, features);
    }
    const { scale, words, classes } = packed;
    const characters = packed.characters ? ["\ufffd", ...packed.characters] : null;
    const rows = packed.given ? unpacked(packed.given.inputs) : null;
    const wide = layers[0].inputs;
    const given = rows && { ...packed.given, rows: packed.given.pieces.map((_, t) => rows.subarray(t * wide, (t + 1) * wide)) };
    const attention = packed.attention && { weight: unpacked(packed.attention.weight), bias: unpacked(packed.attention.bias)[0] };
    const forecast = packed.forecast ? new Forecast(packed.forecast) : null;
    return new Reader({ characters, layers, head, headBias, scale, given, words, classes, attention, forecast });
  }

  // What a text is read as, step by step: its characters, or its numbers.
  pieces(text) {
    if (this.given) return this.given.pieces;
    if (this.forecast) return this.forecast.pieces(text);
    if (this.words) return wordsIn(text);
    return this.numeric ? numbersIn(text) : [...text];
  }

  // What the first layer takes of each piece: a token, or an array of one number.
  tokens(pieces) {
    if (this.given) return pieces.map((_, t) => this.given.rows[t]);
    if (this.forecast) return this.forecast.rows(pieces);
    if (this.words) return Array.from(pieces, (word) => this.places.get(word) ?? 0);
    if (!this.numeric) return Array.from(pieces, (character) => this.index.get(character) ?? 0);
    const { mean, deviation } = this.scale;
    return Array.from(pieces, (piece) => [(Number(piece) - mean) / deviation]);
  }

  // The number that stands for a piece in drawings; NaN where there is none.
  height(piece) {
    return this.forecast ? this.forecast.height(piece) : Number(piece);
  }

  start() {
    return this.layers.map((layer) => layer.start());
  }

  // One token through all layers. `held` is a list of {layer, gate, unit, value}.
  step(token, before, held = []) {
    let x = token;
    return this.layers.map((layer, number) => {
      const values = layer.step(x, before[number], held.filter((one) => one.layer === number));
      x = values.h;
      return values;
    });
  }

  logits(after) {
    const out = Float64Array.from(this.headBias);
    const { h } = after[after.length - 1];
    addProduct(out, this.head, h, 0, out.length, h.length);
    return out;
  }

  // Every value of every layer at every step, and the probabilities of what comes next. A hold acts from its step on.
  // Steps before the first that differs from `earlier` (an earlier reading) are taken over from it.
  read(tokens, holds = [], earlier = null) {
    if (this.words) return this.#readBothWays(tokens, holds);
    const same = earlier ? this.#shared(earlier, tokens, holds) : 0;
    const steps = same ? earlier.steps.slice(0, same) : [];
    let state = same ? steps[same - 1].layers : this.start();
    for (let t = same; t < tokens.length; t++) {
      state = this.step(tokens[t], state, holds.filter((held) => t >= held.from));
      steps.push({ layers: state, next: this.forecast ? null : this.next(state, t) });
    }
    if (!this.forecast) return { tokens, holds, steps };
    const next = this.forecast.answer(state[state.length - 1].h, tokens); // by all that was read
    return { tokens, holds, steps: steps.map(({ layers }) => ({ layers, next })) };
  }

  // A text as a whole: the first layer from its beginning, the second from its end, then the class by both.
  #readBothWays(tokens, holds) {
    const steps = tokens.map(() => ({ layers: [] }));
    this.layers.forEach((layer, number) => {
      const order = number ? [...tokens.keys()].reverse() : tokens.keys();
      let state = layer.start();
      for (const t of order) {
        state = layer.step(tokens[t], state, holds.filter((held) => held.layer === number && t >= held.from));
        steps[t].layers[number] = state;
      }
    });
    const next = softmax(this.#classLogits(steps));
    for (const step of steps) step.next = next;
    return { tokens, holds, steps };
  }

  // The mean of h by shares of attention and the largest h of all steps, into the head.
  #classLogits(steps) {
    const rows = steps.map(({ layers }) => [...layers[0].h, ...layers[1].h]);
    const shares = softmax(rows.map((row) => row.reduce((sum, value, k) => sum + value * this.attention.weight[k], this.attention.bias)));
    const mean = rows[0].map((_, k) => rows.reduce((sum, row, t) => sum + shares[t] * row[k], 0));
    const most = rows[0].map((_, k) => Math.max(...rows.map((row) => row[k])));
    const out = Float64Array.from(this.headBias);
    addProduct(out, this.head, [...mean, ...most], 0, out.length, 2 * mean.length);
    return out;
  }

  // The values of a layer before a step: of one that reads backwards those of the step after it.
  before(steps, layer, step) {
    const at = this.words && layer === 1 ? step + 1 : step - 1;
    return steps[at] ? steps[at].layers[layer] : this.layers[layer].start();
  }

  #shared(earlier, tokens, holds) {
    const texts = (list) => list.map((held) => JSON.stringify(held));
    const [old, now] = [texts(earlier.holds), texts(holds)];
    const changed = [...earlier.holds.filter((h, k) => !now.includes(old[k])), ...holds.filter((h, k) => !old.includes(now[k]))];
    let same = Math.min(tokens.length, earlier.tokens.length, ...changed.map((held) => held.from));
    const differ = (a, b) => (this.numeric ? a.some((value, k) => value !== b[k]) : a !== b);
    for (let t = 0; t < same; t++) if (differ(tokens[t], earlier.tokens[t])) same = t;
    return Math.max(0, same);
  }

  // What the network says after a step: the probability of every character, or the number that it expects.
  next(state, t) {
    const out = this.logits(state);
    if (this.given) return [this.given.level[t] + this.given.unit[t] * Math.sinh(clamp(out[0], -50, 50))];
    if (!this.numeric) return softmax(out);
    return out.map((value) => value * this.scale.deviation + this.scale.mean);
  }

  // What a text costs: the mean of -ln p of each character but the first.
  nats({ tokens, steps }) {
    let sum = 0;
    for (let t = 1; t < tokens.length; t++) sum -= Math.log(steps[t - 1].next[tokens[t]]);
    return sum / (tokens.length - 1);
  }

  // The token that is drawn from the probabilities at a temperature; never the one that stands for the unknown.
  draw(after, chance, temperature = 1) {
    const logits = this.logits(after);
    logits[0] = -Infinity;
    const p = softmax(temperature === 1 ? logits : logits.map((value) => value / temperature));
    let left = chance();
    for (let token = 0; token < p.length - 1; token++) if ((left -= p[token]) < 0) return token;
    return p.length - 1;
  }

  // What a unit's state is made of at a step: what is left of what each step up to it wrote, {state, parts}. They add
  // up to the state. A plain RNN puts all that was through its tanh again at every step: of it there is no account.
  ledger(steps, layer, unit, step) {
    const { cell } = this.layers[layer];
    if (cell.startsWith("rnn")) return null;
    const state = cell.startsWith("gru") ? "h" : "c";
    const parts = [];
    let left = 1;
    const backwards = this.words && layer === 1;
    for (let t = step; t >= 0 && t < steps.length; t += backwards ? 1 : -1) {
      const v = steps[t].layers[layer];
      parts[t] = left * (state === "c" ? v.i[unit] * v.g[unit] : (1 - v.z[unit]) * v.n[unit]);
      left *= state === "c" ? v.f[unit] : v.z[unit];
    }
    return { state, parts: Array.from(parts, (part) => part ?? 0) };
  }

  // The sum inside a gate of a unit at a step: its bias, the input's part, what each unit's h of the step before adds,
  // and its peephole. Of a GRU's n the state's part is what stands before the reset gate.
  terms(reading, layer, gate, unit, step) {
    const its = this.layers[layer];
    const H = its.hidden;
    const j = its.kind.gates.indexOf(gate) * H + unit;
    const before = this.before(reading.steps, layer, step);
    const now = reading.steps[step].layers[layer];
    const x = layer && !this.words ? reading.steps[step].layers[layer - 1].h : reading.tokens[step];
    const input = its.fromInput(x)[j] - its.bias_ih[j];
    const resets = its.cell === "gru_reset_before" && gate === "n" ? now.r : null;
    const units = Array.from(before.h, (h, k) => its.weight_hh[j * H + k] * h * (resets ? resets[k] : 1));
    const at = its.peephole(gate, unit);
    const peephole = at < 0 ? 0 : its.weight_ph[at] * (gate === "o" ? now.c : before.c)[unit];
    return { bias: its.bias_ih[j], biasOfState: its.bias_hh[j], input, units, peephole };
  }
}
