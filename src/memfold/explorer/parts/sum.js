// The sum inside every gate of one unit at one step, every number real.

const LARGEST = 4; // terms of other units that are named; the rest is one number

function pill(name, value, extra = "") {
  return el("span", { class: `pill ${value < 0 ? "minus" : "plus"} ${extra}` }, el("small", {}, name), el("b", {}, signed(value)));
}

function drawSum() {
  const its = reader();
  const u = now.unit;
  const v = valuesAt(now.step);
  const character = quoted(pieceAt(now.step));
  const input = now.layer && !reader().words ? w("layer below") : w("letter", { character });
  const rows = layerNow().kind.gates.map((gate) => {
    const terms = its.terms(reading, now.layer, gate, u, now.step);
    const order = terms.units.map((value, k) => [value, k]).sort((a, b) => Math.abs(b[0]) - Math.abs(a[0]));
    const rest = order.slice(LARGEST).reduce((sum, [value]) => sum + value, 0);
    const resets = gate === "n" && layerNow().cell === "gru" ? v.r[u] : 1; // r takes its share of all that h says
    const fromState = terms.units.reduce((a, b) => a + b, 0) + terms.biasOfState;
    const total = terms.bias + terms.input + resets * fromState + terms.peephole;
    const held = holdNow(gate);
    const pills = [
      pill(w("bias"), resets === 1 ? terms.bias + terms.biasOfState : terms.bias),
      pill(input, terms.input),
      ...order.slice(0, LARGEST).map(([value, k]) => pill(`h${k}`, value)),
      order.length > LARGEST ? pill(w("rest", { count: order.length - LARGEST }), rest) : null,
      resets === 1 ? null : pill(w("times reset", { r: number(resets) }), resets * fromState, "whole"),
      terms.peephole ? pill(w("peephole"), terms.peephole) : null,
    ].filter(Boolean);
    const relu = layerNow().cell === "rnn_relu";
    const squash = !["g", "n", "h"].includes(gate) ? "σ" : relu ? "max(0, ·)" : "tanh";
    const squashed = { σ: sigmoid, tanh: Math.tanh, "max(0, ·)": (x) => Math.max(0, x) }[squash];
    return el("div", { class: "sum-row" },
      el("h3", { style: `color:var(--gate-${gate})` }, w(`value ${gate}`)),
      el("div", { class: "pills" }, ...pills),
      el("p", { class: "equation" }, `= ${signed(total)}  →  ${squash}  →  `, el("strong", {}, number(squashed(total), 3)),
        held === null ? "" : ` ${w("but held", { value: number(held) })}`));
  });
  const before = reader().before(reading.steps, now.layer, now.step);
  const lines = [];
  if (layerNow().cell === "coupled_lstm") lines.push(["f", `1 − i = ${number(v.f[u], 3)}`]);
  if (v.c) {
    lines.push(["c", `f·c + i·g = ${number(v.f[u], 3)} × ${number(before.c[u], 3)} + ${number(v.i[u], 3)} × ${number(v.g[u], 3)} = ${number(v.c[u], 3)}`]);
    lines.push(["h", `o·tanh(c) = ${number(v.o[u], 3)} × ${number(Math.tanh(v.c[u]), 3)} = ${number(v.h[u], 3)}`]);
  } else if (v.z) {
    lines.push(["h", `(1 − z)·n + z·h = ${number(1 - v.z[u], 3)} × ${number(v.n[u], 3)} + ${number(v.z[u], 3)} × ${number(before.h[u], 3)} = ${number(v.h[u], 3)}`]);
  }
  $("sum").replaceChildren(...rows, ...lines.map(([name, text]) => el("p", { class: "equation whole" }, el("b", {}, name), ` = ${text}`)));
}

views.push(() => { if (now.zoom === 4) drawSum(); });
