// The page: which view the address names, language and theme, keys, and files that are dropped anywhere.

import { doorkeeper, ProblemError } from "./api.js";
import { button, dialog, icon, make, tell } from "./elements.js";
import { dropped, hasFiles } from "./files.js";
import { openJob } from "./job.js";
import { openJobs } from "./joblist.js";
import { load, say, switchLanguage, translate } from "./languages.js";
import { begin as beginSession, enter, forget, key } from "./key.js";
import { openStart } from "./start.js";
import { jobs } from "./store.js";
import { openStudies } from "./studies.js";
import { openStudio, studio } from "./studio.js";

/** @typedef {{element: HTMLElement, close?: () => void}} View */

const { fovea } = /** @type {any} */ (window);
const find = (/** @type {string} */ id) => /** @type {HTMLElement} */ (document.getElementById(id));

/** @type {View|null} */
let view = null;
let shown = 0;

/** @param {string} name @param {string} about @param {URLSearchParams} query @returns {View|Promise<View>} */
function open(name, about, query) {
  if (name === "jobs") return about ? openJob(about) : openJobs();
  if (name === "new") return openStart(about, query);
  if (name === "studies") return openStudies(about);
  return openStudio(name === "scene" ? about : "");
}

/** What a view that cannot be opened says. @param {Error} error @returns {View} */
const apology = (error) => ({
  element: make("div", { className: "nothing" }, icon("warning"), make("p", { text: error.message }),
    make("a", { className: "go", href: "#/", text: say("back_home") })),
});

/** Show the view that the address names. */
async function route() {
  const [path, query] = location.hash.replace(/^#\/?/, "").split("?");
  const [name, ...rest] = path.split("/");
  const about = rest.map(decodeURIComponent).join("/");
  const now = ++shown;
  view?.close?.();
  view = null;
  const tab = { "": "photos", scene: "photos", jobs: "jobs", new: "new", studies: "studies" }[name] ?? "photos";
  document.body.dataset.view = tab;
  for (const link of document.querySelectorAll("[data-tab]")) {
    if (link.getAttribute("data-tab") === tab) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  const opened = await Promise.resolve(open(name, about, new URLSearchParams(query))).catch(apology);
  if (now !== shown) return void opened.close?.(); // somebody has gone on meanwhile
  view = opened;
  find("main").replaceChildren(opened.element);
  find("main").scrollTop = 0;
  document.title = `${say(`nav.${tab}`)} · fovea`;
  find("main").setAttribute("data-ready", path);
}

// ---- language, theme, key -------------------------------------------------------------------------------------------

function theme() {
  return document.documentElement.dataset.theme;
}

/** @param {string} wanted */
function setTheme(wanted) {
  document.documentElement.dataset.theme = wanted;
  find("theme").replaceChildren(icon(wanted === "dark" ? "sun" : "moon"));
  studio().setBackground();
}

function retell() {
  translate();
  find("language").textContent = say("other");
  find("language").lang = document.documentElement.lang === "en" ? "zh-CN" : "en";
  studio().build();
  pulse();
}

/** What goes on, in the bar. */
function pulse() {
  const running = jobs.open.length;
  const text = jobs.isLost ? say("lost") : running ? say("nav.open", { n: running }) : "";
  if (find("pulse").textContent !== text) find("pulse").textContent = text;
  find("pulse").classList.toggle("bad", jobs.isLost);
}

/** Ask a person for a key once. @param {boolean} isAgain whether the last one was wrong @returns {Promise<string>} */
function askForKey(isAgain) {
  return new Promise((done) => {
    const input = make("input", { type: "password", autocomplete: "off", id: "key-input", required: true, "aria-invalid": isAgain });
    const form = make("form", { method: "dialog", className: "keyform" },
      make("p", { text: say("key.text") }), make("label", { htmlFor: input.id, text: say("key.label") }), input,
      isAgain && make("p", { className: "trouble", role: "alert", text: say("key.wrong") }),
      make("footer", {}, key() ? button({ word: say("key.forget"), press: forget }) : null,
        make("button", { type: "submit", value: "use", className: "go", text: say("key.use") })));
    const opened = dialog(say("key.title"), say("close"), form);
    opened.addEventListener("close", () => done(opened.returnValue === "use" ? input.value.trim() : ""));
    input.focus();
  });
}

/** Ask until the service takes a key, or the person gives up. */
async function letIn() {
  for (let isAgain = false; ; isAgain = true) {
    const given = await askForKey(isAgain);
    if (!given) return false;
    if (await enter(given)) return true;
  }
}

/** One question at a time, however many answers were 401; none after somebody has given up. @type {Promise<boolean>|null} */
let asking = null;
doorkeeper.ask = () => {
  find("key").hidden = false;
  return (asking ??= letIn().then((isIn) => { if (isIn) asking = null; return isIn; }));
};

// ---- keys -------------------------------------------------------------------------------------------------------------

/** @type {Record<string, string[][]>} */
const KEYS = {
  everywhere: [["?", "keys"], ["G P", "photos"], ["G J", "jobs"], ["G N", "new"], ["G S", "studies"], ["T", "theme"], ["Esc", "close"]],
  stage: [["W A S D", "walk"], ["Q E", "lift"], ["Shift", "fast"], ["1 2", "modes"], ["H", "home"], ["Space", "play"], ["L", "look"], ["F", "full"]],
  pointer: [["drag", "turn"], ["right", "shift"], ["wheel", "nearer"]],
};

function showKeys() {
  dialog(say("keys.title"), say("close"), make("div", { className: "keylist" }, ...Object.entries(KEYS).map(([group, rows]) => make("section", {},
    make("h3", { text: say(`keys.${group}`) }),
    make("dl", {}, ...rows.flatMap(([keys, does]) => [
      make("dt", {}, ...(group === "pointer" ? [say(`keys.${keys}`)] : keys.split(" ").map((one) => make("kbd", { text: one })))),
      make("dd", { text: say(`keys.${does}_does`) })]))))));
}

/** @type {Record<string, string>} */
const PLACES = { KeyP: "#/", KeyJ: "#/jobs", KeyN: "#/new", KeyS: "#/studies" };
let leaderUntil = 0;

/** @param {KeyboardEvent} event */
function press(event) {
  const target = /** @type {HTMLElement} */ (event.target);
  if (event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]")) return;
  if (target.closest("input, select, textarea, video, iframe, .plot")) return;
  if (event.key === "?") return showKeys();
  if (performance.now() < leaderUntil && PLACES[event.code]) {
    leaderUntil = 0;
    event.preventDefault();
    location.hash = PLACES[event.code];
    return;
  }
  if (event.code === "KeyG") leaderUntil = performance.now() + 1200;
  else if (event.code === "KeyT") find("theme").click();
  else if (document.body.dataset.view === "photos" && !(event.code === "Space" && target.closest("button, a")) && studio().press(event)) event.preventDefault();
}

// ---- files that are dropped -------------------------------------------------------------------------------------------

function listenForFiles() {
  const veil = find("veil");
  addEventListener("dragover", (event) => {
    if (!hasFiles(event)) return;
    event.preventDefault();
    veil.hidden = document.body.dataset.view !== "photos";
  });
  addEventListener("dragleave", (event) => { if (!event.relatedTarget) veil.hidden = true; });
  addEventListener("drop", async (event) => {
    event.preventDefault();
    veil.hidden = true;
    if (!event.dataTransfer || document.body.dataset.view !== "photos") return;
    studio().take(await dropped(event.dataTransfer));
  });
  addEventListener("paste", (event) => {
    const files = [...(event.clipboardData?.files ?? [])].map((file) => ({ file, name: file.name }));
    if (files.length && document.body.dataset.view === "photos") studio().take(files);
  });
}

function listen() {
  addEventListener("hashchange", route);
  addEventListener("keydown", press);
  addEventListener("keyup", (event) => studio().release(event));
  addEventListener("blur", () => studio().release());
  find("language").addEventListener("click", () => { switchLanguage(); retell(); route(); });
  find("theme").addEventListener("click", () => {
    const next = theme() === "dark" ? "light" : "dark";
    fovea.remember("fovea.theme", next);
    setTheme(next);
  });
  find("key").addEventListener("click", async () => {
    asking = null;
    if (await doorkeeper.ask()) tell(say("key.kept"));
    jobs.refresh();
  });
  find("keys").addEventListener("click", showKeys);
  find("skip").addEventListener("click", (event) => { event.preventDefault(); find("main").focus(); });
  jobs.addEventListener("change", pulse);
  // What a button asked for and the service refused, or did not answer.
  addEventListener("unhandledrejection", (event) => {
    if (!(event.reason instanceof ProblemError || event.reason instanceof TypeError)) return;
    event.preventDefault();
    tell(event.reason instanceof ProblemError ? event.reason.message : say("lost"), { isBad: true });
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", (event) => {
    if (!fovea.remembered("fovea.theme")) setTheme(event.matches ? "dark" : "light");
  });
  listenForFiles();
}

async function begin() {
  await Promise.all([load(), beginSession()]);
  for (const link of document.querySelectorAll("[data-drawing]")) link.prepend(icon(/** @type {any} */ (link.getAttribute("data-drawing"))));
  const asked = new URLSearchParams(location.search).get("theme") ?? fovea.remembered("fovea.theme");
  setTheme(asked ?? (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light"));
  retell();
  listen();
  find("key").hidden = !key(); // until somebody asks for one
  // The shelf is there from the start where the service answers quickly; a person who looks for a key need not wait.
  await Promise.race([jobs.refresh(), new Promise((done) => setTimeout(done, 600))]);
  await route();
  document.documentElement.dataset.ready = "";
}

begin();
