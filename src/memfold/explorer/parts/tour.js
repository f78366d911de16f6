// The tour: ten steps, each a state of the page with an address of its own, and what the visitor does in it.

const TOOLS = 0; // of now.tour: everything at once, without a tour
const READING = 11; // and what there is to read on
const STEPS = 10;
const SECTIONS = ["read", "gesture", "inside", "account", "flow", "race", "train", "about"];
const PARTS = { // what is shown below each step
  1: [], 2: ["read"], 3: [], 4: ["flow"], 5: [], 6: ["read", "inside"], 7: ["read", "inside"], 8: ["read", "account"],
  9: ["gesture", "read"], 10: ["train", "race"],
};
const COVERED = { // texts whose next sign needs memory, and that sign
  prose: ['He looked at her for a long time.\n"What shall we do tomorrow?', '"'],
  poems: ["空山新雨後，天氣晚來秋。明月松間照，清泉石上流", "。"],
};
const TWICE = { prose: ['He was ill.\n"I am well.', "."], poems: ["空山不見人，但聞人語響。", "人"] }; // a sign that stands at two places
const CHANGED = 'He looked at her.\n"The whole army has crossed the river and the';

const place = (name) => data.models.findIndex((model) => model.name === name);
const heroName = () => (now.language === "zh" ? "poems" : "prose");

// The state in which a step begins.
function stateOf(step) {
  const name = heroName();
  const hero = beginningOf(place(name));
  const since = hero.step - 1; // where the memory is written
  if (step === 1) return { ...hero, text: COVERED[name][0], step: [...COVERED[name][0]].length - 1 };
  if (step === 2) return { ...hero, text: TWICE[name][0], step: TWICE[name][0].lastIndexOf(TWICE[name][1]) };
  if (step === 5) return beginningOf(place("counter"));
  if (step === 6) return { ...hero, zoom: 2 };
  if (step === 7) return { ...hero, step: since, zoom: 4 };
  if (step === 8) return { ...hero, ...(name === "prose" ? { step: since + 30 } : oldest(name, hero)) };
  return hero;
}

// Of all units the one most of whose memory at a text's end is older than half a line.
function oldest(name, hero) {
  const its = reader(place(name));
  const { steps } = its.read(its.tokens(its.pieces(hero.text)));
  const step = steps.length - 1;
  const shares = Array.from({ length: its.layers[0].hidden }, (_, unit) => {
    const weights = its.ledger(steps, 0, unit, step).parts.map(Math.abs);
    return Math.max(...weights.slice(0, -3)) / weights.reduce((a, b) => a + b, 0);
  });
  return { step, unit: shares.indexOf(Math.max(...shares)) };
}

// What is to be learned from, where the visitor has put nothing else there.
function offerCorpus() {
  const offered = data.models.map((model) => model.corpus ?? model.probe);
  if (!training && offered.includes($("corpus").value)) $("corpus").value = offered[place(heroName())];
}

function goTour(step) {
  if (step === STEPS) offerCorpus();
  set({ ...(step >= 1 && step <= STEPS ? stateOf(step) : {}), tour: step });
  scrollTo(0, 0);
  if (step >= 1 && step <= STEPS) $("tour text").focus();
}

// -- step 1: the visitor bets

let bet = null; // what was chosen

function drawBet(box) {
  const its = reader();
  const [text, answer] = COVERED[packedModel().name] || [now.text, "\n"];
  const { next } = free.steps[free.steps.length - 1];
  const best = Array.from(next, (p, token) => [p, token]).filter(([, token]) => token > 0).sort((a, b) => b[0] - a[0]);
  const offered = [answer, ...best.map(([, token]) => its.characters[token]).filter((sign) => sign !== answer)].slice(0, 5).sort();
  const share = (sign) => next[its.tokens([sign])[0]];
  box.replaceChildren(
    el("p", { class: "writes covered" }, text, el("span", { class: "cover" }, bet ? shown(answer) : "\u00a0")),
    el("div", { class: "row" }, ...offered.map((sign) => el("button", {
      onclick: () => { bet = sign; drawTour(); }, "aria-pressed": bet === sign ? "true" : "false", "aria-label": w("bet on", { character: quoted(sign) }),
    }, shown(sign)))),
    el("p", { role: "status" }, bet ? w(bet === answer ? "bet right" : "bet wrong", {
      answer: quoted(answer), bet: quoted(bet), share: percent(share(answer)), first: quoted(its.characters[best[0][1]]), most: percent(best[0][0]),
    }) : w("bet open")));
}

// -- step 2: bets without memory

// What follows each character in the model's own longer text: all that a network without memory can know.
function withoutMemory(sign) {
  const text = [...packedModel().probe];
  const counts = new Map();
  let all = 0;
  for (let t = 0; t + 1 < text.length; t++) {
    if (text[t] !== sign) continue;
    counts.set(text[t + 1], (counts.get(text[t + 1]) || 0) + 1);
    all += 1;
  }
  return [...counts].sort((a, b) => b[1] - a[1]).slice(0, 3).map(([character, count]) => [character, count / all]);
}

function drawWithout(box) {
  const its = reader();
  const pieces = piecesOf(now.text);
  const sign = pieces[now.step];
  const places = pieces.map((piece, t) => [piece, t]).filter(([piece]) => piece === sign).map(([, t]) => t);
  const line = (pairs) => pairs.map(([character, share]) => `${shown(character)} ${percent(share)}`.replaceAll(" ", "\u00a0")).join("   ") || w("never seen");
  const bets = (t) => Array.from(reading.steps[t].next, (p, token) => [its.characters[token], p]).slice(1)
    .sort((a, b) => b[1] - a[1]).slice(0, 3);
  box.replaceChildren(el("p", {}, w("without choose", { character: quoted(sign), places: places.length })),
    el("table", { class: "bets" },
      el("thead", {}, el("tr", {}, ...["without place", "without memory", "with memory"].map((key) => el("th", { scope: "col" }, w(key))))),
      el("tbody", {}, ...places.slice(0, 6).map((t) => el("tr", {}, el("th", { scope: "row" }, w("ledger step", { step: t + 1 })),
        el("td", {}, line(withoutMemory(sign))), el("td", {}, line(bets(t))))))));
}

// -- step 3: one letter changed

let changedAt = CHANGED.indexOf('"');

// How far the state is from what it would be, at every step, as a share of the most.
function differences(name, at) {
  const its = reader(place(name));
  const text = [...CHANGED];
  const other = text.map((sign, t) => (t === at ? (sign === "x" ? "y" : "x") : sign));
  const [as, changed] = [text, other].map((one) => its.read(its.tokens(one)).steps);
  const part = its.layers[0].kind.values.includes("c") ? "c" : "h";
  const away = as.map((step, t) => Math.sqrt(step.layers[0][part].reduce((sum, value, u) => sum + (value - changed[t].layers[0][part][u]) ** 2, 0)));
  const most = Math.max(...away) || 1;
  return away.map((value) => value / most);
}

function drawChanged(box) {
  const text = [...CHANGED];
  const ribbons = [["rnn", "cell rnn"], ["prose", "cell lstm"]].map(([name, key]) => {
    const away = differences(name, changedAt);
    let last = changedAt;
    away.forEach((share, t) => { if (share > 0.1) last = t; });
    const end = away[away.length - 1];
    return el("div", {}, el("h3", {}, w(key)),
      el("div", { class: "ribbon" }, ...text.flatMap((sign, t) => [
        el("button", { class: `tile plus${t === changedAt ? " now" : ""}`, style: `--s:${away[t].toFixed(3)}`, "aria-label": `${shown(sign)} ${percent(away[t])}`,
          onclick: () => { changedAt = t; drawTour(); } }, shown(sign)),
        sign === "\n" ? el("br") : null]).filter(Boolean)),
      el("p", {}, w("changed said", { letters: last - changedAt, end: magnitude(end), cell: w(key) })));
  });
  box.replaceChildren(el("p", {}, w("changed choose", { character: quoted(text[changedAt]), step: changedAt + 1 })), ...ribbons);
}

// -- step 5: a counter learns

let counter = null; // {training, running, upto}

// Lines of a's and as many b's.
function countingLines(length) {
  const chance = random(5);
  let text = "";
  while (text.length < length) {
    const count = 1 + Math.floor(12 * chance());
    text += `${"a".repeat(count)}${"b".repeat(count)}\n`;
  }
  return text;
}

// The most a's after which a network says at every b whether a b or the line's end comes next.
function countsTo(its, most = 40) {
  const [end, a, b] = its.tokens(["\n", "a", "b"]);
  for (let count = 1; count <= most; count++) {
    const { steps } = its.read([a, b, end, ...new Array(count).fill(a), ...new Array(count).fill(b)]);
    const said = steps.slice(-count).map(({ next }) => (next[end] > next[b] ? end : b));
    if (said.some((token, k) => token !== (k === count - 1 ? end : b))) return count - 1;
  }
  return most;
}

function drawCounter(box) {
  const running = counter && counter.running;
  const button = el("button", { class: "primary", onclick: toggleCounter }, w(running ? "train stop" : counter ? "counter again" : "counter go"));
  if (!counter) {
    box.replaceChildren(el("p", {}, w("counter what")), el("p", { class: "writes" }, countingLines(60)), el("p", {}, button));
    return;
  }
  const { training: its, upto } = counter;
  const recent = its.losses.slice(-20).reduce((a, b) => a + b, 0) / Math.min(20, its.losses.length);
  const said = w("counter said", { updates: its.losses.length, seconds: number(its.busy / 1000, 1), upto, nats: number(recent, 3) });
  const share = `width:${Math.min(100, (100 * upto) / 40)}%`;
  const there = $("counter said");
  if (running && there && there.lang === now.language) { // the button stays: one that is pressed must not be replaced
    there.textContent = said;
    $("counter share").setAttribute("style", share);
    $("counter writes").textContent = its.sample(60);
    return;
  }
  box.replaceChildren(el("p", {}, w("counter what")), el("p", {}, button),
    el("p", { role: "status", id: running ? "counter said" : null, lang: now.language }, said),
    el("div", { class: "track" }, el("i", { class: "fill", id: "counter share", style: share })),
    el("p", { class: "writes", id: "counter writes" }, its.sample(60)),
    running ? "" : el("p", {}, el("button", { onclick: () => { training = counter.training; openTrained(); set({ tour: TOOLS }); } }, w("train open"))));
}

function toggleCounter() {
  if (counter && counter.running) {
    counter.running = false;
    return drawTour();
  }
  const learning = new Training(countingLines(6000), { kind: "lstm", hidden: 8, window: 64, seed: counter ? counter.seed + 1 : 1, rate: 0.02, bias: 2 });
  counter = { training: learning, running: true, upto: 0, seed: counter ? counter.seed + 1 : 1 };
  const mine = counter;
  const slice = () => {
    if (counter !== mine || !mine.running) return;
    for (let k = 0; k < 10; k++) learning.slice(SLICE);
    learning.rate = 0.02 * Math.min(1, 1000 / learning.losses.length);
    mine.upto = countsTo(learning.reader());
    if (mine.upto >= 20 || learning.busy > 20_000) mine.running = false;
    if (now.tour === 5) drawTour();
    setTimeout(slice, 0);
  };
  slice();
}

// -- all steps

const WIDGETS = { 1: drawBet, 2: drawWithout, 3: drawChanged, 5: drawCounter };

// What a step says; its numbers are those of the page as it is.
function tourText(step) {
  if (step !== 8) return w([6, 7, 9].includes(step) ? `tour ${step} ${heroName()}` : `tour ${step}`, { unit: now.unit });
  const account = reader().ledger(reading.steps, now.layer, now.unit, now.step);
  if (!account) return w("no ledger");
  const weights = account.parts.map(Math.abs);
  const all = weights.reduce((a, b) => a + b, 0) || 1;
  const at = weights.indexOf(Math.max(...weights));
  return w("tour 8", { unit: now.unit, steps: now.step - at, share: percent(weights[at] / all), character: quoted(pieceAt(at)) });
}

function drawTour() {
  const touring = data.lesson && now.tour >= 1 && now.tour <= STEPS;
  $("tour").hidden = !touring;
  $("ways").setAttribute("aria-label", w("ways"));
  const ways = [...(data.lesson ? [["way tour", 1, touring]] : []), ["way tools", TOOLS, !touring && now.tour !== READING], ["way reading", READING, now.tour === READING]];
  $("ways").replaceChildren(...ways.map(([key, to, on]) => el("button", { "aria-pressed": on ? "true" : "false", onclick: () => goTour(to) }, w(key))));
  for (const id of SECTIONS) $(id).hidden = touring ? !PARTS[now.tour].includes(id) : now.tour === READING;
  $("reading").hidden = now.tour !== READING;
  $("models").hidden = data.models.length < 2 || touring || now.tour === READING;
  $("lead").hidden = touring && now.tour > 1;
  if (!touring) return;
  const dots = Array.from({ length: STEPS }, (_, k) => k + 1);
  $("tour steps").replaceChildren(...dots.map((step) => el("button", {
    onclick: () => goTour(step), "aria-current": step === now.tour ? "step" : null, "aria-label": w("tour step", { step, steps: STEPS }),
  }, String(step))));
  $("tour text").textContent = tourText(now.tour);
  $("tour back").textContent = w("tour back");
  $("tour back").disabled = now.tour === 1;
  $("tour next").textContent = w(now.tour === STEPS ? "tour end" : "tour next");
  const draw = WIDGETS[now.tour];
  $("tour widget").hidden = !draw;
  if (!draw) return;
  const held = $("tour widget").contains(document.activeElement) ? [...$("tour widget").querySelectorAll("button")].indexOf(document.activeElement) : -1;
  draw($("tour widget"));
  if (held >= 0) $("tour widget").querySelectorAll("button")[held]?.focus(); // whoever moves by keys stays where they were
}

views.unshift(drawTour); // before what it shows is drawn in the width that it then has
