// Learning in the page: one layer of any cell and a linear head, in float32, forward, backward and Adam.
//
// Nearly all of the time goes into products of matrices and into sigmoids. Both are in a WebAssembly kernel of 1.4 KB
// (kernel.wat); where a browser has none, the same loops run in JavaScript, about ten times slower.

// The parts of one memory that JavaScript and the kernel share: sizes by name in, a Float32Array of each out.
function shared(sizes, wasm) {
  const room = (size) => 4 * Math.ceil(size / 4); // every part at a multiple of 16 bytes
  const bytes = 4 * Object.values(sizes).reduce((sum, size) => sum + room(size), 0);
  let { buffer, product, squash } = wasm ? inKernel(bytes) : {};
  const kind = buffer ? "wasm" : "js";
  if (!buffer) [buffer, product, squash] = [new ArrayBuffer(bytes), productInScript, squashInScript];
  let at = 0;
  const parts = Object.fromEntries(Object.entries(sizes).map(([name, size]) => {
    const part = new Float32Array(buffer, at, size);
    at += 4 * room(size);
    return [name, part];
  }));
  return { parts, product, squash, kind };
}

function inKernel(bytes) {
  let memory, kernel;
  try {
    memory = new WebAssembly.Memory({ initial: Math.ceil(bytes / 65536) });
    const code = Uint8Array.from(atob(data.kernel), (character) => character.charCodeAt(0));
    kernel = new WebAssembly.Instance(new WebAssembly.Module(code), { page: { memory } }).exports;
  } catch {
    return {}; // none here, or one without the instructions for four numbers at once
  }
  const squash = (y, x, n, tanh) => (tanh
    ? kernel.squash(y.byteOffset, x.byteOffset, n, -1, 2, 2) : kernel.squash(y.byteOffset, x.byteOffset, n, 0, 1, 1));
  const product = (c, ck, a, am, ak, b, bk, m, n, k) => kernel.product(
    c.byteOffset, 4 * ck, a.byteOffset, 4 * am, 4 * ak, b.byteOffset, 4 * bk, m, n, k);
  return { buffer: memory.buffer, product, squash };
}

// c[m * ck + n] += the sum over k of a[m * am + k * ak] * b[k * bk + n]
function productInScript(c, ck, a, am, ak, b, bk, m, n, k) {
  for (let i = 0; i < m; i++) {
    const row = i * ck;
    let p = 0;
    for (; p + 4 <= k; p += 4) { // four at a time: c is read and written a quarter as often
      const at = i * am + p * ak;
      const a0 = a[at];
      const a1 = a[at + ak];
      const a2 = a[at + 2 * ak];
      const a3 = a[at + 3 * ak];
      const from = p * bk;
      for (let j = 0; j < n; j++) {
        const q = from + j;
        c[row + j] += a0 * b[q] + a1 * b[q + bk] + a2 * b[q + 2 * bk] + a3 * b[q + 3 * bk];
      }
    }
    for (; p < k; p++) addRow(c, row, b, p * bk, n, a[i * am + p * ak]);
  }
}

function squashInScript(y, x, n, tanh) {
  for (let k = 0; k < n; k++) y[k] = tanh ? Math.tanh(x[k]) : 1 / (1 + Math.exp(-x[k]));
}

// to[at + j] += times * from[start + j], for n of them
function addRow(to, at, from, start, n, times) {
  if (times !== 0) for (let j = 0; j < n; j++) to[at + j] += times * from[start + j];
}

const SQUASHED = { h: true, g: true, n: true }; // by tanh; other gates by the sigmoid

class Learner {
  // Inputs are tokens, `tokens` of them with a row of weight_ih each, or `inputs` numbers a step. `hidden` is a multiple
  // of 8. `bias` is what the gate that keeps begins with, `scale` what the recurrent weights are multiplied by.
  constructor({ cell, hidden, tokens = 0, inputs = 0, outputs, steps, rows, seed = 0, bias = 1, scale = 1, peepholes = false, wasm = true }) {
    const { gates } = CELLS[cell];
    const [H, N, O, T, B] = [hidden, gates.length * hidden, 8 * Math.ceil(outputs / 8), steps, rows];
    const peeps = peepholes ? CELLS[cell].peepholes.length * H : 0;
    const weights = { weight_ih: (tokens || inputs) * N, bias_ih: N, bias_hh: N, weight_hh: H * N, weight_ph: peeps, head: H * O, headBias: O };
    const size = Object.values(weights).reduce((a, b) => a + b, 0);
    const { parts, product, squash, kind } = shared({
      w: size, d: size, first: size, second: size, turned: N * H, headTurned: O * H,
      pre: T * B * N, state: T * B * N, act: T * B * N, h: (T + 1) * B * H, c: (T + 1) * B * H, shown: T * B * H, reset: T * B * H,
      y: T * B * O, dh: T * B * H, later: B * H, laterC: B * H, byReset: B * H, bias: N,
    }, wasm);
    Object.assign(this, parts, { product, squash, engine: kind, cell, gates, H, N, O, T, B, tokens, inputs: tokens || inputs, outputs, size });
    // Each weight is a part of w, its gradient the same part of d. Matrices stand turned: a row for each input.
    let at = 0;
    for (const [name, length] of Object.entries(weights)) {
      this[name] = this.w.subarray(at, at + length);
      this[`d_${name}`] = this.d.subarray(at, at + length);
      at += length;
    }
    this.updates = 0;
    this.#begin(seed, bias, scale);
  }

  #begin(seed, bias, scale) {
    const { H, N, O, outputs } = this;
    const chance = random(seed);
    const bound = 1 / Math.sqrt(H);
    for (let k = 0; k < this.size; k++) this.w[k] = (2 * chance() - 1) * bound;
    for (let k = 0; k < H * N; k++) this.weight_hh[k] *= scale;
    for (let row = 0; row < H; row++) this.head.fill(0, row * O + outputs, (row + 1) * O);
    this.bias_ih.fill(0);
    this.bias_hh.fill(0);
    this.headBias.fill(0);
    const keeps = { lstm: ["f", 1], coupled_lstm: ["i", -1], gru: ["z", 1], gru_reset_before: ["z", 1] }[this.cell];
    if (keeps) {
      const block = this.gates.indexOf(keeps[0]) * H;
      this.bias_ih.fill(keeps[1] * bias, block, block + H);
    }
  }

  // The state after the last step becomes the one before the first.
  carry() {
    for (const state of [this.h, this.c]) state.copyWithin(0, this.T * this.B * this.H);
  }

  forget() {
    this.h.fill(0, 0, this.B * this.H);
    this.c.fill(0, 0, this.B * this.H);
  }

  // From inputs, a token or `inputs` numbers for each step and row, (T, B), to the outputs of every step, or of the last
  // one: (T*B or B, O), of which the first `outputs` count.
  forward(x, every = true) {
    const { T, B, H, N, O, cell } = this;
    const gru = cell.startsWith("gru");
    for (let j = 0; j < N; j++) this.bias[j] = this.bias_ih[j] + (gru ? 0 : this.bias_hh[j]);
    for (let t = 0; t < T; t++) {
      const [from, to] = [t * B * N, (t + 1) * B * N];
      const pre = this.pre.subarray(from, to);
      const state = gru ? this.state.subarray(from, to) : pre; // what the state says; of a GRU apart
      this.#fromInput(pre, x, t);
      if (gru) for (let b = 0; b < B; b++) state.set(this.bias_hh, b * N);
      const before = this.h.subarray(t * B * H, (t + 1) * B * H);
      const columns = cell === "gru_reset_before" ? 2 * H : N;
      this.product(state, N, before, H, 1, this.weight_hh, N, B, columns, H);
      if (gru) this.#gruForward(t, pre, state, before);
      else if (cell.startsWith("rnn")) this.#rnnForward(t, pre);
      else this.#lstmForward(t, pre);
    }
    const first = every ? 0 : T - 1;
    const y = this.y.subarray(first * B * O);
    for (let k = 0; k < (T - first) * B; k++) y.set(this.headBias, k * O);
    this.product(y, O, this.h.subarray((first + 1) * B * H), H, 1, this.head, O, (T - first) * B, O, H);
    return y;
  }

  #fromInput(pre, x, t) {
    const { B, N, inputs, weight_ih, bias } = this;
    for (let b = 0; b < B; b++) {
      pre.set(bias, b * N);
      if (this.tokens) addRow(pre, b * N, weight_ih, x[t * B + b] * N, N, 1);
      else for (let k = 0; k < inputs; k++) addRow(pre, b * N, weight_ih, k * N, N, x[(t * B + b) * inputs + k]);
    }
  }

  // A gate of a row: act is squashed pre.
  #gate(name, at) {
    const from = at + this.gates.indexOf(name) * this.H;
    const [y, x] = [this.act, this.pre].map((part) => part.subarray(from, from + this.H));
    this.squash(y, x, this.H, SQUASHED[name] || false);
    return y;
  }

  // The part of weight_ph, or of its gradient, that belongs to a gate; null where there is none.
  #peep(name, weights = this.weight_ph) {
    const at = weights.length ? CELLS[this.cell].peepholes.indexOf(name) : -1;
    return at < 0 ? null : weights.subarray(at * this.H, (at + 1) * this.H);
  }

  #rnnForward(t, pre) {
    const { B, H } = this;
    const h = this.h.subarray((t + 1) * B * H, (t + 2) * B * H);
    if (this.cell === "rnn_tanh") this.squash(h, pre, B * H, true);
    else for (let k = 0; k < B * H; k++) h[k] = Math.max(0, pre[k]);
  }

  #lstmForward(t, pre) {
    const { B, H, N } = this;
    const coupled = this.cell === "coupled_lstm";
    const block = (name) => this.gates.indexOf(name) * H;
    for (let b = 0; b < B; b++) {
      const [q, s] = [(t * B + b) * N, (t * B + b) * H];
      const [before, c] = [this.c.subarray(s, s + H), this.c.subarray(s + B * H, s + B * H + H)];
      for (const name of coupled ? ["i"] : ["i", "f"]) {
        const peep = this.#peep(name);
        if (peep) for (let u = 0; u < H; u++) pre[b * N + block(name) + u] += peep[u] * before[u];
      }
      const [i, g] = [this.#gate("i", q), this.#gate("g", q)];
      const f = coupled ? null : this.#gate("f", q);
      if (f) for (let u = 0; u < H; u++) c[u] = f[u] * before[u] + i[u] * g[u];
      else for (let u = 0; u < H; u++) c[u] = before[u] + i[u] * (g[u] - before[u]); // f = 1 - i
      const peep = this.#peep("o");
      if (peep) for (let u = 0; u < H; u++) pre[b * N + block("o") + u] += peep[u] * c[u];
      const o = this.#gate("o", q);
      const shown = this.shown.subarray(s, s + H);
      this.squash(shown, c, H, true);
      const h = this.h.subarray(s + B * H, s + B * H + H);
      for (let u = 0; u < H; u++) h[u] = o[u] * shown[u];
    }
  }

  #gruForward(t, pre, state, before) {
    const { B, H, N } = this;
    const resetsBefore = this.cell === "gru_reset_before";
    const reset = this.reset.subarray(t * B * H, (t + 1) * B * H); // r * h
    const gates = [];
    for (let b = 0; b < B; b++) {
      for (let j = 0; j < 2 * H; j++) pre[b * N + j] += state[b * N + j];
      const [r, z] = [this.#gate("r", (t * B + b) * N), this.#gate("z", (t * B + b) * N)];
      gates.push({ r, z });
      if (resetsBefore) for (let u = 0; u < H; u++) reset[b * H + u] = r[u] * before[b * H + u];
    }
    if (resetsBefore) this.product(state.subarray(2 * H), N, reset, H, 1, this.weight_hh.subarray(2 * H), N, B, H, H);
    gates.forEach(({ r, z }, b) => {
      const q = b * N + 2 * H;
      for (let u = 0; u < H; u++) pre[q + u] += (resetsBefore ? 1 : r[u]) * state[q + u];
      const n = this.#gate("n", (t * B + b) * N);
      const h = this.h.subarray(((t + 1) * B + b) * H, ((t + 1) * B + b + 1) * H);
      for (let u = 0; u < H; u++) h[u] = (1 - z[u]) * n[u] + z[u] * before[b * H + u];
    });
  }

  // From the gradient by the outputs, which y holds, to that by every weight, in d, and by h of every step, in dh.
  backward(x, every = true) {
    const { T, B, H, N, O, cell } = this;
    const gru = cell.startsWith("gru");
    const resetsBefore = cell === "gru_reset_before";
    for (const part of [this.d, this.dh, this.later, this.laterC]) part.fill(0);
    for (let k = 0; k < H; k++) {
      for (let j = 0; j < N; j++) this.turned[j * H + k] = this.weight_hh[k * N + j];
      for (let j = 0; j < O; j++) this.headTurned[j * H + k] = this.head[k * O + j];
    }
    const first = every ? 0 : T - 1;
    const count = (T - first) * B;
    const dy = this.y.subarray(first * B * O);
    this.product(this.d_head, O, this.h.subarray((first + 1) * B * H), 1, H, dy, O, H, O, count);
    for (let k = 0; k < count; k++) addRow(this.d_headBias, 0, dy, k * O, O, 1);
    this.product(this.dh.subarray(first * B * H), H, dy, O, 1, this.headTurned, H, count, H, O);
    const byState = gru ? this.state : this.pre; // both now take gradients
    for (let t = T - 1; t >= 0; t--) {
      const [from, to] = [t * B * H, (t + 1) * B * H];
      const dh = this.dh.subarray(from, to);
      for (let k = 0; k < B * H; k++) dh[k] += this.later[k];
      this.later.fill(0);
      if (gru) this.#gruBackward(t, dh);
      else if (cell.startsWith("rnn")) this.#rnnBackward(t, dh);
      else this.#lstmBackward(t, dh);
      const d = byState.subarray(t * B * N, (t + 1) * B * N);
      this.product(this.later, H, d, N, 1, this.turned, H, B, H, resetsBefore ? 2 * H : N);
    }
    this.product(this.d_weight_hh, N, this.h, 1, H, byState, N, H, resetsBefore ? 2 * H : N, T * B);
    if (resetsBefore) this.product(this.d_weight_hh.subarray(2 * H), N, this.reset, 1, H, byState.subarray(2 * H), N, H, H, T * B);
    const { pre, inputs, tokens, d_bias_ih: byBias, d_bias_hh: byStateBias, d_weight_ih: byInput } = this;
    for (let k = 0; k < T * B; k++) {
      addRow(byBias, 0, pre, k * N, N, 1);
      if (gru) addRow(byStateBias, 0, byState, k * N, N, 1);
      if (tokens) addRow(byInput, x[k] * N, pre, k * N, N, 1);
      else for (let i = 0; i < inputs; i++) addRow(byInput, i * N, pre, k * N, N, x[k * inputs + i]);
    }
    if (!gru) byStateBias.set(byBias);
  }

  #rnnBackward(t, dh) {
    const { B, H } = this;
    const [pre, h] = [this.pre.subarray(t * B * H), this.h.subarray((t + 1) * B * H)];
    if (this.cell === "rnn_tanh") for (let k = 0; k < B * H; k++) pre[k] = dh[k] * (1 - h[k] * h[k]);
    else for (let k = 0; k < B * H; k++) pre[k] = h[k] > 0 ? dh[k] : 0;
  }

  #lstmBackward(t, dh) {
    const { B, H, N, pre, act, laterC } = this;
    const coupled = this.cell === "coupled_lstm";
    const [I, F, G, O] = ["i", "f", "g", "o"].map((name) => this.gates.indexOf(name) * H);
    const [pi, pf, po] = ["i", "f", "o"].map((name) => this.#peep(name));
    const [dpi, dpf, dpo] = ["i", "f", "o"].map((name) => this.#peep(name, this.d_weight_ph));
    // Plain indices and no arrays in here: this loop is what is left of the time beside the products.
    for (let b = 0; b < B; b++) {
      const q = (t * B + b) * N;
      const s = (t * B + b) * H;
      const before = this.c.subarray(s, s + H);
      const c = this.c.subarray(s + B * H, s + B * H + H);
      const tanhs = this.shown.subarray(s, s + H);
      for (let u = 0, e = b * H; u < H; u++, e++) {
        const i = act[q + I + u];
        const g = act[q + G + u];
        const o = act[q + O + u];
        const f = coupled ? 1 - i : act[q + F + u];
        const shown = tanhs[u];
        const grown = dh[e];
        const dout = grown * shown * o * (1 - o);
        let dc = laterC[e] + grown * o * (1 - shown * shown);
        if (po) { dc += dout * po[u]; dpo[u] += dout * c[u]; }
        const din = dc * (coupled ? g - before[u] : g) * i * (1 - i);
        let back = dc * f;
        if (pi) { back += din * pi[u]; dpi[u] += din * before[u]; }
        if (!coupled) {
          const df = dc * before[u] * f * (1 - f);
          if (pf) { back += df * pf[u]; dpf[u] += df * before[u]; }
          pre[q + F + u] = df;
        }
        pre[q + I + u] = din;
        pre[q + G + u] = dc * i * (1 - g * g);
        pre[q + O + u] = dout;
        laterC[e] = back;
      }
    }
  }

  #gruBackward(t, dh) {
    const { B, H, N, pre, state, act } = this;
    const resetsBefore = this.cell === "gru_reset_before";
    const before = this.h.subarray(t * B * H, (t + 1) * B * H);
    for (let b = 0; b < B; b++) {
      const [q, e] = [(t * B + b) * N, b * H];
      for (let u = 0; u < H; u++) {
        const r = act[q + u];
        const z = act[q + H + u];
        const n = act[q + 2 * H + u];
        const grown = dh[e + u];
        const dn = grown * (1 - z) * (1 - n * n);
        if (!resetsBefore) {
          pre[q + u] = dn * state[q + 2 * H + u] * r * (1 - r);
          state[q + u] = pre[q + u];
        }
        pre[q + H + u] = grown * (before[e + u] - n) * z * (1 - z);
        state[q + H + u] = pre[q + H + u];
        pre[q + 2 * H + u] = dn;
        state[q + 2 * H + u] = resetsBefore ? dn : dn * r;
        this.later[e + u] = grown * z;
      }
    }
    if (!resetsBefore) return;
    this.byReset.fill(0); // by r * h
    this.product(this.byReset, H, state.subarray(t * B * N + 2 * H), N, 1, this.turned.subarray(2 * H * H), H, B, H, H);
    for (let b = 0; b < B; b++) {
      const [q, e] = [(t * B + b) * N, b * H];
      for (let u = 0; u < H; u++) {
        const r = act[q + u];
        pre[q + u] = this.byReset[e + u] * before[e + u] * r * (1 - r);
        state[q + u] = pre[q + u];
        this.later[e + u] += this.byReset[e + u] * r;
      }
    }
  }

  // The mean of -ln p of the targets, (T, B), in nats; y becomes its gradient. A target below 0 does not count.
  crossEntropy(targets) {
    const { y, O, outputs } = this;
    const count = targets.reduce((sum, target) => sum + (target >= 0), 0);
    let loss = 0;
    for (let k = 0; k < targets.length; k++) {
      const target = targets[k];
      const row = y.subarray(k * O, (k + 1) * O);
      if (target < 0) { row.fill(0); continue; }
      let top = -Infinity;
      for (let j = 0; j < outputs; j++) if (row[j] > top) top = row[j];
      const right = row[target] - top;
      let sum = 0;
      for (let j = 0; j < outputs; j++) {
        row[j] = Math.exp(row[j] - top);
        sum += row[j];
      }
      loss += Math.log(sum) - right;
      const share = 1 / (sum * count);
      for (let j = 0; j < outputs; j++) row[j] *= share;
      row.fill(0, outputs);
      row[target] -= 1 / count;
    }
    return loss / count;
  }

  // The mean squared error of the first output against numbers, of every step or of the last; y becomes its gradient.
  squaredError(targets, every = true) {
    const { O, T, B } = this;
    const y = this.y.subarray(every ? 0 : (T - 1) * B * O);
    let loss = 0;
    targets.forEach((target, k) => {
      const error = y[k * O] - target;
      loss += (error * error) / targets.length;
      y.fill(0, k * O, (k + 1) * O);
      y[k * O] = (2 * error) / targets.length;
    });
    return loss;
  }

  // One update by Adam (Kingma & Ba 2015), of gradients whose norm is at most `most`; returns the norm as it was.
  adam(rate, most = 1) {
    const { w, d, first, second, size } = this;
    let norm = 0;
    for (let k = 0; k < size; k++) norm += d[k] * d[k];
    norm = Math.sqrt(norm);
    const shrunk = norm > most ? most / norm : 1;
    this.updates += 1;
    const step = rate / (1 - 0.9 ** this.updates);
    const whole = 1 - 0.999 ** this.updates;
    for (let k = 0; k < size; k++) {
      const g = d[k] * shrunk;
      const mean = first[k] + 0.1 * (g - first[k]);
      const square = second[k] + 0.001 * (g * g - second[k]);
      first[k] = mean;
      second[k] = square;
      w[k] -= (step * mean) / (Math.sqrt(square / whole) + 1e-8);
    }
    return norm;
  }

  // The layer's weights, or their gradients, in PyTorch's layout, as a Layer takes them; a token's row is its table.
  layer(of = "") {
    const turned = (matrix, rows) => { // (rows, N) to (N, rows)
      const out = zeros(matrix.length);
      for (let k = 0; k < rows; k++) for (let j = 0; j < this.N; j++) out[j * rows + k] = matrix[k * this.N + j];
      return out;
    };
    const part = (name) => this[of + name];
    return {
      weight_ih: turned(part("weight_ih"), this.inputs), weight_hh: turned(part("weight_hh"), this.H),
      bias_ih: Float64Array.from(part("bias_ih")), bias_hh: Float64Array.from(part("bias_hh")),
      ...(this.weight_ph.length ? { weight_ph: Float64Array.from(part("weight_ph")) } : {}),
    };
  }

  // The head's weight (outputs, H) and bias, or their gradients.
  linear(of = "") {
    const { H, O, outputs } = this;
    const weight = zeros(outputs * H);
    for (let k = 0; k < H; k++) for (let j = 0; j < outputs; j++) weight[j * H + k] = this[`${of}head`][k * O + j];
    return { weight, bias: Float64Array.from(this[`${of}headBias`].subarray(0, outputs)) };
  }
}
