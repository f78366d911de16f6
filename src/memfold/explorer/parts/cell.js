// The cell with its live values. Gates are valves: drag one to hold it, double tap it to let it go.

const GATE_X = { f: 120, i: 262, g: 392, o: 522 };
const MEMORY_Y = 74;
const STATE_Y = 378;
const GATE_Y = 268;
const HALF = { x: 54, y: 44 };

function arrow(points, colour, width = 2, head = true) {
  const [x, y] = points[points.length - 1];
  const [px, py] = points[points.length - 2];
  const [dx, dy] = [Math.sign(x - px), Math.sign(y - py)];
  const tip = head ? `M${x} ${y}l${-10 * dx - 5 * dy} ${-10 * dy - 5 * dx}l${10 * dy} ${10 * dx}z` : "";
  const line = points.map(([a, b], k) => `${k ? "L" : "M"}${k === points.length - 1 && head ? a - 7 * dx : a} ${k === points.length - 1 && head ? b - 7 * dy : b}`);
  const style = `stroke:var(--${colour});stroke-width:${width}`;
  return el("g", {}, el("path", { d: line.join(""), fill: "none", style, "stroke-linejoin": "round" }),
    tip ? el("path", { d: tip, style: `fill:var(--${colour})` }) : null);
}

const label = (x, y, text, { size = 18, colour = "ink", anchor = "middle", weight = 400, italic = false } = {}) =>
  el("text", { x, y, "font-size": size, "text-anchor": anchor, "font-weight": weight,
    style: `fill:var(--${colour})${italic ? ";font-family:Georgia,serif;font-style:italic" : ""}` }, text);

function knot(x, y, sign) {
  if (sign === "tanh") {
    return el("g", {}, el("rect", { x: x - 32, y: y - 16, width: 64, height: 32, rx: 16, class: "knot" }), label(x, y + 6, "tanh", { size: 17 }));
  }
  return el("g", {}, el("circle", { cx: x, cy: y, r: 16, class: "knot" }), label(x, y + 7, sign, { size: 22 }));
}

// A lock, drawn because not every machine has a character for it.
const lock = (x, y) => el("g", { class: "lock" },
  el("rect", { x: x - 8, y: y - 6, width: 16, height: 12, rx: 2 }),
  el("path", { d: `M${x - 5} ${y - 6}v-4a5 5 0 0 1 10 0v4`, fill: "none" }));

// A valve: as full as the gate is open; a candidate's fills from the middle, up or down.
function valve(gate, x, y, value) {
  const held = holdNow(gate) !== null;
  const signedGate = gate === "g" || gate === "n";
  const height = 2 * HALF.y;
  const level = signedGate ? (Math.abs(value) * height) / 2 : value * height;
  const top = signedGate ? (value < 0 ? y : y - level) : y + HALF.y - level;
  const group = el("g", { class: `valve${held ? " locked" : ""}`, "data-gate": gate },
    el("rect", { x: x - HALF.x, y: y - HALF.y, width: 2 * HALF.x, height, rx: 10, style: `fill:var(--card);stroke:var(--gate-${gate});stroke-width:${held ? 5 : 2.5}` }),
    el("rect", { x: x - HALF.x + 2, y: top, width: 2 * HALF.x - 4, height: Math.max(level, 0), rx: level > 8 ? 8 : 0, style: `fill:var(--gate-${gate});opacity:.28` }),
    label(x, y - 14, w(`short ${gate}`), { size: 18, weight: 600, colour: `gate-${gate}` }),
    label(x, y + 16, number(value), { size: 26, weight: 700 }),
    held ? lock(x + HALF.x - 12, y - HALF.y - 10) : null);
  return group;
}

function lstmDrawing() {
  const u = now.unit;
  const v = valuesAt(now.step);
  const before = reader().before(reading.steps, now.layer, now.step);
  const { f, i, g, o } = GATE_X;
  const middle = (i + g) / 2;
  const out = 616;
  const coupled = layerNow().cell === "coupled_lstm";
  return el("svg", { viewBox: "0 0 700 460", role: "img", "aria-label": $("sentence").textContent },
    el("rect", { x: 52, y: 22, width: 606, height: 386, rx: 22, style: "fill:var(--inside);stroke:var(--line)" }),
    arrow([[20, STATE_Y], [o, STATE_Y], [o, GATE_Y + HALF.y]], "soft"),
    ...[f, i, g].map((x) => arrow([[x, STATE_Y], [x, GATE_Y + HALF.y]], "soft")),
    arrow([[90, 446], [90, STATE_Y]], "soft", 2, false),
    arrow([[f, GATE_Y - HALF.y], [f, MEMORY_Y + 17]], "gate-f"),
    arrow([[i, GATE_Y - HALF.y], [i, 168], [middle - 16, 168]], "gate-i"),
    arrow([[g, GATE_Y - HALF.y], [g, 168], [middle + 16, 168]], "gate-g"),
    arrow([[middle, 152], [middle, MEMORY_Y + 17]], "ink"),
    arrow([[o, GATE_Y - HALF.y], [o, 192], [out - 16, 192]], "gate-o"),
    arrow([[20, MEMORY_Y], [684, MEMORY_Y]], "memory", 6),
    arrow([[out, MEMORY_Y], [out, 176]], "ink", 2, false),
    arrow([[out, 208], [out, STATE_Y], [684, STATE_Y]], "ink"),
    knot(f, MEMORY_Y, "×"), knot(middle, MEMORY_Y, "+"), knot(middle, 168, "×"), knot(out, 128, "tanh"), knot(out, 192, "×"),
    coupled ? el("path", { d: `M${f + HALF.x} ${GATE_Y}L${i - HALF.x} ${GATE_Y}`, style: "stroke:var(--soft);stroke-width:2;stroke-dasharray:4 4" }) : null,
    coupled ? label((f + i) / 2, GATE_Y + HALF.y + 24, "f = 1 − i", { size: 17, colour: "soft", italic: true }) : null,
    valve("f", f, GATE_Y, v.f[u]), valve("i", i, GATE_Y, v.i[u]), valve("g", g, GATE_Y, v.g[u]), valve("o", o, GATE_Y, v.o[u]),
    label(8, MEMORY_Y - 14, `c ${signed(before.c[u])}`, { anchor: "start", colour: "memory", weight: 700, size: 20 }),
    label((f + middle) / 2, MEMORY_Y - 14, `× ${number(v.f[u])}`, { colour: "gate-f", size: 18 }),
    label((middle + out) / 2 - 20, MEMORY_Y - 14, signed(v.i[u] * v.g[u]).replace("+", "+ ").replace(MINUS, `${MINUS} `), { size: 18 }),
    label(692, MEMORY_Y - 14, `c ${signed(v.c[u])}`, { anchor: "end", colour: "memory", weight: 700, size: 20 }),
    label(692, STATE_Y + 26, `h ${signed(v.h[u])}`, { anchor: "end", weight: 700, size: 20 }),
    label(108, 446, `${w("reads")} ${quoted(pieceAt(now.step))}`, { anchor: "start", size: 20 }));
}

// Of a GRU and a plain RNN the equation with its numbers; their valves stand below, as those of the others do.
function otherDrawing() {
  const u = now.unit;
  const v = valuesAt(now.step);
  const before = reader().before(reading.steps, now.layer, now.step);
  const line = v.z
    ? `h = (1 − z)·n + z·h = ${number(1 - v.z[u])} · ${number(v.n[u])} + ${number(v.z[u])} · ${number(before.h[u])} = ${number(v.h[u])}`
    : `h = tanh(W·x + R·h + b) = ${number(v.h[u])}`;
  return el("p", { class: "equation" }, line);
}

function drawCell() {
  const u = now.unit;
  const v = valuesAt(now.step);
  $("cell").replaceChildren(v.c ? lstmDrawing() : otherDrawing());
  const gates = layerNow().kind.values.filter((name) => !["c", "h"].includes(name));
  $("valves").replaceChildren(...gates.map((gate) => {
    const held = holdOf(gate);
    const range = el("input", { type: "range", min: gate === "g" || gate === "n" ? -1 : 0, max: 1, step: 0.01, id: `valve-${gate}`, "aria-label": w(`value ${gate}`) });
    range.value = v[gate][u];
    range.style.accentColor = `var(--gate-${gate})`;
    range.onchange = () => { hold(gate, Number(range.value)); $(`valve-${gate}`).focus(); };
    return el("div", { class: "valve-row" },
      el("label", { for: `valve-${gate}`, style: `color:var(--gate-${gate})` }, w(`value ${gate}`)),
      range,
      el("output", {}, number(v[gate][u])),
      el("button", { onclick: () => hold(gate, held ? null : v[gate][u]), "aria-pressed": held ? "true" : "false" }, w(held ? "let go" : "hold")));
  }));
  const all = now.holds.map((h) => w("held gate", { gate: h.gate, unit: h.unit, value: number(h.value), step: h.from + 1 }));
  $("held").textContent = all.length ? all.join(" ") : w("nothing held");
  $("let all go").hidden = !all.length;
}

// Dragging on the drawing: a valve's height is its value.
function valveDrag(event) {
  const group = event.target.closest(".valve");
  if (!group) return;
  const { gate } = group.dataset;
  const box = group.querySelector("rect").getBoundingClientRect();
  const from = gate === "g" || gate === "n" ? -1 : 0;
  let value = null;
  const move = (moved) => {
    const share = clamp((box.bottom - moved.clientY) / box.height, 0, 1);
    value = Math.round(100 * (from + share * (1 - from))) / 100;
    hold(gate, value);
  };
  const begun = event.clientY;
  const follow = (moved) => { if (value !== null || Math.abs(moved.clientY - begun) > 4) move(moved); };
  const end = () => {
    removeEventListener("pointermove", follow);
    removeEventListener("pointerup", end);
    removeEventListener("pointercancel", end);
  };
  addEventListener("pointermove", follow);
  addEventListener("pointerup", end);
  addEventListener("pointercancel", end);
  event.preventDefault();
}

views.push(() => { if (now.zoom === 3) drawCell(); });
