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
  const sentence = w("ledger label", { state, total: number(total, 3), step: now.step + 1 });
  const names = (t) => shown(characters[t] ?? pieceAt(t));
  ledgerBars(box, { parts, now: now.step, names, sentence, text: (value) => signed(value, 3), onstep: (step) => set({ step }) });
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
