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
