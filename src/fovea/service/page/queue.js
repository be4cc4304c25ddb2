// The shelf as a list: a row for each photograph or scene, with what goes on, and what can be done with it.

import { button, icon, make, showRows } from "./elements.js";
import { number, say, size } from "./languages.js";
import { shelf } from "./shelf.js";
import { jobs } from "./store.js";

/** @typedef {import("./shelf.js").Item} Item */
/**
 * @typedef {{open: (id: string) => void, toggle: (id: string) => void, remove: (id: string) => void,
 *   isShown: (id: string) => boolean, isCurrent: (id: string) => boolean, countOf: (id: string) => number}} Stage
 */

/** @param {Item} item @param {Stage} stage */
function words(item, stage) {
  const percent = number(item.share, { style: "percent" });
  if (item.state === "sending") return say("item.sending", { percent });
  if (item.state === "running") {
    const { unit = "", done, total } = item.job?.progress ?? {};
    return total ? say("item.running_of", { done: done ?? 0, total, unit }) : say("item.running");
  }
  if (item.state === "ready") {
    const count = stage.countOf(item.id) || item.job?.result?.stages.map((one) => one.scores.gaussians).find(Boolean);
    return count ? say("gaussians_count", { n: count }) : size(item.scene?.size ?? 0);
  }
  if (item.state === "queued") {
    const before = jobs.open.filter((job) => job.id < item.id).length;
    return before ? say("item.queued_behind", { n: before }) : say("state.queued");
  }
  return item.state === "failed" && item.message ? item.message : say(`state.${item.state}`);
}

/** @param {Item} item */
function picture(item) {
  if (!item.picture) return make("span", { className: "thumb" }, icon(item.file ? "file" : "photo"));
  const image = make("img", { className: "thumb", src: item.picture, alt: "", loading: "lazy", decoding: "async" });
  image.addEventListener("error", () => image.replaceWith(make("span", { className: "thumb" }, icon("photo"))), { once: true });
  return image;
}

/** @param {Item} item @param {Stage} stage */
function acts(item, stage) {
  const { id, name, job } = item;
  if (item.state === "ready") {
    const isShown = stage.isShown(id);
    return [
      button({ drawing: isShown ? "eye" : "hidden", label: say(isShown ? "item.hide" : "item.show", { name }), className: "bare", "aria-pressed": isShown, press: () => stage.toggle(id) }),
      button({ drawing: "trash", label: say("item.remove", { name }), className: "bare", press: () => stage.remove(id) }),
    ];
  }
  if (item.state === "failed" || item.state === "cancelled") {
    return [
      button({ drawing: "again", label: say("item.again", { name }), className: "bare", press: () => shelf.again(item) }),
      button({ drawing: "trash", label: say("item.remove", { name }), className: "bare", press: () => stage.remove(id) }),
    ];
  }
  return job && !job.cancelling ? [button({ drawing: "stop", label: say("item.stop", { name }), className: "bare", press: () => jobs.cancel(job) })] : [];
}

/** @param {Item} item @param {Stage} stage */
function row(item, stage) {
  const isReady = item.state === "ready";
  const text = make("span", { className: "words" }, make("b", { text: item.name }), make("small", { text: words(item, stage) }));
  const head = isReady
    ? make("button", { type: "button", className: "head", "aria-current": stage.isCurrent(item.id) ? "true" : undefined, on: { click: () => stage.open(item.id) } }, picture(item), text)
    : make("div", { className: "head" }, picture(item), text);
  const isGoing = item.state === "sending" || item.state === "running";
  return make("li", { className: "item", "data-state": item.state, "data-id": item.id },
    head, make("span", { className: "acts" }, ...acts(item, stage)),
    isGoing && make("progress", { max: 1, value: item.share, "aria-label": item.name }));
}

/** Show the shelf in `list`. @param {HTMLElement} list @param {Stage} stage */
export const showQueue = (list, stage) => showRows(list, shelf.list().map((item) => row(item, stage)));
