// Files that a person drops or picks: out of folders, and told apart by what can be done with them.

/** @typedef {import("./api.js").Sent} Sent */

const PHOTOGRAPHS = /\.(jpe?g|png|webp|heic|heif|avif|tiff?|bmp|gif)$/i;
export const SCENES = /\.(ply|spz|sog|splat|ksplat)$/i;

/** What the renderer calls the formats. @type {Record<string, string>} */
const FORMATS = { ply: "ply", spz: "spz", sog: "pcsogszip", splat: "splat", ksplat: "ksplat" };

/** @param {string} name */
export const formatOf = (name) => FORMATS[name.split(".").pop()?.toLowerCase() ?? ""];

/** @param {string} name */
export const isPhotograph = (name) => PHOTOGRAPHS.test(name);

/** @param {Event} event */
export const hasFiles = (event) => Boolean(/** @type {DragEvent} */ (event).dataTransfer?.types.includes("Files"));

/** What was dropped; folders are walked. @param {DataTransfer} transfer @returns {Promise<Sent[]>} */
export async function dropped(transfer) {
  /** @type {Sent[]} */
  const found = [];
  /** @param {any} item @param {string} path */
  async function walk(item, path) {
    if (item.isFile) {
      const file = await new Promise((done, fail) => item.file(done, fail));
      found.push({ file, name: path + file.name });
      return;
    }
    const reader = item.createReader();
    for (;;) {
      const part = await new Promise((done, fail) => reader.readEntries(done, fail));
      if (!part.length) return;
      for (const inner of part) await walk(inner, `${path}${item.name}/`);
    }
  }
  // Entries are gone once the event is over, so they are taken before anything is waited for.
  const entries = [...transfer.items].map((item) => item.webkitGetAsEntry?.()).filter(Boolean);
  if (!entries.length) found.push(...[...transfer.files].map((file) => ({ file, name: file.name })));
  for (const item of entries) await walk(item, "");
  return found.filter(({ file }) => !file.name.startsWith("."));
}

/**
 * Let a person pick files, or a folder.
 * @param {{isFolder?: boolean, accept?: string}} about
 * @param {(files: Sent[]) => void} take
 */
export function pick({ isFolder = false, accept = "" }, take) {
  const input = document.createElement("input");
  Object.assign(input, { type: "file", multiple: true, accept });
  if (isFolder) input.webkitdirectory = true;
  input.addEventListener("change", () => take([...(input.files ?? [])]
    .filter((file) => !file.name.startsWith("."))
    .map((file) => ({ file, name: file.webkitRelativePath || file.name }))));
  input.click();
}
