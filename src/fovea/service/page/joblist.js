// The list of jobs, newest first, with a picture, a curve, and how each goes; below it, runs that no job of ours made.

import { ask } from "./api.js";
import { spark } from "./charts.js";
import { button, icon, make, showRows } from "./elements.js";
import { ago, duration, number, say } from "./languages.js";
import { keep, kept } from "./settings.js";
import { sceneOf, shelf } from "./shelf.js";
import { jobs, OPEN } from "./store.js";

/** @typedef {import("./api.js").Job} Job */
/** @typedef {{name: string, state: string, started: number, seconds: number, stages: string[], scores: Record<string, number>}} Run */

const STATES = ["all", "queued", "running", "succeeded", "failed", "cancelled"];
const MOST_SCORES = 3;
const DULL = ["photographs", "films", "failed"]; // where one was asked for and none failed

/** Curves that were asked for, by job; those of a finished job stay. @type {Map<string, SVGElement|null>} */
const sparks = new Map();

/** Put the run's curve into a row once somebody can see it. */
const watcher = new IntersectionObserver((seen) => {
  for (const { target, isIntersecting } of seen) {
    if (!isIntersecting) continue;
    watcher.unobserve(target);
    const address = target.getAttribute("data-page") ?? "";
    ask(address).then((page) => {
      const line = spark(page.curves);
      if (!page.live) sparks.set(address, line);
      if (line) target.append(line);
    }, () => sparks.set(address, null));
  }
});

/** @param {string} address of the page's data */
function curveOf(address) {
  const holder = make("span", { className: "curve", "data-page": address });
  const known = sparks.get(address);
  if (known) holder.append(known.cloneNode(true));
  else if (known === undefined) watcher.observe(holder);
  return holder;
}

/** How long a job has worked, in words. @param {Job} job */
export function worked(job) {
  if (!job.started) return "";
  return duration(((job.ended ? Date.parse(job.ended) : Date.now()) - Date.parse(job.started)) / 1000);
}

/** The word for how a job is. @param {Job} job */
export function stateWord(job) {
  return say(job.cancelling ? "state.cancelling" : job.cached ? "state.cached" : `state.${job.state}`);
}

/** The first scores in words; of those that are called the same, that of the last stage. @param {Record<string, number>} scores */
function scoreWords(scores) {
  const told = Object.entries(scores).filter(([name, value]) => Number.isFinite(value) && !(DULL.includes(name) && value <= 1));
  const named = new Map(told.map(([name, value]) => [(name.split("/").pop() ?? name).replaceAll("_", " "), value]));
  return [...named].slice(0, MOST_SCORES)
    .map(([name, value]) => `${name} ${number(value, Number.isInteger(value) ? {} : { maximumSignificantDigits: 5 })}`).join(" · ");
}

/** @param {string} address */
function thumb(address) {
  const image = make("img", { className: "thumb", src: address, alt: "", loading: "lazy", decoding: "async" });
  image.addEventListener("error", () => image.replaceWith(make("span", { className: "thumb" }, icon("jobs"))), { once: true });
  return image;
}

/** The photograph where this page sent it, else what the run has shown so far. @param {Job} job */
function pictureOf(job) {
  const own = shelf.pictures.get(job.id);
  if (own || !job.started) return own ? thumb(own) : make("span", { className: "thumb" }, icon("jobs"));
  const step = OPEN.includes(job.state) ? `?at=${Math.round((job.progress?.fraction ?? 0) * 5)}` : "";
  return thumb(`/jobs/${job.id}/picture${step}`);
}

/** @param {Job} job */
function row(job) {
  const isOpen = OPEN.includes(job.state);
  const name = shelf.names[job.id];
  const scores = Object.assign({}, ...(job.result?.stages ?? []).map((stage) => stage.scores));
  const line = job.error?.message || job.message;
  return make("li", { className: "job", "data-state": job.state, "data-id": job.id },
    make("a", { className: "head", href: `#/jobs/${job.id}` },
      pictureOf(job),
      make("span", { className: "words" }, make("b", { text: name ?? job.kind }), make("small", { text: [name && job.kind, ago(job.created), scoreWords(scores)].filter(Boolean).join(" · ") }))),
    job.started ? curveOf(`/jobs/${job.id}/page.json`) : make("span", { className: "curve" }),
    make("span", { className: "state" }, make("i", { className: "dot" }), make("span", { text: stateWord(job) }), make("small", { text: worked(job) })),
    make("span", { className: "acts" },
      sceneOf(job) && make("a", { className: "bare", href: `#/scene/${job.id}`, title: say("jobs.walk"), "aria-label": `${say("jobs.walk")}: ${name ?? job.kind}` }, icon("photo")),
      isOpen && !job.cancelling && button({ drawing: "stop", label: `${say("stop")}: ${name ?? job.kind}`, className: "bare", press: () => jobs.cancel(job) })),
    job.state === "running" && make("progress", { max: 1, value: job.progress?.fraction ?? 0, "aria-label": name ?? job.kind }),
    line && make("p", { className: "line", text: line }));
}

/** @param {Run} run */
function runRow(run) {
  const base = `/runs/${encodeURIComponent(run.name)}`;
  return make("li", { className: "job", "data-state": { done: "succeeded", pending: "queued", interrupted: "cancelled" }[run.state] ?? run.state },
    make("a", { className: "head", href: `${base}/` }, thumb(`${base}/picture`),
      make("span", { className: "words" }, make("b", { text: run.name.split("_").slice(2, -1).join("_") || run.name }),
        make("small", { text: [run.stages.join(" → "), run.started && ago(new Date(run.started * 1000).toISOString()), scoreWords(run.scores)].filter(Boolean).join(" · ") }))),
    curveOf(`${base}/page.json`),
    make("span", { className: "state" }, make("i", { className: "dot" }), make("span", { text: say(run.state) }), make("small", { text: run.seconds ? duration(run.seconds) : "" })),
    make("span", { className: "acts" }));
}

/** The view of all jobs. */
export function openJobs() {
  let wanted = kept("jobs.state", "all");
  const list = make("ol", { className: "jobs" });
  const empty = make("div", { className: "nothing", hidden: true }, icon("jobs"), make("p", { text: say("jobs.none") }), make("a", { className: "go", href: "#/new", text: say("jobs.first") }));
  const more = make("button", { type: "button", className: "quiet", text: say("jobs.older"), hidden: true, on: { click: () => jobs.older() } });
  const filters = make("div", { className: "chips", role: "radiogroup", "aria-label": say("jobs.filter") }, ...STATES.map((state) => make("label", {},
    make("input", { type: "radio", name: "state", value: state, checked: state === wanted, on: { change: () => { wanted = state; keep("jobs.state", state); refresh(); } } }),
    make("span", { text: say(`jobs.${state}`) }))));
  const others = make("section", { className: "others", hidden: true });
  const element = make("div", { className: "page" }, make("header", {}, make("h1", { text: say("jobs.title") }), filters), list, empty, more, others);

  let told = "";
  function refresh() {
    const shown = jobs.list().filter((job) => wanted === "all" || job.state === wanted);
    const text = JSON.stringify([shown, wanted, Math.floor(Date.now() / 30000)]);
    if (text === told) return;
    told = text;
    showRows(list, shown.map(row));
    empty.hidden = !jobs.isRead || shown.length > 0;
    more.hidden = !jobs.more;
  }
  jobs.addEventListener("change", refresh);
  refresh();
  ask("/runs").then(({ runs }) => {
    const ours = new Set(jobs.list().map((job) => job.run));
    const rest = runs.filter((/** @type {Run} */ run) => !ours.has(run.name));
    others.hidden = !rest.length;
    others.append(make("h2", { text: say("jobs.runs") }), make("ol", { className: "jobs" }, ...rest.map(runRow)));
  }, () => {});
  return { element, close: () => jobs.removeEventListener("change", refresh) };
}
