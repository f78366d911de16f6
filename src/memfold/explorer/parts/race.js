// The race: three cells learn to add two numbers that stand far apart (Hochreiter & Schmidhuber 1997, task 4).
//
// At each step a network sees a number between 0 and 1 and a mark, which is 1 at two steps and 0 at all others. At the
// end it must say the sum of the marked ones. Who always says 1 has a mean squared error of 1/6.

const RACERS = [["rnn", "rnn_tanh"], ["lstm", "lstm"], ["gru", "gru"]];
const RACE = { hidden: 32, rows: 32, rate: 0.01, bias: 3, checked: 50, tried: 500, close: 0.04, enough: 0.99, most: 4000 };
const GUESS = 1 / 6;

class Racer {
  constructor(name, cell, lag, seed, wasm = true) {
    this.name = name;
    this.learner = new Learner({ cell, hidden: RACE.hidden, inputs: 2, outputs: 1, steps: lag, rows: RACE.rows, seed, bias: RACE.bias, wasm });
    this.chance = random(seed + 50);
    this.errors = []; // [sequences, mean squared error]
    this.solved = null; // sequences
    this.busy = 0;
    this.x = new Float32Array(lag * RACE.rows * 2);
    this.want = new Float32Array(RACE.rows);
  }

  #draw() {
    const { T, B } = this.learner;
    const middle = T >> 1;
    for (let b = 0; b < B; b++) {
      for (let t = 0; t < T; t++) {
        this.x[(t * B + b) * 2] = this.chance();
        this.x[(t * B + b) * 2 + 1] = 0;
      }
      const marked = [Math.floor(this.chance() * middle), middle + Math.floor(this.chance() * (T - middle))];
      this.want[b] = 0;
      for (const t of marked) {
        this.x[(t * B + b) * 2 + 1] = 1;
        this.want[b] += this.x[(t * B + b) * 2];
      }
    }
  }

  get over() {
    return this.solved !== null || this.learner.updates >= RACE.most;
  }

  // One update, and after every fiftieth the errors of fresh sequences.
  update() {
    const { learner: its } = this;
    this.#draw();
    its.forward(this.x, false);
    its.squaredError(this.want, false);
    its.backward(this.x, false);
    its.adam(RACE.rate);
    if (its.updates % RACE.checked) return;
    let [error, right, count] = [0, 0, 0];
    while (count < RACE.tried) {
      this.#draw();
      const y = its.forward(this.x, false);
      for (let b = 0; b < its.B; b++) {
        const away = Math.abs(y[b * its.O] - this.want[b]);
        error += away * away;
        right += +(away < RACE.close);
      }
      count += its.B;
    }
    this.errors.push([its.updates * its.B, error / count]);
    if (right >= RACE.enough * count) this.solved = its.updates * its.B;
  }

  slice(milliseconds) {
    const begun = performance.now();
    do this.update(); while (!this.over && performance.now() - begun < milliseconds);
    this.busy += performance.now() - begun;
  }
}

let race = null; // {lag, seed, racers, running}

// What became of a racer: the error is said beside that of a guess only while it is no better than one.
function outcome({ solved, errors, busy, over }) {
  const error = errors.length ? errors[errors.length - 1][1] : NaN;
  const filled = {
    sequences: (solved ?? (errors.length ? errors[errors.length - 1][0] : 0)).toLocaleString("en"),
    seconds: number(busy / 1000, 1), error: errors.length ? number(error, 3) : "…", guess: number(GUESS, 3),
  };
  if (solved !== null) return w("race solved", filled);
  if (!over) return w("race runs", filled);
  return w(error > 0.9 * GUESS ? "race guess" : "race not", filled);
}

function drawRace() {
  const chosen = $("race lag").value || "50";
  $("race lag").replaceChildren(...["20", "30", "50", "100"].map((lag) => el("option", { value: lag }, lag)));
  $("race lag").value = chosen;
  $("race go").textContent = w(race && race.running ? "race stop" : race ? "race again" : "race go");
  $("race how").textContent = w("race how", { ...RACE, most: (RACE.most * RACE.rows).toLocaleString("en"), enough: percent(RACE.enough) });
  if (!race) return;
  const { racers, running } = race;
  const most = Math.max(RACE.checked * RACE.rows, ...racers.flatMap(({ errors }) => errors.map(([sequences]) => sequences)));
  const lines = racers.map((racer) => ({
    shape: racer.name, name: w(`cell ${racer.name}`), text: outcome(racer), points: racer.errors.map(([n, error]) => [n, Math.log10(error)]),
  }));
  lines.push({ shape: "guess", name: w("race one"), text: number(GUESS, 3), points: [[0, Math.log10(GUESS)], [most, Math.log10(GUESS)]] });
  chart($("race chart"), {
    label: w("race label", { lag: race.lag }), lines, x: [0, most], y: [-4, 0], titleX: w("race axis"),
    ticksX: rounds(0, most).map((value) => [value, value.toLocaleString("en")]), ticksY: [0, -1, -2, -3, -4].map((e) => [e, e === 0 ? "1" : power(e)]),
  });
  $("race said").textContent = running ? "" : racers.map((racer) => w("race said", { cell: w(`cell ${racer.name}`), outcome: outcome(racer) })).join(" ");
}

function startRace(seed = race ? race.seed + 1 : 1) {
  const lag = Number($("race lag").value);
  race = { lag, seed, running: true, racers: RACERS.map(([name, cell]) => new Racer(name, cell, lag, seed)) };
  const mine = race;
  let drawn = 0;
  const slice = () => {
    if (race !== mine || !mine.running) return;
    const waiting = mine.racers.filter((racer) => !racer.over);
    if (!waiting.length) mine.running = false;
    else waiting.reduce((least, racer) => (racer.busy < least.busy ? racer : least)).slice(SLICE); // equal time for all
    const at = performance.now();
    if (!mine.running || at - drawn > REDRAW) {
      drawRace();
      drawn = at;
    }
    if (mine.running) setTimeout(slice, 0);
  };
  slice();
}

function toggleRace() {
  if (race && race.running) {
    race.running = false;
    drawRace();
  } else startRace();
}

views.push(drawRace);
