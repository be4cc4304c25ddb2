// One job: how it goes, what it measures and makes, what it says when it fails, and what to do with it.

import { ask, save, start } from "./api.js";
import { plots, score } from "./charts.js";
import { button, icon, make, sure } from "./elements.js";
import { stateWord, worked } from "./joblist.js";
import { ago, duration, number, say, size } from "./languages.js";
import { sceneOf, shelf } from "./shelf.js";
import { jobs, OPEN } from "./store.js";

/** @typedef {import("./api.js").Job} Job */

const AGAIN_MS = 1200; // between two looks at a run that goes

/** @param {string} word @param {...(Node|false|null|undefined)} children */
const card = (word, ...children) => make("section", { className: "card" }, make("h2", { text: say(word) }), ...children);

/** @param {any[]} stages */
function stageList(stages) {
  return make("ol", { className: "stages" }, ...stages.map((stage) => {
    const { done, total, unit } = stage.progress ?? {};
    const isGoing = stage.state === "running" && total;
    return make("li", { "data-state": stage.state }, make("span", { className: "dot" }), make("span", { text: stage.key }),
      make("span", { className: "seconds", text: stage.seconds ? duration(stage.seconds) : say(stage.state) }),
      isGoing && make("progress", { value: done, max: total, "aria-label": stage.key }),
      make("small", { text: isGoing ? say("item.running_of", { done, total, unit }) : stage.summary }));
  }));
}

/** @param {any[]} scores */
function scoreTable(scores) {
  return make("table", {}, make("tbody", {}, ...scores.map((one) => make("tr", {},
    make("td", { text: one.split ? `${one.label}, ${one.split}` : one.label }),
    make("td", { className: "value" }, score(one.value), one.unit && make("span", { className: "unit", text: one.unit }),
      one.direction && make("span", { className: "arrow", text: one.direction === "max" ? "↑" : "↓", title: say(`better_${one.direction}`) }))))));
}

/** Pictures over the steps of a run, with a slider where there are several. @param {any} group @param {string} base */
function picture(group, base) {
  const { frames } = group;
  const image = make("img", { alt: group.name, loading: "lazy" });
  const where = make("span");
  const show = (/** @type {number} */ index) => {
    where.textContent = frames[index].step === null ? "" : `${say("step")} ${number(frames[index].step)}`;
    image.src = base + frames[index].path;
  };
  show(frames.length - 1);
  return make("figure", { className: "card picture" },
    make("figcaption", {}, make("span", { text: `${group.stage} · ${group.name}` }), where), image,
    frames.length > 1 && make("input", {
      type: "range", min: 0, max: frames.length - 1, value: frames.length - 1, "aria-label": `${group.name}, ${say("step")}`,
      on: { input: (/** @type {any} */ event) => show(Number(event.target.value)) } }));
}

/** @param {any} video @param {string} base */
function film(video, base) {
  const player = make("video", { src: base + video.path, controls: true, loop: true, muted: true, playsInline: true, preload: "metadata" });
  if (video.poster) player.poster = base + video.poster;
  return make("figure", { className: "card picture" }, make("figcaption", {}, make("span", { text: `${video.stage} · ${video.name}` })), player);
}

/** @param {Job} job */
function artifactTable(job) {
  const made = job.result?.artifacts ?? [];
  return make("table", { className: "artifacts" }, make("tbody", {}, ...made.map((one) => {
    const name = one.path.split("/").pop() ?? one.name;
    const isFolder = !/\.\w+$/.test(name);
    return make("tr", {}, make("td", {}, make("div", {}, make("b", { text: one.name }), make("small", { text: one.kind }))),
      make("td", { className: "value" }, make("small", { text: size(one.size) })),
      make("td", { className: "value" }, !isFolder && button({ drawing: "download", label: `${say("save")} ${name}`, className: "bare", press: () => save(one.href, name) })));
  })));
}

/** What was asked for, one setting a line. @param {any} config @param {string} [path] @returns {[string, string][]} */
function settings(config, path = "") {
  return Object.entries(config).flatMap(([name, value]) => (value && typeof value === "object" && !Array.isArray(value)
    ? settings(value, `${path}${name}.`) : [[`${path}${name}`, typeof value === "string" ? value : JSON.stringify(value)]]));
}

/** A value, which leads to the job that made it where one did. @param {string} value */
function from(value) {
  const [, id] = value.match(/^jobs\/([^/]+)\//) ?? [];
  return id ? make("a", { href: `#/jobs/${id}`, text: value }) : value;
}

class JobPage {
  /** @param {Job} job */
  constructor(job) {
    this.id = job.id;
    this.base = `/jobs/${job.id}/`;
    this.head = make("header", { className: "jobhead" });
    this.trouble = make("div");
    this.view = make("div", { className: "view-frame", hidden: true });
    this.gallery = make("div", { className: "gallery" });
    this.report = make("aside", { className: "report", "aria-label": say("job.report") });
    this.sights = make("div", { className: "sights" }, this.view, this.gallery);
    this.columns = make("div", { className: "columns" }, this.sights, this.report);
    this.element = make("div", { className: "jobpage" }, this.head, this.trouble, this.columns);
    this.timer = 0;
    this.isRead = false;
    // What was shown last, so that the same is not made again.
    this.told = "";
    this.reported = "";
    this.shown = "";
    this.look = () => this.refresh();
    jobs.addEventListener("change", this.look);
    this.refresh();
    this.read();
  }

  close() {
    jobs.removeEventListener("change", this.look);
    clearTimeout(this.timer);
    this.timer = -1;
  }

  get job() {
    return /** @type {Job} */ (jobs.get(this.id));
  }

  refresh() {
    const { job } = this;
    if (!job) return; // it was deleted
    const isOpen = OPEN.includes(job.state);
    const text = JSON.stringify([job, isOpen && Math.floor(Date.now() / 1000)]);
    if (text === this.told) return;
    this.told = text;
    this.head.replaceChildren(...[
      make("a", { className: "backlink", href: "#/jobs" }, icon("back"), make("span", { text: say("nav.jobs") })),
      make("div", {}, make("h1", { text: shelf.names[job.id] ?? job.kind }), make("p", {},
        make("span", { className: "pill", "data-state": job.state, text: stateWord(job) }),
        make("small", { text: [shelf.names[job.id] && job.kind, ago(job.created), worked(job), job.attempt > 1 && say("job.attempt", { attempt: job.attempt })].filter(Boolean).join(" · ") }))),
      make("div", { className: "acts" }, ...this.acts(isOpen)),
      job.state === "running" && make("progress", { max: 1, value: job.progress?.fraction ?? 0, "aria-label": say("job.progress") }),
    ].filter(Boolean));
    this.trouble.replaceChildren(...(job.error ? [make("section", { className: "card failure", role: "alert" },
      make("h2", {}, icon("warning"), make("span", { text: say("job.failed") })), make("p", { text: job.error.message }),
      job.error.tail && make("pre", { tabIndex: 0, "aria-label": say("job.console"), text: job.error.tail }))] : []));
    if (!isOpen && this.timer !== -1 && !this.isRead) this.read();
  }

  /** @param {boolean} isOpen */
  acts(isOpen) {
    const { job } = this;
    if (isOpen) return job.cancelling ? [] : [button({ drawing: "stop", word: say("stop"), press: () => jobs.cancel(job) })];
    return [
      sceneOf(job) && make("a", { className: "go", href: `#/scene/${job.id}` }, icon("photo"), make("span", { text: say("jobs.walk") })),
      make("a", { className: "quiet", href: `#/new/${job.kind}?like=${job.id}` }, icon("edit"), make("span", { text: say("job.change") })),
      button({ drawing: "again", word: say("job.again"), press: () => this.again() }),
      job.started && make("a", { className: "quiet", href: this.base, target: "_blank" }, icon("open"), make("span", { text: say("job.viewer") })),
      button({ drawing: "trash", label: say("job.delete"), press: () => this.forget() }),
    ].filter(Boolean);
  }

  async again() {
    const { job } = this;
    const isLost = job.state === "failed" || job.state === "cancelled";
    const next = isLost ? await jobs.retry(job) : jobs.note(await start(job.kind, job.config, job.preset));
    jobs.refresh();
    if (next.id !== job.id) return void (location.hash = `#/jobs/${next.id}`);
    this.isRead = false;
    this.read();
  }

  async forget() {
    const words = { title: say("job.delete"), text: say("job.delete_sure"), yes: say("job.delete"), no: say("job.keep") };
    if (!(await sure(words))) return;
    await jobs.forget(this.job);
    location.hash = "#/jobs";
  }

  /** Read the run, and again while it goes. */
  async read() {
    clearTimeout(this.timer);
    const isOver = !OPEN.includes(this.job.state);
    try {
      this.show(await ask(`${this.base}page.json`));
      this.isRead = isOver;
    } catch (error) {
      if (!(error instanceof TypeError)) throw error; // no answer came, which the bar says; it is asked again
    }
    if (!this.isRead && this.timer !== -1) this.timer = window.setTimeout(() => this.read(), AGAIN_MS);
  }

  settings() {
    const { config, preset } = this.job;
    const lines = [...(preset ? [[say("start.preset"), preset]] : []), ...settings(config)];
    return lines.length ? make("dl", { className: "settings" }, ...lines.flatMap(([name, value]) => [make("dt", { text: name }), make("dd", {}, from(value))]))
      : make("p", { className: "muted", text: say("job.defaults") });
  }

  /** @param {any} page */
  show(page) {
    const text = JSON.stringify([page.stages, page.curves, page.scores, page.notes, this.job.result]);
    if (text !== this.reported) {
      this.reported = text;
      const curves = plots(page.curves);
      this.report.replaceChildren(...[
        page.stages.length && card("stages", stageList(page.stages)),
        curves.length && card("curves", make("div", { className: "plots" }, ...curves)),
        page.scores.length && card("scores", scoreTable(page.scores)),
        this.job.result?.artifacts.length && card("job.made", artifactTable(this.job)),
        card("job.settings", this.settings()),
        page.notes.length && card("notes", make("ul", { className: "notes" }, ...page.notes.map((/** @type {any} */ note) => make("li", { className: note.level, text: note.message })))),
      ].filter(Boolean));
    }
    const shown = JSON.stringify([page.pictures, page.videos]);
    if (shown !== this.shown) {
      this.shown = shown; // a film that plays goes on playing
      this.gallery.replaceChildren(...page.videos.map((/** @type {any} */ one) => film(one, this.base)),
        ...page.pictures.map((/** @type {any} */ one) => picture(one, this.base)));
    }
    if (page.scenes.length && !this.view.firstChild) {
      this.view.hidden = false;
      if (page.relight) this.columns.before(this.view); // lights and sliders need the whole width
      this.view.classList.toggle("tall", Boolean(page.relight));
      this.view.append(make("iframe", { src: `${this.base}?embed`, title: say("job.scene") }));
    }
  }
}

/** The view of one job. @param {string} id */
export async function openJob(id) {
  const job = await jobs.find(id).catch((error) => { throw error.status === 404 ? new Error(say("job.gone")) : error; });
  return new JobPage(job);
}
