// Curves of a run as small SVG plots: one plot a metric, one line a split, read with the pointer or the arrow keys.
"use strict";
(() => {
  const SVG = "http://www.w3.org/2000/svg";
  const WIDTH = 340, HEIGHT = 130, LEFT = 42, RIGHT = 6, TOP = 8, BOTTOM = 18;

  function draw(name, attributes, parent, text) {
    const element = document.createElementNS(SVG, name);
    for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
    if (text !== undefined) element.textContent = text;
    parent.append(element);
    return element;
  }

  // About `count` round numbers that lie within low..high.
  function ticks(low, high, count) {
    const span = high - low || Math.abs(high) || 1;
    const rough = span / count, power = 10 ** Math.floor(Math.log10(rough));
    const unit = [1, 2, 5, 10].find((step) => step * power >= rough) * power;
    const found = [];
    for (let value = Math.ceil(low / unit) * unit; value <= high + unit * 1e-6; value += unit) found.push(value);
    return found;
  }

  function logTicks(low, high) {
    const isWide = high / low > 300;
    const marks = [];
    for (let power = Math.floor(Math.log10(low)); power <= Math.log10(high); power++) {
      for (const digit of isWide ? [1] : [1, 2, 5]) marks.push(digit * 10 ** power);
    }
    const within = marks.filter((mark) => mark >= low && mark <= high);
    return within.length >= 2 ? within : [low, high];
  }

  function short(value) {
    if (value === 0) return "0";
    const size = Math.abs(value);
    if (size >= 1e6) return `${+(value / 1e6).toPrecision(3)}M`;
    if (size >= 1e4) return `${+(value / 1e3).toPrecision(3)}k`;
    if (size < 1e-3) return value.toExponential(1);
    return String(+value.toPrecision(3));
  }

  function extent(lines) {
    const points = lines.flatMap((line) => line.points).filter(([, value]) => Number.isFinite(value));
    if (!points.length) return null;
    const range = (index) => points.reduce(
      ([low, high], point) => [Math.min(low, point[index]), Math.max(high, point[index])], [Infinity, -Infinity]);
    return { x: range(0), y: range(1) };
  }

  // Where data lands on the paper, both ways.
  function scales(lines, isLog) {
    const { x, y } = extent(lines);
    if (x[0] === x[1]) x[1] = x[0] + 1;
    let [low, high] = y;
    if (isLog) [low, high] = [Math.log10(low), Math.log10(high)];
    const margin = (high - low) * 0.06 || Math.abs(high) * 0.05 || 0.5;
    [low, high] = [low - margin, high + margin];
    const across = (step) => LEFT + (step - x[0]) / (x[1] - x[0]) * (WIDTH - LEFT - RIGHT);
    const up = (value) => {
      const height = isLog ? Math.log10(value) : value;
      return HEIGHT - BOTTOM - (height - low) / (high - low) * (HEIGHT - TOP - BOTTOM);
    };
    const stepAt = (px) => x[0] + (px - LEFT) / (WIDTH - LEFT - RIGHT) * (x[1] - x[0]);
    const marks = isLog ? logTicks(10 ** low, 10 ** high) : ticks(low, high, 4);
    return { across, up, stepAt, x, marks };
  }

  // The colour of a split is the same in every plot.
  function lineClass(lines, index) {
    const fixed = { test: 0, train: 1 }[lines[index].name];
    return `line-${fixed ?? (lines.some((line) => line.name === "test" || line.name === "train") ? 2 + index % 2 : index % 4)}`;
  }

  function nearest(points, step) {
    return points.reduce((best, point) => (Math.abs(point[0] - step) < Math.abs(best[0] - step) ? point : best));
  }

  // A plot of lines [{name, points: [[step, value], ...]}] under a title.
  function plot(title, lines, remember) {
    lines = lines.map((line) => ({ ...line, points: line.points.filter(([, v]) => Number.isFinite(v)) }))
      .filter((line) => line.points.length);
    if (!lines.length) return null;
    const figure = document.createElement("figure");
    figure.className = "plot";
    const caption = figure.appendChild(document.createElement("figcaption"));
    caption.appendChild(document.createElement("b")).textContent = title;
    const { y } = extent(lines);
    const canLog = y[0] > 0;
    let isLog = remember.has(title) ? remember.get(title) : canLog && y[1] / y[0] > 30;
    lines.forEach((line, index) => {
      if (lines.length < 2 && !line.name) return;
      const key = caption.appendChild(document.createElement("span"));
      key.className = "key";
      key.appendChild(document.createElement("i")).className = lineClass(lines, index);
      key.append(fovea.say(line.name));
    });
    const reading = caption.appendChild(document.createElement("span"));
    reading.className = "reading";
    if (canLog) {
      const button = caption.appendChild(document.createElement("button"));
      button.type = "button";
      button.textContent = fovea.say("logarithmic");
      button.setAttribute("aria-pressed", isLog);
      button.addEventListener("click", () => {
        isLog = !isLog;
        remember.set(title, isLog);
        button.setAttribute("aria-pressed", isLog);
        paint();
      });
    }
    const last = lines.map((line) => `${line.name} ${short(line.points.at(-1)[1])}`).join(", ");
    const svg = draw("svg", {
      viewBox: `0 0 ${WIDTH} ${HEIGHT}`, tabindex: 0, role: "img", "aria-label": `${title}: ${last}`,
    }, figure);
    let chart;

    function paint() {
      svg.replaceChildren();
      chart = scales(lines, isLog);
      for (const mark of chart.marks) {
        const height = chart.up(mark);
        draw("line", { x1: LEFT, x2: WIDTH - RIGHT, y1: height, y2: height, class: "grid" }, svg);
        draw("text", { x: LEFT - 6, y: height + 3.5, "text-anchor": "end", class: "tick" }, svg, short(mark));
      }
      for (const mark of ticks(...chart.x, 4)) {
        const place = chart.across(mark);
        const anchor = place > WIDTH - 26 ? "end" : place < LEFT + 4 ? "start" : "middle";
        draw("text", { x: place, y: HEIGHT - 3, "text-anchor": anchor, class: "tick" }, svg, short(mark));
      }
      lines.forEach((line, index) => {
        const at = ([step, value]) => `${chart.across(step).toFixed(1)} ${chart.up(value).toFixed(1)}`;
        draw("path", { d: `M${line.points.map(at).join("L")}`, class: lineClass(lines, index) }, svg);
        if (line.points.length > 12) return;
        for (const [step, value] of line.points) {
          draw("circle", { cx: chart.across(step), cy: chart.up(value), r: 2.4, class: lineClass(lines, index) }, svg);
        }
      });
    }

    let readAt = null;
    function read(step) {
      svg.querySelectorAll(".hair, .probe").forEach((element) => element.remove());
      readAt = step;
      reading.textContent = "";
      if (step === null) return;
      const middle = nearest(lines.reduce((a, b) => (a.points.length >= b.points.length ? a : b)).points, step)[0];
      const place = chart.across(middle);
      draw("line", { x1: place, x2: place, y1: TOP, y2: HEIGHT - BOTTOM, class: "hair" }, svg);
      const values = lines.map((line, index) => {
        const [at, value] = nearest(line.points, middle);
        draw("circle", { cx: chart.across(at), cy: chart.up(value), r: 3.2, class: `probe ${lineClass(lines, index)}` }, svg);
        return +value.toPrecision(4);
      });
      reading.textContent = `${fovea.say("step")} ${middle.toLocaleString(fovea.locale())}: ${values.join(" · ")}`;
    }

    paint();
    svg.addEventListener("pointermove", (event) => {
      const box = svg.getBoundingClientRect();
      read(chart.stepAt((event.clientX - box.left) / box.width * WIDTH));
    });
    svg.addEventListener("pointerleave", () => read(null));
    svg.addEventListener("blur", () => read(null));
    svg.addEventListener("keydown", (event) => {
      const direction = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
      if (!direction) return;
      event.preventDefault();
      event.stopPropagation();
      const steps = lines.reduce((a, b) => (a.points.length >= b.points.length ? a : b)).points.map(([step]) => step);
      const here = readAt === null ? (direction > 0 ? -1 : steps.length) : steps.indexOf(nearest(steps.map((s) => [s]), readAt)[0]);
      read(steps[Math.min(steps.length - 1, Math.max(0, here + direction))]);
    });
    return figure;
  }

  // One plot a metric: `train/psnr` and `test/psnr` share one.
  function plots(curves, remember) {
    const groups = new Map();
    for (const [stage, metrics] of Object.entries(curves)) {
      for (const [name, points] of Object.entries(metrics)) {
        const slash = name.indexOf("/");
        const title = `${stage} · ${slash < 0 ? name : name.slice(slash + 1)}`;
        if (!groups.has(title)) groups.set(title, []);
        groups.get(title).push({ name: slash < 0 ? "" : name.slice(0, slash), points });
      }
    }
    const isCurve = ([, lines]) => lines.some((line) => line.points.length > 1); // one point is a score
    return [...groups].filter(isCurve).map(([title, lines]) => plot(title, lines, remember)).filter(Boolean);
  }

  // A final score: as many digits as tell runs apart, whole numbers whole.
  function score(value) {
    if (Number.isInteger(value)) return value.toLocaleString(fovea.locale());
    return Math.abs(value) >= 1000 ? value.toFixed(1) : String(+value.toPrecision(4));
  }

  fovea.curves = { plots, score };
})();
