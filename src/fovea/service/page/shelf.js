// The scenes that a person has: photographs on their way to one, scenes of finished jobs, scene files from the disk.

import { ProblemError, send, start } from "./api.js";
import { formatOf, isPhotograph, SCENES } from "./files.js";
import { keep, kept } from "./settings.js";
import { jobs, OPEN } from "./store.js";

/** @typedef {import("./api.js").Job} Job */
/** @typedef {import("./api.js").Sent} Sent */
/**
 * @typedef {{id: string, name: string, picture: string, state: string, share: number, message: string, job?: Job, file?: File,
 *   scene?: {href: string, format: string, size: number, reference: string, name: string}}} Item
 * `state` is that of a job, or `sending`, or `ready` where the scene can be opened.
 */

const MOST_NAMES = 300, LANES = 2;

/** What a job of the page makes on the side, which is no scene of its own. */
const ASIDE = ["photo.convert", "photo.film"];

/** The scene of a finished job that the page can show. @param {Job} job */
export function sceneOf(job) {
  const made = job.result?.artifacts.filter((one) => one.kind === "gaussians" && SCENES.test(one.path) && !one.path.endsWith(".compressed.ply"));
  return made?.at(-1);
}

class Shelf extends EventTarget {
  constructor() {
    super();
    /** @type {Map<string, Item>} */
    this.items = new Map();
    /** @type {Record<string, string>} */
    this.names = kept("names", {});
    /** @type {string[]} */
    this.removed = kept("removed", []);
    /** Scenes that somebody went to by their job, whatever else stands here. @type {Set<string>} */
    this.wanted = new Set();
    /** @type {Map<string, string>} */
    this.pictures = new Map();
    /** @type {(() => Promise<void>)[]} */
    this.waiting = [];
    this.atWork = 0;
    jobs.addEventListener("change", () => this.look());
  }

  changed() {
    this.dispatchEvent(new Event("change"));
  }

  /** Those on their way first, then the newest. */
  list() {
    const rank = (/** @type {Item} */ item) => (item.state === "sending" ? 0 : 1);
    return [...this.items.values()].sort((one, other) => rank(one) - rank(other)
      || (one.id < other.id ? 1 : -1));
  }

  /** Take files: photographs become jobs, scene files are shown as they are. Gives those of neither kind.
   * @param {Sent[]} files */
  take(files) {
    const photographs = files.filter(({ name }) => isPhotograph(name));
    const scenes = files.filter(({ name }) => SCENES.test(name));
    for (const { file } of scenes) this.keepFile(file);
    for (const one of photographs) this.predict(one);
    return { photographs, scenes, others: files.length - photographs.length - scenes.length };
  }

  /** @param {File} file */
  keepFile(file) {
    const id = `~file-${file.name}-${file.size}`;
    this.items.set(id, {
      id, name: file.name, picture: "", state: "ready", share: 1, message: "", file,
      scene: { href: "", format: formatOf(file.name), size: file.size, reference: "", name: file.name },
    });
    this.changed();
    this.dispatchEvent(new CustomEvent("ready", { detail: id }));
  }

  /** @param {Sent} one */
  predict({ file, name }) {
    const id = `~send-${performance.now()}-${name}`;
    const picture = URL.createObjectURL(file);
    const short = name.split("/").pop() ?? name;
    /** @type {Item} */
    const item = { id, name: short, picture, state: "sending", share: 0, message: "", file };
    this.items.set(id, item);
    this.changed();
    this.queue(async () => {
      try {
        const sent = await send([{ file, name: short }], (share) => { item.share = share; this.changed(); });
        await this.ask(sent.name, short, picture);
        this.items.delete(id);
      } catch (error) {
        item.state = "failed";
        item.message = error instanceof ProblemError ? error.message : String(error);
      }
      this.changed();
    });
  }

  /** Ask for the scene of a photograph that the service has. @param {string} photo @param {string} name */
  async ask(photo, name, picture = "") {
    const job = await start("photo.predict", { photo });
    this.names[job.id] = name;
    keep("names", Object.fromEntries(Object.entries(this.names).slice(-MOST_NAMES)));
    if (picture) this.pictures.set(job.id, picture);
    this.removed = this.removed.filter((one) => one !== job.id);
    jobs.note(job);
    jobs.ended(job.id).then((end) => {
      if (end.state === "succeeded") this.dispatchEvent(new CustomEvent("ready", { detail: job.id }));
    });
    jobs.refresh();
  }

  /** @param {() => Promise<void>} work */
  queue(work) {
    this.waiting.push(work);
    this.work();
  }

  async work() {
    if (this.atWork >= LANES) return;
    const next = this.waiting.shift();
    if (!next) return;
    this.atWork += 1;
    await next();
    this.atWork -= 1;
    this.work();
  }

  /** See which jobs are scenes, or on their way to one. */
  look() {
    for (const item of this.items.values()) if (item.job && !jobs.get(item.id)) this.items.delete(item.id);
    const shown = new Set(); // a photograph that was sent again gives the same scene, which stands here once
    for (const job of jobs.list()) {
      const made = sceneOf(job);
      const isAgain = made && shown.has(made.sha256);
      if (made) shown.add(made.sha256);
      const isOurs = job.kind === "photo.predict" && (OPEN.includes(job.state) || job.id in this.names);
      const isAside = this.removed.includes(job.id) || ASIDE.includes(job.kind) || isAgain || !(made || isOurs);
      if (isAside && !this.wanted.has(job.id)) {
        this.items.delete(job.id);
        continue;
      }
      this.items.set(job.id, {
        id: job.id,
        name: this.names[job.id] ?? job.kind,
        picture: this.pictures.get(job.id) ?? (made ? `/jobs/${job.id}/picture` : ""),
        state: job.cancelling ? "cancelling" : made ? "ready" : job.state,
        share: job.progress?.fraction ?? 0,
        message: job.error?.message ?? job.message,
        job,
        scene: made && {
          href: made.href, format: formatOf(made.path), size: made.size,
          reference: `jobs/${job.id}/${made.name}`, name: made.path.split("/").pop() ?? "scene.ply",
        },
      });
    }
    this.changed();
  }

  /** Put a job's scene on the list, even one that was taken off. @param {string} id */
  want(id) {
    this.wanted.add(id);
    this.removed = this.removed.filter((one) => one !== id);
    keep("removed", this.removed);
    this.look();
  }

  /** @param {string} id */
  remove(id) {
    const item = this.items.get(id);
    this.wanted.delete(id);
    if (item?.file) URL.revokeObjectURL(item.picture);
    this.items.delete(id);
    if (item?.job) {
      this.removed = [...this.removed, id].slice(-MOST_NAMES);
      keep("removed", this.removed);
    }
    this.changed();
  }

  /** Once more, what failed or was stopped. @param {Item} item */
  async again(item) {
    if (item.job) await jobs.retry(item.job);
    else if (item.file) {
      this.remove(item.id);
      this.predict({ file: item.file, name: item.name });
    }
  }

  /** What other jobs call this scene; a file from the disk is sent first. @param {Item} item */
  async reference(item) {
    const { scene, file } = item;
    if (!scene) throw new Error(item.state);
    if (!scene.reference && file) scene.reference = (await send([{ file, name: file.name }])).name;
    return scene.reference;
  }
}

export const shelf = new Shelf();
