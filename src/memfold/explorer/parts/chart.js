// Line charts. Lines differ by their dashes and their names, never by colour alone.

const SHAPES = {
  rnn: { colour: "cell-rnn", dash: "2 4" },
  lstm: { colour: "cell-lstm", dash: "" },
  gru: { colour: "cell-gru", dash: "9 4" },
  seen: { colour: "memory", dash: "" },
  unseen: { colour: "minus", dash: "6 4" },
  guess: { colour: "soft", dash: "1 5" },
};

// lines: {shape, name, text, points: [x, y], ...}; band: [x, low, high] of an interval; x and y: least and greatest; ticks:
// [value, text] along either side.
function chart(box, { label, lines, band = [], x, y, ticksX, ticksY, titleX }) {
  const width = Math.max(300, Math.min(box.clientWidth || 640, 900));
  const [height, left, bottom, top, right] = [240, 62, 40, 10, 14];
  const toX = (value) => left + ((width - left - right) * (value - x[0])) / (x[1] - x[0] || 1);
  const toY = (value) => top + (height - top - bottom) * (1 - (clamp(value, y[0], y[1]) - y[0]) / (y[1] - y[0] || 1));
  const svg = el("svg", { viewBox: `0 0 ${width} ${height}`, width, height, role: "img", "aria-label": label },
    ...ticksY.flatMap(([value, text]) => [
      el("line", { x1: left, x2: width - right, y1: toY(value), y2: toY(value), class: "grid" }),
      el("text", { x: left - 8, y: toY(value) + 5, "text-anchor": "end" }, text)]),
    ...ticksX.map(([value, text], k) => el("text", {
      x: toX(value), y: height - bottom + 18, "text-anchor": k === ticksX.length - 1 ? "end" : "middle" }, text)),
    el("text", { x: (left + width - right) / 2, y: height - 4, "text-anchor": "middle" }, titleX),
    band.length ? el("polygon", { class: "band", points: [...band.map(([a, low]) => [a, low]), ...[...band].reverse().map(([a, , high]) => [a, high])]
      .map(([a, b]) => `${toX(a).toFixed(1)},${toY(b).toFixed(1)}`).join(" ") }) : null,
    ...lines.filter(({ points }) => points.length).map(({ shape, points }) => el("polyline", {
      points: points.map(([a, b]) => `${toX(a).toFixed(1)},${toY(b).toFixed(1)}`).join(" "), fill: "none",
      style: `stroke:var(--${SHAPES[shape].colour})`, "stroke-width": 2.5, "stroke-dasharray": SHAPES[shape].dash || null })));
  const legend = el("ul", { class: "legend" }, ...lines.map(({ shape, name, text }) => el("li", {},
    el("svg", { width: 34, height: 10, "aria-hidden": "true" }, el("line", {
      x1: 1, x2: 33, y1: 5, y2: 5, style: `stroke:var(--${SHAPES[shape].colour})`, "stroke-width": 2.5,
      "stroke-dasharray": SHAPES[shape].dash || null })),
    el("b", {}, name), el("span", {}, text))));
  box.replaceChildren(svg, legend);
}

const SUPERSCRIPTS = { "-": "⁻", 0: "⁰", 1: "¹", 2: "²", 3: "³", 4: "⁴", 5: "⁵", 6: "⁶", 7: "⁷", 8: "⁸", 9: "⁹" };
const power = (exponent) => `10${[...String(exponent)].map((sign) => SUPERSCRIPTS[sign]).join("")}`;

// A small or large share as a person reads it: 12 %, or 3 × 10⁻⁷.
function magnitude(value) {
  if (value === 0) return "0";
  if (value >= 0.001 && value < 100) return `${Number((100 * value).toPrecision(2))}\u00a0%`;
  const exponent = Math.floor(Math.log10(value));
  return `${(value / 10 ** exponent).toFixed(0)}\u00a0×\u00a0${power(exponent)}`;
}

// About four round places for marks between two numbers.
function rounds(from, to) {
  const rough = (to - from) / 4 || 1;
  const scale = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].find((times) => times * scale >= rough) * scale;
  const places = [];
  for (let at = Math.ceil(from / step) * step; at <= to + step / 1000; at += step) places.push(Number(at.toPrecision(12)));
  return places;
}
