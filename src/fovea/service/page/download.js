// A scene in any format: the file as it is, or one that photo.convert makes of it.

import { save, saveFile, start } from "./api.js";
import { dialog, make } from "./elements.js";
import { say, size } from "./languages.js";
import { shelf } from "./shelf.js";
import { jobs } from "./store.js";

/** @typedef {import("./shelf.js").Item} Item */

const FORMATS = ["ply", "compressed", "spz", "sog", "splat", "glb"];

/** How the file of a format ends. @param {string} format */
const ending = (format) => (format === "compressed" ? "compressed.ply" : format);

/** Open the dialog. @param {Item} item */
export function openDownload(item) {
  const scene = /** @type {NonNullable<Item["scene"]>} */ (item.scene);
  const stem = item.name.replace(/\.\w+$/, "");
  const budget = make("select", { "aria-label": say("download.budget") },
    ...[0, 500_000, 100_000, 50_000, 20_000].map((most) => make("option", { value: most, text: most ? say("download.most", { most }) : say("download.all") })));

  /** @param {string} format */
  function line(format) {
    const name = `${stem}.${ending(format)}`;
    const note = make("small", { text: say(`download.${format}`), role: "status" });
    const get = make("button", { type: "button", className: "quiet", text: say("download.get"), "aria-label": `${say("download.get")} ${name}` });
    get.addEventListener("click", async () => {
      get.disabled = true;
      try {
        await fetchAs(format, name, (text) => { note.textContent = text; });
      } catch (error) {
        note.textContent = /** @type {Error} */ (error).message;
        note.className = "trouble";
      }
      get.disabled = false;
    });
    return make("li", {}, make("b", { text: `.${ending(format)}` }), note, get);
  }

  /** @param {string} format @param {string} name @param {(text: string) => void} say_ */
  async function fetchAs(format, name, say_) {
    const most = Number(budget.value);
    if (format === scene.format && !most) return scene.href ? save(scene.href, name) : saveFile(/** @type {File} */ (item.file), name);
    say_(say("download.converting"));
    const asked = jobs.note(await start("photo.convert", {
      scene: await shelf.reference(item), format, check: false, ...(most ? { budget: most } : {}),
    }));
    jobs.refresh();
    const job = await jobs.ended(asked.id);
    const made = job.result?.artifacts.find((one) => one.kind === "gaussians");
    if (!made) throw new Error(job.error?.message || job.message || say(`state.${job.state}`));
    say_(size(made.size));
    return save(made.href, name);
  }

  dialog(say("download.title", { name: item.name }), say("close"),
    make("label", { className: "choice" }, make("span", { text: say("download.budget") }), budget),
    make("ul", { className: "formats" }, ...FORMATS.map(line)));
}
