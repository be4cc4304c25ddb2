// What may stand where a setting takes a file or folder: samples, what earlier jobs made, what is sent now.

import { send } from "./api.js";
import { button, make } from "./elements.js";
import { dropped, hasFiles, pick } from "./files.js";
import { ago, say, size } from "./languages.js";
import { jobs } from "./store.js";

/** Kinds of artifacts that the samples can stand for. @type {Record<string, string[]>} */
const OF_SAMPLES = {
  capture: ["samples/still_life"],
  photographs: ["samples/still_life"],
  photo: ["samples/corner/corner_00.jpg", "samples/corner", "samples/still_life/test_003/rgba.png"],
  gaussians: ["samples/pair/scene.ply"],
  checkpoint: ["samples/sharp/tiny.pt"],
  detector: ["samples/events/detector.pt"],
  events: ["samples/events/crossing.raw"],
  recordings: ["samples/events/crossing.raw"],
  boxes: ["samples/events/crossing_bbox.npy"],
  lights: ["samples/still_life/envmaps"],
};

/** @param {string} [kind] of artifact; a variable of a recipe has none, and anything may stand for it @param {string[]} [samples] */
function options(kind, samples = []) {
  const offered = kind ? OF_SAMPLES[kind] ?? [] : samples;
  const made = jobs.list().flatMap((job) => (job.result?.artifacts ?? [])
    .filter((one) => !kind || one.kind === kind || kind === "file" || kind === "folder")
    .map((one) => ({ value: `jobs/${job.id}/${one.name}`, text: `${one.name} · ${job.kind}, ${ago(job.ended ?? job.created)}` })));
  return { samples: offered.map((value) => ({ value, text: value.replace("samples/", "") })), made };
}

/**
 * A place for one input: drop a file on it, pick one, or choose what is there already.
 * @param {{path: string, kind?: string, samples?: string[], changed: () => void}} about
 */
export function choice({ path, kind, samples, changed }) {
  let chosen = "";
  const note = make("small", { className: "note", role: "status" });
  const select = make("select", { id: `set-${path}`, on: { change: () => set(select.value) } });
  const { samples: offered, made } = options(kind, samples);
  const group = (/** @type {string} */ word, /** @type {{value: string, text: string}[]} */ list) => list.length
    && make("optgroup", { label: say(word) }, ...list.map((one) => make("option", one)));
  select.append(make("option", { value: "", text: say("choice.none") }), ...[group("choice.samples", offered), group("choice.made", made)].filter(Boolean));
  const element = make("div", { className: "place" }, select,
    button({ drawing: "file", label: say("choice.file", { path }), press: () => pick({}, take) }),
    button({ drawing: "folder", label: say("choice.folder", { path }), press: () => pick({ isFolder: true }, take) }), note);

  /** @param {string} value @param {string} [text] */
  function set(value, text = value) {
    chosen = value;
    if (value && ![...select.options].some((one) => one.value === value)) select.append(make("option", { value, text }));
    select.value = value;
    element.classList.toggle("has", Boolean(value));
    changed();
  }

  /** @param {import("./api.js").Sent[]} files */
  async function take(files) {
    if (!files.length) return;
    const percent = (/** @type {number} */ share) => { note.textContent = say("item.sending", { percent: `${Math.round(100 * share)} %` }); };
    percent(0);
    try {
      const about = await send(files, percent);
      note.textContent = "";
      set(about.name, `${files.length === 1 ? files[0].name : say("choice.files", { n: about.files })} (${size(about.size)})`);
    } catch (error) {
      note.textContent = /** @type {Error} */ (error).message;
    }
  }

  element.addEventListener("dragover", (/** @type {DragEvent} */ event) => {
    if (!hasFiles(event)) return;
    event.preventDefault();
    event.stopPropagation();
    element.classList.add("over");
  });
  element.addEventListener("dragleave", () => element.classList.remove("over"));
  element.addEventListener("drop", async (/** @type {DragEvent} */ event) => {
    event.preventDefault();
    event.stopPropagation();
    element.classList.remove("over");
    if (event.dataTransfer) take(await dropped(event.dataTransfer));
  });
  return { element, id: select.id, read: () => chosen || undefined, set };
}

/**
 * Several inputs after each other: each that is chosen joins the list.
 * @param {{path: string, kind?: string, samples?: string[], changed: () => void}} about
 */
export function choices(about) {
  const list = make("ul", { className: "chosen" });
  const values = () => [...list.children].map((one) => one.getAttribute("data-value") ?? "");
  const next = choice({ ...about, changed: () => { if (next.read()) add(next.read() ?? ""); } });

  /** @param {string} value */
  function add(value) {
    const select = /** @type {HTMLSelectElement} */ (next.element.querySelector("select"));
    const text = [...select.options].find((one) => one.value === value)?.text ?? value;
    const line = make("li", { "data-value": value }, make("span", { text }),
      button({ drawing: "close", label: `${say("form.less")}: ${text}`, className: "bare", press: () => { line.remove(); about.changed(); } }));
    list.append(line);
    next.set("");
    about.changed();
  }

  return {
    element: make("div", {}, list, next.element), id: next.id,
    read: () => (list.childElementCount ? values() : undefined), set: (/** @type {string[]} */ all) => all.forEach(add),
  };
}
