// All units at all steps: a row for each unit, those that keep longest on top.

let order = [];

// What a unit keeps of its memory at a step: its forget gate, or a GRU's update gate.
const kept = (v) => v.f || v.z || null;

// Draws it, with the marked spans and the one that is being brushed shaded.
function drawMap(brushed = null) {
  const H = layerNow().hidden;
  const T = reading.steps.length;
  const logarithm = new Float64Array(H);
  const keeps = Boolean(kept(valuesAt(0)));
  if (keeps) {
    for (let t = 0; t < T; t++) kept(valuesAt(t)).forEach((share, u) => { logarithm[u] += Math.log(share + 1e-12) / T; });
  }
  order = Array.from({ length: H }, (_, u) => u).sort((a, b) => logarithm[b] - logarithm[a]);
  const map = $("map");
  paintMap(map, {
    order, steps: T, value: (t, u) => valuesAt(t)[now.value][u], now: now.step, unit: now.unit,
    spans: brushed ? [...now.marks, brushed] : now.marks,
  });
  const marked = reading.steps.filter((_, step) => isMarked(step)).length;
  $("map marked").textContent = marked ? w("marked", { marked }) : w("mark none");
  $("unmark").textContent = w("unmark");
  $("unmark").hidden = !marked;
  map.setAttribute("aria-label", w("map label", { units: H, steps: T, value: w(`value ${now.value}`) }));
  const life = Math.log(0.5) / Math.min(-1e-9, logarithm[now.unit]);
  $("map where").textContent = keeps
    ? w("map where", { unit: now.unit, steps: life < 9999 ? number(life, life < 10 ? 1 : 0) : "∞" })
    : w("map where none", { unit: now.unit });
}

// A press chooses a unit and a step; a drag to the side marks the steps that it passes.
function brushMap(event) {
  const box = $("map").getBoundingClientRect();
  const stepAt = (at) => clamp(Math.floor((reading.steps.length * (at.clientX - box.left)) / box.width), 0, reading.steps.length - 1);
  const begun = stepAt(event);
  let last = begun;
  const follow = (moved) => {
    last = stepAt(moved);
    drawMap([Math.min(begun, last), Math.max(begun, last)]);
  };
  const end = (ended) => {
    removeEventListener("pointermove", follow);
    removeEventListener("pointerup", end);
    removeEventListener("pointercancel", end);
    if (ended.type === "pointercancel") return drawMap();
    const row = Math.floor((layerNow().hidden * (ended.clientY - box.top)) / box.height);
    if (last === begun) set({ unit: order[clamp(row, 0, order.length - 1)], step: begun });
    else mark(Math.min(begun, last), Math.max(begun, last));
  };
  addEventListener("pointermove", follow);
  addEventListener("pointerup", end);
  addEventListener("pointercancel", end);
  event.preventDefault();
}

views.push(() => { if (now.zoom === 2) drawMap(); });
