// The page of a server: each model can be tried by hand. Everything shown is set as text, never as HTML.
"use strict";

const WORDS = {
  en: {
    title: "Try the models", token: "Token", needToken: "This server wants a token.", other: "中文", language: "zh-CN",
    predict: "Predict", stream: "Line by line", stop: "Stop", microphone: "Microphone", file: "File",
    working: "Working …", listening: "Listening …", nothing: "Nothing to answer yet.", ended: "The stream has ended",
    text: "Text", csv: "Table (CSV)", rows: "rows", none: "This server has no models.", offline: "The server does not answer.",
    more: "The first {n} of {all} rows are shown.", tooMuch: "No microphone: {why}", chart: "Chart of the answer", answer: "Answer",
    picture: "The picture, with what was found",
  },
  zh: {
    title: "试用模型", token: "令牌", needToken: "此服务器需要令牌。", other: "English", language: "en",
    predict: "预测", stream: "逐行处理", stop: "停止", microphone: "麦克风", file: "文件",
    working: "正在计算……", listening: "正在听……", nothing: "暂无结果。", ended: "流已结束",
    text: "文本", csv: "表格（CSV）", rows: "行", none: "此服务器没有模型。", offline: "服务器没有响应。",
    more: "共 {all} 行，仅显示前 {n} 行。", tooMuch: "无法使用麦克风：{why}", chart: "结果图", answer: "结果",
    picture: "图片及识别结果",
  },
};
const FAMILY = {
  anomaly: "series", forecast: "series", generate: "text", sentiment: "text", translate: "text",
  command: "sound", transcribe: "sound", classify: "picture", detect: "picture", faces: "picture",
};
const MOST_ROWS = 200;
const MOST_POINTS = 2000;
const SVG = "http://www.w3.org/2000/svg";

let language = navigator.language.startsWith("zh") ? "zh" : "en";
let models = [];
let words = WORDS[language];

function make(tag, properties = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name in node) node[name] = value;
    else node.setAttribute(name, value);
  }
  node.append(...children);
  return node;
}

function draw(tag, properties) {
  const node = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(properties)) node.setAttribute(name, value);
  return node;
}

const byId = (id) => document.getElementById(id);
const token = () => byId("token").value.trim();
const filled = (text, values) => text.replace(/\{(\w+)\}/g, (_, name) => values[name]);

function say(text, isError = false) {
  byId("said").textContent = text;
  byId("said").className = isError ? "error" : "";
}

async function call(path, options = {}) {
  const headers = { ...options.headers };
  if (token()) headers.Authorization = `Bearer ${token()}`;
  let response;
  try {
    response = await fetch(path, { ...options, headers });
  } catch {
    throw new Error(words.offline);
  }
  const answer = await response.json();
  if (!response.ok) throw Object.assign(new Error(answer.error), { status: response.status });
  return answer;
}

function openStream(model, hear) {
  const address = new URL(`/v1/models/${model.name}/stream?acknowledge=true`, location.href);
  address.protocol = location.protocol === "https:" ? "wss:" : "ws:";
  const protocols = ["memfold"];
  if (token()) {
    const bytes = String.fromCharCode(...new TextEncoder().encode(token()));
    protocols.push(`memfold-token.${btoa(bytes).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "")}`);
  }
  const socket = new WebSocket(address, protocols);
  socket.addEventListener("message", (event) => hear(event.data));
  return socket;
}

// -- what an answer looks like ------------------------------------------------------------------------------

function shown(value) {
  if (value === null || value === undefined) return "";
  if (typeof value === "number" && !Number.isInteger(value)) return value.toPrecision(5);
  return typeof value === "object" ? JSON.stringify(value) : String(value);
}

function tableOf(rows) {
  const names = Object.keys(rows[0] ?? {});
  const head = make("tr", {}, ...names.map((name) => make("th", { scope: "col", textContent: name })));
  const body = rows.slice(0, MOST_ROWS).map((row) => (
    make("tr", {}, ...names.map((name) => make("td", { textContent: shown(row[name]) })))
  ));
  const table = make("table", {}, make("thead", {}, head), make("tbody", {}, ...body));
  const note = rows.length > MOST_ROWS ? [make("p", { textContent: filled(words.more, { n: MOST_ROWS, all: rows.length }) })] : [];
  return [table, ...note];
}

// Lines over the rows: what was given and expected, the band of an interval, dots for alarms.
function chartOf(rows) {
  const some = rows.slice(-MOST_POINTS);
  const number = (row, name) => (row[name] === "" || row[name] === null ? NaN : Number(row[name]));
  const isNumber = (name) => some.every((row) => Number.isFinite(number(row, name)));
  const names = Object.keys(some[0] ?? {}).filter(isNumber);
  const low = names.find((name) => /^lo/.test(name));
  const high = names.find((name) => /^hi/.test(name));
  const expected = names.find((name) => /^expected/.test(name));
  const given = expected && names.find((name) => expected.endsWith(`_${name}`));
  const lines = [...new Set([given, "y", "value", expected, "forecast"])].filter((name) => names.includes(name)).slice(0, 2);
  if (some.length < 2 || !lines.length) return [];
  const values = [...lines, ...(low && high ? [low, high] : [])].flatMap((name) => some.map((row) => number(row, name)));
  const least = Math.min(...values);
  const span = Math.max(...values) - least || 1;
  const x = (place) => (600 * place) / (some.length - 1);
  const y = (value) => 150 - (140 * (value - least)) / span;
  const svg = draw("svg", { viewBox: "0 0 600 160", role: "img", "aria-label": `${words.chart}: ${lines.join(", ")}` });
  if (low && high) {
    const there = some.map((row, place) => `${x(place)},${y(number(row, high))}`);
    const back = some.map((row, place) => `${x(place)},${y(number(row, low))}`).reverse();
    svg.append(draw("polygon", { class: "band", points: [...there, ...back].join(" ") }));
  }
  lines.forEach((name, order) => svg.append(draw("polyline", {
    class: order ? "second" : "trace", points: some.map((row, place) => `${x(place)},${y(number(row, name))}`).join(" "),
  })));
  some.forEach((row, place) => {
    if (row.alarm === true) svg.append(draw("circle", { class: "alarm", cx: x(place), cy: y(number(row, lines[0])), r: 4 }));
  });
  return [svg];
}

function pictureOf(file, rows) {
  const image = make("img", { alt: words.picture, src: URL.createObjectURL(file) });
  const frame = make("div", { className: "shown" }, image);
  image.addEventListener("load", () => {
    const boxes = rows.filter((row) => ["x", "y", "width", "height"].every((side) => typeof row[side] === "number"));
    const svg = draw("svg", { viewBox: `0 0 ${image.naturalWidth} ${image.naturalHeight}`, "aria-hidden": "true" });
    boxes.forEach((row) => svg.append(draw("rect", {
      class: "box", x: row.x, y: row.y, width: row.width, height: row.height,
    })));
    frame.append(svg);
  });
  return frame;
}

function show(place, model, answer, file) {
  const rows = answer.rows ?? [];
  const chart = FAMILY[model.task] === "series" ? chartOf(rows) : [];
  const parts = answer.text === undefined ? [...chart, ...tableOf(rows)] : [make("pre", { textContent: answer.text })];
  place.replaceChildren(...(file && file.type.startsWith("image/") ? [pictureOf(file, rows)] : []), ...parts);
}

// -- one model ----------------------------------------------------------------------------------------------

async function predict(model, place, body, type, file) {
  place.textContent = words.working;
  try {
    const headers = { "Content-Type": type };
    show(place, model, await call(`/v1/models/${model.name}/predict`, { method: "POST", headers, body }), file);
  } catch (error) {
    place.replaceChildren(make("p", { className: "error", textContent: error.message }));
  }
}

// Sends lines one after another, each once the one before is answered.
function streamLines(model, place, text) {
  const lines = text.split("\n").filter((line) => line.trim());
  const rows = [];
  const heard = make("pre");
  place.replaceChildren(heard);
  const socket = openStream(model, (data) => {
    for (const line of data.split("\n").filter(Boolean)) {
      try {
        rows.push(JSON.parse(line));
      } catch {
        heard.textContent += `${line}\n`;
      }
    }
    if (rows.length) place.replaceChildren(...chartOf(rows), ...tableOf(rows.slice(-MOST_ROWS)));
    next();
  });
  const next = () => {
    if (lines.length) socket.send(lines.shift());
    else socket.close();
  };
  socket.addEventListener("open", next);
  socket.addEventListener("error", () => place.replaceChildren(make("p", { className: "error", textContent: words.ended })));
  return socket;
}

async function listen(model, place, button) {
  const { rate } = model.stream.sound;
  let sound;
  try {
    sound = await navigator.mediaDevices.getUserMedia({ audio: { channelCount: 1 } });
  } catch (error) {
    place.replaceChildren(make("p", { className: "error", textContent: filled(words.tooMuch, { why: error.message }) }));
    return;
  }
  const heard = make("pre", { textContent: `${words.listening}\n` });
  place.replaceChildren(heard);
  const context = new AudioContext({ sampleRate: rate });
  const size = 2 ** Math.round(Math.log2(rate / 10));
  const taker = context.createScriptProcessor(size, 1, 1);
  const socket = openStream(model, (data) => {
    if (data) heard.textContent += `${data}\n`;
  });
  taker.addEventListener("audioprocess", (event) => {
    if (socket.readyState !== WebSocket.OPEN) return;
    const samples = event.inputBuffer.getChannelData(0);
    const block = new DataView(new ArrayBuffer(2 * samples.length));
    samples.forEach((sample, k) => block.setInt16(2 * k, Math.max(-32768, Math.min(32767, Math.round(32768 * sample))), true));
    socket.send(block.buffer);
  });
  context.createMediaStreamSource(sound).connect(taker);
  taker.connect(context.destination);
  const stop = () => {
    if (context.state === "closed") return;
    sound.getTracks().forEach((track) => track.stop());
    context.close();
    button.textContent = words.microphone;
    button.onclick = () => listen(model, place, button);
    if (socket.readyState === WebSocket.OPEN) socket.send('{"finish": true}');
  };
  button.textContent = words.stop;
  button.onclick = stop;
  socket.addEventListener("close", stop, { once: true });
}

function cardOf(model) {
  const family = FAMILY[model.task];
  const place = make("div", { className: "answer", tabIndex: 0, role: "region", textContent: words.nothing });
  place.setAttribute("aria-label", `${words.answer}: ${model.name}`);
  place.setAttribute("aria-live", "polite");
  const file = make("input", { type: "file", id: `file-${model.name}` });
  const buttons = make("div", { className: "row" });
  const parts = [
    make("h2", { textContent: model.name }),
    make("p", { className: "meta", textContent: `${model.task} · ${model.sha256.slice(0, 12)}` }),
  ];
  let area;
  if (family === "series" || family === "text") {
    area = make("textarea", { id: `text-${model.name}`, spellcheck: false });
    parts.push(make("label", { htmlFor: area.id, textContent: family === "text" ? words.text : words.csv }), area);
    const type = family === "text" ? "text/plain" : "text/csv";
    buttons.append(make("button", {
      type: "button", textContent: words.predict, onclick: () => predict(model, place, area.value, type),
    }));
    if (model.stream) {
      buttons.append(make("button", {
        type: "button", textContent: words.stream, onclick: () => streamLines(model, place, area.value),
      }));
    }
  }
  if (family === "sound" && model.stream && navigator.mediaDevices) {
    const button = make("button", { type: "button", textContent: words.microphone });
    button.onclick = () => listen(model, place, button);
    buttons.append(button);
  }
  file.addEventListener("change", async () => {
    const [given] = file.files;
    if (!given) return;
    if (area) area.value = await given.text();
    else predict(model, place, given, given.type || "application/octet-stream", given);
  });
  buttons.append(make("label", { htmlFor: file.id, textContent: words.file }), file);
  return make("section", { "aria-label": model.name }, ...parts, buttons, place);
}

function write() {
  words = WORDS[language];
  document.documentElement.lang = language === "zh" ? "zh-CN" : "en";
  byId("title").textContent = words.title;
  byId("token-label").textContent = words.token;
  byId("language").textContent = words.other;
  byId("language").lang = words.language;
  byId("models").replaceChildren(...models.map(cardOf));
}

async function refresh() {
  write();
  try {
    ({ models } = await call("/v1/models"));
    say(models.length ? "" : words.none);
  } catch (error) {
    models = [];
    say(error.status === 401 ? words.needToken : error.message, error.status !== 401);
  }
  write();
}

byId("language").addEventListener("click", () => {
  language = language === "zh" ? "en" : "zh";
  refresh();
});
byId("token").addEventListener("change", refresh);
refresh();
