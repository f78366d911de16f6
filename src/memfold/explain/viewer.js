"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const words = data.words;
  const element = (id) => document.getElementById(id);
  const COLOURS = { i: "#15803d", f: "#c2410c", g: "#1d4ed8", o: "#7e22ce", c: "#0f766e", h: "#1f2933", r: "#15803d", z: "#c2410c", n: "#1d4ed8" };
  const GATES = "iforz";
  const now = { layer: data.first, value: "h", unit: 0, step: 0 };

  // -- numbers

  const decoded = new Map();
  function numbers(name, value) {
    const key = name + "/" + value;
    if (!decoded.has(key)) {
      const bytes = Uint8Array.from(atob(data.layers[name].values[value].data), (c) => c.charCodeAt(0));
      decoded.set(key, new Float32Array(bytes.buffer));
    }
    return decoded.get(key);
  }
  const layer = () => data.layers[now.layer];
  const steps = () => layer().labels.length;
  const width = (value) => layer().values[value].units;
  const at = (value, step, unit) => numbers(now.layer, value)[step * width(value) + unit];

  // What the state after a step is made of: each step's i*g times every later f, or of a GRU (1-z)*n and z.
  function account(unit, step) {
    const has = layer().values;
    if (!layer().halfLives.length) return null;
    const isLstm = "c" in has;
    const kept = (t) => at(isLstm ? "f" : "z", t, unit);
    const written = (t) => (isLstm ? at("i", t, unit) * at("g", t, unit) : (1 - at("z", t, unit)) * at("n", t, unit));
    const parts = new Array(steps()).fill(0);
    let left = 1;
    const back = layer().reverse ? 1 : -1;
    for (let t = step; t >= 0 && t < steps(); t += back) {
      parts[t] = written(t) * left;
      left *= kept(t);
    }
    const start = layer().start[isLstm ? "c" : "h"][unit] * left;
    return { start, parts, total: parts.reduce((sum, part) => sum + part, start) };
  }

  // -- drawing

  function colour(value, most) {
    const strength = Math.min(1, Math.abs(value) / (most || 1));
    const [r, g, b] = value < 0 ? [194, 87, 26] : [31, 95, 168];
    return [r, g, b].map((full) => Math.round(255 + (full - 255) * strength));
  }
  function largest(value, unit) {
    if (GATES.includes(value)) return 1;
    let most = 0;
    const all = numbers(now.layer, value), units = width(value);
    for (let k = unit === undefined ? 0 : unit; k < all.length; k += unit === undefined ? 1 : units) most = Math.max(most, Math.abs(all[k]));
    return most;
  }
  const shown = (number) => (Math.abs(number) >= 1e-3 || number === 0 ? number.toFixed(4) : number.toExponential(2));

  function drawStrip() {
    const strip = element("strip"), most = largest(now.value, now.unit);
    if (strip.dataset.layer !== now.layer) {
      strip.dataset.layer = now.layer;
      strip.className = data.joint === null ? "" : "text";
      strip.replaceChildren(...layer().labels.map((label, step) => {
        const span = document.createElement("span");
        if (data.joint !== null) span.textContent = (step ? data.joint : "") + label.replace("\n", "↵\n");
        span.addEventListener("click", () => set({ step }));
        span.addEventListener("mouseenter", () => { span.title = label + "  " + now.value + " = " + shown(at(now.value, step, now.unit)); });
        return span;
      }));
    }
    [...strip.children].forEach((span, step) => {
      span.style.backgroundColor = "rgb(" + colour(at(now.value, step, now.unit), most) + ")";
      span.style.color = Math.abs(at(now.value, step, now.unit)) > 0.6 * most ? "#fff" : "";
      span.classList.toggle("now", step === now.step);
    });
  }
  function drawMap() {
    const map = element("map"), units = width(now.value), most = largest(now.value), all = numbers(now.layer, now.value);
    map.width = steps();
    map.height = units;
    const context = map.getContext("2d"), image = context.createImageData(steps(), units);
    for (let t = 0; t < steps(); t++) {
      for (let u = 0; u < units; u++) {
        const place = 4 * (u * steps() + t);
        image.data.set([...colour(all[t * units + u], most), 255], place);
      }
    }
    context.putImageData(image, 0, 0);
    context.fillStyle = "rgba(0,0,0,0.15)";
    context.fillRect(now.step, 0, 1, units);
    context.fillRect(0, now.unit, steps(), 1);
  }

  const SVG = "http://www.w3.org/2000/svg";
  function drawn(name, attributes) {
    const node = document.createElementNS(SVG, name);
    for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
    return node;
  }
  const across = (step) => (1000 * (step + 0.5)) / steps();

  function drawLines() {
    const names = Object.keys(layer().values).filter((value) => now.unit < width(value));
    const most = Math.max(1, ...names.map((value) => largest(value, now.unit)));
    const lines = names.map((value) => {
      const points = layer().labels.map((_, t) => across(t) + "," + (100 - (95 * at(value, t, now.unit)) / most));
      return drawn("polyline", { points: points.join(" "), fill: "none", stroke: COLOURS[value], "stroke-width": value === now.value ? 3 : 1.2, "vector-effect": "non-scaling-stroke" });
    });
    const cursor = drawn("line", { x1: across(now.step), x2: across(now.step), y1: 0, y2: 200, stroke: "#888", "vector-effect": "non-scaling-stroke" });
    const zero = drawn("line", { x1: 0, x2: 1000, y1: 100, y2: 100, stroke: "#ddd", "vector-effect": "non-scaling-stroke" });
    element("lines").replaceChildren(zero, ...lines, cursor);
    element("legend").replaceChildren(...names.map((value) => {
      const span = document.createElement("span");
      span.style.color = COLOURS[value];
      span.textContent = words["value " + value] + " " + shown(at(value, now.step, now.unit));
      return span;
    }));
  }

  function drawLedger() {
    const found = account(now.unit, now.step);
    if (!found) {
      element("account").textContent = words["no ledger"];
      element("ledger").replaceChildren();
      return;
    }
    element("account").textContent = words["ledger text"].replace("{start}", shown(found.start)).replace("{total}", shown(found.total));
    const most = Math.max(1e-9, ...found.parts.map(Math.abs));
    const bars = found.parts.map((part, t) => {
      const height = (95 * Math.abs(part)) / most;
      const bar = drawn("rect", { x: (1000 * t) / steps(), width: 1000 / steps(), y: part < 0 ? 100 : 100 - height, height, fill: "rgb(" + colour(part, Math.abs(part)) + ")" });
      const title = drawn("title", {});
      title.textContent = layer().labels[t] + "  " + shown(part);
      bar.append(title);
      return bar;
    });
    element("ledger").replaceChildren(...bars);
  }

  function drawReadout() {
    const life = layer().halfLives[now.unit];
    const lasting = !layer().halfLives.length ? "" : life === null ? words["keeps all"] : words["half-life"].replace("{steps}", life.toFixed(1));
    const value = words["value " + now.value] + " = " + shown(at(now.value, now.step, now.unit));
    element("readout").textContent = [words.unit + " " + now.unit, value, lasting].filter(Boolean).join(" · ");
    element("place").textContent = now.step + 1 + " / " + steps() + "  " + JSON.stringify(layer().labels[now.step]);
  }

  function drawFollowers() {
    const found = data.followers[now.layer] || [];
    element("following").hidden = !found.length;
    element("followers").replaceChildren(...found.map((one) => {
      const button = document.createElement("button");
      button.textContent = one.label + ": " + words.unit + " " + one.unit + " (" + one.kind + " " + one.score.toFixed(2) + ")";
      button.addEventListener("click", () => set({ unit: one.unit, value: "h" }));
      return button;
    }));
  }

  // -- choosing

  function options(select, names, label) {
    select.replaceChildren(...names.map((name) => {
      const option = document.createElement("option");
      option.value = name;
      option.textContent = label(name);
      return option;
    }));
  }
  const within = (number, count) => Math.min(Math.max(Math.trunc(number) || 0, 0), count - 1);

  function set(change) {
    const before = now.layer;
    Object.assign(now, change);
    if (before !== now.layer || !element("value").options.length) {
      options(element("value"), Object.keys(layer().values), (value) => words["value " + value]);
      if (!(now.value in layer().values)) now.value = "h";
      drawFollowers();
    }
    now.unit = within(now.unit, width(now.value));
    now.step = within(now.step, steps());
    element("layer").value = now.layer;
    element("value").value = now.value;
    element("unit").max = width(now.value) - 1;
    element("unit").value = now.unit;
    element("step").max = steps() - 1;
    element("step").value = now.step;
    drawStrip();
    drawMap();
    drawLines();
    drawLedger();
    drawReadout();
  }

  options(element("layer"), Object.keys(data.layers), (name) => name);
  element("layer").addEventListener("change", (event) => set({ layer: event.target.value }));
  element("value").addEventListener("change", (event) => set({ value: event.target.value }));
  element("unit").addEventListener("change", (event) => set({ unit: Number(event.target.value) }));
  element("step").addEventListener("input", (event) => set({ step: Number(event.target.value) }));
  const stepAt = (event) => Math.floor((steps() * event.offsetX) / event.currentTarget.clientWidth);
  element("map").addEventListener("click", (event) => {
    set({ step: stepAt(event), unit: Math.floor((width(now.value) * event.offsetY) / event.currentTarget.clientHeight) });
  });
  for (const id of ["lines", "ledger"]) {
    element(id).addEventListener("click", (event) => {
      const box = element(id).getBoundingClientRect();
      set({ step: Math.floor((steps() * (event.clientX - box.left)) / box.width) });
    });
  }
  set({ step: steps() - 1 });
  window.memfold = { now, set, account };
})();
