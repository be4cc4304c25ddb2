// Curves of a run: the viewer's plots where there is room, and a line without axes where there is none.

const { fovea } = /** @type {any} */ (window);
const SVG = "http://www.w3.org/2000/svg";
const WIDTH = 120, HEIGHT = 34;

/** @typedef {Record<string, Record<string, [number, number][]>>} Curves of each metric of each stage */

/** Which plots stand on a logarithmic axis, as somebody chose. @type {Map<string, boolean>} */
const axes = new Map();

/** Plots of all curves. @param {Curves} curves @returns {HTMLElement[]} */
export const plots = (curves) => fovea.curves.plots(curves, axes);

/** A score as one reads it. @param {number} value @returns {string} */
export const score = (value) => fovea.curves.score(value);

/** The curve that says most about a run: of the last stage that has one, what is tested before what is trained.
 * @param {Curves} curves */
function telling(curves) {
  for (const [stage, metrics] of Object.entries(curves).reverse()) {
    const found = Object.entries(metrics).filter(([name, points]) => points.length > 2 && !name.startsWith("seconds"));
    const [name, points] = found.find(([one]) => one.startsWith("test/")) ?? found.find(([one]) => /loss/.test(one)) ?? found[0] ?? [];
    if (name && points) return { name: `${stage} · ${name}`, points };
  }
  return null;
}

/** A small line with its name, or nothing where no curve is. @param {Curves} curves */
export function spark(curves) {
  const found = telling(curves);
  if (!found) return null;
  const { name, points } = found;
  const steps = points.map(([step]) => step), values = points.map(([, value]) => value);
  const [left, right, low, high] = [Math.min(...steps), Math.max(...steps), Math.min(...values), Math.max(...values)];
  const place = (/** @type {[number, number]} */ [step, value]) => `${((step - left) / (right - left || 1) * WIDTH).toFixed(1)} ${((high - value) / (high - low || 1) * (HEIGHT - 4) + 2).toFixed(1)}`;
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("viewBox", `0 0 ${WIDTH} ${HEIGHT}`);
  svg.setAttribute("class", "spark");
  svg.setAttribute("role", "img");
  svg.setAttribute("aria-label", `${name}: ${score(values[0])} → ${score(values[values.length - 1])}`);
  const path = svg.appendChild(document.createElementNS(SVG, "path"));
  path.setAttribute("d", `M${points.map(place).join("L")}`);
  const title = svg.appendChild(document.createElementNS(SVG, "title"));
  title.textContent = svg.getAttribute("aria-label");
  return svg;
}

const ROOM = { width: 640, height: 200, left: 48, right: 12, top: 12, bottom: 24 };

/** Values of trials by number, and the best so far as a line of steps. @param {[number, number][]} values @param {{metric: string, goal: string}} goal */
export function dots(values, { metric, goal }) {
  const { width, height, left, right, top, bottom } = ROOM;
  const all = values.map(([, value]) => value), last = Math.max(1, ...values.map(([number]) => number));
  const low = Math.min(...all), high = Math.max(...all), better = goal === "min" ? Math.min : Math.max;
  const x = (/** @type {number} */ number) => left + number / last * (width - left - right);
  const y = (/** @type {number} */ value) => top + (high - value) / (high - low || 1) * (height - top - bottom);
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
  svg.setAttribute("class", "dots");
  svg.setAttribute("role", "img");
  svg.setAttribute("aria-label", `${metric}: ${score(better(...all))}`);
  const add = (/** @type {string} */ name, /** @type {Record<string, any>} */ about, text = "") => {
    const element = svg.appendChild(document.createElementNS(SVG, name));
    for (const [key, value] of Object.entries(about)) element.setAttribute(key, value);
    element.textContent = text;
  };
  for (const value of low === high ? [low] : [low, (low + high) / 2, high]) {
    add("line", { x1: left, x2: width - right, y1: y(value), y2: y(value), class: "grid" });
    add("text", { x: left - 8, y: y(value) + 4, "text-anchor": "end", class: "tick" }, String(+value.toPrecision(4)));
  }
  for (const number of [0, last]) add("text", { x: x(number), y: height - 4, "text-anchor": "middle", class: "tick" }, String(number));
  let best = values[0][1], way = `M${x(values[0][0])} ${y(best)}`;
  for (const [number, value] of values) {
    best = better(best, value);
    way += `H${x(number)}V${y(best)}`;
  }
  add("path", { d: `${way}H${x(last)}` });
  for (const [number, value] of values) add("circle", { cx: x(number), cy: y(value), r: 4 });
  return svg;
}
