// From the form of a stage to a study of it: which settings to search, in which ranges, for which metric.

import { post, ProblemError } from "./api.js";
import { dialog, make } from "./elements.js";
import { plain } from "./fields.js";
import { say } from "./languages.js";

/** @typedef {import("./fields.js").Node} Node */
/** @typedef {{path: string, node: Node, low: number, high: number}} Dial */

/** The settings that their stage says are worth searching. @param {Node} schema @returns {Dial[]} */
export function dialsOf(schema) {
  /** @param {Node} node @param {string} path @returns {Dial[]} */
  const walk = (node, path) => Object.entries(node.properties ?? {}).flatMap(([name, inner]) => {
    const found = plain(inner, schema.$defs ?? {}), below = path ? `${path}.${name}` : name;
    const range = found.fovea?.tunable;
    return range ? [{ path: below, node: found, low: range[0], high: range[1] }] : walk(found, below);
  });
  return walk(schema, "");
}

/** @param {Dial} dial */
function line({ path, node, low, high }) {
  const use = make("input", { type: "checkbox" });
  const ends = [low, high].map((value, index) => make("input", { type: "text", inputMode: "decimal", value: String(value), "aria-label": `${path}, ${say(index ? "tune.high" : "tune.low")}` }));
  const element = make("li", {}, make("label", {}, use, make("span", {}, make("b", { text: path }), make("small", { text: node.description ?? "" }))), ...ends);
  const read = () => {
    const range = ends.map((input) => Number(input.value));
    const isLog = Boolean(node.fovea?.log) && range[0] > 0;
    return node.type === "integer" ? { int: range, log: isLog } : { float: range, log: isLog };
  };
  return { path, element, use, read };
}

/**
 * Open the dialog.
 * @param {{kind: string, metrics: Record<string, string>}} stage
 * @param {Dial[]} dials
 * @param {() => {fixed: any, preset: string}} form what the form says
 */
export function openTune(stage, dials, form) {
  const lines = dials.map(line);
  lines[0].use.checked = true;
  const names = Object.keys(stage.metrics);
  const metric = make("select", {}, ...names.map((name) => make("option", { value: name, text: name })));
  metric.value = names.find((name) => name.startsWith("test/")) ?? names[0];
  const trials = make("input", { type: "text", inputMode: "numeric", value: "12" });
  const trouble = make("div", { className: "trouble", role: "alert" });

  async function submit(/** @type {Event} */ event) {
    event.preventDefault();
    const { fixed, preset } = form();
    const chosen = lines.filter(({ use }) => use.checked);
    try {
      const study = await post("/v1/studies", {
        study: stage.kind.replace(".", "-"), target: { stage: stage.kind, ...(preset ? { config: preset } : {}) },
        objective: { metric: metric.value, goal: stage.metrics[metric.value] }, fixed,
        space: Object.fromEntries(chosen.map(({ path, read }) => [path, read()])), budget: { trials: Number(trials.value) },
      });
      opened.close();
      location.hash = `#/studies/${study.id}`;
    } catch (error) {
      const errors = error instanceof ProblemError ? error.errors.map((one) => `${one.loc}: ${one.message}`) : [];
      trouble.replaceChildren(...[/** @type {Error} */ (error).message, ...errors].map((text) => make("p", { text })));
    }
  }

  const opened = dialog(say("tune.title", { kind: stage.kind }), say("close"), make("form", { className: "tune", on: { submit } },
    make("p", { className: "hint", text: say("tune.text") }),
    make("div", { className: "choices" }, make("label", { className: "choice" }, make("span", { text: say("tune.metric") }), metric),
      make("label", { className: "choice" }, make("span", { text: say("tune.trials") }), trials)),
    make("ul", { className: "dials" }, ...lines.map(({ element }) => element)), trouble,
    make("button", { type: "submit", className: "go", text: say("tune.go") })));
}
