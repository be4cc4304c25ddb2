// What stands on the stage before there is a scene: what this is, where to drop photographs, samples to try it with.

import { button, icon, make } from "./elements.js";
import { say } from "./languages.js";
import { shelf } from "./shelf.js";

/** Photographs that ship with the package. */
const SAMPLES = ["still_life/test_003/rgba.png", "still_life/test_012/rgba.png", "still_life/test_017/rgba.png"];

/** @param {string} path @param {number} index */
function sample(path, index) {
  const address = `/page/samples/${path}`;
  return make("button", {
    type: "button", "aria-label": say("hero.sample", { n: index + 1 }),
    on: { click: () => shelf.ask(`samples/${path}`, path.split("/")[0].replace("_", " "), address) },
  }, make("img", { src: address, alt: "", loading: "lazy" }));
}

/** @param {(isFolder: boolean) => void} pick */
export function hero(pick) {
  return make("div", { className: "hero" }, make("div", { className: "frame" }, icon("photo"),
    make("h2", { text: say("hero.title") }), make("p", { text: say("hero.text") }),
    make("div", { className: "adders" },
      button({ word: say("pick.photographs"), className: "go", press: () => pick(false) }),
      button({ word: say("pick.folder"), press: () => pick(true) })),
    make("p", { className: "hint", text: say("hero.samples") }),
    make("div", { className: "samples" }, ...SAMPLES.map(sample))));
}
