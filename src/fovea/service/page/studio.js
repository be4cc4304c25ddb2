// Photographs become scenes to walk in: the place to drop them, the shelf beside, the stage, and what one does on it.

import { request } from "./api.js";
import { openDownload } from "./download.js";
import { button, make, tell } from "./elements.js";
import { pick } from "./files.js";
import { openFilm } from "./film.js";
import { hero } from "./hero.js";
import { number, say } from "./languages.js";
import { lookPanel } from "./look.js";
import { showQueue } from "./queue.js";
import { keep, kept } from "./settings.js";
import { sceneOf, shelf } from "./shelf.js";
import { jobs } from "./store.js";
import { LOOK, Walk } from "./walk.js";

/** @typedef {import("./shelf.js").Item} Item */
/** @typedef {import("./api.js").Sent} Sent */

const { fovea } = /** @type {any} */ (window);
const MOVES = new Set(["KeyW", "KeyA", "KeyS", "KeyD", "KeyQ", "KeyE", "ArrowUp", "ArrowDown", "ArrowLeft", "ArrowRight", "ShiftLeft", "ShiftRight"]);

/** The studio is made once and stays, with its scenes, while other views are looked at. */
class Studio {
  constructor() {
    /** @type {Walk|undefined} */
    this.walk = undefined;
    this.current = "";
    this.mode = "orbit";
    this.isBusy = false;
    this.isLookOpen = kept("look.open", innerWidth > 1100);
    this.element = make("div", { className: "studio" });
    this.stage = make("div", { className: "stage" }); // the view measures this very element
    shelf.addEventListener("change", () => this.refresh());
    shelf.addEventListener("ready", (event) => {
      const id = /** @type {CustomEvent} */ (event).detail;
      if (!this.current || this.element.isConnected) this.open(id);
    });
    this.build();
  }

  /** Put everything into place, in the present language; the canvas stays what it is. */
  build() {
    const canvas = this.canvas ?? make("canvas", { tabIndex: 0 });
    this.canvas = canvas;
    canvas.setAttribute("aria-label", say("stage.label"));
    canvas.setAttribute("role", "application");
    this.list = make("ul", { className: "shelf", "aria-label": say("shelf.title") });
    this.notice = make("p", { className: "notice", role: "status" });
    this.caption = make("p", { className: "caption" });
    this.hero = hero((isFolder) => this.pick(isFolder));
    this.tools = this.makeTools();
    this.look = lookPanel(() => this.walk, { ...LOOK, ...kept("look", {}) });
    this.stage.replaceChildren(canvas, this.hero, this.notice, this.caption, this.tools);
    this.element.replaceChildren(
      make("section", { className: "panel side", "aria-label": say("shelf.title") },
        make("header", {}, make("h1", { text: say("shelf.title") })),
        make("div", { className: "adders" },
          button({ drawing: "photo", word: say("pick.photographs"), className: "go", press: () => this.pick(false) }),
          button({ drawing: "folder", label: say("pick.folder"), className: "quiet", press: () => this.pick(true) })),
        make("p", { className: "hint", text: say("drop.hint") }),
        this.list),
      this.stage, this.look);
    this.refresh();
  }

  makeTools() {
    this.modes = ["orbit", "fly"].map((mode) => button({
      word: say(`stage.${mode}`), label: say(`stage.${mode}_hint`), className: "", press: () => this.setMode(mode), "aria-pressed": this.mode === mode }));
    const current = (/** @type {(item: Item) => void} */ action) => () => {
      const item = shelf.items.get(this.current);
      if (item?.scene) action(item);
    };
    return make("div", { className: "tools", role: "toolbar", "aria-label": say("stage.tools") },
      make("span", { className: "group" }, ...this.modes),
      make("span", { className: "group" },
        button({ drawing: "home", label: say("stage.home"), className: "", press: () => this.home() }),
        button({ drawing: "film", word: say("stage.film"), label: say("stage.film_hint"), className: "", press: current(openFilm) }),
        button({ drawing: "download", word: say("stage.download"), label: say("stage.download_hint"), className: "", press: current(openDownload) })),
      make("span", { className: "group" },
        button({ drawing: "sliders", label: say("look.title"), className: "", press: () => this.toggleLook() }),
        button({ drawing: "full", label: say("stage.full"), className: "", press: () => this.full() })));
  }

  /** @param {boolean} isFolder */
  pick(isFolder) {
    pick({ isFolder, accept: "image/*,.heic,.heif,.ply,.spz,.sog,.splat,.ksplat" }, (files) => this.take(files));
  }

  /** @param {Sent[]} files */
  take(files) {
    const { photographs, scenes, others } = shelf.take(files);
    if (others) tell(say("drop.others", { n: others }), { isBad: !photographs.length && !scenes.length });
  }

  refresh() {
    showQueue(this.list, this);
    const isEmpty = !this.current && !this.isBusy;
    this.hero.hidden = !isEmpty;
    this.tools.hidden = !this.current;
    this.look.hidden = !this.current || !this.isLookOpen;
    this.element.classList.toggle("empty", isEmpty);
    this.element.classList.toggle("vacant", !shelf.items.size);
    const going = isEmpty && shelf.list().some((item) => ["sending", "queued", "running"].includes(item.state));
    if (going) {
      this.hero.hidden = true;
      this.notice.textContent = say("stage.working");
    } else if (!this.isBusy) this.notice.textContent = "";
    this.tellCount();
  }

  tellCount() {
    const { walk } = this;
    const frames = walk?.framesPerSecond ? ` · ${number(Math.round(walk.framesPerSecond))} fps` : "";
    this.caption.textContent = walk?.count ? `${say("gaussians_count", { n: walk.count })}${frames}` : "";
  }

  // What the rows of the shelf ask -------------------------------------------------------------------------------------

  /** @param {string} id */
  isShown(id) { return this.walk?.isShown(id) ?? false; }

  /** @param {string} id */
  isCurrent(id) { return id === this.current; }

  /** @param {string} id */
  countOf(id) { return this.walk?.scenes.get(id)?.count ?? 0; }

  /** Load a scene where it is not, show it alone and look at it. @param {string} id */
  async open(id) {
    if (!(await this.load(id)) || !this.walk) return;
    for (const other of this.walk.scenes.keys()) this.walk.show(other, other === id);
    this.current = id;
    this.walk.attend(id);
    this.setMode(this.mode);
    this.refresh();
    if (this.element.isConnected) history.replaceState(null, "", id.startsWith("~") ? "#/" : `#/scene/${id}`);
  }

  /** Show one beside the others, or hide it. @param {string} id */
  async toggle(id) {
    if (!this.walk?.scenes.has(id)) {
      const isFirst = !this.current;
      if (!(await this.load(id)) || !this.walk) return;
      if (isFirst) return void this.open(id);
    } else this.walk.show(id, !this.walk.isShown(id));
    this.refresh();
  }

  /** @param {string} id */
  remove(id) {
    this.walk?.remove(id);
    shelf.remove(id);
    if (this.current === id) {
      this.current = [...(this.walk?.scenes.keys() ?? [])].at(-1) ?? "";
      if (this.current) this.open(this.current);
      else history.replaceState(null, "", "#/");
    }
    this.refresh();
  }

  /** Fetch and add a scene; says whether it is there. @param {string} id */
  async load(id) {
    if (this.walk?.scenes.has(id)) return true;
    const item = shelf.items.get(id);
    if (!item?.scene) return false;
    this.isBusy = true;
    this.refresh();
    this.notice.textContent = say("stage.loading");
    try {
      this.walk ??= await this.begin();
      const source = item.file && !item.job ? item.file : await (await request(item.scene.href)).blob();
      await this.walk.add(id, new Uint8Array(await source.arrayBuffer()), item.scene.format);
    } catch (error) {
      tell(say(this.walk ? "stage.broken" : "stage.no_webgl", { why: /** @type {Error} */ (error).message }), { isBad: true });
      return false;
    } finally {
      this.isBusy = false;
      this.refresh();
    }
    return true;
  }

  async begin() {
    const walk = await Walk.open(this.stage, this.canvas);
    walk.onFrame = () => this.tellCount();
    this.setBackground(walk);
    return walk;
  }

  setBackground(walk = this.walk) {
    walk?.view.setBackground(getComputedStyle(document.documentElement).getPropertyValue("--scene").trim());
  }

  // What one does on the stage -------------------------------------------------------------------------------------------

  /** @param {string} mode */
  setMode(mode) {
    this.mode = mode;
    this.walk?.view.rig.setMode(mode === "fly" ? "walk" : "orbit");
    for (const [index, one] of (this.modes ?? []).entries()) one.setAttribute("aria-pressed", String((index === 1) === (mode === "fly")));
  }

  home() {
    const view = this.walk?.view;
    if (view?.mesh) view.home();
    this.setMode(this.mode);
  }

  toggleLook() {
    this.isLookOpen = !this.isLookOpen;
    keep("look.open", this.isLookOpen);
    this.refresh();
    if (this.isLookOpen && innerWidth <= 900) this.look.scrollIntoView({ behavior: "smooth", block: "nearest" });
  }

  full() {
    if (document.fullscreenElement) document.exitFullscreen();
    else this.stage.requestFullscreen?.();
  }

  /** A key that went down anywhere; says whether it was for the stage. @param {KeyboardEvent} event */
  press(event) {
    const view = this.walk?.view;
    if (!view?.mesh) return false;
    const isOnStage = this.stage.contains(/** @type {Node} */ (event.target));
    if (MOVES.has(event.code)) {
      if (event.code.startsWith("Arrow") && !isOnStage) return false; // arrows scroll the page elsewhere
      if (!event.code.startsWith("Shift")) view.rig.take("key");
      view.rig.keys.add(event.code);
      view.draw();
      return true;
    }
    /** @type {Record<string, () => void>} */
    const actions = {
      Digit1: () => this.setMode("orbit"), Digit2: () => this.setMode("fly"), KeyH: () => this.home(),
      Space: () => view.toggleFilm(), KeyL: () => this.toggleLook(), KeyF: () => this.full(),
    };
    actions[event.code]?.();
    return event.code in actions;
  }

  /** @param {KeyboardEvent} [event] */
  release(event) {
    if (event) this.walk?.view.rig.keys.delete(event.code);
    else this.walk?.view.rig.keys.clear();
  }
}

/** @type {Studio|undefined} */
let made;
export const studio = () => (made ??= new Studio());

/** Show the scene of a job, once there is one. @param {string} id */
async function show(id) {
  const isThere = await jobs.find(id).catch(() => null);
  if (!isThere) return tell(say("job.gone"), { isBad: true });
  shelf.want(id);
  const job = await jobs.ended(id);
  if (!location.hash.endsWith(id)) return; // somebody has gone on meanwhile
  if (sceneOf(job)) studio().open(id);
  else tell(say("stage.none"), { isBad: true });
}

/** Show the studio, and a scene in it where the address names one. @param {string} [id] */
export function openStudio(id) {
  const here = studio();
  if (id && id !== here.current) show(id);
  else if (!here.current) fovea.ready = true;
  return { element: here.element };
}
