// Drawings are whole without this: it shows and hides series, chooses among drawings, and reads values off.
(() => {
  "use strict";
  for (const figure of document.querySelectorAll("figure.chart, figure.picture")) {
    for (const button of figure.querySelectorAll(".legend button")) {
      button.addEventListener("click", () => {
        const group = figure.querySelector(`g[data-mark="${button.dataset.mark}"]`);
        if (!group) return;
        const hide = !group.hasAttribute("hidden");
        group.toggleAttribute("hidden", hide);
        button.setAttribute("aria-pressed", String(!hide));
      });
    }
  }
  for (const choice of document.querySelectorAll(".choice")) {
    const label = choice.querySelector(".chooser");
    const ones = [...choice.querySelectorAll(":scope > .one")];
    const show = (place) => ones.forEach((one, k) => { one.hidden = k !== place; });
    label.hidden = false;
    label.querySelector("select").addEventListener("change", (event) => show(event.target.selectedIndex));
    for (const one of ones) one.querySelector("h3").hidden = true;
    show(0);
  }
  const axis = (text) => { const [least, greatest, kind] = text.split(","); return { least: Number(least), greatest: Number(greatest), kind }; };
  const valueAt = ({ least, greatest, kind }, share) => kind === "log" ? least * (greatest / least) ** share : least + (greatest - least) * share;
  const said = (value) => Math.abs(value) >= 1e6 || (value !== 0 && Math.abs(value) < 1e-3) ? value.toExponential(3) : String(Number(value.toPrecision(4)));
  function place({ kind, least, greatest }, share) {
    const value = valueAt({ kind, least, greatest }, share);
    if (kind !== "time") return said(value);
    const text = new Date(1000 * value).toISOString();
    return greatest - least > 30 * 86400 ? text.slice(0, 10) : text.slice(0, 19).replace("T", " ");
  }
  for (const figure of document.querySelectorAll("figure.chart")) {
    const plot = figure.querySelector(".plot > svg");
    const readout = figure.querySelector(".readout");
    const across = axis(figure.dataset.x);
    if (across.kind === "names" || figure.dataset.y.endsWith("names")) continue;
    const lines = [...figure.querySelectorAll("path.line")].map((path) => {
      const group = path.parentNode;
      const points = path.getAttribute("d").split(/[ML]/).filter(Boolean).map((pair) => pair.replace("h0.1", "").split(" ").map(Number));
      return { group, points, side: axis(group.dataset.side === "right" ? figure.dataset.right : figure.dataset.y) };
    });
    plot.addEventListener("pointermove", (event) => {
      const box = plot.getBoundingClientRect();
      const at = (1000 * (event.clientX - box.left)) / box.width;
      let nearest = null;
      const parts = [];
      for (const { group, points, side } of lines) {
        if (group.hasAttribute("hidden") || !points.length) continue;
        const point = points.reduce((best, one) => (Math.abs(one[0] - at) < Math.abs(best[0] - at) ? one : best));
        if (Math.abs(point[0] - at) > 40) continue;
        if (nearest === null || Math.abs(point[0] - at) < Math.abs(nearest - at)) nearest = point[0];
        parts.push(`${group.dataset.name} ${said(valueAt(side, 1 - point[1] / 1000))}`);
      }
      readout.textContent = parts.length ? `${place(across, nearest / 1000)}: ${parts.join(", ")}` : "";
    });
  }
})();
