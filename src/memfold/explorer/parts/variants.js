// The same text through each kind of cell: equal units, updates and first random numbers, and what each then needs on the
// last tenth, which none of them learns from.

const COMPARED = { hidden: 32, updates: 300 };

let comparison = null; // {seed, trainings, running, text}

// A text is compared in nats a character, a column of numbers in the error for the next one.
function drawVariants() {
  const place = $("variants");
  if (!place) return; // what there is to read on is not shown
  const running = Boolean(comparison && comparison.running);
  const there = $("variants table");
  if (running && there && there.lang === now.language) { // the button stays: one that is pressed must not be replaced
    there.replaceChildren(...variantsTable());
    return;
  }
  const button = el("button", { id: "variants go", class: "primary", onclick: toggleVariants }, w(running ? "train stop" : comparison ? "race again" : "variants go"));
  const parts = [el("p", {}, w("variants text", { ...COMPARED, go: w("variants go") })), el("p", {}, button)];
  if (comparison) parts.push(...(comparison.short ? [el("p", { role: "status" }, comparison.short)]
    : [el("div", { id: running ? "variants table" : null, lang: now.language }, ...variantsTable())]));
  const focused = document.activeElement && document.activeElement.id === "variants go";
  place.replaceChildren(...parts);
  if (focused) button.focus();
}

function variantsTable() {
  const { trainings, running } = comparison;
  const [{ numeric, pieces }] = trainings;
  const last = (its) => its.scores[its.scores.length - 1];
  const done = trainings.every((its) => its.losses.length >= COMPARED.updates);
  const best = done ? trainings.reduce((least, its) => (last(its).value < last(least).value ? its : least)) : null;
  const heads = ["variants cell", "variants weights", "variants updates", numeric ? "variants error" : "variants nats", "variants seconds"];
  const row = (its) => el("tr", {}, el("th", { scope: "row" }, w(`cell ${its.kind}`)), ...[
    its.learner.size.toLocaleString("en"), String(its.losses.length), last(its) ? number(last(its).value, 3) : "…", number(its.busy / 1000, 1),
  ].map((value, k) => el("td", {}, its === best && k === 2 ? el("b", {}, value) : value)));
  const table = el("div", { class: "scroll", tabindex: "0", role: "group", "aria-label": w("reading variants") }, el("table", { class: "bets" },
    el("thead", {}, el("tr", {}, ...heads.map((key) => el("th", { scope: "col" }, w(key))))), el("tbody", {}, ...trainings.map(row))));
  const filled = { cell: best ? w(`cell ${best.kind}`) : "", pieces: pieces.length.toLocaleString("en"), naive: numeric && last(trainings[0]) ? plain(last(trainings[0]).naive) : "" };
  const said = done ? w(numeric ? "variants said numbers" : "variants said", filled) : running ? "" : w("variants stopped");
  return [table, el("p", { role: "status" }, said), el("p", { class: "fine" }, w("variants both"))];
}

function toggleVariants() {
  if (comparison && comparison.running) {
    comparison.running = false;
    drawVariants();
    return;
  }
  const seed = comparison ? comparison.seed + 1 : 1;
  const trainings = Object.keys(KINDS).map((kind) => new Training($("corpus").value, { kind, seed, hidden: COMPARED.hidden }));
  const [{ tooShort, pieces }] = trainings;
  comparison = { seed, trainings, running: !tooShort, short: tooShort ? w("train short", { found: pieces.length, least: LEAST_PIECES }) : "" };
  drawVariants();
  const mine = comparison;
  let drawn = 0;
  const slice = () => {
    if (comparison !== mine || !mine.running) return;
    const waiting = mine.trainings.filter((its) => its.losses.length < COMPARED.updates);
    if (waiting.length) {
      const its = waiting.reduce((least, other) => (other.losses.length < least.losses.length ? other : least)); // all at the same pace
      const begun = performance.now();
      do its.update(); while (its.losses.length % 10 && performance.now() - begun < SLICE);
      its.busy += performance.now() - begun;
      if (its.losses.length >= COMPARED.updates) its.look();
    } else mine.running = false;
    const at = performance.now();
    if (!mine.running || at - drawn > REDRAW) {
      drawVariants();
      drawn = at;
    }
    if (mine.running) setTimeout(slice, 0);
  };
  slice();
}
