// The caller's jobs as the page knows them: asked for again and again while any is open, and followed live while they run.

import { ask, follow, request } from "./api.js";

/** @typedef {import("./api.js").Job} Job */

const OPEN_MS = 1500, IDLE_MS = 8000;
const MOST_FOLLOWED = 2; // a browser keeps six lines to a server
export const OPEN = ["queued", "running"];

class Jobs extends EventTarget {
  constructor() {
    super();
    /** @type {Map<string, Job>} */
    this.known = new Map();
    /** @type {Map<string, AbortController>} */
    this.followed = new Map();
    this.isLost = false;
    this.isRead = false;
    this.more = false;
    this.limit = 40;
    this.timer = 0;
  }

  /** Newest first. */
  list() {
    return [...this.known.values()].sort((one, other) => (one.id < other.id ? 1 : -1));
  }

  /** @param {string} id */
  get(id) {
    return this.known.get(id);
  }

  get open() {
    return this.list().filter((job) => OPEN.includes(job.state));
  }

  /** Take in a job, from wherever it was heard of. @param {Job} job */
  note(job) {
    this.known.set(job.id, job);
    this.changed();
    return job;
  }

  changed() {
    this.dispatchEvent(new Event("change"));
    this.followSome();
  }

  async refresh() {
    clearTimeout(this.timer);
    try {
      const page = await ask(`/v1/jobs?limit=${this.limit}`);
      this.take(page.jobs);
      this.more = Boolean(page.next);
      this.isLost = false;
      this.isRead = true;
    } catch (error) {
      this.isLost = !(/** @type {any} */ (error).status > 0);
    }
    this.changed();
    this.timer = window.setTimeout(() => this.refresh(), this.open.length && !document.hidden ? OPEN_MS : IDLE_MS);
  }

  /** The newest jobs; what is known of their time and not among them is gone. @param {Job[]} newest */
  take(newest) {
    const oldest = newest.length < this.limit ? "" : newest[newest.length - 1].id;
    const ids = new Set(newest.map((job) => job.id));
    for (const id of [...this.known.keys()]) if (id >= oldest && !ids.has(id)) this.known.delete(id);
    for (const job of newest) this.known.set(job.id, job);
  }

  async older() {
    this.limit = Math.min(200, this.limit + 40);
    await this.refresh();
  }

  /** One job, asked for where it is not known yet. @param {string} id @returns {Promise<Job>} */
  async find(id) {
    return this.known.get(id) ?? this.note(await ask(`/v1/jobs/${encodeURIComponent(id)}`));
  }

  /** @param {Job} job */
  async cancel(job) {
    this.note(await (await request(job.links.self, { method: "DELETE" })).json());
  }

  /** Remove a job that has ended, with all that it made. @param {Job} job */
  async forget(job) {
    await request(`${job.links.self}?forget=true`, { method: "DELETE" });
    this.known.delete(job.id);
    this.changed();
  }

  /** Once more, what failed or was stopped: the same job goes on from where it was. @param {Job} job */
  async retry(job) {
    return this.note(await (await request(`${job.links.self}/retry`, { method: "POST" })).json());
  }

  /** The end of a job. @param {string} id @returns {Promise<Job>} */
  ended(id) {
    return new Promise((done) => {
      const look = () => {
        const job = this.known.get(id);
        if (!job || OPEN.includes(job.state)) return;
        this.removeEventListener("change", look);
        done(job);
      };
      this.addEventListener("change", look);
      look();
    });
  }

  followSome() {
    for (const job of this.list().reverse()) {
      if (job.state !== "running" || this.followed.has(job.id) || this.followed.size >= MOST_FOLLOWED) continue;
      const line = new AbortController();
      this.followed.set(job.id, line);
      follow(job.links.events, (kind, data) => this.hear(job.id, kind, data), line.signal)
        .finally(() => { this.followed.delete(job.id); this.followSome(); });
    }
  }

  /** @param {string} id @param {string} kind @param {any} data */
  hear(id, kind, data) {
    const job = this.known.get(id);
    if (kind === "job" || kind === "end") this.note(data);
    else if (kind === "progress" && job) {
      const { stage, done, total, unit } = data;
      const fraction = job.progress && job.progress.stages > 1 ? job.progress.fraction : total ? done / total : 0;
      this.note({ ...job, progress: { stages: 1, ...job.progress, fraction, stage, done, total, unit } });
    }
    this.dispatchEvent(new CustomEvent("event", { detail: { id, kind, data } }));
  }
}

export const jobs = new Jobs();
