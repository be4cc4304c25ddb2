// Everything that can be asked for: recipes and stages by room, and the form of the one that is chosen.

import { ask, ProblemError, start } from "./api.js";
import { icon, make } from "./elements.js";
import { Form } from "./form.js";
import { arrows, say } from "./languages.js";
import { jobs } from "./store.js";
import { dialsOf, openTune } from "./tune.js";

/**
 * @typedef {{kind: string, is_recipe: boolean, summary: string, presets: string[], stages: Record<string, string>,
 *   inputs: Record<string, string>, outputs: {name: string, kind: string, help: string}[], metrics: Record<string, string>, missing: string, schema_href: string}} Stage
 */

/** @type {Promise<{stages: Stage[], samples: string[]}>|undefined} */
let catalog;
const ROOMS = ["photo", "relight", "events", "synth", "vlm"];

/** The room of a stage or recipe. @param {Stage} stage */
function roomOf(stage) {
  const uses = [...new Set(Object.values(stage.stages).map((use) => use.split(".")[0]))];
  return stage.is_recipe ? (uses.length === 1 ? uses[0] : "all") : stage.kind.split(".")[0];
}

/** @param {Stage[]} stages @param {string} [chosen] */
function list(stages, chosen) {
  const rooms = [...ROOMS, ...new Set(stages.map(roomOf).filter((room) => !ROOMS.includes(room)))];
  const groups = rooms.map((room) => {
    const inside = stages.filter((stage) => roomOf(stage) === room).sort((one, other) => Number(other.is_recipe) - Number(one.is_recipe));
    return inside.length && make("section", {}, make("h2", { text: say(`room.${room}`) }), make("ul", {}, ...inside.map((stage) => make("li", {},
      make("a", { href: `#/new/${stage.kind}`, "aria-current": stage.kind === chosen ? "page" : undefined, className: stage.missing ? "missing" : "" },
        make("b", { text: stage.is_recipe ? stage.kind : stage.kind.split(".")[1] ?? stage.kind }),
        stage.is_recipe && make("span", { className: "tag", text: say("start.recipe") }),
        make("small", { text: arrows(stage.summary) }))))));
  });
  return make("nav", { className: "catalog", "aria-label": say("start.catalog") }, ...groups.filter(Boolean));
}

/** The flow of a recipe or the ends of a stage, as one line. @param {Stage} stage */
function flow(stage) {
  const steps = stage.is_recipe ? Object.keys(stage.stages)
    : [[...new Set(Object.values(stage.inputs))].join(" + ") || "…", stage.kind, [...new Set(stage.outputs.map((made) => made.kind))].join(" + ")];
  return make("p", { className: "flow" }, ...steps.flatMap((step, index) => [index > 0 && make("i", { text: "→" }), make("span", { text: step })]).filter(Boolean));
}

/** `query` names the job that is to be done again with changes, `like`, or has settings, `with`.
 * @param {Stage} stage @param {string[]} samples @param {URLSearchParams} [query] */
async function sheet(stage, samples, query) {
  const like = query?.get("like"), given = query?.get("with");
  const schema = await ask(stage.schema_href);
  const earlier = like ? await jobs.find(like) : undefined;
  let preset = earlier?.preset ?? "";
  const fields = make("div", { className: "fields" });
  const trouble = make("div", { className: "trouble", role: "alert" });
  const go = make("button", { type: "submit", className: "go", text: say("start.go"), disabled: Boolean(stage.missing) });
  const presets = make("fieldset", { className: "presets", hidden: !stage.presets.length }, make("legend", { text: say("start.preset") }),
    ...["", ...stage.presets].map((name) => make("label", {},
      make("input", { type: "radio", name: "preset", value: name, checked: name === preset, on: { change: () => { preset = name; } } }),
      make("span", { text: name || say("start.no_preset") }))),
    make("small", { text: say("start.preset_help") }));
  const search = make("input", { type: "search", placeholder: say("form.search"), "aria-label": say("form.search"), on: { input: () => form.filter(search.value) } });
  const form = new Form(fields, schema, { samples });
  search.hidden = form.lines.size < 12;
  const dials = stage.is_recipe || stage.missing || !Object.keys(stage.metrics).length ? [] : dialsOf(schema);
  const tune = dials.length > 0 && make("button", {
    type: "button", className: "quiet", text: say("tune.open"), on: { click: () => openTune(stage, dials, () => ({ fixed: form.body(), preset })) } });
  if (earlier) form.put(earlier.config);
  if (given) form.put(JSON.parse(given));

  async function submit(/** @type {Event} */ event) {
    event.preventDefault();
    go.disabled = true;
    trouble.replaceChildren();
    try {
      const job = jobs.note(await start(stage.kind, form.body(), preset));
      jobs.refresh();
      location.hash = `#/jobs/${job.id}`;
    } catch (error) {
      const left = form.complain(error instanceof ProblemError ? error.errors : []);
      trouble.replaceChildren(...[/** @type {Error} */ (error).message, ...left].map((text) => make("p", { text })));
      go.disabled = false;
    }
  }

  return make("form", { className: "sheet card", noValidate: true, on: { submit } },
    make("header", {}, make("a", { href: "#/new", className: "backlink" }, icon("back"), make("span", { text: say("start.all") })),
      make("h1", { text: stage.kind }), make("p", { className: "summary", text: arrows(stage.summary) }), flow(stage)),
    stage.missing && make("p", { className: "trouble", text: stage.missing }),
    presets, search, fields, make("footer", {}, trouble, go, tune));
}

/** @param {string} [kind] @param {URLSearchParams} [query] */
export async function openStart(kind, query) {
  const { stages, samples } = await (catalog ??= ask("/v1/stages").catch((error) => { catalog = undefined; throw error; }));
  const stage = stages.find((/** @type {Stage} */ one) => one.kind === kind);
  const hint = make("div", { className: "sheet empty" }, make("h1", { text: say("start.title") }), make("p", { text: say("start.hint") }));
  const element = make("div", { className: `start${stage ? " chosen" : ""}` }, list(stages, kind), stage ? await sheet(stage, samples, query) : hint);
  requestAnimationFrame(() => element.querySelector("[aria-current]")?.scrollIntoView({ block: "nearest" }));
  return { element };
}
