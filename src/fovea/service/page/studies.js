// Studies: settings that are being searched, trial after trial, and the best so far.

import { ask, post } from "./api.js";
import { dots, score } from "./charts.js";
import { button, icon, make } from "./elements.js";
import { ago, duration, say } from "./languages.js";

/**
 * @typedef {{number: number, state: string, values: number[], parameters: Record<string, any>, seconds: number, message: string, baseline: boolean}} Trial
 * @typedef {{id: string, name: string, state: string, stage: string, goals: {metric: string, goal: string}[], trials: Record<string, number>,
 *   budget: number|null, best: Trial|null, created: string, links: Record<string, string>}} Study
 */

const AGAIN_MS = 3000;
const GOING = ["queued", "running"];
/** The states of studies in the words of jobs. @type {Record<string, string>} */
const STATES = { queued: "queued", running: "running", finished: "succeeded", failed: "failed", stopped: "cancelled" };

/** @param {any} value */
const shown = (value) => (typeof value === "number" ? score(value) : String(value));

/** @param {Study} study */
const counted = (study) => Object.values(study.trials).reduce((sum, count) => sum + count, 0);

/** @param {Study} study */
function row(study) {
  const { best, goals, budget } = study;
  const words = [study.stage, ago(study.created), budget && say("studies.trials", { n: counted(study), budget })].filter(Boolean).join(" · ");
  return make("li", { className: "job study", "data-state": STATES[study.state] },
    make("a", { className: "head", href: `#/studies/${study.id}` }, make("span", { className: "thumb" }, icon("study")),
      make("span", { className: "words" }, make("b", { text: study.name }), make("small", { text: words }))),
    make("span", { className: "best", text: best ? `${goals[0].metric} ${score(best.values[0])}` : "" }),
    make("span", { className: "state" }, make("i", { className: "dot" }), make("span", { text: say(`state.${STATES[study.state]}`) })),
    make("span", { className: "acts" }),
    GOING.includes(study.state) && budget && make("progress", { max: budget, value: counted(study), "aria-label": study.name }));
}

/** Ask now, and again while `isGoing` says so. @param {() => Promise<boolean>} look */
function keepLooking(look) {
  let timer = 0, isOver = false;
  const again = async () => {
    const isGoing = await look().catch(() => true);
    if (!isOver && isGoing) timer = window.setTimeout(again, AGAIN_MS);
  };
  const first = again();
  return { first, close: () => { isOver = true; clearTimeout(timer); } };
}

/** The view of all studies. */
async function openList() {
  const list = make("ol", { className: "jobs" });
  const empty = make("div", { className: "nothing", hidden: true }, icon("study"), make("p", { text: say("studies.none") }));
  const { first, close } = keepLooking(async () => {
    const { studies } = await ask("/v1/studies");
    list.replaceChildren(...studies.map(row));
    empty.hidden = studies.length > 0;
    return studies.some((/** @type {Study} */ one) => GOING.includes(one.state));
  });
  await first;
  return { element: make("div", { className: "page" }, make("header", {}, make("h1", { text: say("nav.studies") })), list, empty), close };
}

/** @param {Trial[]} trials @param {Study} study */
function table(trials, study) {
  const names = [...new Set(trials.flatMap((trial) => Object.keys(trial.parameters)))];
  const best = study.best?.number;
  return make("div", { className: "scroll", tabIndex: 0, role: "region", "aria-label": say("studies.table") }, make("table", { className: "trials" },
    make("thead", {}, make("tr", {}, ...["#", study.goals[0].metric, ...names, say("studies.seconds")].map((text) => make("th", { scope: "col", text })))),
    make("tbody", {}, ...trials.toReversed().map((trial) => make("tr", { className: trial.number === best ? "best" : "", title: trial.message },
      make("td", { text: `${trial.number}${trial.baseline ? " ·" : ""}` }),
      make("td", { text: trial.values.length ? score(trial.values[0]) : say(`studies.${trial.state}`) }),
      ...names.map((name) => make("td", { text: name in trial.parameters ? shown(trial.parameters[name]) : "" })),
      make("td", { text: trial.seconds ? duration(trial.seconds) : "" }))))));
}

/** The best trial, as settings. @param {Study} study */
function bestCard({ best, goals, stage }) {
  return best && make("section", { className: "card" }, make("h2", { text: say("studies.best", { number: best.number }) }),
    make("dl", { className: "settings" }, ...[...goals.map(({ metric }, index) => [metric, best.values[index]]), ...Object.entries(best.parameters)]
      .flatMap(([name, value]) => [make("dt", { text: String(name) }), make("dd", { text: shown(value) })])),
    make("a", { className: "quiet", href: `#/new/${stage}?with=${encodeURIComponent(JSON.stringify(best.parameters))}` }, icon("edit"), make("span", { text: say("studies.use") })));
}

/** The view of one study. @param {string} id */
async function openStudy(id) {
  const element = make("div", { className: "jobpage" });
  let told = "";

  const { first, close } = keepLooking(async () => {
    const study = await ask(`/v1/studies/${id}`);
    const { trials } = counted(study) ? await ask(study.links.trials) : { trials: [] };
    const isGoing = GOING.includes(study.state), text = JSON.stringify([study, trials]);
    if (text !== told) show(study, trials, isGoing);
    told = text;
    return isGoing;
  });

  /** @param {Study} study @param {Trial[]} trials @param {boolean} isGoing */
  function show(study, trials, isGoing) {
    const turn = async (/** @type {string} */ what) => { await post(study.links[what], {}); location.reload(); };
    const values = /** @type {[number, number][]} */ (trials.filter((trial) => trial.values.length).map((trial) => [trial.number, trial.values[0]]));
    element.replaceChildren(
      make("header", { className: "jobhead" }, make("a", { className: "backlink", href: "#/studies" }, icon("back"), make("span", { text: say("nav.studies") })),
        make("div", {}, make("h1", { text: study.name }), make("p", {},
          make("span", { className: "pill", "data-state": STATES[study.state], text: say(`state.${STATES[study.state]}`) }),
          make("small", { text: [study.stage, ago(study.created), study.budget && say("studies.trials", { n: counted(study), budget: study.budget })].filter(Boolean).join(" · ") }))),
        make("div", { className: "acts" },
          isGoing ? button({ drawing: "stop", word: say("stop"), press: () => turn("stop") })
            : study.state !== "finished" && button({ drawing: "again", word: say("studies.on"), press: () => turn("start") }),
          trials.length > 0 && make("a", { className: "quiet", href: study.links.report, target: "_blank" }, icon("open"), make("span", { text: say("studies.report") })))),
      make("div", { className: "columns" },
        make("div", { className: "sights" },
          values.length > 0 && make("section", { className: "card" }, make("h2", { text: study.goals[0].metric }), dots(values, study.goals[0])),
          trials.length > 0 && make("section", { className: "card" }, make("h2", { text: say("studies.table") }), table(trials, study))),
        make("aside", { className: "report", "aria-label": say("job.report") }, bestCard(study) || make("section", { className: "card" }, make("p", { className: "muted", text: say("nothing_yet") })))));
  }

  await first;
  return { element, close };
}

/** @param {string} id */
export const openStudies = (id) => (id ? openStudy(id) : openList());
