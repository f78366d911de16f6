// What there is to read on: short sections whose numbers are computed here, on the lesson's network or the one that is shown.

// The equations of an LSTM beside the code that computes them, as memfold.cells has them.
const EQUATIONS = [
  ["i = σ(W_i x + R_i h + b_i)", "i = sigmoid(W_i @ x + R_i @ h + b_i)"],
  ["f = σ(W_f x + R_f h + b_f)", "f = sigmoid(W_f @ x + R_f @ h + b_f)"],
  ["g = tanh(W_g x + R_g h + b_g)", "g = np.tanh(W_g @ x + R_g @ h + b_g)"],
  ["o = σ(W_o x + R_o h + b_o)", "o = sigmoid(W_o @ x + R_o @ h + b_o)"],
  ["c = f·c + i·g", "c = f * c + i * g"],
  ["h = o·tanh(c)", "h = o * np.tanh(c)"],
];
// W_i as W with a low i.
const lowered = (equation) => equation.split(/_(\w)/).map((part, k) => (k % 2 ? el("sub", {}, part) : part));

const GUIDES = ["forecast", "anomaly", "generate", "sentiment", "translate", "transcribe", "command", "classify", "detect", "faces"];
const SOURCES = [
  "Hochreiter & Schmidhuber 1997, Long short-term memory. Neural Computation 9(8)",
  "Gers, Schmidhuber & Cummins 2000, Learning to forget. Neural Computation 12(10)",
  "Gers, Schraudolph & Schmidhuber 2002, Learning precise timing with LSTM recurrent networks. JMLR 3",
  "Bengio, Simard & Frasconi 1994, Learning long-term dependencies with gradient descent is difficult. IEEE TNN 5(2)",
  "Cho et al. 2014, Learning phrase representations using RNN encoder-decoder. EMNLP",
  "Jozefowicz, Zaremba & Sutskever 2015, An empirical exploration of recurrent network architectures. ICML",
  "Greff et al. 2017, LSTM: a search space odyssey. IEEE TNNLS 28(10)",
  "Karpathy, Johnson & Li 2015, Visualizing and understanding recurrent networks. arXiv:1506.02078",
  "Tallec & Ollivier 2018, Can recurrent neural networks warp time? ICLR",
];

// An LSTM of this page at the step of its memory's writing, and thirty letters later: the numbers that the text speaks of.
function exampleNumbers() {
  const models = data.models.map((_, k) => k).sort((a, b) => +(b === place(heroName())) - +(a === place(heroName())));
  const model = models.find((k) => reader(k).layers[0].kind.values.includes("c"));
  if (model === undefined) return null;
  const its = reader(model);
  const { hero } = data.models[model];
  const pieces = its.pieces(hero.text);
  const { steps } = its.read(its.tokens(pieces));
  const at = clamp(hero.step - 1, 1, pieces.length - 1);
  const values = (step) => Object.fromEntries(Object.entries(steps[step].layers[0]).map(([name, all]) => [name, all[hero.unit]]));
  const later = Math.min(at + 30, pieces.length - 1);
  return { unit: hero.unit, sign: shown(pieces[at]), steps: later - at, now: values(at), before: values(at - 1), later: values(later) };
}

let fading = null; // shares after 50 steps, of fresh cells

function drawReading() {
  if (now.tour !== READING) return;
  const { marked } = FLOW;
  fading = fading || {
    rnn: flowOf("rnn_tanh", 1, 1)[marked], lstm: flowOf("lstm", 1, 1)[marked], none: flowOf("lstm", 0, 1)[marked], high: flowOf("lstm", 3, 1)[marked],
  };
  const filled = { lag: marked, ...Object.fromEntries(Object.entries(fading).map(([name, share]) => [name, magnitude(share)])) };
  const example = exampleNumbers();
  if (example) {
    Object.assign(filled, { unit: example.unit, character: quoted(example.sign), steps: example.steps });
    for (const [when, values] of [["", example.now], ["before_", example.before], ["later_", example.later]]) {
      for (const [name, value] of Object.entries(values)) filled[`${when}${name}`] = number(value, 3);
    }
  }
  const section = (key, ...rest) => el("section", { class: "card" }, el("h2", {}, w(`reading ${key}`)), ...rest);
  const text = (key) => el("p", {}, w(key, filled));
  const go = (key, step) => el("p", {}, el("button", { onclick: () => goTour(step) }, w(key)));
  const list = (items) => el("ul", {}, ...items.map((item) => el("li", {}, item)));
  const questions = (kind, count, steps) => Array.from({ length: count }, (_, k) => el("details", {},
    el("summary", {}, w(`${kind} ${k + 1}`)), text(`${kind} ${k + 1} answer`),
    steps && steps[k] !== null && data.lesson ? go("see it", steps[k]) : null));
  const live = (key) => (example ? [text(key)] : []);
  $("reading").replaceChildren(
    section("rnn", text("reading rnn text"), data.lesson ? go("see it", 4) : null),
    section("idea", text("reading idea text")),
    section("gates", text("reading gates text"), ...live("reading gates live")),
    ...(example ? [section("step", text("reading step text"),
      el("p", { class: "equation whole" }, `c = f·c + i·g = ${filled.f} × ${filled.before_c} + ${filled.i} × ${filled.g} = ${filled.c}`),
      el("p", { class: "equation whole" }, `h = o·tanh(c) = ${filled.o} × ${number(Math.tanh(example.now.c), 3)} = ${filled.h}`))] : []),
    section("equations", text("reading equations text"), el("div", { class: "scroll", tabindex: "0", role: "group", "aria-label": w("reading equations") },
      el("table", { class: "bets" }, el("thead", {}, el("tr", {}, el("th", { scope: "col" }, w("equation")), el("th", { scope: "col" }, w("code")))),
        el("tbody", {}, ...EQUATIONS.map(([equation, code]) => el("tr", {}, el("td", {}, ...lowered(equation)), el("td", {}, el("code", {}, code)))))))),
    section("uses", text("reading uses text"), el("ul", {}, ...GUIDES.map((task) => el("li", {}, w(`use ${task}`), " ",
      data.guides ? el("a", { href: `${data.guides}${task}${now.language === "zh" ? ".zh-CN" : ""}.html` }, el("code", {}, `memfold fit ${task}`)) : el("code", {}, `memfold fit ${task}`))))),
    section("variants", list(["peephole", "coupled", "gru", "both"].map((key) => w(`variant ${key}`))), text("reading variants text"), el("div", { id: "variants" }), data.lesson ? go("see it", 10) : null),
    section("questions", ...questions("question", 5)),
    section("wrong", text("reading wrong text"), ...questions("wrong", example ? 5 : 1, [4, 8, 6, 10, 7])),
    section("sources", list(SOURCES)));
  drawVariants();
}

views.push(drawReading);
