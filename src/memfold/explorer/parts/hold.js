// The gesture: hold a gate, let the network write on a hundred times, and count.
//
// One continuation shows nothing, whatever it looks like. So all are counted, with 95 % intervals (Wilson 1927), and the
// sentence below the bars is chosen by whether the intervals overlap.

const TIMES = 100;
const SLICE = 12; // milliseconds of counting before the page may draw
const REDRAW = 120; // milliseconds between two drawings of the bars
const CONDITIONS = ["free", "shut", "open", "without"];

// The interval of a share that is seen `hits` times among n, with 95 %.
function wilson(hits, n) {
  if (!n) return [0, 1];
  const z = 1.959963984540054;
  const share = hits / n;
  const middle = share + (z * z) / (2 * n);
  const spread = z * Math.sqrt((share * (1 - share)) / n + (z * z) / (4 * n * n));
  const whole = 1 + (z * z) / n;
  return [Math.max(0, (middle - spread) / whole), Math.min(1, (middle + spread) / whole)];
}

const overlap = ([a, b], [c, d]) => a <= d && c <= b;

// Which sentence is true of the counts: of the held gate beside the free one and beside a text without the mark.
function verdict(free, held, without) {
  const [as, changed, never] = [free, held, without].map(({ hits, done }) => wilson(hits, done));
  if (overlap(as, changed)) return "verdict none";
  if (held.hits > free.hits) return "verdict more";
  return overlap(changed, never) ? "verdict as never" : "verdict less";
}

// What is counted: whether one of some signs comes within so many characters, or whether the next mark comes exactly
// where a line of so many characters ends.
function seen(event, prompt, written) {
  const last = written[written.length - 1];
  if (event.kind === "sign") return event.signs.includes(last) ? true : written.length >= event.within ? false : null;
  if (event.marks.includes(last)) return written.length - 1 === event.line - sinceMark(event, prompt);
  return written.length > event.line ? false : null;
}

// Characters of a line that the prompt has begun.
function sinceMark(event, prompt) {
  let count = 0;
  while (count < prompt.length && !event.marks.includes(prompt[prompt.length - 1 - count])) count++;
  return count;
}

// The four ways to write on from the text. The gate is the chosen unit's gate that keeps: f of an LSTM, z of a GRU.
function conditions() {
  const { event } = packedModel().hero;
  const gate = layerNow().kind.values.includes("f") ? "f" : layerNow().kind.values.includes("z") ? "z" : null;
  const text = piecesOf(now.text);
  const from = Math.min(now.step, text.length - 1);
  const held = (value) => [{ layer: now.layer, gate, unit: now.unit, from, value }];
  const signs = event.kind === "sign" ? event.signs : event.marks;
  const bare = text.filter((character) => !signs.includes(character));
  const ways = [{ name: "free", text, holds: [] }];
  if (gate) ways.push({ name: "shut", text, holds: held(0) }, { name: "open", text, holds: held(1) });
  ways.push({ name: "without", text: bare, holds: [] });
  // The place in the line is the same with the marks and without: it is counted in the text as it is.
  return ways.map((way) => ({ ...way, event, place: text, hits: 0, done: 0, example: "" }));
}

let counting = null;

function startCounting() {
  const its = reader();
  const ways = conditions();
  counting = { ways, running: true, key: countKey() };
  const mine = counting;
  for (const way of ways) {
    const text = way.text.length ? way.text : ["\n"];
    const read = its.read(its.tokens(text), way.holds);
    way.after = read.steps[read.steps.length - 1].layers;
    way.held = way.holds.map((h) => ({ ...h, from: 0 })); // its step has come
  }
  // Every condition draws with the same chances: what differs is the gate.
  const writing = { way: 0, state: null, written: null, chance: null };
  const begin = () => {
    const way = ways[writing.way];
    Object.assign(writing, { state: way.after, written: [], chance: random(1000 * now.seed + way.done) });
  };
  begin();
  let drawn = 0;
  const slice = () => {
    if (counting !== mine) return;
    const begun = performance.now();
    while (mine.running && performance.now() - begun < SLICE) {
      const way = ways[writing.way];
      const token = its.draw(writing.state, writing.chance, packedModel().temperature);
      writing.written.push(its.characters[token]);
      const outcome = seen(way.event, way.place, writing.written);
      if (outcome === null) {
        writing.state = its.step(token, writing.state, way.held);
        continue;
      }
      way.done += 1;
      way.hits += outcome ? 1 : 0;
      if (way.done <= 1) way.example = writing.written.join("");
      // In turn, so that all bars grow together.
      do writing.way = (writing.way + 1) % ways.length; while (ways[writing.way].done >= TIMES && ways.some((one) => one.done < TIMES));
      if (ways.every((one) => one.done >= TIMES)) mine.running = false;
      else begin();
    }
    if (!mine.running || performance.now() - drawn > REDRAW) {
      drawCount();
      drawn = performance.now();
    }
    if (mine.running) setTimeout(slice, 0);
  };
  slice();
}

const signName = (sign) => (sign === '"' ? w("quotation mark") : quoted(sign));

const countKey = () => JSON.stringify([now.model, now.text, now.step, now.layer, now.unit, now.seed]);

// A network of numbers is not let to write: how far off it is with the gate held says what the gate is for.
function drawErrors() {
  const its = reader();
  const gate = layerNow().kind.values.find((name) => name === "f" || name === "z");
  const pieces = piecesOf(now.text);
  const tokens = its.tokens(pieces);
  const from = Math.min(now.step, pieces.length - 2);
  const error = (value) => {
    const holds = value === null ? [] : [{ layer: now.layer, gate, unit: now.unit, from, value }];
    const { steps } = its.read(tokens, holds, free);
    let sum = 0;
    for (let t = from; t + 1 < pieces.length; t++) sum += Math.abs(steps[t].next[0] - Number(pieces[t + 1]));
    return sum / (pieces.length - 1 - from);
  };
  const ways = [["free", null], ...(gate ? [["shut", 0], ["open", 1]] : [])].map(([name, value]) => ({ name, value, error: error(value) }));
  const most = Math.max(...ways.map((way) => way.error)) || 1;
  const [asIs, ...held] = ways;
  const worst = held.sort((a, b) => b.error - a.error)[0];
  const filled = { gate: gate ? w(`value ${gate}`) : "", unit: now.unit, step: from + 1 };
  $("count question").textContent = w("count question numbers", filled);
  $("counts").replaceChildren(...ways.map((way) => el("div", { class: `count ${way.name}${way === worst ? " changed" : ""}` },
    el("div", { class: "count-name" }, w(`error ${way.name}`, filled)),
    el("div", { class: "track" }, el("i", { class: "fill", style: `width:${(100 * way.error) / most}%` })),
    el("div", { class: "count-words" }, w("error of", { error: plain(way.error) })))));
  $("verdict").textContent = !worst ? "" : worst.error > 1.2 * asIs.error
    ? w("error more", { held: worst.value, changed: plain(worst.error), free: plain(asIs.error), times: number(worst.error / asIs.error, 1) })
    : w("error none");
}

// What a text is taken for with the gate held over all of it.
function drawClassChange() {
  const its = reader();
  const tokens = its.tokens(piecesOf(now.text));
  const said = (value) => its.read(tokens, value === null ? [] : [{ layer: now.layer, gate: "f", unit: now.unit, from: 0, value }]).steps[0].next;
  const asIs = said(null);
  const top = asIs.indexOf(Math.max(...asIs));
  const filled = { gate: w("value f"), unit: now.unit, class: its.classes[top] };
  $("count question").textContent = w("count question class", filled);
  $("count how").textContent = "";
  const ways = [["free", asIs], ["shut", said(0)], ["open", said(1)]];
  $("counts").replaceChildren(...ways.map(([name, next]) => el("div", { class: `count ${name}` },
    el("div", { class: "count-name" }, w(`error ${name}`, filled)),
    el("div", { class: "track" }, el("i", { class: "fill", style: `width:${100 * next[top]}%` })),
    el("div", { class: "count-words" }, `${(100 * next[top]).toFixed(1)} %`))));
  const away = Math.max(...ways.slice(1).map(([, next]) => Math.abs(next[top] - asIs[top])));
  $("verdict").textContent = w(away < 0.01 ? "class same" : "class moved", { away: (100 * away).toFixed(1), class: filled.class });
}

function drawCount() {
  const { event } = packedModel().hero;
  $("count go").hidden = !event;
  $("count how").textContent = event ? w("count how", { seed: now.seed }) : w("error how");
  if (!event) return reader().forecast ? drawForecastChange() : reader().classes ? drawClassChange() : drawErrors();
  const fits = counting && counting.key === countKey();
  if (counting && !fits) counting = null;
  const kind = event.words ?? event.kind;
  const filled = event.kind === "sign"
    ? { sign: signName(event.signs[0]), within: event.within }
    : { line: event.line, within: event.line };
  const gate = layerNow().kind.values.includes("f") ? "f" : "z";
  const gated = layerNow().kind.values.includes(gate);
  $("count question").textContent = w(gated ? `count question ${kind}` : "count question none", { ...filled, unit: now.unit, step: now.step + 1, gate: w(`value ${gate}`), times: TIMES });
  $("count go").textContent = !counting ? w("count go", { times: TIMES }) : counting.running ? w("count stop") : w("count again");
  const ways = counting ? counting.ways : conditions();
  $("counts").replaceChildren(...ways.map((way) => {
    const [low, high] = wilson(way.hits, way.done);
    const share = way.done ? way.hits / way.done : 0;
    const words = way.done ? w("count of", { hits: way.hits, done: way.done, low: Math.round(100 * low), high: Math.round(100 * high) }) : w("count none");
    const changed = way.name === (packedModel().hero.held ? "open" : "shut");
    return el("div", { class: `count ${way.name}${changed ? " changed" : ""}` },
      el("div", { class: "count-name" }, w(`count ${way.name} ${kind}`, { gate: w(`value ${gate}`), ...filled })),
      el("div", { class: "track", role: "img", "aria-label": words },
        el("i", { class: "fill", style: `width:${100 * share}%` }),
        way.done ? el("i", { class: "interval", style: `left:${100 * low}%;width:${100 * (high - low)}%` }) : null),
      el("div", { class: "count-words" }, words),
      el("div", { class: "example" }, way.example ? `… ${way.example.replaceAll("\n", "↵")}` : ""));
  }));
  const done = counting && !counting.running && ways.length === CONDITIONS.length;
  const by = Object.fromEntries(ways.map((way) => [way.name, way]));
  const { held } = packedModel().hero; // 0 or 1: where this model's gate is held to make it forget
  const changed = held ? by.open : by.shut;
  $("verdict").textContent = done
    ? w(`${verdict(by.free, changed, by.without)} ${kind}`, { ...filled, held, hits: changed.hits, free: by.free.hits, without: by.without.hits, times: TIMES })
    : "";
}

function toggleCounting() {
  if (counting && counting.running) {
    counting = null;
    drawCount();
    return;
  }
  if (counting) now.seed += 1;
  startCounting();
}

views.push(drawCount);
