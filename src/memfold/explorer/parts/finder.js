// The finder: which unit follows something that a person can name? Looked for on one half of a text, scored on the other.
//
// Of 256 values one always fits best. So a score counts only as far as it stands above the floor: what the best one
// reaches when the same feature is moved along the text, so that it has nothing to do with it any more.

const SHIFTS = 20;
const LEAST = 5; // characters of either kind that a half must have
const OPENING = "“«「『";
const CLOSING = "”»」』";
const inWord = (character) => /[\p{L}\p{M}\p{N}]/u.test(character ?? " ");

// A value for each character of a text.
const FEATURES = {
  quotes(text) {
    let quotedNow = false;
    let empty = true; // the line so far; a paragraph's end closes what was left open
    return text.map((character) => {
      if (character === "\n") {
        if (empty) quotedNow = false;
        empty = true;
      } else {
        empty = false;
        if (character === '"') quotedNow = !quotedNow;
        else if (OPENING.includes(character)) quotedNow = true;
        else if (CLOSING.includes(character)) quotedNow = false;
      }
      return +quotedNow;
    });
  },
  place(text) {
    const { event } = packedModel().hero;
    const marks = event && event.kind === "line" ? event.marks : "\n";
    let count = 0;
    return text.map((character) => (marks.includes(character) ? (count = 0) : ++count));
  },
  "word end": (text) => text.map((character, t) => +(inWord(character) && !inWord(text[t + 1]))),
  high(text) {
    const heights = text.map((piece) => reader().height(piece));
    const there = heights.filter((height) => !Number.isNaN(height));
    const mean = there.reduce((sum, height) => sum + height, 0) / there.length;
    return heights.map((height) => +(height > mean));
  },
  rising: (text) => text.map((piece, t) => +(t > 0 && reader().height(piece) > reader().height(text[t - 1]))),
  marked: (text) => text.map((_, step) => +isMarked(step)),
  pattern(text) {
    if (reader().words) return text.map((word) => +new RegExp($("pattern").value, "u").test(word));
    const there = text.map(() => 0);
    const whole = text.join("");
    for (const match of whole.matchAll(new RegExp($("pattern").value, "gu"))) {
      const from = [...whole.slice(0, match.index)].length;
      for (let t = from; t < from + [...match[0]].length; t++) there[t] = 1;
    }
    return there;
  },
};

// Ranks from 1; equal values share the mean of theirs.
function ranks(values) {
  const by = Array.from(values.keys()).sort((a, b) => values[a] - values[b]);
  const out = zeros(values.length);
  for (let k = 0; k < by.length;) {
    let end = k;
    while (end < by.length && values[by[end]] === values[by[k]]) end++;
    for (const mean = (k + end + 1) / 2; k < end; k++) out[by[k]] = mean;
  }
  return out;
}

// The area under the ROC curve from ranks (Mann & Whitney 1947); NaN where there is too little of either kind.
function auc(ranked, there) {
  let sum = 0;
  let n = 0;
  for (let t = 0; t < there.length; t++) if (there[t]) { sum += ranked[t]; n += 1; }
  const others = there.length - n;
  return Math.min(n, others) < LEAST ? NaN : (sum - (n * (n + 1)) / 2) / (n * others);
}

function correlation(a, b) {
  const mean = (list) => list.reduce((x, y) => x + y, 0) / list.length;
  const [ma, mb] = [mean(a), mean(b)];
  let [ab, aa, bb] = [0, 0, 0];
  for (let t = 0; t < a.length; t++) {
    ab += (a[t] - ma) * (b[t] - mb);
    aa += (a[t] - ma) ** 2;
    bb += (b[t] - mb) ** 2;
  }
  return ab / Math.sqrt(aa * bb);
}

// What the finder looks through: c and h of a layer at the steps of a text, by halves, with their ranks.
function probeFrom(text, steps, kind, layer, half) {
  const names = kind.values.includes("c") ? ["c", "h"] : ["h"];
  const columns = names.flatMap((name) => Array.from(steps[0][name], (_, unit) => {
    const values = Float64Array.from(steps, (step) => step[name][unit]);
    const halves = [values.slice(0, half), values.slice(half)];
    return { name, unit, halves, ranked: halves.map(ranks) };
  }));
  return { text, half, columns, layer };
}

const probes = new Map(); // by model: of the last layer over the model's own longer text

function probeOf(model) {
  if (probes.has(model)) return probes.get(model);
  const its = reader(model);
  const text = its.pieces(data.models[model].probe);
  const layer = its.layers.length - 1;
  const tokens = its.tokens(text);
  let state = its.start();
  const steps = its.words
    ? its.read(tokens).steps.map((step) => step.layers[layer])
    : tokens.map((token) => (state = its.step(token, state))[layer]);
  probes.set(model, probeFrom(text, steps, its.layers[layer].kind, layer, text.length >> 1));
  return probes.get(model);
}

// Of what a visitor marked in the text that is shown: the layer that is shown, and the halves parted between two spans,
// so that both have some; a single span is parted in its middle.
function markedProbe() {
  const steps = reading.steps.map((_, step) => step).filter(isMarked);
  const middle = steps[steps.length >> 1];
  const gaps = now.marks.slice(1).map(([first], k) => (now.marks[k][1] + first + 1) >> 1);
  const half = gaps.length ? gaps.reduce((a, b) => (Math.abs(b - middle) < Math.abs(a - middle) ? b : a)) : middle;
  return probeFrom(piecesOf(now.text), reading.steps.map((step) => step.layers[now.layer]), layerNow().kind, now.layer, half);
}

// The best values for a feature, the best first by the first half: {name, unit, sign, found, score}, and the floor.
function find(feature, probe = probeOf(now.model), most = 5) {
  const { text, half, columns } = probe;
  const whole = feature(text);
  const two = whole.every((value) => value === 0 || value === 1);
  const chance = two ? 0.5 : 0;
  const score = (column, part, target) => (two ? auc(column.ranked[part], target) : correlation(column.halves[part], target));
  const best = (values) => {
    const targets = [values.slice(0, half), values.slice(half)];
    return columns.map((column) => ({ column, first: score(column, 0, targets[0]) }))
      .filter(({ first }) => !Number.isNaN(first))
      .sort((a, b) => Math.abs(b.first - chance) - Math.abs(a.first - chance))
      .map(({ column, first }) => {
        const sign = first < chance ? -1 : 1;
        return { name: column.name, unit: column.unit, sign, found: chance + sign * (first - chance),
          score: () => chance + sign * (score(column, 1, targets[1]) - chance) };
      });
  };
  const found = best(whole).slice(0, most).map((one) => ({ ...one, score: one.score() }));
  if (!found.length || found.some((one) => Number.isNaN(one.score))) return { found: [], floor: NaN, two };
  const chances = random(1);
  const floors = Array.from({ length: SHIFTS }, () => {
    const by = Math.floor(text.length * (0.1 + 0.8 * chances()));
    const [moved] = best([...whole.slice(by), ...whole.slice(0, by)]);
    return moved ? moved.score() : NaN;
  }).filter((floor) => !Number.isNaN(floor)); // moved, one half may have too little of it
  return { found, floor: floors.length ? Math.max(...floors) : chance, two };
}

let sought = null; // what was looked for last, and in which model

function drawFinder() {
  const { numeric } = reader();
  const { event } = packedModel().hero;
  const ofText = event && event.kind === "line" ? ["place"] : ["quotes", "place", "word end"];
  const names = [...(numeric ? ["high", "rising"] : reader().words ? [] : ofText), ...(now.marks.length ? ["marked"] : [])];
  $("features").replaceChildren(...names.map((name) => el("button", {
    onclick: () => seek(name), "aria-pressed": sought && sought.feature === name && sought.model === now.model ? "true" : "false",
  }, w(`feature ${name}`))));
  $("pattern").setAttribute("aria-label", w("pattern"));
  $("pattern").placeholder = w("pattern");
  $("pattern go").textContent = w("seek");
  for (const id of ["pattern", "pattern go"]) $(id).hidden = numeric;
  const fits = sought && sought.model === now.model;
  $("found").replaceChildren();
  $("found text").textContent = fits ? "" : w("seek first");
  if (!fits) return;
  const { result } = sought;
  if (sought.failed) $("found text").textContent = w("pattern wrong");
  else if (!result.found.length) $("found text").textContent = w("found none");
  else {
    const [best] = result.found;
    const filled = { value: best.name, unit: best.unit, score: number(best.score), floor: number(result.floor), kind: w(result.two ? "auc" : "correlation") };
    $("found text").textContent = w(best.score > result.floor ? "found" : "found chance", filled);
    $("found").replaceChildren(...result.found.map((one) => el("li", {},
      el("button", { onclick: () => set({ layer: sought.layer, unit: one.unit, value: one.name }) }, w("found unit", { unit: one.unit, value: one.name }) + (one.sign < 0 ? ` ${w("found sign")}` : "")),
      el("output", {}, number(one.score, 3)))));
  }
}

function seek(name) {
  sought = { feature: name, model: now.model, layer: now.layer, failed: false, result: { found: [], floor: NaN } };
  $("found text").textContent = w("seeking");
  setTimeout(() => { // so that the line above is seen
    try {
      const probe = name === "marked" ? markedProbe() : probeOf(now.model);
      sought.result = find(FEATURES[name], probe);
      sought.layer = probe.layer;
    } catch (error) {
      if (!(error instanceof SyntaxError)) throw error;
      sought.failed = true;
    }
    const [best] = sought.result.found;
    if (best) set({ layer: sought.layer, unit: best.unit, value: best.name });
    else drawFinder();
  }, 30);
}

views.push(() => { if (now.zoom === 2) drawFinder(); });
