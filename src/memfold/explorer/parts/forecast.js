// A forecaster: the network reads a window of a series patch by patch, and what it keeps at the end makes the whole
// horizon at once. The formulas are those of memfold.runtime.forecasting.network; tests hold the two equal.

const NOTHING = "\u2013"; // in the place of a value before a series began

// W x + b of a linear layer, (O).
function linear({ weight, bias }, x) {
  const out = Float64Array.from(bias);
  addProduct(out, weight, x, 0, out.length, x.length);
  return out;
}

const byValue = (a, b) => a - b;

class Forecast {
  constructor(packed) {
    const { context, horizon, patch, lags, stretch, columns, counts, demand, actual, whole, times } = packed;
    Object.assign(this, { context, horizon, patch, lags, stretch, columns, counts, demand, actual, whole, times });
    for (const name of ["summary", "decoder", "out"]) {
      this[name] = { weight: unpacked(packed[name].weight), bias: unpacked(packed[name].bias) };
    }
    for (const name of ["stepCode", "beside", "ahead", "static"]) this[name] = unpacked(packed[name]);
    this.linear = packed.linear ? unpacked(packed.linear) : null; // (K, C)
  }

  // The last numbers of a text as the window, a patch a piece; it begins later where there are fewer.
  pieces(text) {
    const numbers = numbersIn(text).slice(-this.context).map((value) => String(Number(value)));
    const window = [...Array(this.context - numbers.length).fill(NOTHING), ...numbers];
    return Array.from({ length: this.context / this.patch }, (_, k) => window.slice(k * this.patch, (k + 1) * this.patch).join(" "));
  }

  values(piece) {
    return piece.split(" ").map((value) => (value === NOTHING ? NaN : Number(value)));
  }

  // The mean of what is there of a patch.
  height(piece) {
    const there = this.values(piece).filter((value) => !Number.isNaN(value));
    return there.reduce((sum, value) => sum + value, 0) / there.length;
  }

  short(piece) {
    const parts = piece.split(" ");
    if (parts.every((part) => part === NOTHING)) return NOTHING;
    return parts.length > 2 ? `${parts[0]} \u2026 ${parts[parts.length - 1]}` : piece;
  }

  // What the first layer reads at each step: of every value of the patch that value less the window's level, in its
  // scale, whether it is there, and what stands beside it. Level and scale stay with the rows.
  rows(pieces) {
    const values = pieces.flatMap((piece) => this.values(piece));
    const there = values.filter((value) => !Number.isNaN(value));
    const mean = (list) => list.reduce((sum, value) => sum + value, 0) / Math.max(1, list.length);
    const level = mean(there);
    const scale = Math.max(mean(there.map((value) => Math.abs(value - level))), 1e-3 * mean(there.map(Math.abs)));
    const z = values.map((value) => (Number.isNaN(value) ? 0 : (value - level) / (scale || 1)));
    const wide = 2 + this.columns;
    const rows = pieces.map((_, t) => {
      const row = zeros(this.patch * wide);
      for (let k = 0; k < this.patch; k++) {
        const at = t * this.patch + k;
        row[k * wide] = z[at];
        row[k * wide + 1] = Number.isNaN(values[at]) ? 0 : 1;
        row.set(this.beside.subarray(at * this.columns, (at + 1) * this.columns), k * wide + 2);
      }
      return row;
    });
    return Object.assign(rows, { z, level, scale, whole: there.every((value) => value >= 0 && Number.isInteger(value)) });
  }

  // What follows the window, from the last h: of every step ahead the quantiles, and the number to go by.
  answer(h, { z, level, scale, whole }) {
    const { context, horizon, lags, stretch } = this;
    const summary = linear(this.summary, [...h, ...this.static]).map((value) => Math.max(0, value));
    const codes = this.stepCode.length / horizon;
    const known = this.ahead.length / horizon;
    const lagged = Array.from({ length: horizon }, (_, k) => lags.map((lag) => z[context + k - lag * (Math.floor(k / lag) + 1)]));
    const quantiles = [];
    for (let k = 0; k < horizon; k++) {
      const near = [lagged[k], lagged[Math.max(0, k - 1)], lagged[Math.min(horizon - 1, k + 1)]].flat();
      const read = [...summary, ...this.stepCode.subarray(k * codes, (k + 1) * codes), ...near, ...this.ahead.subarray(k * known, (k + 1) * known)];
      const out = linear(this.out, linear(this.decoder, read).map((value) => Math.max(0, value)));
      const shares = softmax(out.subarray(0, lags.length));
      let base = shares.reduce((sum, share, j) => sum + share * lagged[k][j], 0);
      if (this.linear) for (let t = 0; t < context; t++) base += this.linear[k * context + t] * z[t];
      quantiles.push(Array.from(out.subarray(lags.length), (value) => (base + value) * scale + level).sort(byValue));
    }
    const least = this.counts && whole ? 0 : -Infinity;
    const bounded = (value) => Math.max(least, value);
    const middle = (stretch.length - 1) / 2;
    return quantiles.map((raw) => {
      if (!this.demand) {
        const stretched = raw.map((value, j) => raw[middle] + stretch[j] * (value - raw[middle])).sort(byValue);
        return { point: bounded(raw[middle]), quantiles: stretched.map(bounded) };
      }
      const weights = raw.map((_, j) => (j === 0 || j === raw.length - 1 ? 1.5 : 1));
      const mean = raw.reduce((sum, value, j) => sum + weights[j] * value, 0) / weights.reduce((a, b) => a + b);
      return { point: bounded(mean), quantiles: raw.map(bounded) };
    });
  }
}

// The mean absolute difference of two rows of numbers, where both have one.
function apart(some, others) {
  const pairs = some.map((value, k) => [value, others[k]]).filter(([, other]) => other !== null);
  return pairs.reduce((sum, [value, other]) => sum + Math.abs(value - other), 0) / pairs.length;
}

const points = (from) => from.steps[0].next.map(({ point }) => point);

// Whether the window is still the page's own, so that the values after it are known.
const asGiven = () => now.text === packedModel().hero.text;

// The forecast, as it is and with the gate of the chosen unit held at 0 and at 1 from the chosen step on.
function drawForecastChange() {
  const its = reader();
  const { forecast } = its;
  const tokens = its.tokens(piecesOf(now.text));
  const asIs = points(free);
  const held = [0, 1].map((value) => {
    const said = points(its.read(tokens, [{ layer: now.layer, gate: "f", unit: now.unit, from: now.step, value }], free));
    return { value, said, moved: apart(said, asIs) };
  });
  const filled = { gate: w("value f"), unit: now.unit, step: now.step + 1 };
  $("count question").textContent = w("count question forecast", filled);
  $("count how").textContent = w("forecast how");
  const most = Math.max(...held.map(({ moved }) => moved)) || 1;
  const worst = held[held[1].moved > held[0].moved ? 1 : 0];
  const box = el("div", { class: "chart", id: "forecast chart" });
  $("counts").replaceChildren(...held.map((way) => el("div", { class: `count ${way.value ? "open" : "shut"}${way === worst ? " changed" : ""}` },
    el("div", { class: "count-name" }, w(way.value ? "error open" : "error shut", filled)),
    el("div", { class: "track" }, el("i", { class: "fill", style: `width:${(100 * way.moved) / most}%` })),
    el("div", { class: "count-words" }, w("forecast moved", { moved: plain(way.moved) })))), box);
  const { scale } = tokens;
  const filledVerdict = { held: worst.value, moved: plain(worst.moved), share: percent(worst.moved / (scale || 1)) };
  $("verdict").textContent = w(worst.moved > 0.05 * scale ? "forecast moves" : "forecast stays", filledVerdict);
  // The end of the window, the actual values, and the forecasts; the holds of the visitor among them.
  const shownSteps = Math.min(forecast.context, Math.max(2 * forecast.horizon, 48));
  const values = piecesOf(now.text).flatMap((piece) => forecast.values(piece)).slice(-shownSteps);
  const seen = values.map((value, k) => [k + 1 - values.length, value]).filter(([, value]) => !Number.isNaN(value));
  const last = seen.slice(-1); // forecasts go on from it
  const ahead = (list) => [...last, ...list.map((value, k) => [k + 1, value]).filter(([, value]) => value !== null)];
  const series = asGiven() ? [...seen.slice(0, -1), ...ahead(forecast.actual)] : seen;
  const lines = [{ shape: "seen", name: w(asGiven() ? "forecast came" : "forecast read"), text: "", points: series }];
  lines.push({ shape: "lstm", name: w("error free"), text: asGiven() ? w("error of", { error: plain(apart(asIs, forecast.actual)) }) : "", points: ahead(asIs) });
  lines.push({ shape: "unseen", name: w(worst.value ? "error open" : "error shut", filled), text: asGiven() ? w("error of", { error: plain(apart(worst.said, forecast.actual)) }) : "", points: ahead(worst.said) });
  if (now.holds.length) lines.push({ shape: "gru", name: w("forecast holds"), text: "", points: ahead(points(reading)) });
  if (asGiven()) lines.push({ shape: "rnn", name: w("forecast whole"), text: w("error of", { error: plain(apart(forecast.whole, forecast.actual)) }), points: ahead(forecast.whole) });
  const band = free.steps[0].next.map(({ quantiles }, k) => [k + 1, quantiles[0], quantiles[quantiles.length - 1]]);
  const all = [...lines.flatMap((line) => line.points.map(([, value]) => value)), ...band.flatMap(([, low, high]) => [low, high])];
  const y = [Math.min(...all), Math.max(...all)];
  const x = [1 - values.length, forecast.horizon];
  chart(box, {
    label: w("forecast label", { steps: forecast.horizon }), lines, band, x, y, titleX: w("forecast axis"),
    ticksX: rounds(...x).filter((at) => at >= x[0] && at <= x[1]).map((at) => [at, number(at, 0)]),
    ticksY: rounds(...y).filter((at) => at >= y[0] && at <= y[1]).map((at) => [at, plain(at)]),
  });
}

const MOST_AHEAD = 48; // steps of the horizon that are listed

// What the network expects of every step ahead.
function drawAhead() {
  const { forecast } = reader();
  const { next } = reading.steps[0];
  $("bets").replaceChildren(el("li", { class: "wide" }, el("div", { class: "scroll", tabindex: "0", role: "group", "aria-label": w("bets") },
    el("table", { class: "bets" },
      el("thead", {}, el("tr", {}, ...["time", "median", "interval", ...(asGiven() ? ["came"] : [])].map((name) => el("th", { scope: "col" }, w(`ahead ${name}`))))),
      el("tbody", {}, ...next.slice(0, MOST_AHEAD).map(({ point, quantiles }, k) => el("tr", {},
        el("td", {}, forecast.times[k]), el("td", {}, plain(point)),
        el("td", {}, w("ahead between", { low: plain(quantiles[0]), high: plain(quantiles[quantiles.length - 1]) })),
        asGiven() ? el("td", {}, forecast.actual[k] === null ? "" : plain(forecast.actual[k])) : null)))))));
  $("bets text").textContent = w("ahead said", { steps: forecast.horizon })
    + (forecast.horizon > MOST_AHEAD ? ` ${w("ahead cut", { most: MOST_AHEAD })}` : "");
}
