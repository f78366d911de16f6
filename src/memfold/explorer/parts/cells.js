// The recurrent cells in plain JavaScript: one step of each forward, with any gate held, and whole sequences backward.
//
// The formulas are those of memfold.cells, value by value; tests hold the two equal. Numbers are float64, a matrix is
// one Float64Array, row by row. Weights have PyTorch's layout: a gate is a block of H rows.

const CELLS = {
  rnn_tanh: { gates: ["h"], values: ["h"], peepholes: [] },
  rnn_relu: { gates: ["h"], values: ["h"], peepholes: [] },
  lstm: { gates: ["i", "f", "g", "o"], values: ["i", "f", "g", "o", "c", "h"], peepholes: ["i", "f", "o"] },
  coupled_lstm: { gates: ["i", "g", "o"], values: ["i", "f", "g", "o", "c", "h"], peepholes: ["i", "o"] },
  gru: { gates: ["r", "z", "n"], values: ["r", "z", "n", "h"], peepholes: [] },
  gru_reset_before: { gates: ["r", "z", "n"], values: ["r", "z", "n", "h"], peepholes: [] },
};

const sigmoid = (x) => 1 / (1 + Math.exp(-x));
const zeros = (n) => new Float64Array(n);

// out[j] += the sum over k of matrix[(first + j) * columns + k] * vector[k]
function addProduct(out, matrix, vector, first, rows, columns) {
  for (let j = 0; j < rows; j++) {
    const row = (first + j) * columns;
    let sum = 0;
    for (let k = 0; k < columns; k++) sum += matrix[row + k] * vector[k];
    out[j] += sum;
  }
}

// One layer in one direction. Its inputs are numbers, through weight_ih, or tokens, through `table`: there embedding
// and weight_ih are multiplied into one row for each token, because a row is all that a step needs.
class Layer {
  constructor({ cell, hidden, inputs, weight_ih, weight_hh, bias_ih, bias_hh, weight_ph, table }) {
    this.cell = cell;
    this.kind = CELLS[cell];
    this.hidden = hidden;
    this.inputs = inputs;
    this.rows = this.kind.gates.length * hidden;
    this.weight_ih = weight_ih || null;
    this.table = table || null;
    this.weight_hh = weight_hh;
    this.bias_ih = bias_ih || zeros(this.rows);
    this.bias_hh = bias_hh || zeros(this.rows);
    this.weight_ph = weight_ph || null;
  }

  // The state before the first step.
  start() {
    return this.kind.values.includes("c") ? { h: zeros(this.hidden), c: zeros(this.hidden) } : { h: zeros(this.hidden) };
  }

  // W x + b: what the input alone says to every gate, (G*H). x is a token's number or an array of numbers.
  fromInput(x) {
    const sum = Float64Array.from(this.bias_ih);
    if (this.table) {
      const row = x * this.rows;
      for (let j = 0; j < this.rows; j++) sum[j] += this.table[row + j];
    } else addProduct(sum, this.weight_ih, x, 0, this.rows, this.inputs);
    return sum;
  }

  // The place of a gate's peephole of a unit in weight_ph, or -1.
  peephole(gate, unit) {
    const at = this.weight_ph ? this.kind.peepholes.indexOf(gate) : -1;
    return at < 0 ? -1 : at * this.hidden + unit;
  }

  // One step from the state before it. `held` is a list of {gate, unit, value}: such a gate has that value, whatever
  // it is given. In a coupled cell f and i are one valve: to hold one holds the other, at 1 minus its value.
  step(x, before, held = []) {
    const { cell, hidden: H } = this;
    const values = Object.fromEntries(this.kind.values.map((name) => [name, zeros(H)]));
    const pre = this.fromInput(x); // (G*H)
    const holding = (names) => held.forEach(({ gate, unit, value }) => {
      if (names.includes(gate)) values[gate][unit] = value;
    });
    const { h } = before;
    if (cell === "gru" || cell === "gru_reset_before") {
      const fromState = Float64Array.from(this.bias_hh);
      addProduct(fromState, this.weight_hh, h, 0, 2 * H, H);
      const { r, z, n } = values;
      for (let u = 0; u < H; u++) {
        r[u] = sigmoid(pre[u] + fromState[u]);
        z[u] = sigmoid(pre[H + u] + fromState[H + u]);
      }
      holding(["r", "z"]);
      const part = fromState.subarray(2 * H);
      if (cell === "gru") { // the reset gate after the product
        addProduct(part, this.weight_hh, h, 2 * H, H, H);
        for (let u = 0; u < H; u++) n[u] = Math.tanh(pre[2 * H + u] + r[u] * part[u]);
      } else { // and before it
        addProduct(part, this.weight_hh, h.map((value, u) => r[u] * value), 2 * H, H, H);
        for (let u = 0; u < H; u++) n[u] = Math.tanh(pre[2 * H + u] + part[u]);
      }
      holding(["n"]);
      for (let u = 0; u < H; u++) values.h[u] = (1 - z[u]) * n[u] + z[u] * h[u];
      return values;
    }
    for (let j = 0; j < this.rows; j++) pre[j] += this.bias_hh[j];
    addProduct(pre, this.weight_hh, h, 0, this.rows, H);
    if (cell === "rnn_tanh" || cell === "rnn_relu") {
      for (let u = 0; u < H; u++) values.h[u] = cell === "rnn_tanh" ? Math.tanh(pre[u]) : Math.max(pre[u], 0);
      return values;
    }
    // An LSTM: i, f and g from the old memory, then c, then o, which may see the new one.
    const { i, f, g, o, c } = values;
    const coupled = cell === "coupled_lstm";
    const seen = (gate, u, memory) => {
      const at = this.peephole(gate, u);
      return at < 0 ? 0 : this.weight_ph[at] * memory[u];
    };
    const block = (gate) => this.kind.gates.indexOf(gate) * H;
    const [I, F, G, O] = ["i", "f", "g", "o"].map(block);
    for (let u = 0; u < H; u++) {
      i[u] = sigmoid(pre[I + u] + seen("i", u, before.c));
      f[u] = coupled ? 1 - i[u] : sigmoid(pre[F + u] + seen("f", u, before.c));
      g[u] = Math.tanh(pre[G + u]);
    }
    held.forEach(({ gate, unit, value }) => {
      if (gate !== "o") values[gate][unit] = value;
      if (coupled && gate === "i") f[unit] = 1 - value;
      if (coupled && gate === "f") i[unit] = 1 - value;
    });
    for (let u = 0; u < H; u++) {
      c[u] = f[u] * before.c[u] + i[u] * g[u];
      o[u] = sigmoid(pre[O + u] + seen("o", u, c));
    }
    holding(["o"]);
    for (let u = 0; u < H; u++) values.h[u] = o[u] * Math.tanh(c[u]);
    return values;
  }

  // All steps over inputs, and what each began from.
  forward(xs, start = this.start()) {
    const steps = [];
    let before = start;
    for (const x of xs) {
      const values = this.step(x, before);
      steps.push({ x, before, values });
      before = values;
    }
    return steps;
  }

  // Gradients of a loss by the weights, by every input, and by h at every step (what flows back), from `dy`: its
  // derivative by h of every step from outside. Back-propagation through time, by the chain rule over `step`.
  backward(steps, dy) {
    const { cell, hidden: H, rows } = this;
    const by = { weight_hh: zeros(rows * H), bias_ih: zeros(rows), bias_hh: zeros(rows) };
    if (this.table) by.table = zeros(this.table.length);
    else by.weight_ih = zeros(rows * this.inputs);
    if (this.weight_ph) by.weight_ph = zeros(this.weight_ph.length);
    const dx = [];
    const dh = []; // by h of each step, with all that comes later
    let later = this.start();
    later.c = later.c || zeros(H);
    for (let t = steps.length - 1; t >= 0; t--) {
      const { x, before, values } = steps[t];
      const grown = zeros(H);
      for (let u = 0; u < H; u++) grown[u] = dy[t][u] + later.h[u];
      dh[t] = grown;
      const next = { h: zeros(H), c: zeros(H) };
      const pre = zeros(rows); // by what the input says
      let fromState = pre; // by what the state says; another one in a GRU, whose r stands between
      if (cell === "rnn_tanh" || cell === "rnn_relu") {
        for (let u = 0; u < H; u++) {
          const h = values.h[u];
          pre[u] = grown[u] * (cell === "rnn_tanh" ? 1 - h * h : +(h > 0));
        }
      } else if (cell === "gru" || cell === "gru_reset_before") {
        fromState = this.#backThroughGru(before, values, grown, pre, next, by);
      } else this.#backThroughLstm(before, values, grown, later.c, pre, next, by);
      // Through the products W x + R h.
      const reset = cell === "gru_reset_before";
      for (let j = 0; j < rows; j++) {
        by.bias_ih[j] += pre[j];
        by.bias_hh[j] += fromState[j];
        if (reset && j >= 2 * H) continue; // done above: its product is with r * h
        const d = fromState[j];
        const row = j * H;
        for (let k = 0; k < H; k++) {
          by.weight_hh[row + k] += d * before.h[k];
          next.h[k] += d * this.weight_hh[row + k];
        }
      }
      if (this.table) for (let j = 0; j < rows; j++) by.table[x * rows + j] += pre[j];
      else {
        dx[t] = zeros(this.inputs);
        for (let j = 0; j < rows; j++) {
          const row = j * this.inputs;
          for (let k = 0; k < this.inputs; k++) {
            by.weight_ih[row + k] += pre[j] * x[k];
            dx[t][k] += pre[j] * this.weight_ih[row + k];
          }
        }
      }
      later = next;
    }
    return { by, dx, dh };
  }

  #backThroughLstm(before, { i, f, g, o, c }, dh, dcLater, pre, next, by) {
    const H = this.hidden;
    const coupled = this.cell === "coupled_lstm";
    const block = (gate) => this.kind.gates.indexOf(gate) * H;
    const [I, F, G, O] = ["i", "f", "g", "o"].map(block);
    const peep = (gate, u, d, memory) => { // a gradient that passes a peephole; returns what reaches the memory
      const at = this.peephole(gate, u);
      if (at < 0) return 0;
      by.weight_ph[at] += d * memory;
      return d * this.weight_ph[at];
    };
    for (let u = 0; u < H; u++) {
      const shown = Math.tanh(c[u]);
      pre[O + u] = dh[u] * shown * o[u] * (1 - o[u]);
      const dc = dcLater[u] + dh[u] * o[u] * (1 - shown * shown) + peep("o", u, pre[O + u], c[u]);
      pre[G + u] = dc * i[u] * (1 - g[u] * g[u]);
      const gain = coupled ? g[u] - before.c[u] : g[u];
      pre[I + u] = dc * gain * i[u] * (1 - i[u]);
      next.c[u] = dc * f[u] + peep("i", u, pre[I + u], before.c[u]);
      if (!coupled) {
        pre[F + u] = dc * before.c[u] * f[u] * (1 - f[u]);
        next.c[u] += peep("f", u, pre[F + u], before.c[u]);
      }
    }
  }

  #backThroughGru(before, { r, z, n }, dh, pre, next, by) {
    const H = this.hidden;
    const after = this.cell === "gru";
    for (let u = 0; u < H; u++) {
      pre[H + u] = dh[u] * (before.h[u] - n[u]) * z[u] * (1 - z[u]);
      pre[2 * H + u] = dh[u] * (1 - z[u]) * (1 - n[u] * n[u]);
      next.h[u] += dh[u] * z[u];
    }
    if (after) {
      const part = Float64Array.from(this.bias_hh.subarray(2 * H));
      addProduct(part, this.weight_hh, before.h, 2 * H, H, H);
      const fromState = Float64Array.from(pre);
      for (let u = 0; u < H; u++) {
        pre[u] = fromState[u] = pre[2 * H + u] * part[u] * r[u] * (1 - r[u]);
        fromState[2 * H + u] = pre[2 * H + u] * r[u];
      }
      return fromState;
    }
    const byReset = zeros(H); // by r * h
    for (let j = 0; j < H; j++) {
      const row = (2 * H + j) * H;
      for (let k = 0; k < H; k++) {
        byReset[k] += pre[2 * H + j] * this.weight_hh[row + k];
        by.weight_hh[row + k] += pre[2 * H + j] * r[k] * before.h[k];
      }
    }
    for (let u = 0; u < H; u++) {
      pre[u] = byReset[u] * before.h[u] * r[u] * (1 - r[u]);
      next.h[u] += byReset[u] * r[u];
    }
    return pre;
  }
}
