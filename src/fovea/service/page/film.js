// A film of a scene: choose how the camera moves, let photo.film make it, watch it, save it.

import { save, start } from "./api.js";
import { dialog, make, tell } from "./elements.js";
import { say, size } from "./languages.js";
import { keep, kept } from "./settings.js";
import { shelf } from "./shelf.js";
import { jobs } from "./store.js";

/** @typedef {import("./shelf.js").Item} Item */

const MOTIONS = ["rotate_forward", "rotate", "swipe", "shake", "dolly_zoom"];
const FPS = 30;
const WISHES = { trajectory: "rotate_forward", seconds: 2, longest_px: 640, format: "mp4", layout: "none" };

/** The motion as a small drawing: the way of the camera before a point. @type {Record<string, string>} */
const PATHS = {
  rotate_forward: "M8 30a16 7 0 1 1 32 0 16 7 0 1 1-32 0M24 23v-9m-4 4 4-4 4 4",
  rotate: "M8 28a16 7 0 1 1 32 0 16 7 0 1 1-32 0M22 35l4 0-3-3",
  swipe: "M6 28h36m-5-4 5 4-5 4M11 24l-5 4 5 4",
  shake: "M8 28h32M24 14v28M12 24l-4 4 4 4M36 24l4 4-4 4M20 18l4-4 4 4M20 38l4 4 4-4",
  dolly_zoom: "M24 40V20m-5 5 5-5 5 5M8 10l10 26M40 10 30 36",
};

/** @param {string} motion */
function drawing(motion) {
  const NS = "http://www.w3.org/2000/svg";
  const svg = document.createElementNS(NS, "svg");
  svg.setAttribute("viewBox", "0 0 48 48");
  svg.setAttribute("aria-hidden", "true");
  svg.append(document.createElementNS(NS, "path"));
  svg.firstElementChild?.setAttribute("d", PATHS[motion]);
  return svg;
}

/** @param {string} name @param {any} value @param {[any, string][]} options @param {(value: string) => void} choose */
function choice(name, value, options, choose) {
  const select = make("select", { on: { change: () => choose(select.value) } }, ...options.map(([each, text]) => make("option", { value: each, text })));
  select.value = value;
  return make("label", { className: "choice" }, make("span", { text: say(`film.${name}`) }), select);
}

/** Open the dialog. @param {Item} item */
export function openFilm(item) {
  const wishes = { ...WISHES, ...kept("film", {}) };
  const result = make("div", { className: "result", role: "status" });
  const go = make("button", { type: "submit", className: "go", text: say("film.make") });
  const motions = make("div", { className: "motions", role: "radiogroup", "aria-label": say("film.trajectory") },
    ...MOTIONS.map((motion) => make("label", {},
      make("input", { type: "radio", name: "trajectory", value: motion, checked: motion === wishes.trajectory, on: { change: () => { wishes.trajectory = motion; } } }),
      drawing(motion), make("span", { text: say(`film.${motion}`) }))));
  const form = make("form", { className: "film", on: { submit: (/** @type {Event} */ event) => { event.preventDefault(); shoot(); } } },
    motions,
    make("div", { className: "choices" },
      choice("seconds", wishes.seconds, [1, 2, 4, 8].map((each) => [each, `${each} s`]), (value) => { wishes.seconds = Number(value); }),
      choice("size", wishes.longest_px, [320, 640, 960, 1280, 1920].map((each) => [each, `${each} px`]), (value) => { wishes.longest_px = Number(value); }),
      choice("format", wishes.format, [["mp4", "MP4"], ["webm", "WebM"], ["gif", "GIF"]], (value) => { wishes.format = value; }),
      choice("eyes", wishes.layout, ["none", "side_by_side", "crossed", "anaglyph"].map((each) => [each, say(`film.${each}`)]), (value) => { wishes.layout = value; })),
    go, result);
  const opened = dialog(say("film.title", { name: item.name }), say("close"), form);

  async function shoot() {
    keep("film", wishes);
    go.disabled = true;
    const bar = make("progress", { max: 1, "aria-label": say("film.making") });
    const stop = make("button", { type: "button", className: "quiet", text: say("stop") });
    result.replaceChildren(make("p", { text: say("film.making") }), bar, stop);
    try {
      const { trajectory, seconds, longest_px, format, layout } = wishes;
      const asked = await start("photo.film", {
        scene: await shelf.reference(item), trajectory, longest_px, format, steps: seconds * FPS, fps: FPS, depth: false, stereo: { layout },
      });
      jobs.note(asked);
      stop.addEventListener("click", () => jobs.cancel(asked));
      const look = () => { bar.value = jobs.get(asked.id)?.progress?.fraction ?? 0; };
      jobs.addEventListener("change", look);
      jobs.refresh();
      const job = await jobs.ended(asked.id);
      jobs.removeEventListener("change", look);
      show(job);
    } catch (error) {
      result.replaceChildren(make("p", { className: "trouble", text: /** @type {Error} */ (error).message }));
    }
    go.disabled = false;
  }

  /** @param {import("./api.js").Job} job */
  function show(job) {
    const film = job.result?.artifacts.find((one) => one.kind === "video");
    if (!film) {
      const why = job.state === "cancelled" ? say("state.cancelled") : job.error?.message ?? job.message;
      result.replaceChildren(make("p", { className: "trouble", text: why }));
      return;
    }
    const isPicture = film.path.endsWith(".gif");
    const player = make(isPicture ? "img" : "video", isPicture ? { src: film.href, alt: item.name }
      : { src: film.href, controls: true, loop: true, muted: true, autoplay: true, playsInline: true });
    const name = `${item.name.replace(/\.\w+$/, "")}.${wishes.format}`;
    result.replaceChildren(player, make("button", { type: "button", className: "quiet", text: `${say("save")} ${name} (${size(film.size)})`, on: { click: () => save(film.href, name) } }));
    if (!opened.open) tell(say("film.done", { name: item.name }));
  }
}
