// How much of an error gets back to a step so many steps earlier: the gradient by h of every step, of fresh weights.

const FLOW = { hidden: 32, steps: 100, rows: 16, inputs: 8, marked: 50 };

// Norms by lag, that of the last step 1, of one cell with a bias of its gate that keeps and a scale of its recurrence.
function flowOf(cell, bias, scale, wasm = true) {
  const { hidden, steps, rows, inputs } = FLOW;
  const its = new Learner({ cell, hidden, inputs, outputs: 8, steps, rows, seed: 3, bias, scale, wasm });
  const chance = random(4);
  const drawn = () => 2 * Math.sqrt(3) * (chance() - 0.5); // mean 0, variance 1
  const x = Float32Array.from({ length: steps * rows * inputs }, drawn);
  its.forward(x, false);
  its.y.fill(0);
  const last = (steps - 1) * rows;
  for (let k = 0; k < rows * 8; k++) its.y[last * its.O + k] = drawn();
  its.backward(x, false);
  const norms = Array.from({ length: steps }, (_, lag) => {
    let sum = 0;
    const from = (last - lag * rows) * hidden;
    for (let k = from; k < from + rows * hidden; k++) sum += its.dh[k] ** 2;
    return Math.sqrt(sum);
  });
  return norms.map((norm) => norm / norms[0]);
}

let flowed = null; // what is drawn: {bias, scale, by}

function drawFlow() {
  const [bias, scale] = [Number($("flow bias").value), Number($("flow scale").value)];
  if (!flowed || flowed.bias !== bias || flowed.scale !== scale) {
    flowed = { bias, scale, by: Object.fromEntries(RACERS.map(([name, cell]) => [name, flowOf(cell, bias, scale)])) };
  }
  $("flow bias value").textContent = number(bias, 1);
  $("flow scale value").textContent = number(scale, 1);
  const { marked, steps } = FLOW;
  const [least, most] = [-12, 4];
  const lines = RACERS.map(([name]) => ({
    shape: name, name: w(`cell ${name}`), text: w("flow left", { share: magnitude(flowed.by[name][marked]), lag: marked }),
    points: flowed.by[name].map((norm, lag) => [lag, Math.log10(norm || 1e-30)]).filter(([, norm]) => least <= norm && norm <= most),
  }));
  const shares = Object.fromEntries(RACERS.map(([name]) => [name, magnitude(flowed.by[name][marked])]));
  chart($("flow chart"), {
    label: w("flow label", { ...shares, lag: marked }), lines, x: [0, steps - 1], y: [least, most], titleX: w("flow axis"),
    ticksX: [0, 25, 50, 75, 99].map((lag) => [lag, String(lag)]), ticksY: [4, 0, -4, -8, -12].map((e) => [e, e === 0 ? "1" : power(e)]),
  });
  $("flow said").textContent = w("flow label", { ...shares, lag: marked });
}

views.push(drawFlow);
