// Ties the parts of the page to what the visitor does, and opens what the address asks for.

const ZOOMS = [1, 2, 3, 4];

function drawWords() {
  document.documentElement.lang = now.language === "zh" ? "zh-CN" : "en";
  document.title = w("title");
  for (const element of document.querySelectorAll("[data-w]")) element.textContent = w(element.dataset.w);
  $("language").textContent = w("other language");
  $("language").lang = now.language === "zh" ? "en" : "zh-CN";
  $("back to hero").textContent = w("back to hero");
  $("models").setAttribute("aria-label", w("models"));
  $("models").replaceChildren(...data.models.map((model, k) => el("button", {
    "aria-pressed": k === now.model ? "true" : "false", onclick: () => set({ model: k }),
  }, modelName(model))));
  $("zoom").setAttribute("aria-label", w("inside"));
  $("zoom").replaceChildren(...ZOOMS.map((z) => el("button", {
    role: "tab", id: `tab${z}`, "aria-selected": z === now.zoom ? "true" : "false", "aria-controls": "panel",
    tabindex: z === now.zoom ? 0 : -1, onclick: () => set({ zoom: z }),
  }, w(`zoom ${z}`))));
  for (const z of ZOOMS) $(`zoom${z}`).hidden = z !== now.zoom;
  $("panel").setAttribute("aria-labelledby", `tab${now.zoom}`);
}

function modelName({ name }) {
  if (name.startsWith("mine ")) return w("model mine", { n: name.slice(5) });
  return data.strings[`model ${name}`] ? w(`model ${name}`) : name;
}

function drawChoosers() {
  const layer = layerNow();
  $("unit").max = layer.hidden - 1;
  if (document.activeElement !== $("unit")) $("unit").value = now.unit;
  $("value").replaceChildren(...layer.kind.values.map((name) => el("option", { value: name, selected: name === now.value }, w(`value ${name}`))));
  $("value").value = now.value;
  const { layers, words, given } = reader();
  $("layer box").hidden = layers.length < 2;
  $("layer").replaceChildren(...layers.map((_, k) => el("option", { value: k }, words ? w(k ? "backwards" : "forwards") : String(k + 1))));
  for (const element of [$("text"), document.querySelector('label[for="text"]')]) element.hidden = Boolean(given);
  $("layer").value = now.layer;
}

// Where one is, as a path: network, unit, step, number. Each part leads to its distance.
function drawCrumbs() {
  const character = quoted(pieceAt(now.step));
  const parts = [
    [w("crumb network", { units: layerNow().hidden }), 2],
    [w("crumb unit", { unit: now.unit }), 1],
    [w("crumb step", { step: now.step + 1, character }), 3],
    [layerNow().kind.values.includes("c") ? "c = f·c + i·g" : "h", 4],
  ];
  $("crumbs").setAttribute("aria-label", w("crumbs"));
  $("crumbs").replaceChildren(...parts.flatMap(([text, zoom], k) => [
    k ? el("span", { "aria-hidden": "true" }, "›") : null,
    el("button", { onclick: () => set({ zoom }), "aria-current": zoom === now.zoom ? "true" : null }, text),
  ]).filter(Boolean));
}

function drawAbout() {
  const { facts } = packedModel();
  const filled = { ...facts };
  for (const name of ["nats", "packed"]) if (name in facts) filled[name] = number(facts[name], 3);
  if (facts.cell) filled.cell = w(`cell ${facts.cell}`);
  $("about text").textContent = [
    w(`about ${facts.kind}`, filled),
    "nats" in facts ? w(facts.scored ? `about own ${facts.scored}` : "about nats", filled) : "",
    facts.agrees ? w("agrees", facts.agrees) : "",
    ...(facts.left || []).map((key) => w(`left ${key.name}`, key)),
  ].join(" ");
  $("made").textContent = w("made", { version: data.version });
}

const FOLLOWED = { ArrowLeft: { step: -1 }, ArrowRight: { step: 1 }, ArrowUp: { unit: -1 }, ArrowDown: { unit: 1 } };

function onKey(event) {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const typing = event.target.matches("input, textarea, select");
  const onRibbon = event.target === $("ribbon");
  const move = FOLLOWED[event.key];
  if (event.target.matches('[role="tab"]') && (event.key === "ArrowLeft" || event.key === "ArrowRight")) {
    set({ zoom: ((now.zoom - 1 + (event.key === "ArrowRight" ? 1 : 3)) % 4) + 1 });
    $(`tab${now.zoom}`).focus();
    event.preventDefault();
  } else if (onRibbon && event.shiftKey && move && move.step) { // over a step: marks it
    const step = clamp(now.step + move.step, 0, reading.steps.length - 1);
    now.step = step;
    mark(step, step, !isMarked(step));
    event.preventDefault();
  } else if (move && (onRibbon || event.target === document.body)) {
    const [[name, by]] = Object.entries(move);
    set({ [name]: Math.max(0, now[name] + by) });
    event.preventDefault();
  } else if (typing) {
    return;
  } else if (onRibbon && (event.key === "Home" || event.key === "End")) {
    set({ step: event.key === "Home" ? 0 : MOST_STEPS });
    event.preventDefault();
  } else if (["1", "2", "3", "4"].includes(event.key)) set({ zoom: Number(event.key) });
  else if (event.key === "l") changeLanguage();
  else if (event.key === "h") {
    const gate = layerNow().kind.values.find((name) => name === "f" || name === "z");
    if (gate) hold(gate, holdOf(gate) ? null : 0);
  }
}

// The tour has a novel in English and poems in Chinese: its steps begin anew in the other language.
function changeLanguage() {
  set({ language: now.language === "en" ? "zh" : "en" });
  if (data.lesson && now.tour === STEPS) offerCorpus();
  if (data.lesson && now.tour >= 1 && now.tour <= STEPS) set(stateOf(now.tour));
}

views.unshift(drawWords, drawChoosers);
views.push(drawCrumbs, drawAbout);

$("text").oninput = () => {
  const text = $("text").value;
  set({ text, step: piecesOf(text).length - 1, holds: [], marks: [] });
};
$("unit").onchange = () => set({ unit: Math.round(Number($("unit").value)) || 0 });
$("value").onchange = () => set({ value: $("value").value });
$("layer").onchange = () => set({ layer: Number($("layer").value) });
$("language").onclick = changeLanguage;
$("back to hero").onclick = () => set(beginningOf(now.model));
$("ribbon").onclick = chooseTile;
$("map").onpointerdown = brushMap;
$("unmark").onclick = () => set({ marks: [] });
$("cell").onpointerdown = valveDrag;
$("cell").ondblclick = (event) => {
  const valve = event.target.closest(".valve");
  if (valve) hold(valve.dataset.gate, null);
};
$("pattern go").onclick = () => seek("pattern");
$("pattern").onkeydown = (event) => { if (event.key === "Enter") seek("pattern"); };
$("let all go").onclick = () => set({ holds: [] });
$("count go").onclick = toggleCounting;
$("tour back").onclick = () => goTour(now.tour - 1);
$("tour next").onclick = () => goTour(now.tour === STEPS ? TOOLS : now.tour + 1);
$("flow bias").oninput = drawFlow;
$("flow scale").oninput = drawFlow;
$("race go").onclick = toggleRace;
$("train go").onclick = toggleTraining;
$("train anew").onclick = trainAnew;
$("train open").onclick = openTrained;
$("train save").onclick = savePage;
$("corpus").oninput = trainAnew;
for (const id of ["train kind", "train units"]) $(id).onchange = trainAnew;
addEventListener("keydown", onKey);
addEventListener("hashchange", () => set(readAddress()));

Object.assign(now, beginningOf(0), data.lesson && data.begins !== undefined ? { tour: data.begins } : {});
const asked = readAddress();
if (asked.model) Object.assign(now, beginningOf(asked.model));
if (!location.hash) {
  delete asked.holds;
  delete asked.marks;
  if (now.tour) Object.assign(asked, stateOf(now.tour));
}
$("corpus").value = data.models[0].corpus ?? data.models[0].probe;
now.tour = asked.tour ?? now.tour;
set({ ...asked, model: asked.model ?? now.model });

// For tests, and for whoever opens the console.
window.memfold = {
  now, set, hold, CELLS, Layer, Reader, Learner, find, FEATURES, wilson, overlap, verdict, random, unpacked,
  data, Training, Racer, RACERS, flowOf, savedPage, goTour, stateOf, countsTo, differences, training: () => training, race: () => race, comparison: () => comparison,
  reader, reading: () => reading, free: () => free, counting: () => counting,
};
