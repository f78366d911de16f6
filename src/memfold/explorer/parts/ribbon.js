// The text, letter by letter, coloured by one value of one unit; and what the network bets will come next.

function drawRibbon() {
  const values = reading.steps.map((_, t) => valuesAt(t)[now.value][now.unit]);
  const most = Math.max(0.05, ...values.map(Math.abs));
  const box = $("ribbon");
  const tokens = reading.tokens;
  const { numeric } = reader();
  const characters = piecesOf(now.text);
  const heights = numeric ? characters.map((piece) => reader().height(piece)) : [];
  const there = heights.filter((height) => !Number.isNaN(height));
  const range = [Math.min(...there), Math.max(...there)];
  const unknown = new Set();
  const tiles = tokens.map((token, t) => {
    const character = characters[t] ?? pieceAt(t);
    if (token === 0) unknown.add(character);
    const strength = Math.min(1, Math.abs(values[t]) / most);
    const held = now.holds.some((h) => h.layer === now.layer && h.unit === now.unit && t >= h.from);
    const wide = reader().words ? " word" : "";
    const tile = el("span", {
      id: `t${t}`,
      role: "option",
      class: `tile${wide} ${values[t] < 0 ? "minus" : "plus"}${t === now.step ? " now" : ""}${held ? " held" : ""}${isMarked(t) ? " marked" : ""}`,
      style: `--s:${strength.toFixed(3)}`,
      "aria-selected": t === now.step ? "true" : "false",
      "aria-label": `${shown(character)} ${signed(values[t])}`,
    }, numeric ? column(Number.isNaN(heights[t]) ? 0 : (heights[t] - range[0]) / (range[1] - range[0] || 1)) : token === 0 ? "□" : shown(character));
    if (numeric) tile.classList.add("number");
    return tile;
  });
  // A line's end breaks the ribbon's line as it breaks the text's.
  const parts = [];
  tiles.forEach((tile, t) => {
    parts.push(tile);
    if (characters[t] === "\n") parts.push(el("br", { "aria-hidden": "true" }));
  });
  box.replaceChildren(...parts);
  box.setAttribute("aria-activedescendant", `t${now.step}`);
  box.setAttribute("aria-label", w("ribbon label", { value: w(`value ${now.value}`), unit: now.unit }));
  const cut = reader().pieces(now.text).length > MOST_STEPS ? w("cut", { most: MOST_STEPS }) : "";
  const strange = unknown.size ? w("unknown", { characters: [...unknown].slice(0, 12).join(" ") }) : "";
  $("notice").textContent = [cut, strange].filter(Boolean).join(" ");
  if ($("text").value !== now.text) $("text").value = now.text;
  $("scale").textContent = w("scale", { value: w(`value ${now.value}`), most: number(most) });
}

// A number as a column: where it stands between the least and the greatest of the text.
const column = (share) => el("i", { class: "column", style: `height:${(4 + 30 * share).toFixed(1)}px` });

function chooseTile(event) {
  const tile = event.target.closest(".tile");
  if (tile) set({ step: Number(tile.id.slice(1)) });
}

// One sentence about the chosen step, made of the numbers that the drawings show.
function drawSentence() {
  const v = valuesAt(now.step);
  const u = now.unit;
  const filled = { character: quoted(pieceAt(now.step)), unit: u, step: now.step + 1 };
  for (const name of layerNow().kind.values) filled[name] = number(v[name][u]);
  const kind = v.c ? "lstm" : v.z ? "gru" : "rnn";
  if (kind === "lstm") Object.assign(filled, { keeps: percent(v.f[u]), writes: percent(v.i[u]) });
  if (kind === "gru") Object.assign(filled, { keeps: percent(v.z[u]), writes: percent(1 - v.z[u]) });
  $("sentence").textContent = w(`sentence ${kind}`, filled);
}

// What a network of numbers predicts, beside the value that followed.
function drawExpected() {
  const [expected] = reading.steps[now.step].next;
  const characters = piecesOf(now.text);
  const came = characters[now.step + 1];
  const error = (step) => Math.abs(reading.steps[step].next[0] - characters[step + 1]);
  const errors = characters.slice(1).map((_, step) => error(step)).sort((a, b) => a - b);
  $("bets").replaceChildren();
  $("bets text").textContent = came === undefined
    ? w("expected end", { expected: plain(expected) })
    : w("expected came", {
      expected: plain(expected), came, error: plain(error(now.step)),
      share: percent(errors.filter((one) => one < error(now.step)).length / errors.length),
    });
}

const bar = (share) => el("span", { class: "bar" }, el("i", { style: `width:${(100 * share).toFixed(1)}%` }));

// What a network says that gives a text its class.
function drawClasses() {
  const { next } = reading.steps[0];
  $("bets").replaceChildren(...reader().classes.map((name, k) => el("li", { class: "class" }, el("b", {}, name), bar(next[k]), el("output", {}, percent(next[k])))));
  $("bets text").textContent = w("classes said");
}

function drawBets() {
  const its = reader();
  if (its.forecast) return drawAhead();
  if (its.numeric) return drawExpected();
  if (its.classes) return drawClasses();
  const { next } = reading.steps[now.step];
  const best = Array.from(next, (p, token) => [p, token]).filter(([, token]) => token > 0)
    .sort((a, b) => b[0] - a[0]).slice(0, 6);
  const comes = reading.tokens[now.step + 1];
  const rows = best.map(([p, token]) => el("li", { class: token === comes ? "right" : null },
    el("b", {}, shown(its.characters[token])),
    bar(p),
    el("output", {}, percent(p))));
  $("bets").replaceChildren(...rows);
  let text = w("bets end");
  if (comes !== undefined) {
    const character = quoted(pieceAt(now.step + 1));
    const place = 1 + next.filter((p) => p > next[comes]).length;
    text = w("bets came", { character, share: percent(next[comes]), place });
  }
  $("bets text").textContent = text;
}

views.push(drawRibbon, drawSentence, () => { if (now.zoom === 1) drawBets(); });
