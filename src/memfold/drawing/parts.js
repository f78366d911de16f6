// What the explorer and the reports draw alike: a node, a map of all units, and a memory as the sum of its writes.

const SVG_TAGS = ["svg", "g", "rect", "path", "text", "tspan", "circle", "line", "polyline", "title"];

function el(tag, attributes = {}, ...children) {
  const made = SVG_TAGS.includes(tag) ? document.createElementNS("http://www.w3.org/2000/svg", tag) : document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) made[name] = value;
    else made.setAttribute(name, value === true ? "" : value);
  }
  made.append(...children.filter((child) => child !== null && child !== undefined));
  return made;
}

const clamp = (value, least, most) => Math.max(least, Math.min(most, value));

// A colour of the style sheet as three numbers.
function shade(name) {
  const text = getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  return text.match(/[0-9a-f]{2}/gi).map((part) => parseInt(part, 16));
}

// A row for each unit in this order, a column for each step, in the colour of its value as a share of the unit's largest.
function paintMap(canvas, { order, steps, value, now, unit, spans = [] }) {
  const H = order.length;
  canvas.width = steps;
  canvas.height = H;
  canvas.style.height = `${Math.max(3, Math.min(8, Math.floor(440 / H))) * H}px`;
  const context = canvas.getContext("2d");
  const image = context.createImageData(steps, H);
  const [paper, plus, minus, ink] = ["--card", "--plus", "--minus", "--ink"].map(shade);
  order.forEach((u, row) => {
    let most = 0.05;
    for (let t = 0; t < steps; t++) most = Math.max(most, Math.abs(value(t, u)));
    for (let t = 0; t < steps; t++) {
      const its = value(t, u);
      const strength = Math.min(1, Math.abs(its) / most);
      const full = its < 0 ? minus : plus;
      for (let k = 0; k < 3; k++) image.data[4 * (row * steps + t) + k] = paper[k] + (full[k] - paper[k]) * strength;
      image.data[4 * (row * steps + t) + 3] = 255;
    }
  });
  context.putImageData(image, 0, 0);
  context.fillStyle = `rgba(${ink.join(",")},0.2)`;
  context.fillRect(now, 0, 1, H);
  context.fillRect(0, order.indexOf(unit), steps, 1);
  context.fillStyle = `rgba(${ink.join(",")},0.13)`;
  for (const [first, last] of spans) context.fillRect(first, 0, last - first + 1, H);
}

// Bars above and below a line of zero, a step each, with what the steps are called and how large the largest is.
function ledgerBars(box, { parts, now, names, sentence, text, onstep = null }) {
  const steps = parts.length;
  const most = Math.max(...parts.map(Math.abs)) || 1;
  const width = Math.max(300, Math.min(box.clientWidth || 640, 1040));
  const [left, right, top, tall, bottom] = [64, 8, 8, 150, 26];
  const middle = top + tall / 2;
  const each = (width - left - right) / steps;
  const bars = parts.map((part, t) => {
    const high = Math.max(part === 0 ? 0 : 1, (Math.abs(part) / most) * (tall / 2 - 2));
    return el("rect", {
      x: left + t * each, y: part < 0 ? middle : middle - high, width: Math.max(each * 0.82, 0.8), height: high, class: part < 0 ? "minus" : "plus",
    }, el("title", {}, `${names(t)}  ${text(part)}`));
  });
  const marks = [[most, top + 2], [0, middle], [-most, top + tall - 2]].map(([value, y]) => el("text", {
    x: left - 8, y: y + 5, "text-anchor": "end" }, value === 0 ? "0" : text(value)));
  // As many names as have room, those of a piece of text each at most six signs.
  const every = Math.max(1, Math.ceil(64 / each));
  const below = parts.map((_, t) => t).filter((t) => t % every === 0).map((t) => el("text", {
    x: left + (t + 0.5) * each, y: top + tall + 18, "text-anchor": "middle" }, [...names(t)].slice(0, 10).join("")));
  const svg = el("svg", { viewBox: `0 0 ${width} ${top + tall + bottom}`, width, height: top + tall + bottom, role: "img", "aria-label": sentence },
    el("line", { x1: left, x2: width - right, y1: middle, y2: middle, class: "axis" }), ...bars, ...marks, ...below,
    el("rect", { x: left + now * each, y: top, width: Math.max(each, 1), height: tall, class: "cursor" }));
  if (onstep) {
    svg.addEventListener("click", (event) => {
      const at = svg.getBoundingClientRect();
      onstep(clamp(Math.floor(((event.clientX - at.left) * (width / at.width) - left) / each), 0, steps - 1));
    });
  }
  box.replaceChildren(svg);
}
