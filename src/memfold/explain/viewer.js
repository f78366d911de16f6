// Every gate of a recorded run: a layer, a value, a unit and a step are chosen, and all that is drawn follows.
const data = JSON.parse(document.getElementById("data").textContent);
const words = data.words;
const element = (id) => document.getElementById(id);
const GATES = "iforz";
const DASHES = { i: "2 4", f: "", g: "7 4", o: "10 3 2 3", c: "", h: "5 3", r: "2 4", z: "", n: "7 4" };
const COLOURS = { c: "memory", h: "ink" };
const now = { layer: data.first, value: "c", unit: 0, step: 0 };

// -- numbers

const decoded = new Map();
function numbers(name, value) {
  const key = `${name}/${value}`;
  if (!decoded.has(key)) {
    const its = data.layers[name].values[value];
    const bytes = Uint8Array.from(atob(its.data), (sign) => sign.charCodeAt(0));
    decoded.set(key, Float32Array.from(new Int16Array(bytes.buffer), (whole) => (whole * its.most) / 32767));
  }
  return decoded.get(key);
}
const layer = () => data.layers[now.layer];
const steps = () => layer().labels.length;
const units = () => layer().units;
// A value of a unit by the unit's number in the network.
function at(value, step, unit) {
  if (value === "i" && layer().coupled) return 1 - at("f", step, unit);
  return numbers(now.layer, value)[step * units().length + units().indexOf(unit)];
}
const has = (value) => value in layer().values || (value === "i" && layer().coupled);
const before = (state, step, unit) => {
  const back = layer().reverse ? step + 1 : step - 1;
  return back < 0 || back >= steps() ? layer().start[state][units().indexOf(unit)] : at(state, back, unit);
};

// What the state after a step is made of: each step's i*g times every later f, or of a GRU (1-z)*n and z.
function account(unit, step) {
  if (!layer().lives.length) return null;
  const isLstm = has("c");
  const kept = (t) => at(isLstm ? "f" : "z", t, unit);
  const written = (t) => (isLstm ? at("i", t, unit) * at("g", t, unit) : (1 - at("z", t, unit)) * at("n", t, unit));
  const parts = new Array(steps()).fill(0);
  let left = 1;
  const back = layer().reverse ? 1 : -1;
  for (let t = step; t >= 0 && t < steps(); t += back) {
    parts[t] = written(t) * left;
    left *= kept(t);
  }
  const start = layer().start[isLstm ? "c" : "h"][units().indexOf(unit)] * left;
  return { start, parts, total: parts.reduce((sum, part) => sum + part, start) };
}

// -- words

const shown = (number) => (Math.abs(number) >= 1e-3 || number === 0 ? number.toFixed(4) : number.toExponential(2));
const two = (number) => number.toFixed(3).replace("-", "−");
const filled = (key, values) => Object.entries(values).reduce((text, [name, value]) => text.replaceAll(`{${name}}`, value), words[key]);
const label = (step) => layer().labels[step].replace(/^$/, "·");

// The step's own sum, with its numbers.
function equation() {
  const { unit, step } = now;
  const v = (value) => two(at(value, step, unit));
  if (has("c")) {
    return `c = f·c + i·g = ${v("f")} × ${two(before("c", step, unit))} + ${v("i")} × ${v("g")} = ${v("c")};  h = ${has("o") ? `o·tanh(c) = ${v("o")} × ${two(Math.tanh(at("c", step, unit)))} = ` : ""}${v("h")}`;
  }
  if (has("z")) return `h = z·h + (1 − z)·n = ${v("z")} × ${two(before("h", step, unit))} + ${two(1 - at("z", step, unit))} × ${v("n")} = ${v("h")}`;
  return `h = ${v("h")}`;
}

// -- drawing

function largest(value, unit) {
  if (GATES.includes(value)) return 1;
  let most = 0;
  for (let t = 0; t < steps(); t++) most = Math.max(most, Math.abs(at(value, t, unit)));
  return most;
}

function drawStrip() {
  const strip = element("strip"), most = largest(now.value, now.unit) || 1;
  if (strip.dataset.layer !== now.layer) {
    strip.dataset.layer = now.layer;
    strip.className = data.joint === null ? "" : "text";
    strip.replaceChildren(...layer().labels.map((text, step) => el("span", { onclick: () => set({ step }) },
      data.joint === null ? "" : (step ? data.joint : "") + text.replace("\n", "↵\n"))));
  }
  [...strip.children].forEach((span, step) => {
    const value = at(now.value, step, now.unit);
    span.style.setProperty("--s", Math.min(1, Math.abs(value) / most).toFixed(2));
    span.className = `${value < 0 ? "minus" : ""} ${step === now.step ? "now" : ""}`.trim();
    span.title = `${label(step)}  ${now.value} = ${shown(value)}`;
  });
}

function drawMap() {
  paintMap(element("map"), {
    order: layer().order, steps: steps(), now: now.step, unit: now.unit, value: (t, u) => at(now.value, t, u),
  });
}

function drawLines() {
  const names = Object.keys(layer().values).filter((value) => value in DASHES);
  const most = Math.max(1, ...names.map((value) => largest(value, now.unit)));
  const box = element("lines"), width = Math.max(300, Math.min(box.clientWidth || 640, 1040));
  const [left, right, top, tall] = [64, 8, 8, 190];
  const x = (step) => left + ((width - left - right) * (step + 0.5)) / steps();
  const y = (value) => top + (tall / 2) * (1 - value / most);
  const colour = (value) => `var(--${COLOURS[value] || `gate-${value}`})`;
  const svg = el("svg", { viewBox: `0 0 ${width} ${top + tall + 26}`, width, height: top + tall + 26, role: "img", "aria-label": names.map((value) => words[`value ${value}`]).join(", ") },
    el("line", { x1: left, x2: width - right, y1: y(0), y2: y(0), class: "axis" }),
    ...[-most, 0, most].map((value) => el("text", { x: left - 8, y: y(value) + 5, "text-anchor": "end" }, value === 0 ? "0" : two(value))),
    ...names.map((value) => el("polyline", {
      points: layer().labels.map((_, t) => `${x(t).toFixed(1)},${y(at(value, t, now.unit)).toFixed(1)}`).join(" "),
      fill: "none", style: `stroke:${colour(value)}`, "stroke-width": value === now.value ? 3.5 : 1.6, "stroke-dasharray": DASHES[value] || null })),
    el("rect", { x: x(now.step) - 1, y: top, width: 2, height: tall, class: "cursor" }),
    ...[0, Math.floor((steps() - 1) / 2), steps() - 1].filter((t, k, all) => all.indexOf(t) === k).map((t, k, all) => el("text", {
      x: x(t), y: top + tall + 18, "text-anchor": k === 0 ? "start" : k === all.length - 1 ? "end" : "middle" }, [...label(t)].slice(0, 20).join(""))));
  svg.addEventListener("click", (event) => {
    const at = svg.getBoundingClientRect();
    const place = ((event.clientX - at.left) * (width / at.width) - left) / (width - left - right);
    set({ step: Math.floor(place * steps()) });
  });
  box.replaceChildren(svg);
  element("values").replaceChildren(...names.map((value) => el("span", {},
    el("svg", { width: 30, height: 10, "aria-hidden": "true" }, el("line", { x1: 1, x2: 29, y1: 5, y2: 5, style: `stroke:${colour(value)}`, "stroke-width": 2.4, "stroke-dasharray": DASHES[value] || null })),
    `${words[`value ${value}`]} ${shown(at(value, now.step, now.unit))}`)));
}

function drawLedger() {
  const found = account(now.unit, now.step);
  if (!found) {
    element("account").textContent = words["no ledger"];
    element("ledger").replaceChildren();
    return;
  }
  element("account").textContent = filled("ledger text", { start: shown(found.start), total: shown(found.total) });
  ledgerBars(element("ledger"), {
    parts: found.parts, now: now.step, names: label, text: shown, sentence: element("account").textContent, onstep: (step) => set({ step }),
  });
}

function drawReadout() {
  const life = layer().lives[units().indexOf(now.unit)];
  const lasting = !layer().lives.length ? "" : life === null ? words["keeps all"] : filled("half-life", { steps: life.toFixed(1) });
  const coupled = layer().coupled ? words.coupled : "";
  element("readout").replaceChildren(
    el("strong", {}, `${words.unit} ${now.unit} · ${words[`value ${now.value}`]} = ${shown(at(now.value, now.step, now.unit))}`),
    el("span", {}, [equation(), lasting, coupled].filter(Boolean).join(" · ")));
  element("place").textContent = `${now.step + 1} / ${steps()}  ${JSON.stringify(layer().labels[now.step])}`;
}

function drawFollowers() {
  const found = (data.followers[now.layer] || []).filter((one) => units().includes(one.unit));
  element("following").hidden = !found.length;
  element("followers").replaceChildren(...found.map((one) => el("button", { onclick: () => set({ unit: one.unit, value: one.state }) },
    `${one.label}: ${words.unit} ${one.unit}, ${one.state} (${one.kind} ${one.score.toFixed(2)})`)));
}

// -- choosing

const options = (select, values, name) => select.replaceChildren(...values.map((value) => el("option", { value }, name(value))));

function set(change) {
  const changed = change.layer !== undefined || !element("value").options.length;
  Object.assign(now, change);
  if (changed) {
    const values = Object.keys(layer().values);
    options(element("value"), values, (value) => words[`value ${value}`]);
    options(element("unit"), layer().order, (unit) => {
      const life = layer().lives[units().indexOf(unit)];
      return life === undefined ? String(unit) : `${unit} (${life === null ? "∞" : life.toFixed(1)})`;
    });
    if (!values.includes(now.value)) now.value = values.includes("c") ? "c" : "h";
    element("left out").textContent = layer().leftOut ? filled("left out", { shown: units().length, all: units().length + layer().leftOut }) : "";
    drawFollowers();
  }
  if (!units().includes(now.unit)) now.unit = layer().order[0];
  now.step = clamp(Math.trunc(now.step) || 0, 0, steps() - 1);
  element("layer").value = now.layer;
  element("value").value = now.value;
  element("unit").value = now.unit;
  element("step").max = steps() - 1;
  element("step").value = now.step;
  for (const draw of [drawStrip, drawMap, drawLines, drawLedger, drawReadout]) draw();
}

options(element("layer"), Object.keys(data.layers), (name) => data.layers[name].name);
for (const name of ["layer", "value"]) element(name).addEventListener("change", (event) => set({ [name]: event.target.value }));
for (const name of ["unit", "step"]) element(name).addEventListener("input", (event) => set({ [name]: Number(event.target.value) }));
element("strip").addEventListener("keydown", (event) => {
  const by = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
  if (by) set({ step: now.step + by });
  if (by) event.preventDefault();
});
element("map").addEventListener("click", (event) => {
  const { clientWidth, clientHeight } = event.currentTarget;
  const row = clamp(Math.floor((units().length * event.offsetY) / clientHeight), 0, units().length - 1);
  set({ step: Math.floor((steps() * event.offsetX) / clientWidth), unit: layer().order[row] });
});
window.addEventListener("resize", () => { drawLines(); drawLedger(); });
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", drawMap);
set({ step: steps() - 1, unit: layer().order[0] });
window.memfold = { now, set, account, at };
