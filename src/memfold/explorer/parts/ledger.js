// The ledger: a memory as the sum of what each step wrote, times everything that was kept since.

function drawLedger() {
  const account = reader().ledger(reading.steps, now.layer, now.unit, now.step);
  const box = $("ledger");
  if (!account) {
    box.replaceChildren();
    $("ledger text").textContent = w("no ledger");
    $("ledger top").replaceChildren();
    return;
  }
  const { parts, state } = account;
  const total = parts.reduce((a, b) => a + b, 0);
  const weight = parts.reduce((a, b) => a + Math.abs(b), 0);
  const most = Math.max(...parts.map(Math.abs)) || 1;
  const characters = piecesOf(now.text);
  const steps = reading.steps.length;
  // Bars above and below a line: a step each, in the ribbon's order.
  const [width, height, middle] = [1000, 150, 75];
  const each = width / steps;
  const bars = parts.map((part, t) => {
    const tall = Math.max(1, (Math.abs(part) / most) * (middle - 6));
    return el("rect", { x: t * each, y: part < 0 ? middle : middle - tall, width: Math.max(each * 0.82, 0.8), height: tall, class: part < 0 ? "minus" : "plus" });
  });
  const sentence = w("ledger label", { state, total: number(total, 3), step: now.step + 1 });
  box.replaceChildren(el("svg", { viewBox: `0 0 ${width} ${height}`, preserveAspectRatio: "none", role: "img", "aria-label": sentence },
    el("line", { x1: 0, x2: width, y1: middle, y2: middle, class: "axis" }), ...bars,
    el("rect", { x: now.step * each, y: 0, width: Math.max(each, 1), height, class: "cursor" })));
  const order = parts.map((part, t) => [part, t]).sort((a, b) => Math.abs(b[0]) - Math.abs(a[0])).slice(0, 5);
  $("ledger top").replaceChildren(...order.filter(([part]) => Math.abs(part) > 0.005 * weight).map(([part, t]) => el("li", {},
    el("button", { onclick: () => set({ step: t }), class: "character" }, shown(characters[t] ?? pieceAt(t))),
    el("span", {}, w("ledger step", { step: t + 1 })),
    el("output", {}, signed(part, 3)),
    el("span", { class: "share" }, weight ? percent(Math.abs(part) / weight) : ""))));
  const [first, at] = order[0];
  $("ledger text").textContent = w("ledger text", {
    state, total: number(total, 3), character: quoted(characters[at] ?? pieceAt(at)), step: at + 1,
    share: weight ? percent(Math.abs(first) / weight) : "0 %",
  });
}

views.push(drawLedger);
