// The page's words: one pack a language (languages/*.json), plural forms by the language's own rules.
//
// The viewer brings words of its own (words.js); language and theme are kept where the viewer looks for them, too.

/** @type {Record<string, string>} */
export const LANGUAGES = { en: "English", "zh-CN": "中文" };

const { fovea } = /** @type {any} */ (window);
/** @type {Record<string, Record<string, string>>} */
const packs = {};
let language = fovea.locale() === "zh-CN" ? "zh-CN" : "en";

export const present = () => language;

/** Fetch the packs of all languages; English stands in for what another lacks. */
export async function load() {
  const names = Object.keys(LANGUAGES);
  const found = await Promise.all(names.map(async (name) => (await fetch(new URL(`languages/${name}.json`, import.meta.url))).json()));
  names.forEach((name, index) => { packs[name] = found[index]; });
}

/**
 * The words of a key in the present language, with `{name}` filled in. Of a key with `one` and `other` the count `n` chooses.
 * @param {string} key
 * @param {Record<string, string|number>} [values]
 */
export function say(key, values = {}) {
  const pack = packs[language], fallback = packs.en;
  const form = "n" in values ? `${key}.${new Intl.PluralRules(language).select(Number(values.n))}` : key;
  const text = pack[form] ?? pack[`${key}.other`] ?? pack[key] ?? fallback[key] ?? fovea.words[language === "en" ? "en" : "zh"][key] ?? key;
  return text.replace(/\{(\w+)\}/g, (whole, name) => {
    const value = values[name];
    return value === undefined ? whole : typeof value === "number" ? number(value) : value;
  });
}

/** Put the words into every element below `root` that asks for them. @param {ParentNode} root */
export function translate(root = document) {
  document.documentElement.lang = language;
  const asking = (/** @type {string} */ what) => /** @type {NodeListOf<HTMLElement>} */ (root.querySelectorAll(what));
  for (const element of asking("[data-say]")) element.textContent = say(element.dataset.say ?? "");
  for (const element of asking("[data-say-label]")) {
    const words = say(element.dataset.sayLabel ?? "");
    element.setAttribute("aria-label", words);
    if (element.localName === "button" || element.localName === "a") element.title = words;
  }
}

/** Go on to the next language. */
export function switchLanguage() {
  fovea.switchLanguage();
  language = fovea.locale() === "zh-CN" ? "zh-CN" : "en";
}

/** @param {number} value @param {Intl.NumberFormatOptions} [options] */
export function number(value, options) {
  return value.toLocaleString(language, options);
}

/** A summary with its arrows drawn. @param {string} text */
export const arrows = (text) => text.replaceAll("->", "→");

/** @param {number} bytes */
export function size(bytes) {
  if (bytes < 1000) return `${bytes} B`;
  const [value, unit] = bytes < 1e6 ? [bytes / 1e3, "kB"] : bytes < 1e9 ? [bytes / 1e6, "MB"] : [bytes / 1e9, "GB"];
  return `${number(value, { maximumFractionDigits: value < 10 ? 1 : 0 })} ${unit}`;
}

/** @param {number} seconds */
export function duration(seconds) {
  if (seconds < 60) return `${number(seconds, { maximumFractionDigits: seconds < 10 ? 1 : 0 })} s`;
  const whole = Math.round(seconds), minutes = Math.floor(whole / 60);
  return minutes < 60 ? `${minutes} min ${whole % 60} s` : `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}

/** How long ago, in words. @param {string} time */
export function ago(time) {
  const seconds = (Date.now() - Date.parse(time)) / 1000;
  const format = new Intl.RelativeTimeFormat(language, { numeric: "auto" });
  if (seconds < 45) return format.format(0, "second");
  if (seconds < 3570) return format.format(-Math.round(seconds / 60), "minute");
  if (seconds < 85000) return format.format(-Math.round(seconds / 3600), "hour");
  return new Date(time).toLocaleDateString(language, { dateStyle: "medium" });
}
