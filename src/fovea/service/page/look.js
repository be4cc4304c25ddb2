// The sliders: how the Gaussians are drawn, how fast one flies, and how the scene disperses.

import { button, make } from "./elements.js";
import { number, say } from "./languages.js";
import { keep } from "./settings.js";
import { LOOK } from "./walk.js";

/** @typedef {import("./walk.js").Walk} Walk */
/** @typedef {keyof typeof LOOK} Name */

/** @type {Record<string, {name: Name, min: number, max: number, step: number, unit?: string}[]>} */
const DIALS = {
  drawing: [
    { name: "size", min: 0.1, max: 3, step: 0.05, unit: "×" },
    { name: "opacity", min: 0, max: 1, step: 0.05 },
    { name: "exposure", min: -4, max: 4, step: 0.1, unit: "EV" },
    { name: "least", min: 0, max: 1, step: 0.01 },
  ],
  flight: [{ name: "speed", min: 0.1, max: 5, step: 0.1, unit: "×" }],
  dispersion: [
    { name: "amount", min: 0, max: 0.5, step: 0.01 },
    { name: "frequency", min: 0.1, max: 5, step: 0.1 },
    { name: "pace", min: 0, max: 5, step: 0.1, unit: "×" },
  ],
};

/**
 * The panel; `walk` gives the scenes once there are any.
 * @param {() => Walk|undefined} walk
 * @param {typeof LOOK} look as it was left
 */
export function lookPanel(walk, look) {
  /** @type {Map<Name, {input: HTMLInputElement, output: HTMLOutputElement, unit: string}>} */
  const dials = new Map();

  function apply() {
    for (const [name, { input, output, unit }] of dials) {
      look[name] = Number(input.value);
      output.textContent = `${number(look[name])}${unit && ` ${unit}`}`;
    }
    keep("look", look);
    walk()?.setLook({ ...look });
  }

  /** @param {typeof DIALS.drawing[0]} about */
  function dial({ name, min, max, step, unit = "" }) {
    const id = `look-${name}`;
    const input = make("input", { id, type: "range", min, max, step, value: look[name], on: { input: apply } });
    input.addEventListener("dblclick", () => { input.value = String(LOOK[name]); apply(); });
    const output = make("output", { htmlFor: id });
    dials.set(name, { input, output, unit });
    return make("div", { className: "dial" }, make("label", { htmlFor: id, text: say(`look.${name}`) }), output, input);
  }

  function reset() {
    for (const [name, { input }] of dials) input.value = String(LOOK[name]);
    apply();
  }

  const element = make("section", { className: "panel look", "aria-label": say("look.title") },
    make("header", {}, make("h2", { text: say("look.title") }), button({ word: say("look.reset"), className: "quiet small", press: reset })),
    ...Object.entries(DIALS).map(([group, list]) => make("fieldset", {}, make("legend", { text: say(`look.${group}`) }), ...list.map(dial))));
  apply();
  return element;
}
